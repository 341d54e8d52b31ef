"""``phono3py-mlp label``: forces and energies by any force calculator."""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phono3py_mlp_plugin.cli.inputs import (
    DISPLACEMENTS,
    PARAMS,
    add_calculator_options,
    add_quiet,
    requested_calculator,
    write_dataset,
)
from phono3py_mlp_plugin.cli.parser import example
from phono3py_mlp_plugin.errors import DatasetError, ParameterError
from phono3py_mlp_plugin.files import read_json, write_json
from phono3py_mlp_plugin.host.arguments import add_distribution_options
from phono3py_mlp_plugin.parallel import ExecutorSpec, Part, forget_chunks
from phono3py_mlp_plugin.workflow import (
    EVALUATION,
    label_supercells,
    labels_fingerprint,
    plan_potential,
    read_dataset,
    read_potential,
)

if TYPE_CHECKING:
    from phono3py import Phono3py

_RECORD = "phono3py_mlp_labels.json"


def add_label(commands: Any) -> None:
    """Add ``label`` to the commands."""
    parser = commands.add_parser(
        "label",
        help="forces and energies of displaced supercells by any force calculator",
        description="Evaluate forces and energies of the supercells of a "
        "phono3py_disp.yaml by a force calculator, and write them with the "
        "displacements as training data. If the command is stopped, the same command "
        "continues where it was.",
        epilog=example("phono3py-mlp label phono3py_disp.yaml --force-calculator mace"),
    )
    parser.add_argument(
        "filename",
        metavar=DISPLACEMENTS,
        type=Path,
        nargs="?",
        default=Path(DISPLACEMENTS),
        help="crystal and displacements (default: %(default)s)",
    )
    add_calculator_options(parser)
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        type=Path,
        default=Path(PARAMS),
        help="file to write (default: %(default)s)",
    )
    parser.add_argument(
        "--allow-poor-fit",
        action="store_true",
        help="continue if the forces are not derivatives of the energy",
    )
    add_quiet(parser)
    add_distribution_options(parser)
    parser.set_defaults(run=_label)


def _label(args: argparse.Namespace) -> int:
    from phono3py_mlp_plugin.host.command import work_in_folder
    from phono3py_mlp_plugin.host.distribution import start_distribution
    from phono3py_mlp_plugin.host.mlp import examine
    from phono3py_mlp_plugin.host.output import progress, show
    from phono3py_mlp_plugin.host.predicted_charges import predict_born_charges
    from phono3py_mlp_plugin.host.reading import read_crystal

    folder = Path()
    where = ExecutorSpec.parse(args.jobs, args.executor)
    Part.option(args.part)
    shared = Part.is_shared(args.part)
    work_in_folder(folder, watched=args.watched, shared=shared)
    log_level = 0 if args.quiet else 1
    spec, file = requested_calculator(args)
    crystal = read_crystal(args.filename)
    if read_dataset(crystal.dataset, crystal.supercell) is not None:
        raise DatasetError(
            f"{args.filename}: the supercells have forces already. Give the file with "
            "displacements alone."
        )
    if args.output.resolve() == args.filename.resolve():
        raise ParameterError(f"-o {args.output}: is the input file. Give another name.")
    if args.output.is_dir() or not args.output.parent.is_dir():
        raise ParameterError(
            f"-o {args.output}: expected a file in a folder that exists. Make the "
            "folder, or give another name."
        )
    plan = plan_potential(spec, None, file, folder)
    obtained = read_potential(spec, plan.path)
    key = labels_fingerprint(crystal, obtained)
    if _is_finished(key, args.output):
        show([f'"{args.output}" has these forces and energies already.'], log_level)
        return 0
    name = spec.calculator.name
    examine(spec, obtained, crystal.supercell, log_level, args.allow_poor_fit)
    show(predict_born_charges(crystal, name, obtained.potential), log_level)
    distribution = start_distribution(where, args.part)
    number = label_supercells(
        crystal, name, obtained, progress(log_level), distribution
    )
    distribution.end_part()
    _write(crystal, args.output, key, log_level)
    forget_chunks(folder, EVALUATION)
    line = f'Forces and energies of {number} supercells are in "{args.output}".'
    show([line], log_level)
    return 0


def _write(crystal: Phono3py, path: Path, key: str, log_level: int) -> None:
    """Write training data, and a record by which they are recognised."""
    write_dataset(crystal, path, log_level)
    record = {"fingerprint": key, "sha256": _hash(path)}
    write_json(path.parent / _RECORD, record)


def _is_finished(key: str, path: Path) -> bool:
    """Return whether a file contains the labels with this fingerprint."""
    record = read_json(path.parent / _RECORD)
    return (
        record is not None
        and record.get("fingerprint") == key
        and path.is_file()
        and record.get("sha256") == _hash(path)
    )


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()

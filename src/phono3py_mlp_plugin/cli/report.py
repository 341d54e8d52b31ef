"""``phono3py-mlp report``: a one-page report on the runs of a folder."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from phono3py_mlp_plugin.cli.inputs import (
    PARAMS,
    SUMMARY,
    add_model_options,
    add_quiet,
    first_of,
    requested_calculator,
)
from phono3py_mlp_plugin.cli.parser import example
from phono3py_mlp_plugin.errors import DatasetError, PotentialError
from phono3py_mlp_plugin.files import potential_files
from phono3py_mlp_plugin.workflow import check_born_charges

if TYPE_CHECKING:
    from phono3py import Phono3py

# In the order of preference.
_INPUTS = (PARAMS, SUMMARY)
_EVALUATED = "phono3py_mlp_eval_dataset.yaml"

# Largest difference in angstrom of lattices that are the same.
_LATTICE = 1e-3


def add_report(commands: Any) -> None:
    """Add ``report`` to the commands."""
    parser = commands.add_parser(
        "report",
        help="one page on the runs of a folder: errors, phonons, kappa, provenance",
        description="Make phono3py_mlp_report.html from the output files of runs in "
        "this folder: errors of the potential, convergence, phonons, kappa with error "
        "bars, checks and provenance. The page is a single file that needs no network "
        "access. Figures are also written as PNG, SVG and PDF, numbers as JSON.",
        epilog=example("phono3py-mlp report"),
    )
    parser.add_argument(
        "filename",
        metavar=PARAMS,
        type=Path,
        nargs="?",
        help=f"crystal and dataset (default: {' or '.join(_INPUTS)})",
    )
    parser.add_argument(
        "--force-calculator",
        default="pypolymlp",
        metavar="NAME",
        help="force calculator of the potential (default: %(default)s)",
    )
    add_model_options(parser)
    add_quiet(parser)
    parser.set_defaults(run=_report)


def _report(args: argparse.Namespace) -> int:
    from phono3py_mlp_plugin.host.command import work_in_folder
    from phono3py_mlp_plugin.host.output import show
    from phono3py_mlp_plugin.host.reading import read_crystal, read_run_options
    from phono3py_mlp_plugin.report import gather, write_report

    folder = Path()
    work_in_folder(folder, watched=args.watched)
    log_level = 0 if args.quiet else 1
    request, file = requested_calculator(args)
    if file is not None and not potential_files(file):
        raise PotentialError(f'--mlp-file: "{file}" is not found.')
    path = args.filename or first_of(_INPUTS, "crystal and dataset")
    crystal = read_crystal(path)
    check_born_charges(crystal)
    summary = folder / SUMMARY
    if args.filename is None and path != summary and summary.is_file():
        _check_last_run(crystal, path, read_crystal(summary))
    evaluated = None
    if (folder / _EVALUATED).is_file():
        evaluated = read_crystal(folder / _EVALUATED)
    if evaluated is not None and not _is_same_crystal(crystal, evaluated):
        show([f'"{_EVALUATED}" is of another crystal: it is not used.'], log_level)
        evaluated = None
    if evaluated is not None:
        evaluated.nac_params = evaluated.nac_params or crystal.nac_params
    settings = {}
    if (folder / SUMMARY).is_file():
        settings = read_run_options(folder / SUMMARY)
    contents = gather(crystal, folder, request, evaluated, settings, file)
    written = write_report(contents, folder)
    figures = [path.name for path in written if path.suffix == ".png"]
    lines = [
        *map(str, contents.checks),
        f'The report is in "{written[0]}", its numbers are in "{written[1]}".',
        f"Figures: {', '.join(figures)} (also .svg and .pdf).",
    ]
    show(lines, log_level)
    return 0


def _check_last_run(crystal: Phono3py, path: Path, last: Phono3py) -> None:
    """Raise if the last run in the folder was of another crystal than a file."""
    if not _is_same_crystal(crystal, last):
        formulas = [one.unitcell.formula for one in (crystal, last)]
        raise DatasetError(
            f"{path}: its crystal ({formulas[0]}) or supercell is not that of the last "
            f'run in "{SUMMARY}" ({formulas[1]}). Give the file with crystal and '
            f"dataset of the report, such as {SUMMARY}."
        )


def _is_same_crystal(one: Phono3py, other: Phono3py) -> bool:
    """Return whether elements and lattice of the supercells are the same.

    Positions may have been relaxed.
    """
    a, b = one.supercell, other.supercell
    return list(a.symbols) == list(b.symbols) and np.allclose(
        a.cell, b.cell, rtol=0, atol=_LATTICE
    )

"""``phono3py-mlp import`` and ``extend``: import and join datasets."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phono3py_mlp_plugin.cli.inputs import DISPLACEMENTS, PARAMS, write_dataset
from phono3py_mlp_plugin.contracts import Dataset, FloatArray
from phono3py_mlp_plugin.errors import DatasetError, ParameterError
from phono3py_mlp_plugin.files import (
    COMPRESSED,
    Frame,
    each_file_once,
    read_frames,
)
from phono3py_mlp_plugin.workflow import (
    check_dataset,
    dataset_of_frames,
    describe_planned,
    join_datasets,
    planned_of_snapshots,
    read_dataset,
    with_planned_displacements,
    without_net_force,
)

if TYPE_CHECKING:
    from phono3py import Phono3py


def add_import(commands: Any) -> None:
    """Add ``import`` to the commands."""
    parser = commands.add_parser(
        "import",
        help="make a phono3py_params.yaml from output files of any program",
        description="Make a phono3py_params.yaml from the output files of any program "
        "that ASE reads, and of CP2K and SIESTA, compressed or not. Atoms may be in "
        "any order, wrapped into the cell or not; they are assigned to the sites of "
        "the supercell.",
    )
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="output files or patterns such as 'scf-*.out'; a file .yaml among them is "
        "the one with the supercell",
    )
    parser.add_argument(
        "--supercell",
        metavar="YAML",
        type=Path,
        help="phono3py.yaml-like file with the supercell (default: phono3py_disp.yaml)",
    )
    parser.add_argument(
        "-c",
        "--cell",
        metavar="FILE",
        type=Path,
        help="unit cell in any format that phono3py or ASE reads, with --dim",
    )
    parser.add_argument(
        "--dim", nargs="+", type=int, metavar="N", help="supercell matrix"
    )
    parser.add_argument(
        "--pa",
        default="auto",
        metavar="AXES",
        help="primitive axes: P, F, I, A, C, R or auto (default)",
    )
    parser.add_argument(
        "--format",
        metavar="NAME",
        help="format of the files, as ASE calls it (default: found by content)",
    )
    parser.add_argument(
        "--energy-key",
        metavar="NAME",
        help="name of the energies (default: free_energy, else energy), or none",
    )
    parser.add_argument(
        "--forces-key", metavar="NAME", help="name of the forces (default: forces)"
    )
    _add_output(parser, PARAMS)
    parser.set_defaults(run=_import)


def add_extend(commands: Any) -> None:
    """Add ``extend`` to the commands."""
    parser = commands.add_parser(
        "extend",
        help="add the supercells of other phono3py_params.yaml files to one",
        description="Append the supercells of NEW to those of OLD. Crystal, Born "
        "charges and the dataset of dim-fc2 are those of OLD.",
    )
    parser.add_argument(
        "old", metavar="OLD", type=Path, help="the file that is extended"
    )
    parser.add_argument(
        "new", metavar="NEW", type=Path, nargs="+", help="files of the same crystal"
    )
    _add_output(parser, "OLD; the old file is kept as .bak")
    parser.set_defaults(run=_extend)


def _add_output(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument(
        "-o", "--output", metavar="FILE", type=Path, help=f"default: {default}"
    )


def _import(args: argparse.Namespace) -> int:
    from phono3py_mlp_plugin.host.output import progress

    yamls, paths = _sorted_out(args.files)
    given = [*yamls, *([] if args.supercell is None else [args.supercell])]
    if len(given) > 1:
        raise ParameterError(
            f"{given[0]} and {given[1]}: give one file of a supercell."
        )
    ph3, planned = _crystal(args, given[0] if given else None)
    frames: list[Frame] = []
    with progress(1)("Reading", len(paths)) as advance:
        for path in paths:
            frames += read_frames(path, args.format, args.energy_key, args.forces_key)
            advance(1)
    dataset = dataset_of_frames(frames, ph3.supercell)
    if planned is not None:
        index = planned_of_snapshots(dataset, planned)
        for line in describe_planned(index, len(planned)):
            print(line)
        dataset = with_planned_displacements(dataset, planned)
    unused = dict.fromkeys(name for frame in frames for name in frame.unused)
    if unused:
        print(
            f"Note: not used: {', '.join(unused)}. --energy-key and --forces-key "
            "choose others."
        )
    _check(dataset, [frame.where for frame in frames])
    _write(ph3, without_net_force(dataset), args.output or Path(PARAMS))
    return 0


def _sorted_out(names: Sequence[str]) -> tuple[list[Path], list[Path]]:
    """Return phono3py.yaml-like files and output files, with patterns replaced."""
    yamls: list[Path] = []
    outputs: list[Path] = []
    for name in names:
        found = [Path(name)]
        if not found[0].exists() and any(mark in name for mark in "*?["):
            folder = Path(found[0].anchor)
            found = sorted(folder.glob(str(found[0].relative_to(folder))))
            if not found:
                raise DatasetError(f"{name}: no file matches. Check the pattern.")
        for path in found:
            plain = path.with_suffix("") if path.suffix in COMPRESSED else path
            (yamls if plain.suffix in (".yaml", ".yml") else outputs).append(path)
    if not outputs:
        raise ParameterError(
            f"{', '.join(names)}: there is no output file. Give the files with forces "
            "after it."
        )
    return yamls, outputs


def _extend(args: argparse.Namespace) -> int:
    old, first = _with_forces(args.old)
    parts = [(str(args.old), first)]
    parts += [(str(path), _with_forces(path)[1]) for path in args.new]
    dataset = join_datasets(parts)
    _check(dataset)
    _write(old, dataset, args.output or args.old)
    return 0


def _crystal(
    args: argparse.Namespace, supercell: Path | None
) -> tuple[Phono3py, FloatArray | None]:
    """Return the crystal, and the displacements that were planned for it if known."""
    from phono3py_mlp_plugin.host.reading import (
        read_crystal,
        read_planned_displacements,
    )
    from phono3py_mlp_plugin.host.unitcell import read_unitcell

    if (args.cell is None) != (args.dim is None):
        raise ParameterError("-c and --dim: give both, or --supercell YAML.")
    if args.cell is None:
        path = supercell or Path(DISPLACEMENTS)
        with each_file_once():
            ph3 = read_crystal(path, with_datasets=False)
            return ph3, read_planned_displacements(path)
    if supercell is not None:
        raise ParameterError(f"{supercell} and -c: give one.")
    return read_unitcell(args.cell, args.dim, args.pa), None


def _with_forces(path: Path) -> tuple[Phono3py, Dataset]:
    from phono3py_mlp_plugin.host.reading import read_crystal

    ph3 = read_crystal(path)
    dataset = read_dataset(ph3.dataset, ph3.supercell, str(path))
    if dataset is None:
        raise DatasetError(f"{path}: there are no forces in it.")
    return ph3, dataset


def _check(dataset: Dataset, sources: Sequence[str] = ()) -> None:
    """Print notes about the data, with the files of the snapshots that they name."""
    try:
        for note in check_dataset(dataset):
            print(f"Note: {note}{_sources(note, sources)}")
    except DatasetError as error:
        raise DatasetError(f"{error}{_sources(str(error), sources)}") from error


def _sources(message: str, sources: Sequence[str]) -> str:
    """Return the sources of the snapshots that a message names."""
    numbers = [int(n) for n in re.findall(r"snapshot (\d+)", message)]
    named = dict.fromkeys(n for n in numbers if 0 < n <= len(sources))
    return "".join(f" Snapshot {n} is {sources[n - 1]}." for n in named)


def _write(ph3: Phono3py, dataset: Dataset, path: Path) -> None:
    """Write the dataset with the crystal."""
    arrays = {"displacements": dataset.displacements, "forces": dataset.forces}
    if dataset.energies is None:
        print("Note: there are no energies: potentials are trained on forces alone.")
    else:
        arrays["supercell_energies"] = dataset.energies
    ph3.dataset = arrays
    write_dataset(ph3, path)
    n = len(dataset)
    print(f'{n} supercell{"s were" if n > 1 else " was"} written in "{path}".')

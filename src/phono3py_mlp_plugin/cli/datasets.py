"""``phono3py-mlp import`` and ``extend``: import and join datasets."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phono3py_mlp_plugin.contracts import Dataset
from phono3py_mlp_plugin.errors import DatasetError, ParameterError
from phono3py_mlp_plugin.files import back_up, read_extxyz, replacing
from phono3py_mlp_plugin.workflow import (
    check_dataset,
    dataset_of_frames,
    join_datasets,
    read_dataset,
)

if TYPE_CHECKING:
    from phono3py import Phono3py

_PARAMS = "phono3py_params.yaml"


def add_import(commands: Any) -> None:
    """Add ``import`` to the commands."""
    parser = commands.add_parser(
        "import",
        help="make a phono3py_params.yaml from results in extended XYZ files",
        description="Make a phono3py_params.yaml from extended XYZ files with forces "
        "computed by any program. Atoms may be in any order, wrapped into the cell or "
        "not; they are assigned to the sites of the supercell.",
    )
    parser.add_argument("files", nargs="+", metavar="FILE.extxyz", type=Path)
    parser.add_argument(
        "--supercell",
        metavar="YAML",
        type=Path,
        help="phono3py.yaml-like file with the supercell (default: phono3py_disp.yaml)",
    )
    parser.add_argument(
        "-c", "--cell", metavar="POSCAR", type=Path, help="unit cell, with --dim"
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
    _add_output(parser, _PARAMS)
    parser.set_defaults(run=_import)


def add_extend(commands: Any) -> None:
    """Add ``extend`` to the commands."""
    parser = commands.add_parser(
        "extend",
        help="add the supercells of other phono3py_params.yaml files to one",
        description="Append the supercells of NEW to those of OLD. Crystal, Born "
        "charges and the dataset of dim-fc2 are those of OLD.",
    )
    parser.add_argument("old", metavar="OLD", type=Path)
    parser.add_argument("new", metavar="NEW", type=Path, nargs="+")
    _add_output(parser, "OLD; the old file is kept as .bak")
    parser.set_defaults(run=_extend)


def _add_output(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument(
        "-o", "--output", metavar="FILE", type=Path, help=f"default: {default}"
    )


def _import(args: argparse.Namespace) -> int:
    ph3 = _crystal(args)
    frames = [frame for path in args.files for frame in read_extxyz(path)]
    dataset = dataset_of_frames(frames, ph3.supercell)
    _write(ph3, dataset, args.output or Path(_PARAMS))
    return 0


def _extend(args: argparse.Namespace) -> int:
    old, first = _with_forces(args.old)
    parts = [(str(args.old), first)]
    parts += [(str(path), _with_forces(path)[1]) for path in args.new]
    _write(old, join_datasets(parts), args.output or args.old)
    return 0


def _crystal(args: argparse.Namespace) -> Phono3py:
    from phono3py_mlp_plugin.host.reading import read_crystal, read_unitcell

    if (args.cell is None) != (args.dim is None):
        raise ParameterError("-c and --dim: give both, or --supercell YAML.")
    if args.cell is None:
        return read_crystal(
            args.supercell or Path("phono3py_disp.yaml"), with_datasets=False
        )
    if args.supercell is not None:
        raise ParameterError("--supercell and -c: give one.")
    return read_unitcell(args.cell, args.dim, args.pa)


def _with_forces(path: Path) -> tuple[Phono3py, Dataset]:
    from phono3py_mlp_plugin.host.reading import read_crystal

    ph3 = read_crystal(path)
    dataset = read_dataset(ph3.dataset, ph3.supercell, str(path))
    if dataset is None:
        raise DatasetError(f"{path}: there are no forces in it.")
    return ph3, dataset


def _write(ph3: Phono3py, dataset: Dataset, path: Path) -> None:
    """Write the dataset with the crystal, and print notes about the data."""
    for note in check_dataset(dataset):
        print(f"Note: {note}")
    arrays = {"displacements": dataset.displacements, "forces": dataset.forces}
    if dataset.energies is None:
        print("Note: there are no energies: potentials are trained on forces alone.")
    else:
        arrays["supercell_energies"] = dataset.energies
    ph3.dataset = arrays
    with replacing(path) as temporary:
        ph3.save(temporary, settings={"force_sets": True, "displacements": True})
        if path.is_file():
            print(f'The old "{path}" is kept as "{back_up(path)}".')
    print(f'{len(dataset)} supercells were written in "{path}".')

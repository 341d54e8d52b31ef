"""``phono3py-mlp export``: force constants in the formats of other programs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py

from phono3py_mlp_plugin.cli.inputs import PARAMS, SUMMARY, first_of
from phono3py_mlp_plugin.cli.parser import example
from phono3py_mlp_plugin.errors import ParameterError, SolverError
from phono3py_mlp_plugin.exports import FORMATS, export
from phono3py_mlp_plugin.files import check_regular, read_force_constants

if TYPE_CHECKING:
    from phonopy.structure.cells import Primitive

    from phono3py_mlp_plugin.contracts import FloatArray

# In the order of preference.
_INPUTS = (SUMMARY, PARAMS)
_FC2, _FC3 = Path("fc2.hdf5"), Path("fc3.hdf5")


def add_export(commands: Any) -> None:
    """Add ``export`` to the commands."""
    parser = commands.add_parser(
        "export",
        help="fc2 and fc3 in the formats of other programs",
        description="Write the force constants of fc2.hdf5 and fc3.hdf5 in the format "
        "of another program.",
        epilog=example("phono3py-mlp export shengbte"),
    )
    parser.add_argument(
        "format",
        metavar="FORMAT",
        choices=tuple(FORMATS),
        help=f"one of {', '.join(FORMATS)}",
    )
    parser.add_argument(
        "filename",
        metavar=SUMMARY,
        type=Path,
        nargs="?",
        help=f"crystal and supercells (default: {' or '.join(_INPUTS)})",
    )
    for order, path in ((2, _FC2), (3, _FC3)):
        parser.add_argument(
            f"--fc{order}",
            metavar="FILE",
            type=Path,
            help=f"file with fc{order} (default: {path})",
        )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FOLDER",
        type=Path,
        help="folder to write (default: one with the name of the format)",
    )
    parser.set_defaults(run=_export)


def _export(args: argparse.Namespace) -> int:
    from phono3py_mlp_plugin.host.output import progress
    from phono3py_mlp_plugin.host.reading import read_crystal

    chosen = FORMATS[args.format]
    if args.fc3 is not None and not chosen.has_fc3:
        raise ParameterError(
            f"--fc3 {args.fc3}: files of {chosen.summary} contain fc2 alone. Leave it "
            "out."
        )
    crystal = read_crystal(
        args.filename or first_of(_INPUTS, "the crystal"), with_datasets=False
    )
    crystal.fc2 = _read(args.fc2 or _FC2, 2, crystal.phonon_primitive)
    if chosen.has_fc3:
        crystal.fc3 = _read(args.fc3 or _FC3, 3, crystal.primitive)
    with progress(1)(f"Files for {chosen.summary}", None):
        paths = export(crystal, args.format, args.output or Path(args.format))
    print(f"Force constants for {chosen.summary}:")
    for path in paths:
        print(f'  "{path}"')
    if crystal.nac_params and not chosen.has_born:
        print(
            "Born charges are not among them. Without these, longitudinal and "
            "transverse optical modes do not split at long wavelengths."
        )
    return 0


def _read(path: Path, order: int, primitive: Primitive) -> FloatArray:
    """Return force constants that belong to the supercell of a primitive cell."""
    if not path.exists():
        raise SolverError(
            f'"{path}": is not found; expected fc{order}. Compute it by phono3py, '
            f"or give its name by --fc{order}."
        )
    check_regular(path)
    n = len(primitive.s2p_map)
    array = read_force_constants(
        path, (n,) * order + (3,) * order, list(primitive.p2s_map)
    )
    with h5py.File(path, "r") as file:
        unit = file["physical_unit"][0].decode() if "physical_unit" in file else None
    if unit not in (None, f"eV/angstrom^{order}"):
        raise SolverError(
            f'"{path}": physical_unit = {unit}; expected eV/angstrom^{order}. Compute '
            "it anew by phono3py."
        )
    return array

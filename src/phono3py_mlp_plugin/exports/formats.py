"""The table of formats, and writing of all files of one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from phono3py_mlp_plugin.errors import ParameterError, SolverError, did_you_mean
from phono3py_mlp_plugin.exports.alamode import write_alamode
from phono3py_mlp_plugin.exports.kaldo import write_kaldo
from phono3py_mlp_plugin.exports.phonopy import write_phonopy
from phono3py_mlp_plugin.exports.shengbte import write_shengbte
from phono3py_mlp_plugin.exports.tdep import write_tdep
from phono3py_mlp_plugin.files import back_up, replacing
from phono3py_mlp_plugin.workflow import check_arguments, shares_sites

if TYPE_CHECKING:
    from phono3py import Phono3py


@dataclass(frozen=True)
class Format:
    """The files of another program.

    Attributes
    ----------
    summary : str
        Name of the program.
    files : tuple of str
        Names of the files.
    write : callable
        Takes a crystal with force constants and a folder.
    has_fc3 : bool
        Whether fc3 is written, too.
    has_born : bool
        Whether Born charges are written.
    """

    summary: str
    files: tuple[str, ...]
    write: Callable[[Phono3py, Path], None]
    has_fc3: bool = True
    has_born: bool = True


_SHENGBTE = ("CONTROL", "FORCE_CONSTANTS_2ND", "FORCE_CONSTANTS_3RD")

FORMATS = {
    "shengbte": Format("ShengBTE", _SHENGBTE, write_shengbte),
    "fourphonon": Format("FourPhonon", _SHENGBTE, write_shengbte),
    "phonopy": Format(
        "phonopy", ("phonopy.yaml", "FORCE_CONSTANTS"), write_phonopy, has_fc3=False
    ),
    "tdep": Format(
        "TDEP",
        (
            "infile.ucposcar",
            "infile.ssposcar",
            "infile.forceconstant",
            "infile.forceconstant_thirdorder",
        ),
        write_tdep,
        has_born=False,
    ),
    "kaldo": Format(
        "kALDo, format numpy",
        (
            "replicated_atoms.xyz",
            "second.npy",
            "replicated_atoms_third.xyz",
            "third.npz",
        ),
        write_kaldo,
        has_born=False,
    ),
    "alamode": Format(
        "ALAMODE",
        ("alamode_fc2.xml", "alamode_fc3.xml"),
        write_alamode,
        has_born=False,
    ),
}


def export(crystal: Phono3py, name: str, folder: str | Path) -> list[Path]:
    """Write force constants in the format of another program.

    Either all files are written or none. Files of the same names are kept with the
    ending ``.bak``.

    Parameters
    ----------
    crystal : Phono3py
        With fc2 and fc3 in eV/angstrom^2 and eV/angstrom^3; fc3 is not needed by all
        formats.
    name : str
        A name in `FORMATS`.
    folder : str or Path
        Made if it does not exist.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    ParameterError
        If there is no such format.
    SolverError
        If force constants are missing or not finite, or sites are shared by several
        species.
    """
    check_arguments(crystal=crystal, name=name, folder=folder)
    chosen = FORMATS.get(name)
    if chosen is None:
        raise ParameterError(
            f"format = {name!r}; expected one of {', '.join(FORMATS)}."
            f"{did_you_mean(name, FORMATS)}"
        )
    _check(crystal, chosen)
    folder = Path(folder)
    paths = [folder / file for file in chosen.files]
    folder.mkdir(parents=True, exist_ok=True)
    # The others are put in place with the last one.
    with replacing(paths[-1]) as temporary:
        chosen.write(crystal, temporary.parent)
        for path in paths:
            if path.is_file():
                back_up(path)
    return paths


def _check(crystal: Phono3py, chosen: Format) -> None:
    needed = {"fc2": crystal.fc2} | ({"fc3": crystal.fc3} if chosen.has_fc3 else {})
    for name, array in needed.items():
        if array is None:
            raise SolverError(
                f"{name}: is missing; expected it for {chosen.summary}. Compute it "
                "before the export."
            )
        if not np.isfinite(array).all():
            raise SolverError(
                f"{name}: not finite; expected finite numbers. Compute it anew."
            )
    if shares_sites(crystal.unitcell):
        raise SolverError(
            "the crystal: sites are shared by several species; expected one species "
            f"at each site, as in files of {chosen.summary}."
        )

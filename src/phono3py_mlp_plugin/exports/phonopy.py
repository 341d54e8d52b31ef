"""FORCE_CONSTANTS and phonopy.yaml of phonopy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from phono3py import Phono3py


def write_phonopy(crystal: Phono3py, folder: Path) -> None:
    """Write fc2 and its supercell; ``phonopy-load phonopy.yaml`` reads both."""
    from phonopy import Phonopy
    from phonopy.file_IO import write_FORCE_CONSTANTS

    phonons = Phonopy(
        crystal.unitcell,
        supercell_matrix=crystal.phonon_supercell_matrix
        if crystal.phonon_supercell_matrix is not None
        else crystal.supercell_matrix,
        primitive_matrix=crystal.primitive_matrix,
        symprec=crystal.symmetry.tolerance,
    )
    phonons.nac_params = crystal.nac_params
    phonons.save(folder / "phonopy.yaml", settings={"force_constants": False})
    write_FORCE_CONSTANTS(
        crystal.fc2,
        filename=folder / "FORCE_CONSTANTS",
        p2s_map=crystal.phonon_primitive.p2s_map,
    )

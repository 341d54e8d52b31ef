"""A dataset written in a calculator's own units, as the host's writers write it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from phono3py import Phono3py
from phonopy.physical_units import get_calculator_physical_units

# Factor of Born charges in a file: that of its units, that of eV and angstrom, or none.
OWN, RIGHT, MISSING = "own", "right", "missing"


def write_in_units(crystal: Phono3py, calculator: str, path: Path, born: str) -> None:
    """Write crystal, type-2 dataset and Born charges in the units of a calculator."""
    units = get_calculator_physical_units(calculator)
    cell = crystal.unitcell.copy()
    cell.cell = cell.cell / units.distance_to_A
    written = Phono3py(
        cell,
        supercell_matrix=crystal.supercell_matrix,
        primitive_matrix=crystal.primitive_matrix,
        calculator=calculator,
    )
    dataset = crystal.dataset
    written.dataset = {
        "displacements": dataset["displacements"] / units.distance_to_A,
        "forces": dataset["forces"] / units.force_to_eVperA,
        "supercell_energies": np.array(dataset["supercell_energies"])
        / units.energy_to_eV,
    }
    if crystal.nac_params is not None:
        factor = units.nac_factor if born == OWN else crystal.nac_params["factor"]
        written.nac_params = {**crystal.nac_params, "factor": factor}
    lines = str(written.to_phono3py_yaml()).splitlines()
    if born == MISSING:
        lines = [line for line in lines if "unit_conversion_factor: " not in line[:28]]
    path.write_text("\n".join(lines) + "\n")

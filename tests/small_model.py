"""A model that trains in seconds, and what tests read from the files of a run."""

from __future__ import annotations

import re
from pathlib import Path

import h5py
import numpy as np

MODEL = "cutoff=5.0, gtinv_maxl=2 2, gaussian_params2=0 4 4"
SMALL = f"{MODEL}, ntrain=20, ntest=20"

_RMSE = re.compile(r"^  (training|test) +(\d+) +([\d.]+) +([\d.]+)$", re.MULTILINE)


def errors_shown(output: str) -> dict[str, tuple[int, float, float]]:
    """Return supercells, energy (meV/atom) and force (eV/angstrom) errors printed."""
    return {
        name: (int(n), float(energy), float(force))
        for name, n, energy, force in _RMSE.findall(output)
    }


def kappa_300(folder: Path) -> float:
    """Return kappa_xx at 300 K in W/m-K from the one kappa file of a folder."""
    (path,) = folder.glob("kappa-m*.hdf5")
    with h5py.File(path) as file:
        temperatures = file["temperature"][()]
        return float(file["kappa"][()][list(temperatures).index(300.0), 0])


def force_constants(folder: Path) -> dict[str, np.ndarray]:
    """Return the arrays of fc2.hdf5 and fc3.hdf5."""
    with h5py.File(folder / "fc2.hdf5") as fc2, h5py.File(folder / "fc3.hdf5") as fc3:
        return {"fc2": fc2["force_constants"][()], "fc3": fc3["fc3"][()]}


def assert_same_force_constants(one: Path, other: Path) -> None:
    """Every bit of fc2 and fc3 is the same."""
    for name, array in force_constants(one).items():
        np.testing.assert_array_equal(array, force_constants(other)[name])

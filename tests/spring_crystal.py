"""Crystals of anharmonic springs, for lattices of which there is no dataset.

Springs connect all pairs within a cutoff at their natural length, so that every lattice
is stable and force constants are sums of known derivatives: nothing is fitted.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
from phono3py import Phono3py
from phono3py.file_IO import write_fc2_to_hdf5, write_fc3_to_hdf5
from phonopy.structure.atoms import PhonopyAtoms

from phono3py_mlp_plugin.contracts import FloatArray

FCC = np.ones((3, 3)) - np.eye(3)
HEXAGON = ([3.1, 0, 0], [-1.55, 1.55 * 3**0.5, 0])
CRYSTALS: dict[str, dict[str, Any]] = {
    "triclinic": {
        "symbols": ["Ga", "As", "O"],
        "cell": [[4.1, 0, 0], [0.5, 4.4, 0], [0.9, 1.1, 5.2]],
        "positions": [[0.01, 0.02, 0], [0.4, 0.53, 0.2], [0.71, 0.3, 0.77]],
        "supercell": [2, 2, 1],
        "cutoff": 4.5,
    },
    "slab": {
        "symbols": ["Mo", "S", "S"],
        "cell": [*HEXAGON, [0, 0, 15.0]],
        "positions": [[1 / 3, 2 / 3, 0.5], [2 / 3, 1 / 3, 0.6], [2 / 3, 1 / 3, 0.4]],
        "supercell": [3, 3, 1],
        "cutoff": 4.0,
    },
    "one atom": {
        "symbols": ["Cu"],
        "cell": 1.8 * FCC,
        "positions": [[0, 0, 0]],
        "supercell": [3, 3, 3],
        "cutoff": 4.0,
    },
}


def spring_crystal(name: str) -> Phono3py:
    """Return a crystal with force constants."""
    data = CRYSTALS[name]
    ph3 = Phono3py(
        PhonopyAtoms(
            symbols=data["symbols"],
            cell=data["cell"],
            scaled_positions=data["positions"],
        ),
        supercell_matrix=data["supercell"],
        primitive_matrix=np.eye(3),
    )
    ph3.fc2, ph3.fc3 = force_constants(ph3.supercell, data["cutoff"])
    return ph3


def write_spring_crystal(name: str, folder: Path) -> None:
    """Write phono3py.yaml, fc2.hdf5 and fc3.hdf5."""
    ph3 = spring_crystal(name)
    ph3.save(folder / "phono3py.yaml")
    write_fc2_to_hdf5(ph3.fc2, filename=str(folder / "fc2.hdf5"))
    write_fc3_to_hdf5(ph3.fc3, filename=str(folder / "fc3.hdf5"))


def force_constants(cell: PhonopyAtoms, cutoff: float) -> tuple[FloatArray, FloatArray]:
    """Return fc2 and fc3 of springs between all pairs within a cutoff.

    Parameters
    ----------
    cell : PhonopyAtoms
        N atoms.
    cutoff : float
        In angstrom.

    Returns
    -------
    fc2 : ndarray of shape (N, N, 3, 3)
        In eV/angstrom^2.
    fc3 : ndarray of shape (N, N, N, 3, 3, 3)
        In eV/angstrom^3.
    """
    n = len(cell)
    fc2, fc3 = np.zeros((n, n, 3, 3)), np.zeros((n, n, n, 3, 3, 3))
    images = np.array(list(itertools.product(range(-2, 3), repeat=3))) @ cell.cell
    for i, j in itertools.product(range(n), repeat=2):
        if i == j:
            continue
        vectors = cell.positions[j] - cell.positions[i] + images
        lengths = np.linalg.norm(vectors, axis=1)
        near = lengths < cutoff
        second, third = _derivatives(vectors[near], lengths[near])
        ends = ((i, -1), (j, 1))
        # Each pair is met twice, in both directions.
        for (a, s), (b, t) in itertools.product(ends, repeat=2):
            fc2[a, b] += s * t * second / 2
            for c, u in ends:
                fc3[a, b, c] += s * t * u * third / 2
    return fc2, fc3


def _derivatives(
    vectors: FloatArray, lengths: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return summed second and third derivatives of springs at their natural length.

    Stiffness and its slope fall off with the length, as between atoms.
    """
    stiffness = 5.0 * np.exp(-lengths / 2)
    slope = -3.0 * stiffness
    n, eye = vectors / lengths[:, None], np.eye(3)
    second = np.einsum("v,va,vb->ab", stiffness, n, n)
    along = np.einsum(
        "v,va,vb,vc->abc", slope - 3 * stiffness / lengths, n, n, n, optimize=True
    )
    across = np.einsum("v,va,bc->abc", stiffness / lengths, n, eye)
    across = across + across.transpose(1, 0, 2) + across.transpose(1, 2, 0)
    return second, along + across

"""Relaxation of atomic positions with a potential, under constraint of symmetry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import spglib

from phono3py_mlp_plugin.contracts import FloatArray, Potential
from phono3py_mlp_plugin.errors import PotentialError
from phono3py_mlp_plugin.workflow.evaluate import evaluate

if TYPE_CHECKING:
    from phonopy.structure.atoms import PhonopyAtoms

_LARGEST_FORCE = 1e-5  # eV/angstrom
_STEPS = 1000
_FARTHEST = 5.0  # angstrom


def relax_positions(
    name: str, potential: Potential, cell: PhonopyAtoms, symprec: float = 1e-5
) -> PhonopyAtoms | None:
    """Return the cell with relaxed positions and unchanged lattice.

    Parameters
    ----------
    name : str
        Name of the force calculator, used in messages.
    potential : Potential
    cell : PhonopyAtoms
    symprec : float
        Tolerance of the symmetry search in angstrom.

    Returns
    -------
    PhonopyAtoms or None
        None if all positions are fixed by symmetry.

    Raises
    ------
    PotentialError
        If the forces did not vanish, or no symmetry was found.
    """
    # Imported here because most runs do not relax, and the import takes time.
    from scipy.optimize import minimize

    free = _free_displacements(cell, symprec)
    if not len(free):
        return None

    def moved(amplitudes: FloatArray) -> PhonopyAtoms:
        other = cell.copy()
        other.positions = cell.positions + (amplitudes @ free).reshape(-1, 3)
        return other

    def energy_and_slope(amplitudes: FloatArray) -> tuple[float, FloatArray]:
        if not np.abs(amplitudes).max() <= _FARTHEST:
            raise PotentialError(
                "relaxation: the largest force does not vanish before atoms have moved "
                f"by {_FARTHEST} angstrom. The potential has no minimum near these "
                "positions: train it on data nearer to them."
            )
        result = evaluate(name, potential, [moved(amplitudes)])
        return float(result.energies[0]), -free @ result.forces[0].reshape(-1)

    # An exact line search would fail close to the minimum due to rounding of energies.
    minimum = minimize(
        energy_and_slope,
        np.zeros(len(free)),
        jac=True,
        method="BFGS",
        options={"gtol": 0.1 * _LARGEST_FORCE, "maxiter": _STEPS},
    )
    relaxed = moved(minimum.x)
    forces = evaluate(name, potential, [relaxed]).forces[0]
    largest = float(np.abs(forces).max())
    if not largest <= _LARGEST_FORCE:
        raise PotentialError(
            f"relaxation: the largest force is {largest:.1e} eV/angstrom after "
            f"{minimum.nit} steps; expected {_LARGEST_FORCE:.0e}. The potential is "
            "not accurate at such positions: train it on data nearer to them."
        )
    return relaxed


def _free_displacements(cell: PhonopyAtoms, symprec: float) -> FloatArray:
    """Return an orthonormal basis of the displacements that keep the symmetry."""
    lattice, positions = cell.cell, cell.scaled_positions
    numbers = np.unique(cell.symbols, return_inverse=True)[1]
    crystal: Any = (lattice, positions, numbers)
    symmetry = spglib.get_symmetry(crystal, symprec=symprec)
    if symmetry is None:
        raise PotentialError(
            f"relaxation: no symmetry is found at a tolerance of {symprec}. Check the "
            "unit cell."
        )
    n = len(cell)
    projector = np.zeros((n, 3, n, 3))
    to_cartesian, to_fractional = lattice.T, np.linalg.inv(lattice.T)
    for rotation, translation in zip(
        symmetry["rotations"], symmetry["translations"], strict=True
    ):
        images = positions @ rotation.T + translation
        offsets = images[:, None] - positions
        offsets -= np.rint(offsets)
        target = (np.linalg.norm(offsets @ lattice, axis=2)).argmin(axis=1)
        projector[target, :, np.arange(n), :] += to_cartesian @ rotation @ to_fractional
    projector /= len(symmetry["rotations"])
    # Uniform translations of all atoms are not relaxed.
    for direction in range(3):
        shift = np.zeros((n, 3))
        shift[:, direction] = 1 / np.sqrt(n)
        along = np.tensordot(projector, shift, 2)
        projector -= np.multiply.outer(along, shift)
    square = projector.reshape(3 * n, 3 * n)
    values, vectors = np.linalg.eigh((square + square.T) / 2)
    return np.ascontiguousarray(vectors[:, values > 0.5].T)

"""Targets of the regression and their weights.

Rows are ordered by supercell: its energy, followed by the forces in direction x of all
atoms, then y, then z. Weights and scales are those of pypolymlp, so that penalties have
the same meaning.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from phono3py_mlp_plugin.contracts import Dataset, FloatArray
from phono3py_mlp_plugin.errors import PotentialError

# Standard deviation of energies (eV) below which a column is dropped.
ZERO_SCALE = 1e-10


@dataclass(frozen=True, eq=False)
class Targets:
    """Energies and forces that are fitted.

    Attributes
    ----------
    energies : ndarray or None
        Energies of the supercells relative to isolated atoms in eV, shape ``(n,)``.
    forces : ndarray
        Forces in eV/angstrom by direction, shape ``(n, 3, N)``.
    energy_weight, force_weight : float
        Factors on the weights. With zero, energies or forces are not fitted.
    """

    energies: FloatArray | None
    forces: FloatArray
    energy_weight: float = 1.0
    force_weight: float = 1.0

    def __len__(self) -> int:
        return len(self.forces)

    @property
    def n_atoms(self) -> int:
        """Number of atoms in a supercell."""
        return int(self.forces.shape[2])

    @property
    def n_rows(self) -> int:
        """Number of rows of a supercell."""
        return 1 + 3 * self.n_atoms

    def lowest_energy(self, n: int) -> float | None:
        """Return the lowest energy per atom of the first n supercells."""
        if self.energies is None:
            return None
        return float(self.energies[:n].min()) / self.n_atoms

    def weighted(
        self, supercells: range, lowest: float | None
    ) -> tuple[FloatArray, FloatArray]:
        """Return weights and weighted targets, shape ``(n, 1 + 3 N)`` each.

        Parameters
        ----------
        supercells : range
        lowest : float or None
            Energy per atom to which others are compared. With None, the weights of
            energies are zero.
        """
        rows = slice(supercells.start, supercells.stop)
        forces = self.forces[rows].reshape(len(supercells), -1)
        values = np.zeros((len(supercells), self.n_rows))
        weights = np.zeros_like(values)
        values[:, 1:] = forces
        weights[:, 1:] = np.minimum(1.0 / np.maximum(np.abs(forces), 1e-12), 1.0)
        weights[:, 1:] *= self.force_weight
        if self.energies is not None and lowest is not None:
            values[:, 0] = self.energies[rows]
            weights[:, 0] = _energy_weights(values[:, 0] / self.n_atoms, lowest)
            weights[:, 0] *= self.energy_weight
        return weights, weights * values


def targets_of(
    dataset: Dataset,
    atomic_energy: float,
    energy_weight: float = 1.0,
    force_weight: float = 1.0,
) -> Targets:
    """Return the targets of a dataset.

    Parameters
    ----------
    dataset : Dataset
    atomic_energy : float
        Sum of the energies of isolated atoms of a supercell in eV.
    energy_weight, force_weight : float
        Factors on the weights. With zero, energies or forces are not fitted.

    Raises
    ------
    PotentialError
        If a number is not finite.
    """
    for name, values in (("energy", dataset.energies), ("force", dataset.forces)):
        if values is None:
            continue
        finite = np.isfinite(values.reshape(len(values), -1)).all(axis=1)
        if not finite.all():
            raise PotentialError(
                f"supercell {int(finite.argmin()) + 1}: the {name} is not finite. "
                "Compute it again or leave it out."
            )
    energies = None
    if dataset.energies is not None and energy_weight > 0:
        energies = dataset.energies - atomic_energy
    return Targets(
        energies,
        np.ascontiguousarray(dataset.forces.transpose(0, 2, 1)),
        energy_weight,
        force_weight,
    )


def _energy_weights(energies: FloatArray, lowest: float) -> FloatArray:
    weights = np.ones(len(energies))
    weights[energies > 0.75 * lowest] = 0.5
    weights[energies > 0.5 * lowest] = 0.3
    weights[energies > 0.0] = 0.1
    return weights


def column_scales(energies: FloatArray) -> FloatArray:
    """Return the standard deviations of columns, or zero for dropped columns.

    Parameters
    ----------
    energies : ndarray
        X^T of the energy rows of the training set, shape ``(n_features, n)``.
    """
    n = energies.shape[1]
    variance = (energies**2).sum(axis=1) / n - (energies.sum(axis=1) / n) ** 2
    # It may be negative due to rounding. pypolymlp does not scale such a column.
    variance[variance < 0] = 1.0
    scales = np.sqrt(variance)
    scales[scales < ZERO_SCALE] = 0.0
    return np.asarray(scales)

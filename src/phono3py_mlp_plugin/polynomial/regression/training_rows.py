"""Weights, scales and energy rows of a training set, as both forms need them.

Energies of displaced supercells hardly differ, while columns are scaled by how much
they do: one direction among the energy rows, that of their mean, is up to 1e5 times
longer than all others and would leave nothing but rounding of what small penalties
decide. The fit does not change where an orthogonal matrix is applied to the energy
rows. A Householder reflection leaves their mean in the first one, the mean row, and
differences in all others. The mean row is eliminated first (dual) or apart from the
others (primal), and the condition number falls by the square of that length: 6e13 to
1e10 for 80 supercells of NaCl.
"""

from __future__ import annotations

import numpy as np

from phono3py_mlp_plugin.contracts import FloatArray
from phono3py_mlp_plugin.polynomial.regression.problem import refuse_infinite
from phono3py_mlp_plugin.polynomial.regression.targets import Targets, column_scales


class TrainingRows:
    """Weights, scales and energy rows of the supercells taken so far.

    Attributes
    ----------
    targets : Targets
        Of all supercells.
    n : int
        Number of supercells taken.
    lowest : float or None
        Their lowest energy per atom in eV.
    weights, values : ndarray
        Weights and weighted targets, shape ``(n n_rows,)``.
    inverse_scales : ndarray
        Zero for dropped columns, shape ``(n_features,)``.
    """

    def __init__(self, n_features: int, targets: Targets) -> None:
        self.targets = targets
        self.n = 0
        self.lowest: float | None = None
        self.weights = self.values = np.empty(0)
        self.inverse_scales = np.zeros(n_features)
        self._energies = np.zeros((n_features, len(targets)))
        self._axis = np.empty(0)

    def take(self, block: FloatArray, supercells: range) -> None:
        """Keep the energy rows of X^T of further supercells."""
        refuse_infinite(block, supercells, "supercell")
        rows = block[:, :: self.targets.n_rows]
        self._energies[:, supercells.start : supercells.stop] = rows
        self.n = supercells.stop

    def prepare(self) -> None:
        """Set scales, weights and the reflection for the supercells taken so far."""
        self.lowest = self.targets.lowest_energy(self.n)
        scales = column_scales(self._energies[:, : self.n])
        kept = scales > 0
        self.inverse_scales = np.divide(
            1.0, scales, out=np.zeros_like(scales), where=kept
        )
        weights, values = self.targets.weighted(range(self.n), self.lowest)
        self.weights, self.values = weights.reshape(-1), values.reshape(-1)
        self._axis = _householder(self.weights[:: self.targets.n_rows])

    def part(self, supercells: range) -> slice:
        """Return where the rows of some supercells are."""
        size = self.targets.n_rows
        return slice(supercells.start * size, supercells.stop * size)

    def reflected(self, energies: FloatArray) -> FloatArray:
        """Return weighted energy rows, along the last axis, reflected, or as before.

        The first then has their mean, all others differences.
        """
        along = energies @ self._axis
        return np.asarray(energies - 2 * np.multiply.outer(along, self._axis))

    def reflection(self) -> FloatArray:
        """Return the matrix of the reflection, shape ``(n, n)``."""
        return self.reflected(np.eye(self.n))

    def reflected_energies(self) -> FloatArray:
        """Return scaled and weighted energy rows, X^T, reflected."""
        energies = self._energies[:, : self.n] * self.inverse_scales[:, None]
        return self.reflected(energies * self.weights[:: self.targets.n_rows])


def _householder(weights: FloatArray) -> FloatArray:
    """Return the unit vector u whose ``1 - 2 u u^T`` takes weights to the first axis.

    Zero where there are no weights: nothing is reflected.
    """
    axis = weights.copy()
    axis[0] += np.linalg.norm(weights)
    length = np.linalg.norm(axis)
    return axis / length if length > 0 else axis

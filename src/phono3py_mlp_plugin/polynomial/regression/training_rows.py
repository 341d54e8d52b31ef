"""Weights, scales and energy rows of a training set, used by both forms.

Energies of displaced supercells differ little, and columns are scaled by their
differences. Among the energy rows, the direction of their mean is therefore up to 1e5
times longer than all others, and rounding would affect the results with small
penalties. An orthogonal transformation of the energy rows does not change the fit. A
Householder reflection gives their mean in the first row, the mean row, and differences
in the others. The mean row is eliminated first (dual) or separately (primal), which
reduces the condition number by the square of that length: from 6e13 to 1e10 for 80
supercells of NaCl.
"""

from __future__ import annotations

import numpy as np

from phono3py_mlp_plugin.contracts import FloatArray
from phono3py_mlp_plugin.polynomial.regression.problem import check_finite
from phono3py_mlp_plugin.polynomial.regression.targets import Targets, column_scales


class TrainingRows:
    """Weights, scales and energy rows of the supercells added so far.

    Attributes
    ----------
    targets : Targets
        Targets of all supercells.
    n : int
        Number of supercells added.
    lowest : float or None
        Their lowest energy per atom in eV.
    weights, values : ndarray
        Weights and weighted targets, shape ``(n n_rows,)``.
    inverse_scales : ndarray
        Inverse scales, zero for dropped columns, shape ``(n_features,)``.
    """

    def __init__(self, n_features: int, targets: Targets) -> None:
        self.targets = targets
        self.n = 0
        self.lowest: float | None = None
        self.weights = self.values = np.empty(0)
        self.inverse_scales = np.zeros(n_features)
        self._energies = np.zeros((n_features, len(targets)))
        self._axis = np.empty(0)

    def add(self, block: FloatArray, supercells: range) -> None:
        """Store the energy rows of X^T of further supercells."""
        check_finite(block, supercells, "supercell")
        rows = block[:, :: self.targets.n_rows]
        self._energies[:, supercells.start : supercells.stop] = rows
        self.n = supercells.stop

    def prepare(self) -> None:
        """Compute scales, weights and the reflection of the supercells added so far."""
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
        """Return the range of the rows of supercells."""
        size = self.targets.n_rows
        return slice(supercells.start * size, supercells.stop * size)

    def reflected(self, energies: FloatArray) -> FloatArray:
        """Apply the reflection to weighted energy rows along the last axis.

        The first row then contains their mean, and all others differences. A second
        reflection restores the original rows.
        """
        along = energies @ self._axis
        return np.asarray(energies - 2 * np.multiply.outer(along, self._axis))

    def reflection(self) -> FloatArray:
        """Return the matrix of the reflection, shape ``(n, n)``."""
        return self.reflected(np.eye(self.n))

    def reflected_energies(self) -> FloatArray:
        """Return X^T of the scaled, weighted and reflected energy rows."""
        energies = self._energies[:, : self.n] * self.inverse_scales[:, None]
        return self.reflected(energies * self.weights[:: self.targets.n_rows])


def _householder(weights: FloatArray) -> FloatArray:
    """Return the unit vector u for which ``1 - 2 u u^T`` maps weights to axis 0.

    It is zero if all weights are zero, so that nothing is reflected.
    """
    axis = weights.copy()
    axis[0] += np.linalg.norm(weights)
    length = np.linalg.norm(axis)
    return axis / length if length > 0 else axis

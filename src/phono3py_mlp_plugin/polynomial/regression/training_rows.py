"""Weights, scales and energy rows of a training set, used by both forms.

Energies of displaced supercells differ little, and columns are scaled by their
differences. Among the energy rows, the direction of their mean is therefore up to 1e5
times longer than all others, and rounding would affect the results with small
penalties. An orthogonal transformation of the energy rows does not change the fit. A
Householder reflection gives their mean in the first row, the mean row, and differences
in the others. The mean row is eliminated first (dual) or separately (primal), which
reduces the condition number by the square of that length: from 6e13 to 1e10 for 80
supercells of NaCl. Features of a structure of another size are in proportion to its
number of atoms, to which the direction of the mean row is adapted.
"""

from __future__ import annotations

import numpy as np

from phono3py_mlp_plugin.contracts import FloatArray, IntArray
from phono3py_mlp_plugin.polynomial.regression.problem import check_finite, row_sums
from phono3py_mlp_plugin.polynomial.regression.targets import Targets, column_scales


class TrainingRows:
    """Weights, scales and energy rows of the structures added so far.

    Attributes
    ----------
    targets : Targets
        Targets of all structures.
    n : int
        Number of structures added.
    lowest : float or None
        Their lowest energy per atom in eV.
    weights, values : ndarray
        Weights and weighted targets, shape ``(n_rows,)``.
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
        """Store the energy rows of X^T of further structures."""
        energies = block[:, self.energy_rows(supercells)]
        self.add_energies(energies, row_sums(block), supercells)

    def add_energies(
        self, energies: FloatArray, sums: FloatArray, supercells: range
    ) -> None:
        """Store the energy rows of further structures.

        Parameters
        ----------
        energies : ndarray
            Shape ``(n_features, n)``.
        sums : ndarray
            Sums of all their rows, see `row_sums`.
        supercells : range

        Raises
        ------
        PotentialError
            If a feature is not finite.
        """
        check_finite(sums, supercells, self.targets)
        self._energies[:, supercells.start : supercells.stop] = energies
        self.n = supercells.stop

    def prepare(self) -> None:
        """Compute scales, weights and the reflection of the structures added so far."""
        self.lowest = self.targets.lowest_energy(self.n)
        scales = self._scales()
        kept = scales > 0
        self.inverse_scales = np.divide(
            1.0, scales, out=np.zeros_like(scales), where=kept
        )
        self.weights, self.values = self.targets.weighted(range(self.n), self.lowest)
        self._axis = _householder(
            self.weights[self.energy_rows()] * self.targets.relative_sizes[: self.n]
        )

    def _scales(self) -> FloatArray:
        """Return the scales of columns: those of the supercells, which are of one size.

        A column that is constant there has the scale of the other structures.
        """
        others = self.targets.n_others
        scales = column_scales(self._energies[:, others : self.n])
        if others:
            sizes = self.targets.relative_sizes[:others]
            constant = scales == 0
            scales[constant] = column_scales(self._energies[constant, :others] / sizes)
        return scales

    def energy_rows(self, structures: range | None = None) -> IntArray:
        """Return the energy rows of structures, numbered from the first one's.

        By default, all that were added so far.
        """
        structures = range(self.n) if structures is None else structures
        first = self.targets.first_rows
        rows = first[structures.start : structures.stop] - first[structures.start]
        return np.asarray(rows)

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
        return self.reflected(energies * self.weights[self.energy_rows()])


def _householder(weights: FloatArray) -> FloatArray:
    """Return the unit vector u for which ``1 - 2 u u^T`` maps weights to axis 0.

    It is zero if all weights are zero, so that nothing is reflected.
    """
    axis = weights.copy()
    axis[0] += np.linalg.norm(weights)
    length = np.linalg.norm(axis)
    return axis / length if length > 0 else axis

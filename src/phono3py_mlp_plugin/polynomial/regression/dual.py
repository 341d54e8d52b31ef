"""Dual form of the regression, whose unknowns are multipliers of the rows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.linalg import lapack

from phono3py_mlp_plugin.contracts import FloatArray
from phono3py_mlp_plugin.polynomial.kernels.gram import add_gram
from phono3py_mlp_plugin.polynomial.regression.cholesky import (
    LinearMap,
    singular,
    solution_with,
)
from phono3py_mlp_plugin.polynomial.regression.form import SCALED_AT_A_TIME, Fit, Form
from phono3py_mlp_plugin.polynomial.regression.problem import Problem


class Dual(Form):
    """Regression whose unknowns are multipliers of the rows.

    The matrix X is stored without scales and weights.

    Parameters
    ----------
    problem : Problem
    n : int
        Largest number of supercells that will be added.
    """

    def __init__(self, problem: Problem, n: int) -> None:
        super().__init__(problem)
        self._matrix = np.zeros((problem.n_features, problem.n_rows(n)))
        self._gram = self._energies = self._factor = np.empty((0, 0))
        self._values = np.empty(0)

    def compute(self, supercells: range) -> FloatArray:
        """Compute and store the features of supercells, and return their X^T."""
        columns = self._problem.targets.rows(supercells)
        self._problem.design.fill(self._matrix, columns.start, supercells)
        return self._matrix[:, columns]

    def keep(self, features: FloatArray, supercells: range) -> FloatArray:
        """Store features of supercells that a worker has computed, and return X^T."""
        columns = self._problem.targets.rows(supercells)
        self._matrix[:, columns] = features
        return self._matrix[:, columns]

    def _add(self, block: FloatArray, supercells: range) -> None:
        """Do nothing: `compute` or `keep` has stored the block already."""

    def _prepare(self) -> None:
        """Compute X X^T for the supercells added so far."""
        self._values = self._rows.values.copy()
        self._reflect(self._values)
        self._energies = self._rows.reflected_energies()
        n = len(self._values)
        self._gram = np.zeros((n, n), order="F")
        for features in self._tiles():
            part = self._scaled(features)
            add_gram(self._gram, part.T, np.arange(n), np.ones(len(part)))

    @property
    def _n_unknowns(self) -> int:
        return len(self._gram)

    def _factorised(self, alpha: float) -> FloatArray | None:
        # The memory of the previous factor is released first.
        self._factor = np.empty((0, 0))
        shifted = self._gram.copy(order="F")
        shifted.flat[:: len(shifted) + 1] += alpha
        factor, info = lapack.dpotrf(shifted, lower=0, clean=0, overwrite_a=1)
        if info:
            return None
        self._factor = factor
        multipliers, _ = lapack.dpotrs(factor, self._values, lower=0)
        return np.asarray(multipliers)

    def _inverse_map(self) -> LinearMap:
        return solution_with(self._factor.T)

    def _fit(self, alpha: float, solution: FloatArray) -> Fit:
        # y - X c = alpha z, where (X X^T + alpha) z = y and c = X^T z.
        norm = np.linalg.norm(self._rows.weights)
        error = alpha * np.linalg.norm(solution) / norm
        return self._coefficients(solution), float(error)

    def _left_out(
        self, alpha: float, changes: bool
    ) -> tuple[FloatArray, FloatArray | None]:
        multipliers = self._factorised(alpha)
        if multipliers is None:
            raise singular(alpha)
        inverse, _ = lapack.dpotri(self._factor, lower=0, overwrite_c=1)
        self._factor = np.empty((0, 0))
        inverse += np.triu(inverse, 1).T
        self._reflect(multipliers)
        self._reflect(inverse)
        # Now its columns refer to the original rows, while its rows, and multipliers
        # computed with it, refer to reflected rows.
        energies = self._rows.energy_rows()
        reflection = self._rows.reflection()
        residuals = np.empty_like(self._values)
        coefficient_changes = []
        for s in range(self._rows.n):
            rows = self._problem.targets.rows(range(s, s + 1))
            matrix = inverse[rows, rows].copy()
            matrix[0] = reflection[s] @ inverse[energies, rows]
            residuals[rows] = np.linalg.solve(matrix, multipliers[rows])
            if changes:
                step = self._coefficients(inverse[:, rows] @ residuals[rows])
                coefficient_changes.append(-step)
        return residuals, np.array(coefficient_changes) if changes else None

    def _posterior(
        self, alpha: float, noise: float, size: int, seed: int
    ) -> FloatArray:
        """Return samples of the coefficients for a given noise of weighted rows.

        With ``c_0 ~ N(0, s^2 / alpha)`` and ``e ~ N(0, s^2)``, ``c + c_0 - X^T (X X^T
        + alpha)^-1 (X c_0 + e)`` has the covariance ``s^2 (X^T X + alpha)^-1``.
        """
        if self._factorised(alpha) is None:
            raise singular(alpha)
        random = np.random.default_rng(seed)
        features = len(self._matrix)
        scales = self._rows.inverse_scales
        prior = random.normal(scale=noise / np.sqrt(alpha), size=(size, features))
        prior[:, scales == 0] = 0.0
        samples = random.normal(scale=noise, size=(size, len(self._values)))
        for tile in self._tiles():
            kept = scales[tile] > 0
            samples += prior[:, tile][:, kept] @ self._scaled(tile)
        rest = (self._values - samples).T
        multipliers, _ = lapack.dpotrs(self._factor, rest, lower=0)
        fitted = np.array([self._coefficients(z) for z in multipliers.T])
        return fitted + prior * scales

    def _tiles(self) -> Iterator[slice]:
        for low in range(0, len(self._matrix), SCALED_AT_A_TIME):
            yield slice(low, low + SCALED_AT_A_TIME)

    def _scaled(self, features: slice) -> FloatArray:
        """Return the scaled, weighted and reflected columns of X, without dropped ones.

        They are the rows of the returned array.
        """
        inverse = self._rows.inverse_scales[features]
        kept = inverse > 0
        part = self._matrix[features, : len(self._values)][kept]
        part *= self._rows.weights
        part *= inverse[kept, None]
        # Exactly the numbers that coefficients are computed with. Another reflection
        # would round differently, which small penalties would amplify.
        part[:, self._rows.energy_rows()] = self._energies[features][kept]
        return part

    def _reflect(self, rows: FloatArray) -> None:
        """Reflect the energies among rows, along the last axis, in place."""
        places = self._rows.energy_rows()
        rows[..., places] = self._rows.reflected(rows[..., places])

    def _coefficients(self, multipliers: FloatArray) -> FloatArray:
        """Return the coefficients from multipliers of the reflected rows."""
        places = self._rows.energy_rows()
        weighted = self._rows.weights * multipliers
        weighted[places] = 0.0
        forces = self._matrix[:, : len(weighted)] @ weighted
        energies = self._energies @ multipliers[places]
        inverse = self._rows.inverse_scales
        return np.asarray((forces * inverse + energies) * inverse)

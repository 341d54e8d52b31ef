"""Primal form of the regression, whose unknowns are the coefficients."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import blas, lapack

from phono3py_mlp_plugin.contracts import FloatArray, MapChunks, map_here
from phono3py_mlp_plugin.polynomial.kernels.gram import (
    add_to_lower,
    move_to_upper,
)
from phono3py_mlp_plugin.polynomial.regression.cholesky import (
    LinearMap,
    singular,
    solution_with,
)
from phono3py_mlp_plugin.polynomial.regression.form import SCALED_AT_A_TIME, Fit, Form
from phono3py_mlp_plugin.polynomial.regression.groups import (
    add_block,
    add_group,
    add_packed,
    sums_of_group,
)
from phono3py_mlp_plugin.polynomial.regression.problem import Problem
from phono3py_mlp_plugin.polynomial.regression.targets import ZERO_SCALE

# Probability that a column is needed although it is left out after the first block.
_LEFT_OUT_WRONGLY = 1e-6

# Edge of the tiles for copying a triangle. Two tiles fit into the cache of a core.
_MIRRORED_EDGE = 128


@dataclass(frozen=True, eq=False)
class _System:
    """Scaled and weighted equations, with the mean row h separated.

    X^T X of the forces is not included, because it is stored only once.
    """

    mean_row: FloatArray  # h, (n,)
    mean_value: float  # target of h
    differences: FloatArray  # other energy rows, (n, n_supercells - 1)
    right_hand_side: FloatArray  # X^T y, (n,)
    norm: float  # y^T y


@dataclass(frozen=True, eq=False)
class _Solution:
    """Solution with A = B + h h^T, where B contains the other rows and the penalty."""

    alpha: float
    scaled: FloatArray  # coefficients of scaled columns
    direction: FloatArray  # v = B^-1 h
    length: float  # k = 1 + h^T v
    mean_error: float  # target of the mean row minus the fit


@dataclass(frozen=True, eq=False)
class _BlockRows:
    """Rows D of a block of supercells, without the part b of the mean row."""

    whitened: FloatArray  # D L^-T, (rows, n)
    along: FloatArray  # g = D v - b, with b in energy rows only
    mean_parts: FloatArray  # b of each supercell
    errors: FloatArray  # weighted targets minus fit


class Primal(Form):
    """Regression whose unknowns are the coefficients.

    X^T X of the force rows is stored without scales in the upper triangle of an array,
    whose lower triangle contains the factor. There are few energy rows, and their
    weights change with the training set. They are therefore added for each penalty, the
    mean row by ``(B + h h^T)^-1 = B^-1 - v v^T / k`` with ``v = B^-1 h`` and
    ``k = 1 + h^T v``.

    Only active columns, which have non-zero scatter in the first block, are stored. If
    another column has non-zero scatter later, everything is computed again with all
    columns.

    Parameters
    ----------
    problem : Problem
    map_chunks : MapChunks
        Computes sums over groups of structures.
    """

    def __init__(self, problem: Problem, map_chunks: MapChunks = map_here) -> None:
        super().__init__(problem)
        self._map_chunks = map_chunks
        self._active: NDArray[np.intp] | None = None
        self._array = np.empty((0, 0))
        self._diagonal = self._moments = np.empty(0)
        self._norm = 0.0
        self._system: _System | None = None
        self._current: _Solution | None = None

    def _activate(self, features: NDArray[np.intp]) -> None:
        """Initialise the sums for the given columns."""
        self._active = features
        n = len(features)
        self._array = np.zeros((n, n), order="F")
        self._diagonal = np.zeros(n)
        self._moments = np.zeros(n)
        self._norm = 0.0

    def _add(self, block: FloatArray, supercells: range) -> None:
        if self._active is None:
            sizes = self._problem.targets.relative_sizes
            energies = block[:, self._rows.energy_rows(supercells)]
            energies = energies / sizes[supercells.start : supercells.stop]
            scatter = energies.std(axis=1)
            limit = _smallest_active_scatter(len(supercells))
            self._activate(np.flatnonzero(scatter >= limit))
        assert self._active is not None
        self._set_diagonal(self._diagonal)
        moments, norm = add_block(
            self._array, block, self._problem, supercells, self._active
        )
        self._moments += moments
        self._norm += float(norm[0])
        self._diagonal = self._array.diagonal().copy()

    def add_groups(
        self, supercells: range, advance: Callable[[int], object] = lambda _done: None
    ) -> None:
        """Add supercells after a first block, group by group, computed by workers.

        Parameters
        ----------
        supercells : range
        advance : callable
            Called with the number of supercells that have just been finished.

        Raises
        ------
        PotentialError
            If a feature is not finite.
        """
        groups = self._problem.groups(supercells)
        parts = [self._problem.part(group) for group in groups]
        sums = self._sums_here if self._map_chunks is map_here else self._sums_elsewhere
        for group, found in zip(groups, sums(parts), strict=True):
            self._rows.add_energies(found["energies"], found["row_sums"], group)
            self._moments += found["moments"]
            self._norm += float(found["norm"][0])
            advance(len(group))

    def _sums_here(self, parts: Sequence[Problem]) -> Iterator[dict[str, FloatArray]]:
        """Yield sums of groups, whose X^T X are added to that of all before.

        While the upper triangle contains the sums of a group, the lower one contains
        those of all before, so that no further memory is needed.
        """
        assert self._active is not None
        add_to_lower(self._array, is_first=True)
        for part in parts:
            self._set_diagonal(np.zeros(len(self._array)))
            found = add_group(self._array, part, self._active)
            self._diagonal = self._diagonal + self._array.diagonal()
            add_to_lower(self._array, is_first=False)
            yield found
        move_to_upper(self._array)

    def _sums_elsewhere(
        self, parts: Sequence[Problem]
    ) -> Iterator[dict[str, FloatArray]]:
        """Yield sums of groups that workers compute, as `_sums_here`."""
        self._set_diagonal(self._diagonal)
        for found in self._map_chunks(sums_of_group, self._active, parts):
            add_packed(self._array, found["packed"])
            yield found
        self._diagonal = self._array.diagonal().copy()

    def _prepare(self) -> None:
        self._system = self._current = None
        inactive = np.ones(self._problem.n_features, dtype=bool)
        inactive[self._active] = False
        if (self._rows.inverse_scales[inactive] > 0).any():
            self._activate(np.arange(self._problem.n_features))
            self.add_groups(range(self._rows.n))

    @property
    def _n_unknowns(self) -> int:
        return len(self._array)

    def _factorised(self, alpha: float) -> FloatArray | None:
        solution = self._solution(alpha)
        return None if solution is None else solution.scaled

    def _inverse_map(self) -> LinearMap:
        assert self._current is not None
        mean_row, current = self._shared().mean_row, self._current
        solve = solution_with(self._array)

        def multiply(vector: FloatArray) -> FloatArray:
            without = solve(vector)
            return without - current.direction * (mean_row @ without / current.length)

        return multiply

    def _fit(self, alpha: float, solution: FloatArray) -> Fit:
        assert self._current is not None
        system, current = self._shared(), self._current
        # With h^T A^-1 = v^T / k, the error of the mean row is not computed as the
        # difference of large numbers.
        along = float(current.direction @ solution)
        change = (alpha - current.alpha) * along / current.length
        squared = system.norm - solution @ system.right_hand_side
        squared -= alpha * (solution @ solution)
        squared += (current.mean_error + change) * system.mean_value
        norm = np.linalg.norm(self._rows.weights)
        error = np.sqrt(max(float(squared), 0.0)) / norm
        return self._coefficients(solution), float(error)

    def _left_out(
        self, alpha: float, changes: bool
    ) -> tuple[FloatArray, FloatArray | None]:
        """Return weighted residuals of rows left out, and changes of coefficients.

        The design matrix is computed again, block by block. In the notation of
        `_BlockRows`, ``X A^-1 X^T = D B^-1 D^T + b^2 - g g^T / k``.
        """
        solution = self._solution(alpha)
        if solution is None:
            raise singular(alpha)
        n, targets = self._rows.n, self._problem.targets
        residuals = np.empty(self._problem.n_rows(n))
        reflection = self._rows.reflection()
        projected = np.empty((len(self._array), n if changes else 0), order="F")
        along = np.empty(n)
        for supercells, block in self._problem.blocks(n):
            part = self._block_rows(
                block, supercells, reflection[supercells.start : supercells.stop]
            )
            begin = targets.first_rows[supercells.start]
            for k, s in enumerate(supercells):
                place = targets.rows(range(s, s + 1))
                rows = slice(place.start - begin, place.stop - begin)
                whitened, g = part.whitened[rows], part.along[rows]
                matrix = np.eye(len(g)) - whitened @ whitened.T
                matrix += np.outer(g, g) / solution.length
                matrix[0, 0] -= part.mean_parts[k] ** 2
                left_out = np.linalg.solve(matrix, part.errors[rows])
                residuals[place] = left_out
                if changes:
                    projected[:, s] = whitened.T @ left_out
                    along[s] = g @ left_out
        if not changes:
            return residuals, None
        steps, _ = lapack.dtrtrs(
            self._array, projected, lower=1, trans=1, overwrite_b=1
        )
        steps -= np.outer(solution.direction, along / solution.length)
        return residuals, np.array([-self._coefficients(step) for step in steps.T])

    def _block_rows(
        self, block: FloatArray, supercells: range, reflection: FloatArray
    ) -> _BlockRows:
        """Return the rows of a block of X^T, which is overwritten."""
        system, solution = self._shared(), self._current
        assert solution is not None
        places = self._rows.energy_rows(supercells)
        rows = self._problem.targets.rows(supercells)
        mean_parts, others = reflection[:, 0], reflection[:, 1:]
        part = self._scaled(block, self._rows.weights[rows])
        part[:, places] = system.differences @ others.T
        along = solution.direction @ part
        along[places] -= mean_parts
        errors = self._rows.values[rows] - solution.scaled @ part
        errors[places] -= mean_parts * (system.mean_value - solution.mean_error)
        # Solved in place from the right: rows of the result are columns of L^-1 D^T.
        whitened = blas.dtrsm(
            1.0, self._array, part.T, side=1, lower=1, trans_a=1, overwrite_b=1
        )
        return _BlockRows(whitened, along, mean_parts, errors)

    def _scaled(self, block: FloatArray, weights: FloatArray) -> FloatArray:
        """Return the active columns, scaled and weighted; X^T is overwritten."""
        assert self._active is not None
        inverse = self._inverse()
        for low in range(0, len(self._active), SCALED_AT_A_TIME):
            tile = slice(low, low + SCALED_AT_A_TIME)
            rows = block[self._active[tile]]
            rows *= inverse[tile, None]
            np.multiply(rows, weights, out=block[low : low + len(rows)])
        return block[: len(self._active)]

    def _posterior(
        self, alpha: float, noise: float, size: int, seed: int
    ) -> FloatArray:
        """Return samples of the coefficients for a given noise of weighted rows.

        With the factor L of B, and x and e from N(0, 1), the covariance of
        ``u = L^-T x`` is ``B^-1``, and that of ``u - v (h^T u + e) / k`` is ``A^-1``.
        """
        system, solution = self._shared(), self._solution(alpha)
        if solution is None:
            raise singular(alpha)
        random = np.random.default_rng(seed)
        normal = random.normal(size=(size, len(system.right_hand_side)))
        deviations, _ = lapack.dtrtrs(self._array, normal.T, lower=1, trans=1)
        along_mean = system.mean_row @ deviations + random.normal(size=size)
        deviations -= np.outer(solution.direction, along_mean / solution.length)
        return np.array(
            [self._coefficients(solution.scaled + noise * d) for d in deviations.T]
        )

    def _inverse(self) -> FloatArray:
        return self._rows.inverse_scales[self._active]

    def _shared(self) -> _System:
        """Return the equations without penalty, with reflected energy rows."""
        if self._system is not None:
            return self._system
        energies = self._rows.reflected_energies()[self._active]
        values = self._rows.reflected(self._rows.values[self._rows.energy_rows()])
        moments = self._moments * self._inverse()
        self._system = _System(
            mean_row=energies[:, 0].copy(),
            mean_value=float(values[0]),
            differences=np.asfortranarray(energies[:, 1:]),
            right_hand_side=moments + energies[:, 1:] @ values[1:],
            norm=self._norm + float(values[1:] @ values[1:]),
        )
        return self._system

    def _solution(self, alpha: float) -> _Solution | None:
        """Return the solution and store its factor; return None if that fails."""
        if self._current is not None and self._current.alpha == alpha:
            return self._current
        self._current = None
        system = self._shared()
        if not self._factorise(system, alpha):
            return None
        columns = np.column_stack([system.right_hand_side, system.mean_row])
        solved, _ = lapack.dpotrs(self._array, columns, lower=1)
        without, direction = solved.T
        length = 1 + system.mean_row @ direction
        error = (system.mean_value - system.mean_row @ without) / length
        scaled = without + direction * error
        self._current = _Solution(alpha, scaled, direction, length, error)
        return self._current

    def _factorise(self, system: _System, alpha: float) -> bool:
        """Write the factor of B to the lower triangle; return whether that succeeds."""
        inverse = self._inverse()
        _mirror(self._array, inverse)
        self._set_diagonal(self._diagonal * inverse**2 + alpha)
        self._array = blas.dsyrk(
            1.0, system.differences, 1.0, self._array, trans=0, lower=1, overwrite_c=1
        )
        self._array, info = lapack.dpotrf(self._array, lower=1, clean=0, overwrite_a=1)
        return bool(info == 0)

    def _set_diagonal(self, values: FloatArray) -> None:
        self._array.reshape(-1, order="F")[:: len(self._array) + 1] = values

    def _coefficients(self, scaled: FloatArray) -> FloatArray:
        """Return the coefficients of all columns from those of scaled active ones."""
        coefficients = np.zeros(self._problem.n_features)
        coefficients[self._active] = scaled * self._inverse()
        return coefficients


def _mirror(array: FloatArray, scales: FloatArray) -> None:
    """Copy the upper triangle, with scaled rows and columns, to the lower one."""
    n = len(scales)
    for low in range(0, n, _MIRRORED_EDGE):
        columns = slice(low, low + _MIRRORED_EDGE)
        for top in range(low, n, _MIRRORED_EDGE):
            rows = slice(top, top + _MIRRORED_EDGE)
            tile = array[columns, rows].T * scales[rows, None]
            tile *= scales[columns]
            target = array[rows, columns]
            if top == low:
                tile = np.tril(tile, -1) + np.triu(target)
            target[:] = tile


def _smallest_active_scatter(n: int) -> float:
    """Return the scatter over n supercells below which a column is not active.

    The probability that the scatter of n normally distributed numbers is smaller than r
    times their standard deviation is about r^(n - 1) for small r.
    """
    return ZERO_SCALE * _LEFT_OUT_WRONGLY ** (1 / (n - 1)) if n > 1 else 0.0

"""The two forms of the regression: unknowns are the coefficients, or the rows.

With scaled columns and weighted rows X and targets y, the coefficients are ``c = (X^T X
+ alpha)^-1 X^T y`` (primal) or ``c = X^T (X X^T + alpha)^-1 y`` (dual). Scales belong
to the training set and penalties are tried one after the other, so the sums over rows
are kept unscaled: X^T X of the forces in the primal, X itself in the dual.

Energies of displaced supercells hardly differ, while columns are scaled by how much
they do: one direction among the energy rows, that of their mean, is up to 1e5 times
longer than all others and would leave nothing but rounding of what small penalties
decide. The fit does not change where energy rows are turned by an orthogonal matrix, so
they are turned until one row, the heavy one, has the mean, and all others differences.
The heavy row is eliminated first (dual) or apart from the others (primal), and the
condition number falls by the square of that length: 6e13 to 1e10 for 80 supercells of
NaCl.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import blas, lapack

from phono3py_mlp_plugin.contracts import FloatArray
from phono3py_mlp_plugin.errors import PotentialError
from phono3py_mlp_plugin.polynomial.kernels.gram import add_gram
from phono3py_mlp_plugin.polynomial.regression.krylov import REACH, groups, shifted
from phono3py_mlp_plugin.polynomial.regression.targets import (
    ZERO_SCALE,
    DesignMatrix,
    Targets,
    blocks,
    column_scales,
)

_LinearMap = Callable[[FloatArray], FloatArray]

Fit = tuple[FloatArray, float]
"""Coefficients and weighted training error."""

# Unknowns from which on factorisations cost more than the Krylov space of one.
_MANY = 3000

# Probability that a column is needed though it is left out after the first block.
_LEFT_OUT_WRONGLY = 1e-6

# Rows of X^T that are scaled at a time.
_TILE = 1024

# Columns of a factor that are solved with at a time.
_COLUMNS = 192

# Edge of the tiles in which a triangle is mirrored: two fit into the cache of a core.
_MIRRORED = 128


@dataclass(frozen=True, eq=False)
class LeaveOneOut:
    """Errors on each supercell of the fit to all others, scales kept.

    Attributes
    ----------
    energies : ndarray
        Errors in eV, shape ``(n,)``; NaN without energies.
    forces : ndarray
        Errors in eV/angstrom, by direction: shape ``(n, 3, N)``.
    weighted_rmse : float
        As in `RidgePath`.
    noise : float
        Root mean square of the weighted errors of the rows that are fitted.
    changes : ndarray or None
        Coefficients without a supercell minus those with all, shape ``(n,
        n_features)``, where they were asked for.
    """

    energies: FloatArray
    forces: FloatArray
    weighted_rmse: float
    noise: float
    changes: FloatArray | None


class _Rows:
    """Energy rows, scales and weights, which both forms need."""

    def __init__(self, n_features: int, targets: Targets) -> None:
        self.targets = targets
        self.energies = np.zeros((n_features, len(targets)))
        self.n = 0
        self.lowest: float | None = None
        self.inverse = np.zeros(n_features)
        self.axis = np.empty(0)

    def take(self, block: FloatArray, supercells: range) -> None:
        """Keep the energy rows of X^T of further supercells."""
        refuse_infinite(block, supercells, "supercell")
        rows = block[:, :: self.targets.n_rows]
        self.energies[:, supercells.start : supercells.stop] = rows
        self.n = supercells.stop

    def settle(self) -> None:
        """Set scales (their inverse, zero for dropped columns), lowest energy, axis."""
        self.lowest = self.targets.lowest_energy(self.n)
        scales = column_scales(self.energies[:, : self.n])
        kept = scales > 0
        self.inverse = np.divide(1.0, scales, out=np.zeros_like(scales), where=kept)
        weights, _ = self.weighted(range(self.n))
        self.axis = _reflection_to_first(weights[:: self.targets.n_rows])

    def weighted(self, supercells: range) -> tuple[FloatArray, FloatArray]:
        """Return weights and weighted targets, flat."""
        weights, values = self.targets.weighted(supercells, self.lowest)
        return weights.reshape(-1), values.reshape(-1)

    def turned(self, energies: FloatArray) -> FloatArray:
        """Return weighted energy rows, along the last axis, turned or turned back.

        The first has their mean, all others differences.
        """
        along = energies @ self.axis
        return np.asarray(energies - 2 * np.multiply.outer(along, self.axis))

    def turned_energies(self) -> FloatArray:
        """Return scaled and weighted energy rows, X^T, turned."""
        weights, _ = self.weighted(range(self.n))
        energies = self.energies[:, : self.n] * self.inverse[:, None]
        return self.turned(energies * weights[:: self.targets.n_rows])


def _reflection_to_first(weights: FloatArray) -> FloatArray:
    """Return the unit vector u whose ``1 - 2 u u^T`` takes weights to the first axis.

    Zero where there are no weights: nothing is turned.
    """
    axis = weights.copy()
    axis[0] += np.linalg.norm(weights)
    length = np.linalg.norm(axis)
    return axis / length if length > 0 else axis


def refuse_infinite(block: FloatArray, supercells: range, name: str) -> None:
    """Refuse a block of X^T with numbers that are not finite."""
    with np.errstate(invalid="ignore"):
        sums = np.ones(len(block)) @ block
    finite = np.isfinite(sums).reshape(len(supercells), -1).all(axis=1)
    if not finite.all():
        number = supercells[int(finite.argmin())] + 1
        raise PotentialError(
            f"{name} {number}: its features are not finite. Look at its atoms."
        )


class _Form(ABC):
    """A symmetric matrix A, and what solves ``A + alpha`` for many penalties alpha."""

    def solve(
        self, alphas: Sequence[float], last: float | None = None
    ) -> dict[float, Fit | None]:
        """Return the fit of each penalty; None where the factorisation fails.

        Parameters
        ----------
        alphas : sequence of float
        last : float, optional
            The penalty whose factor is at hand afterwards.
        """
        fits: dict[float, Fit | None] = {}
        reach = REACH if self._n_unknowns >= _MANY else 1.0
        for leader, *others in groups(alphas, last, reach):
            start = self._factorised(leader)
            fits[leader] = None if start is None else self._fit(leader, start)
            moved: list[FloatArray | None] = [None] * len(others)
            if start is not None and others:
                moved = shifted(self._division(), start, [a - leader for a in others])
            for alpha, solution in zip(others, moved, strict=True):
                if solution is not None:
                    fits[alpha] = self._fit(alpha, solution)
            for alpha in others:
                if alpha not in fits:
                    start = self._factorised(alpha)
                    fits[alpha] = None if start is None else self._fit(alpha, start)
        return fits

    @property
    @abstractmethod
    def _n_unknowns(self) -> int:
        """Number of unknowns."""

    @abstractmethod
    def _factorised(self, alpha: float) -> FloatArray | None:
        """Factorise ``A + alpha`` and return the solution; None where it fails."""

    @abstractmethod
    def _division(self) -> _LinearMap:
        """Return ``(A + alpha)^-1`` for the penalty factorised last."""

    @abstractmethod
    def _fit(self, alpha: float, solution: FloatArray) -> Fit:
        """Return what the solution for a penalty means."""


class Dual(_Form):
    """Unknowns are multipliers of the rows; X is held, unscaled and unweighted.

    Parameters
    ----------
    matrix : ndarray
        X^T, shape ``(n_features, n_rows)``; filled before `add` is told of it.
    targets : Targets
    """

    def __init__(self, matrix: FloatArray, targets: Targets) -> None:
        self._matrix = matrix
        self._rows = _Rows(len(matrix), targets)
        self._gram = self._energies = self._factor = np.empty((0, 0))
        self._weights = self._values = np.empty(0)

    def add(self, block: FloatArray, supercells: range) -> None:
        """Take note that the columns of further supercells are filled."""
        self._rows.take(block, supercells)

    def prepare(self) -> None:
        """Compute X X^T for the supercells taken so far."""
        self._rows.settle()
        self._weights, self._values = self._rows.weighted(range(self._rows.n))
        self._turn(self._values)
        self._energies = self._rows.turned_energies()
        n = len(self._weights)
        self._gram = np.zeros((n, n), order="F")
        for features in self._tiles():
            part = self._scaled(features)
            add_gram(self._gram, part.T, np.arange(n), np.ones(len(part)))

    @property
    def _n_unknowns(self) -> int:
        return len(self._gram)

    def _factorised(self, alpha: float) -> FloatArray | None:
        # The one before is free again before there is another.
        self._factor = np.empty((0, 0))
        shifted = self._gram.copy(order="F")
        shifted.flat[:: len(shifted) + 1] += alpha
        factor, info = lapack.dpotrf(shifted, lower=0, clean=0, overwrite_a=1)
        if info:
            return None
        self._factor = factor
        multipliers, _ = lapack.dpotrs(factor, self._values, lower=0)
        return np.asarray(multipliers)

    def _division(self) -> _LinearMap:
        return _solution_with(self._factor.T)

    def _fit(self, alpha: float, solution: FloatArray) -> Fit:
        # y - X c = alpha z, where (X X^T + alpha) z = y and c = X^T z.
        error = alpha * np.linalg.norm(solution) / np.linalg.norm(self._weights)
        return self._carried_back(solution), float(error)

    def leave_one_out(self, alpha: float, changes: bool = False) -> LeaveOneOut:
        """Return the errors on each supercell of the fit to all others."""
        multipliers = self._factorised(alpha)
        if multipliers is None:
            raise _singular(alpha)
        inverse, _ = lapack.dpotri(self._factor, lower=0, overwrite_c=1)
        self._factor = np.empty((0, 0))
        inverse += np.triu(inverse, 1).T
        self._turn(multipliers)
        self._turn(inverse)
        # Its columns are as the rows were; its rows are turned, and so are multipliers
        # that it yields.
        n, size = self._rows.n, self._rows.targets.n_rows
        reflection = self._rows.turned(np.eye(n))
        residuals = np.empty_like(self._values)
        moved = []
        for s in range(n):
            rows = slice(s * size, (s + 1) * size)
            matrix = inverse[rows, rows].copy()
            matrix[0] = reflection[s] @ inverse[::size, rows]
            residuals[rows] = np.linalg.solve(matrix, multipliers[rows])
            if changes:
                moved.append(-self._carried_back(inverse[:, rows] @ residuals[rows]))
        return _left_out(
            residuals, self._weights, self._rows, np.array(moved) if changes else None
        )

    def samples(self, alpha: float, noise: float, size: int, seed: int) -> FloatArray:
        """Return coefficients drawn from their posterior distribution.

        With ``c_0 ~ N(0, s^2 / alpha)`` and ``e ~ N(0, s^2)``, ``c + c_0 - X^T (X X^T
        + alpha)^-1 (X c_0 + e)`` has the covariance ``s^2 (X^T X + alpha)^-1``.
        """
        if self._factorised(alpha) is None:
            raise _singular(alpha)
        random = np.random.default_rng(seed)
        features = len(self._matrix)
        prior = random.normal(scale=noise / np.sqrt(alpha), size=(size, features))
        prior[:, self._rows.inverse == 0] = 0.0
        seen = random.normal(scale=noise, size=(size, len(self._values)))
        for some in self._tiles():
            kept = self._rows.inverse[some] > 0
            seen += prior[:, some][:, kept] @ self._scaled(some)
        multipliers, _ = lapack.dpotrs(self._factor, (self._values - seen).T, lower=0)
        drawn = np.array([self._carried_back(z) for z in multipliers.T])
        return drawn + prior * self._rows.inverse

    def _tiles(self) -> Iterator[slice]:
        for low in range(0, len(self._matrix), _TILE):
            yield slice(low, low + _TILE)

    def _scaled(self, features: slice) -> FloatArray:
        """Return scaled and weighted columns of X that are kept, as rows; turned."""
        inverse = self._rows.inverse[features]
        kept = inverse > 0
        part = self._matrix[features, : len(self._weights)][kept]
        part *= self._weights
        part *= inverse[kept, None]
        # The very numbers that multipliers are carried back with: turning once more
        # would round otherwise, and small penalties make much of it.
        part[:, :: self._rows.targets.n_rows] = self._energies[features][kept]
        return part

    def _turn(self, rows: FloatArray) -> None:
        """Turn the energies among rows, along the last axis, in place."""
        energies = rows[..., :: self._rows.targets.n_rows]
        energies[...] = self._rows.turned(energies)

    def _carried_back(self, multipliers: FloatArray) -> FloatArray:
        """Return the coefficients that multipliers of the turned rows mean."""
        weighted = self._weights * multipliers
        weighted[:: self._rows.targets.n_rows] = 0.0
        forces = self._matrix[:, : len(weighted)] @ weighted
        energies = self._energies @ multipliers[:: self._rows.targets.n_rows]
        inverse = self._rows.inverse
        return np.asarray((forces * inverse + energies) * inverse)


@dataclass(frozen=True, eq=False)
class _System:
    """What the primal solves, scaled and weighted: all rows but the heavy one, h.

    X^T X of the forces is not in it, as it is held once only.
    """

    heavy: FloatArray  # h, (n,)
    heavy_value: float  # what h is fitted to
    light: FloatArray  # other energy rows, (n, n_supercells - 1)
    right: FloatArray  # X^T y, (n,)
    norm: float  # y^T y
    weights: FloatArray  # of all rows, as they were


@dataclass(frozen=True, eq=False)
class _Solution:
    """With the heavy row: A = B + h h^T, where B is of all others and the penalty."""

    alpha: float
    scaled: FloatArray  # coefficients of scaled columns
    direction: FloatArray  # v = B^-1 h
    length: float  # k = 1 + h^T v
    heavy_error: float  # what the heavy row is fitted to, minus the fit


class Primal(_Form):
    """Unknowns are the coefficients; X^T X of the force rows is held, unscaled.

    It fills the upper triangle of one array, whose lower triangle takes the factor.
    Energy rows are few, and their weights change with the training set: they are added
    when a penalty is tried, the heavy one by ``(B + h h^T)^-1 = B^-1 - v v^T / k`` with
    ``v = B^-1 h`` and ``k = 1 + h^T v``.

    Parameters
    ----------
    n_features : int
    targets : Targets
    """

    def __init__(self, n_features: int, targets: Targets) -> None:
        self._rows = _Rows(n_features, targets)
        self._carried: NDArray[np.intp] | None = None
        self._array = np.empty((0, 0))
        self._diagonal = np.empty(0)
        self._moments = np.empty(0)
        self._norm = 0.0
        self._system: _System | None = None
        self._at: _Solution | None = None

    def carry(self, features: NDArray[np.intp]) -> None:
        """Settle the columns that are carried, before any block is taken."""
        self._carried = features
        n = len(features)
        self._array = np.zeros((n, n), order="F")
        self._diagonal = np.zeros(n)
        self._moments = np.zeros(n)

    def add(self, block: FloatArray, supercells: range) -> None:
        """Take X^T of further supercells."""
        self._rows.take(block, supercells)
        if self._carried is None:
            scatter = block[:, :: self._rows.targets.n_rows].std(axis=1)
            self.carry(np.flatnonzero(scatter >= _doubtful(len(supercells))))
        assert self._carried is not None
        weights, values = self._rows.targets.weighted(supercells, None)
        weights, values = weights.reshape(-1), values.reshape(-1)
        self._moments += (block @ (weights * values))[self._carried]
        self._norm += float(values @ values)
        self._set_diagonal(self._diagonal)
        add_gram(self._array, block, self._carried, weights)
        self._diagonal = self._array.diagonal().copy()

    def missing(self) -> bool:
        """Return whether a column is needed that is not carried."""
        assert self._carried is not None
        left = np.ones(len(self._rows.inverse), dtype=bool)
        left[self._carried] = False
        return bool((self._rows.inverse[left] > 0).any())

    def prepare(self) -> None:
        """Settle scales and weights for the supercells taken so far."""
        self._rows.settle()
        self._system = self._at = None

    @property
    def _n_unknowns(self) -> int:
        return len(self._array)

    def _factorised(self, alpha: float) -> FloatArray | None:
        solution = self._solution(alpha)
        return None if solution is None else solution.scaled

    def _division(self) -> _LinearMap:
        assert self._at is not None
        heavy, at = self._known().heavy, self._at
        solve = _solution_with(self._array)

        def divided(vector: FloatArray) -> FloatArray:
            without = solve(vector)
            return without - at.direction * (heavy @ without / at.length)

        return divided

    def _fit(self, alpha: float, solution: FloatArray) -> Fit:
        assert self._at is not None
        system, at = self._known(), self._at
        # h^T A^-1 = v^T / k: the heavy row's error is no difference of large numbers.
        change = (alpha - at.alpha) * float(at.direction @ solution) / at.length
        squared = system.norm - solution @ system.right - alpha * (solution @ solution)
        squared += (at.heavy_error + change) * system.heavy_value
        error = np.sqrt(max(float(squared), 0.0)) / np.linalg.norm(system.weights)
        return self._carried_back(solution), float(error)

    def leave_one_out(
        self, alpha: float, design: DesignMatrix, changes: bool = False
    ) -> LeaveOneOut:
        """Return the errors on each supercell of the fit to all others.

        The design matrix is computed once more, block by block. Rows of a supercell
        are D, its energy row without the share b of the heavy row. With ``g = D v - b``
        (b in the energy row only), ``X A^-1 X^T = D B^-1 D^T + b^2 - g g^T / k``.
        """
        system, solution = self._known(), self._solution(alpha)
        if solution is None:
            raise _singular(alpha)
        n, size = self._rows.n, self._rows.targets.n_rows
        residuals = np.empty(n * size)
        reflection = self._rows.turned(np.eye(n))
        fitted_heavy = system.heavy_value - solution.heavy_error
        moved = np.empty((len(self._array), n if changes else 0), order="F")
        along = np.empty(n)
        for some, block in blocks(design, n, size):
            weights, values = self._rows.weighted(some)
            part = self._scaled(block, weights)
            shares = reflection[some.start : some.stop, 0]
            others = reflection[some.start : some.stop, 1:]
            part[:, ::size] = system.light @ others.T
            g = solution.direction @ part
            g[::size] -= shares
            errors = values - solution.scaled @ part
            errors[::size] -= shares * fitted_heavy
            # In place, from the right: the rows of this are columns of L^-1 D^T.
            turned = blas.dtrsm(
                1.0, self._array, part.T, side=1, lower=1, trans_a=1, overwrite_b=1
            )
            for k, s in enumerate(some):
                rows = slice(k * size, (k + 1) * size)
                own = turned[rows]
                matrix = np.eye(size) - own @ own.T
                matrix += np.outer(g[rows], g[rows]) / solution.length
                matrix[0, 0] -= shares[k] ** 2
                left_out = np.linalg.solve(matrix, errors[rows])
                residuals[s * size : (s + 1) * size] = left_out
                if changes:
                    moved[:, s] = own.T @ left_out
                    along[s] = g[rows] @ left_out
        if not changes:
            return _left_out(residuals, system.weights, self._rows, None)
        steps, _ = lapack.dtrtrs(self._array, moved, lower=1, trans=1, overwrite_b=1)
        steps -= np.outer(solution.direction, along / solution.length)
        found = np.array([-self._carried_back(step) for step in steps.T])
        return _left_out(residuals, system.weights, self._rows, found)

    def _scaled(self, block: FloatArray, weights: FloatArray) -> FloatArray:
        """Return the carried columns, scaled and weighted, in the room of X^T."""
        assert self._carried is not None
        inverse = self._inverse()
        for low in range(0, len(self._carried), _TILE):
            tile = slice(low, low + _TILE)
            rows = block[self._carried[tile]]
            rows *= inverse[tile, None]
            np.multiply(rows, weights, out=block[low : low + len(rows)])
        return block[: len(self._carried)]

    def samples(self, alpha: float, noise: float, size: int, seed: int) -> FloatArray:
        """Return coefficients drawn from their posterior distribution.

        With the factor L of B, and x and e from N(0, 1), ``u = L^-T x`` has the
        covariance ``B^-1``, and ``u - v (h^T u + e) / k`` has ``A^-1``.
        """
        system, solution = self._known(), self._solution(alpha)
        if solution is None:
            raise _singular(alpha)
        random = np.random.default_rng(seed)
        normal = random.normal(size=(size, len(system.right)))
        drawn, _ = lapack.dtrtrs(self._array, normal.T, lower=1, trans=1)
        seen = system.heavy @ drawn + random.normal(size=size)
        drawn -= np.outer(solution.direction, seen / solution.length)
        return np.array(
            [self._carried_back(solution.scaled + noise * d) for d in drawn.T]
        )

    def _inverse(self) -> FloatArray:
        return self._rows.inverse[self._carried]

    def _known(self) -> _System:
        """Return what belongs to all penalties, energy rows turned."""
        if self._system is not None:
            return self._system
        size = self._rows.targets.n_rows
        weights, values = self._rows.weighted(range(self._rows.n))
        energies = self._rows.turned_energies()[self._carried]
        values = self._rows.turned(values[::size])
        self._system = _System(
            heavy=energies[:, 0].copy(),
            heavy_value=float(values[0]),
            light=np.asfortranarray(energies[:, 1:]),
            right=self._moments * self._inverse() + energies[:, 1:] @ values[1:],
            norm=self._norm + float(values[1:] @ values[1:]),
            weights=weights,
        )
        return self._system

    def _solution(self, alpha: float) -> _Solution | None:
        """Return the solution whose factor is at hand then; None where it fails."""
        if self._at is not None and self._at.alpha == alpha:
            return self._at
        self._at = None
        system = self._known()
        if not self._factorise(system, alpha):
            return None
        columns = np.column_stack([system.right, system.heavy])
        solved, _ = lapack.dpotrs(self._array, columns, lower=1)
        without, direction = solved.T
        length = 1 + system.heavy @ direction
        error = (system.heavy_value - system.heavy @ without) / length
        scaled = without + direction * error
        self._at = _Solution(alpha, scaled, direction, length, error)
        return self._at

    def _factorise(self, system: _System, alpha: float) -> bool:
        """Write the factor of B to the lower triangle; return whether there is one."""
        inverse = self._inverse()
        n = len(inverse)
        for low in range(0, n, _MIRRORED):
            columns = slice(low, low + _MIRRORED)
            for top in range(low, n, _MIRRORED):
                rows = slice(top, top + _MIRRORED)
                tile = self._array[columns, rows].T * inverse[rows, None]
                tile *= inverse[columns]
                target = self._array[rows, columns]
                if top == low:
                    tile = np.tril(tile, -1) + np.triu(target)
                target[:] = tile
        self._set_diagonal(self._diagonal * inverse**2 + alpha)
        self._array = blas.dsyrk(
            1.0, system.light, 1.0, self._array, trans=0, lower=1, overwrite_c=1
        )
        self._array, info = lapack.dpotrf(self._array, lower=1, clean=0, overwrite_a=1)
        return bool(info == 0)

    def _set_diagonal(self, values: FloatArray) -> None:
        self._array.reshape(-1, order="F")[:: len(self._array) + 1] = values

    def _carried_back(self, scaled: FloatArray) -> FloatArray:
        coefficients = np.zeros(len(self._rows.inverse))
        coefficients[self._carried] = scaled * self._inverse()
        return coefficients


def _left_out(
    residuals: FloatArray,
    weights: FloatArray,
    rows: _Rows,
    changes: FloatArray | None,
) -> LeaveOneOut:
    """Return weighted residuals as errors of energies and forces: fit minus target."""
    targets = rows.targets
    size = targets.n_rows
    with np.errstate(invalid="ignore", divide="ignore"):
        errors = (-residuals / weights).reshape(rows.n, size)
    if rows.lowest is None:
        errors[:, 0] = np.nan
    return LeaveOneOut(
        energies=errors[:, 0],
        forces=errors[:, 1:].reshape(rows.n, 3, targets.n_atoms),
        weighted_rmse=float(np.linalg.norm(residuals) / np.linalg.norm(weights)),
        noise=float(np.linalg.norm(residuals) / np.sqrt(np.count_nonzero(weights))),
        changes=changes,
    )


def _solution_with(factor: FloatArray) -> _LinearMap:
    """Return ``L^-T L^-1``, L in the lower triangle.

    By blocks of columns: all threads work on what is below the diagonal.
    """
    parts = []
    for low in range(0, len(factor), _COLUMNS):
        block = slice(low, low + _COLUMNS)
        below = slice(low + _COLUMNS, None)
        diagonal = np.asfortranarray(factor[block, block])
        parts.append((block, below, diagonal, factor[below, block]))

    def solve(vector: FloatArray) -> FloatArray:
        solved = vector.copy()
        for block, below, diagonal, rest in parts:
            solved[block] = blas.dtrsv(diagonal, solved[block], lower=1)
            solved[below] -= rest @ solved[block]
        for block, below, diagonal, rest in reversed(parts):
            solved[block] -= rest.T @ solved[below]
            solved[block] = blas.dtrsv(diagonal, solved[block], lower=1, trans=1)
        return solved

    return solve


def _doubtful(n: int) -> float:
    """Return the scatter over n supercells below which a column is not carried.

    That of n normal numbers is less than a small part r of what it is over many with a
    probability of about r^(n - 1).
    """
    return ZERO_SCALE * _LEFT_OUT_WRONGLY ** (1 / (n - 1)) if n > 1 else 0.0


def _singular(alpha: float) -> PotentialError:
    return PotentialError(
        f"X^T X + alpha I is singular at alpha = {alpha:.1e}. Use a larger penalty."
    )

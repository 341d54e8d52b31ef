"""Ridge regression of the coefficients, in whichever form is smaller.

With scaled columns and weighted rows X and targets y, the coefficients are ``c = (X^T X
+ alpha)^-1 X^T y`` (primal) or ``c = X^T (X X^T + alpha)^-1 y`` (dual). Scales belong
to the training set and penalties are tried one after the other, so the sums over rows
are kept unscaled: X^T X of the forces in the primal, X itself in the dual.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import blas, lapack

from phono3py_mlp_plugin.contracts import FloatArray
from phono3py_mlp_plugin.errors import PotentialError
from phono3py_mlp_plugin.polynomial.rows import (
    ZERO_SCALE,
    DesignMatrix,
    Targets,
    column_scales,
)

Advance = Callable[[int], None]

BLOCK = 100e6
"""Bytes of the part of the design matrix that is held at a time in the primal."""

# Columns that scatter less than this in the first block are not carried at first.
_DOUBTFUL = 1e-2 * ZERO_SCALE

# Edge of the tiles in which a triangle is mirrored, and rows that are scaled at a time.
_TILE = 1024


@dataclass(frozen=True, eq=False)
class RidgePath:
    """The fits of all penalties.

    Attributes
    ----------
    alphas : ndarray
        Penalties, shape ``(n_alphas,)``.
    coefficients : ndarray
        Shape ``(n_alphas, n_features)``; NaN where the factorisation failed.
    rmse_training, rmse_test : ndarray
        Weighted errors, shape ``(n_alphas,)``; NaN where it failed.
    """

    alphas: FloatArray
    coefficients: FloatArray
    rmse_training: FloatArray
    rmse_test: FloatArray

    @property
    def best(self) -> int:
        """Place of the penalty with the lowest test error.

        Raises
        ------
        PotentialError
            All penalties failed.
        """
        if np.isnan(self.rmse_test).all():
            raise PotentialError(
                "training failed: X^T X + alpha I is singular at every penalty. Use "
                "larger ones, e.g. --mlp-params 'reg_alpha_params = -1 1 3', or a "
                "smaller model."
            )
        return int(np.nanargmin(self.rmse_test))


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
        Root mean square of the weighted errors of all rows.
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

    def take(self, block: FloatArray, supercells: range) -> None:
        """Keep the energy rows of X^T of further supercells."""
        rows = block[:, :: self.targets.n_rows]
        finite = np.isfinite(rows).all(axis=0)
        if not finite.all():
            number = supercells[int(finite.argmin())] + 1
            raise PotentialError(
                f"supercell {number}: its features are not finite. Look at its atoms."
            )
        self.energies[:, supercells.start : supercells.stop] = rows
        self.n = supercells.stop

    def settle(self) -> None:
        """Set scales (their inverse, zero for dropped columns) and lowest energy."""
        self.lowest = self.targets.lowest_energy(self.n)
        scales = column_scales(self.energies[:, : self.n])
        kept = scales > 0
        self.inverse = np.divide(1.0, scales, out=np.zeros_like(scales), where=kept)

    def weighted(self, supercells: range) -> tuple[FloatArray, FloatArray]:
        """Return weights and weighted targets, flat."""
        weights, values = self.targets.weighted(supercells, self.lowest)
        return weights.reshape(-1), values.reshape(-1)


class Dual:
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
        self._gram = np.empty((0, 0))
        self._weights = self._values = np.empty(0)

    def add(self, block: FloatArray, supercells: range) -> None:
        """Take note that the columns of further supercells are filled."""
        self._rows.take(block, supercells)

    def prepare(self) -> None:
        """Compute X X^T for the supercells taken so far."""
        self._rows.settle()
        self._weights, self._values = self._rows.weighted(range(self._rows.n))
        n = len(self._weights)
        self._gram = np.zeros((n, n), order="F")
        for features in self._tiles():
            part = self._scaled(features).T
            if part.size:
                self._gram = blas.dsyrk(
                    1.0, part, 1.0, self._gram, trans=0, lower=1, overwrite_c=1
                )

    def solve(self, alpha: float) -> tuple[FloatArray, float] | None:
        """Return coefficients and weighted training error; None where it fails."""
        factor = self._factor(alpha)
        if factor is None:
            return None
        multipliers, _ = lapack.dpotrs(factor, self._values, lower=1)
        # y - X c = alpha z, where (X X^T + alpha) z = y and c = X^T z.
        error = alpha * np.linalg.norm(multipliers) / np.linalg.norm(self._weights)
        return self._carried_back(multipliers), float(error)

    def leave_one_out(self, alpha: float, changes: bool = False) -> LeaveOneOut:
        """Return the errors on each supercell of the fit to all others."""
        factor = self._factor_or_fail(alpha)
        multipliers, _ = lapack.dpotrs(factor, self._values, lower=1)
        inverse, _ = lapack.dpotri(factor, lower=1, overwrite_c=1)
        inverse += np.tril(inverse, -1).T
        size = self._rows.targets.n_rows
        residuals = np.empty_like(self._values)
        moved = []
        for s in range(self._rows.n):
            rows = slice(s * size, (s + 1) * size)
            residuals[rows] = np.linalg.solve(inverse[rows, rows], multipliers[rows])
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
        factor = self._factor_or_fail(alpha)
        random = np.random.default_rng(seed)
        features = len(self._matrix)
        prior = random.normal(scale=noise / np.sqrt(alpha), size=(size, features))
        prior[:, self._rows.inverse == 0] = 0.0
        seen = random.normal(scale=noise, size=(size, len(self._values)))
        for some in self._tiles():
            kept = self._rows.inverse[some] > 0
            seen += prior[:, some][:, kept] @ self._scaled(some)
        multipliers, _ = lapack.dpotrs(factor, (self._values - seen).T, lower=1)
        drawn = np.array([self._carried_back(z) for z in multipliers.T])
        return drawn + prior * self._rows.inverse

    def _tiles(self) -> Iterator[slice]:
        for low in range(0, len(self._matrix), _TILE):
            yield slice(low, low + _TILE)

    def _scaled(self, features: slice) -> FloatArray:
        """Return scaled and weighted columns of X that are kept, as rows."""
        inverse = self._rows.inverse[features]
        kept = inverse > 0
        part = self._matrix[features, : len(self._weights)][kept]
        part *= self._weights
        part *= inverse[kept, None]
        return part

    def _carried_back(self, multipliers: FloatArray) -> FloatArray:
        """Return the coefficients that multipliers of the rows mean."""
        weighted = self._weights * multipliers
        raw = self._matrix[:, : len(weighted)] @ weighted
        return np.asarray(raw * self._rows.inverse**2)

    def _factor(self, alpha: float) -> FloatArray | None:
        shifted = self._gram.copy(order="F")
        shifted.flat[:: len(shifted) + 1] += alpha
        factor, info = lapack.dpotrf(shifted, lower=1, clean=0, overwrite_a=1)
        return None if info else factor

    def _factor_or_fail(self, alpha: float) -> FloatArray:
        factor = self._factor(alpha)
        if factor is None:
            raise _singular(alpha)
        return factor


class Primal:
    """Unknowns are the coefficients; X^T X of the force rows is held, unscaled.

    It fills the upper triangle of one array, whose lower triangle takes the factor.
    Energy rows are few, and their weights change with the training set: they are added
    when a penalty is tried.

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

    def carry(self, features: NDArray[np.intp]) -> None:
        """Settle the columns that are carried, before any block is taken."""
        self._carried = features
        n = len(features)
        self._array = np.zeros((n, n), order="F")
        self._diagonal = np.zeros(n)
        self._moments = np.zeros(n)

    def add(self, block: FloatArray, supercells: range) -> None:
        """Take X^T of further supercells; the block is used up."""
        self._rows.take(block, supercells)
        if self._carried is None:
            scatter = block[:, :: self._rows.targets.n_rows].std(axis=1)
            enough = len(supercells) > 1
            chosen = scatter > _DOUBTFUL if enough else np.ones(len(block), dtype=bool)
            self.carry(np.flatnonzero(chosen))
        assert self._carried is not None
        weights, values = self._rows.targets.weighted(supercells, None)
        weights, values = weights.reshape(-1), values.reshape(-1)
        for low in range(0, len(self._carried), _TILE):
            some = self._carried[low : low + _TILE]
            np.multiply(block[some], weights, out=block[low : low + len(some)])
        part = block[: len(self._carried)]
        self._moments += part @ values
        self._norm += float(values @ values)
        self._set_diagonal(self._diagonal)
        self._array = blas.dsyrk(
            1.0, part.T, 1.0, self._array, trans=1, lower=0, overwrite_c=1
        )
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

    def solve(self, alpha: float) -> tuple[FloatArray, float] | None:
        """Return coefficients and weighted training error; None where it fails."""
        right, norm, weights = self._right_side()
        if not self._factorise(alpha):
            return None
        scaled, _ = lapack.dpotrs(self._array, right, lower=1)
        squared = norm - scaled @ right - alpha * (scaled @ scaled)
        error = np.sqrt(max(squared, 0.0)) / np.linalg.norm(weights)
        return self._carried_back(scaled), float(error)

    def leave_one_out(
        self, alpha: float, design: DesignMatrix, changes: bool = False
    ) -> LeaveOneOut:
        """Return the errors on each supercell of the fit to all others.

        The design matrix is computed once more, supercell by supercell.
        """
        right, _, weights = self._right_side()
        if not self._factorise(alpha):
            raise _singular(alpha)
        scaled, _ = lapack.dpotrs(self._array, right, lower=1)
        inverse = self._inverse()
        size = self._rows.targets.n_rows
        residuals = np.empty(self._rows.n * size)
        moved = []
        for s in range(self._rows.n):
            block = np.zeros((design.n_features, size))
            design.fill(block, 0, range(s, s + 1))
            w, y = self._rows.weighted(range(s, s + 1))
            part = block[self._carried] * w * inverse[:, None]
            turned, _ = lapack.dtrtrs(self._array, part, lower=1)
            matrix = np.eye(size) - turned.T @ turned
            rows = slice(s * size, (s + 1) * size)
            residuals[rows] = np.linalg.solve(matrix, y - part.T @ scaled)
            if changes:
                step, _ = lapack.dtrtrs(
                    self._array, turned @ residuals[rows], lower=1, trans=1
                )
                moved.append(-self._carried_back(step))
        return _left_out(
            residuals, weights, self._rows, np.array(moved) if changes else None
        )

    def samples(self, alpha: float, noise: float, size: int, seed: int) -> FloatArray:
        """Return coefficients drawn from their posterior distribution.

        With the factor L of ``X^T X + alpha`` and ``x ~ N(0, 1)``, ``c + s L^-T x`` has
        the covariance ``s^2 (X^T X + alpha)^-1``.
        """
        right, _, _ = self._right_side()
        if not self._factorise(alpha):
            raise _singular(alpha)
        scaled, _ = lapack.dpotrs(self._array, right, lower=1)
        random = np.random.default_rng(seed).normal(size=(size, len(right)))
        drawn, _ = lapack.dtrtrs(self._array, random.T, lower=1, trans=1)
        return np.array([self._carried_back(scaled + noise * d) for d in drawn.T])

    def _inverse(self) -> FloatArray:
        return self._rows.inverse[self._carried]

    def _energy_rows(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return scaled and weighted energy rows, X^T, with weights and values."""
        size = self._rows.targets.n_rows
        weights, values = self._rows.weighted(range(self._rows.n))
        energies = self._rows.energies[self._carried, : self._rows.n]
        energies = energies * weights[::size] * self._inverse()[:, None]
        return energies, weights, values[::size]

    def _right_side(self) -> tuple[FloatArray, float, FloatArray]:
        """Return X^T y, y^2 and the weights of all rows."""
        energies, weights, values = self._energy_rows()
        right = self._moments * self._inverse() + energies @ values
        return right, self._norm + float(values @ values), weights

    def _factorise(self, alpha: float) -> bool:
        """Write the factor of ``X^T X + alpha`` to the lower triangle."""
        self._set_diagonal(self._diagonal)
        inverse = self._inverse()
        energies, _, _ = self._energy_rows()
        n = len(inverse)
        for low in range(0, n, _TILE):
            columns = slice(low, low + _TILE)
            for top in range(low, n, _TILE):
                rows = slice(top, top + _TILE)
                # By columns, as the array lies in memory.
                tile = energies[columns] @ energies[rows].T
                upper = self._array[columns, rows]
                tile += upper * inverse[columns, None] * inverse[rows]
                target = self._array[rows, columns].T
                if top == low:
                    tile = np.triu(tile, 1) + np.tril(target)
                target[:] = tile
        diagonal = self._diagonal * inverse**2 + (energies**2).sum(axis=1) + alpha
        self._set_diagonal(diagonal)
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
        noise=float(np.sqrt((residuals**2).mean())),
        changes=changes,
    )


def _singular(alpha: float) -> PotentialError:
    return PotentialError(
        f"X^T X + alpha I is singular at alpha = {alpha:.1e}. Use a larger penalty."
    )


def _accumulate(
    design: DesignMatrix,
    targets: Targets,
    sizes: Sequence[int],
    primal: Callable[[int], bool],
    advance: Advance,
) -> Iterator[Dual | Primal]:
    """Yield the regression of the first n supercells for ascending sizes n.

    Every supercell's features are computed once. What is yielded is valid until the
    next one.
    """
    size = targets.n_rows
    n_dual = max((n for n in sizes if not primal(n)), default=0)
    held = np.zeros((design.n_features, n_dual * size))
    dual = Dual(held, targets)
    whole = Primal(design.n_features, targets)
    step = max(1, int(BLOCK / (8 * design.n_features * size)))
    room = np.empty(design.n_features * step * size)
    done = 0
    for n in sizes:
        while done < n:
            some = range(done, min(done + step, n))
            if done < n_dual:
                design.fill(held, done * size, some)
                block = held[:, done * size : some.stop * size]
                dual.add(block, some)
            if any(primal(m) for m in sizes):
                part = room[: design.n_features * len(some) * size]
                part = part.reshape(design.n_features, -1)
                if done < n_dual:
                    part[:] = block
                else:
                    part[:] = 0.0
                    design.fill(part, 0, some)
                whole.add(part, some)
            done = some.stop
            advance(len(some))
        if not primal(n):
            dual.prepare()
            yield dual
            continue
        whole.prepare()
        if whole.missing():
            whole = _with_all_columns(design, targets, n, step)
        yield whole


def _with_all_columns(
    design: DesignMatrix, targets: Targets, n: int, step: int
) -> Primal:
    """Start over with every column: the first block was not like the others."""
    whole = Primal(design.n_features, targets)
    whole.carry(np.arange(design.n_features))
    for begin in range(0, n, step):
        some = range(begin, min(begin + step, n))
        block = np.zeros((design.n_features, len(some) * targets.n_rows))
        design.fill(block, 0, some)
        whole.add(block, some)
    whole.prepare()
    return whole


def ridge_paths(
    design: DesignMatrix,
    targets: Targets,
    alphas: Sequence[float],
    test_design: DesignMatrix,
    test_targets: Targets,
    *,
    sizes: Sequence[int] | None = None,
    primal: Callable[[int], bool] | None = None,
    advance: Advance = lambda _done: None,
) -> list[RidgePath]:
    """Fit all penalties to the first n supercells, for each of some sizes n.

    Each fit is that of an independent training on its n supercells; the features of
    all are computed once.

    Parameters
    ----------
    design, targets : DesignMatrix, Targets
        Of the training set.
    alphas : sequence of float
        Penalties.
    test_design, test_targets : DesignMatrix, Targets
        Of the test set.
    sizes : sequence of int, optional
        Ascending; by default that of the whole training set.
    primal : callable, optional
        Whether n supercells are fitted in the primal form; by default where there are
        no fewer rows than features.
    advance : callable
        Told the number of supercells just done.

    Raises
    ------
    PotentialError
        A feature is not finite.
    """
    sizes = sizes or (len(targets),)
    if primal is None:
        primal = smaller_form(design.n_features, targets.n_rows)
    lowest: list[float | None] = []
    coefficients, errors = [], []
    for form in _accumulate(design, targets, sizes, primal, advance):
        lowest.append(targets.lowest_energy(sizes[len(lowest)]))
        for alpha in alphas:
            solved = form.solve(alpha)
            failed = np.full(design.n_features, np.nan), np.nan
            fitted, error = failed if solved is None else solved
            coefficients.append(fitted)
            errors.append(error)
    # What the sums took is free again before the test set is evaluated.
    del form
    shape = (len(sizes), len(alphas))
    fitted = np.array(coefficients).reshape(*shape, -1)
    test_errors = _test_errors(fitted, lowest, test_design, test_targets, advance)
    training_errors = np.array(errors).reshape(shape)
    return [
        RidgePath(np.array(alphas), fitted[k], training_errors[k], test_errors[k])
        for k in range(len(sizes))
    ]


def smaller_form(n_features: int, n_rows: int) -> Callable[[int], bool]:
    """Return whether the primal is the smaller form for n supercells."""
    return lambda n: n * n_rows >= n_features


def _test_errors(
    coefficients: FloatArray,
    lowest: Sequence[float | None],
    design: DesignMatrix,
    targets: Targets,
    advance: Advance,
) -> FloatArray:
    """Return weighted errors, shape ``(n_sizes, n_alphas)``, block by block."""
    squares = np.zeros(coefficients.shape[:2])
    norms = np.zeros((len(coefficients), 1))
    step = max(1, int(BLOCK / (8 * design.n_features * targets.n_rows)))
    room = np.empty(design.n_features * step * targets.n_rows)
    for begin in range(0, len(targets), step):
        some = range(begin, min(begin + step, len(targets)))
        block = room[: design.n_features * len(some) * targets.n_rows]
        block = block.reshape(design.n_features, -1)
        block[:] = 0.0
        design.fill(block, 0, some)
        for k, fitted in enumerate(coefficients):
            weights, values = targets.weighted(some, lowest[k])
            weights = weights.reshape(-1)
            residuals = (fitted @ block) * weights - values.reshape(-1)
            squares[k] += (residuals**2).sum(axis=1)
            norms[k] += (weights**2).sum()
        advance(len(some))
    return np.sqrt(squares / norms)


class Regression:
    """The regression of one training set, kept for what follows a fit.

    Parameters
    ----------
    design : DesignMatrix
    targets : Targets
    primal : bool, optional
        The form; by default the smaller one.

    Raises
    ------
    PotentialError
        A feature is not finite.
    """

    def __init__(
        self, design: DesignMatrix, targets: Targets, primal: bool | None = None
    ) -> None:
        self._design = design
        n = len(targets)
        if primal is None:
            primal = smaller_form(design.n_features, targets.n_rows)(n)
        forms = _accumulate(
            design, targets, (n,), lambda _n: primal, lambda _done: None
        )
        self._form = next(forms)

    def leave_one_out(self, alpha: float, changes: bool = False) -> LeaveOneOut:
        """Return the errors on each supercell of the fit to all others.

        Parameters
        ----------
        alpha : float
        changes : bool
            Whether the changes of the coefficients are wanted too.

        Raises
        ------
        PotentialError
            The matrix is singular at this penalty.
        """
        if isinstance(self._form, Primal):
            return self._form.leave_one_out(alpha, self._design, changes)
        return self._form.leave_one_out(alpha, changes)

    def samples(self, alpha: float, size: int, seed: int) -> FloatArray:
        """Return coefficients drawn from their posterior, shape ``(size, n_features)``.

        The noise is that of the errors on supercells left out, not of the residuals,
        which are too small where coefficients are as many as data.

        Raises
        ------
        PotentialError
            The matrix is singular at this penalty.
        """
        noise = self.leave_one_out(alpha).noise
        return self._form.samples(alpha, noise, size, seed)

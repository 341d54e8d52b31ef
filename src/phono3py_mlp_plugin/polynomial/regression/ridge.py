"""Ridge regression of the coefficients, in whichever form is smaller.

The features are computed once, block by block, for all penalties and for all sizes of
the training set that are asked for; `forms` solves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from phono3py_mlp_plugin.contracts import FloatArray
from phono3py_mlp_plugin.errors import PotentialError
from phono3py_mlp_plugin.polynomial.regression.forms import (
    Dual,
    LeaveOneOut,
    Primal,
    refuse_infinite,
)
from phono3py_mlp_plugin.polynomial.regression.targets import (
    DesignMatrix,
    Targets,
    block_size,
    blocks,
)

Advance = Callable[[int], None]

# Part of the features that is kept: others do not scatter, a seventh of them in NaCl.
_KEPT = 0.87


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
    step = block_size(design, size)
    room = np.empty(design.n_features * step * size)
    done = 0
    for n in sizes:
        while done < n:
            some = range(done, min(done + step, n))
            if done < n_dual:
                design.fill(held, done * size, some)
                block = held[:, done * size : some.stop * size]
                dual.add(block, some)
            else:
                block = room[: design.n_features * len(some) * size]
                block = block.reshape(design.n_features, -1)
                block[:] = 0.0
                design.fill(block, 0, some)
            if any(primal(m) for m in sizes):
                whole.add(block, some)
            done = some.stop
            advance(len(some))
        if not primal(n):
            dual.prepare()
            yield dual
            continue
        whole.prepare()
        if whole.missing():
            whole = _with_all_columns(design, targets, n)
        yield whole


def _with_all_columns(design: DesignMatrix, targets: Targets, n: int) -> Primal:
    """Start over with every column: the first block was not like the others."""
    whole = Primal(design.n_features, targets)
    whole.carry(np.arange(design.n_features))
    for some, block in blocks(design, n, targets.n_rows):
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
    missing = np.full(design.n_features, np.nan), np.nan
    lowest: list[float | None] = []
    coefficients, errors = [], []
    for form in _accumulate(design, targets, sizes, primal, advance):
        lowest.append(targets.lowest_energy(sizes[len(lowest)]))
        fits = form.solve(alphas)
        for alpha in alphas:
            fitted, error = fits[alpha] or missing
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


@dataclass(frozen=True, eq=False)
class NestedPath:
    """The fits of all penalties to the first supercells, and what is about the best.

    Attributes
    ----------
    size : int
        Number of supercells.
    path : RidgePath
    best : int
        Place of the best penalty in the path.
    left_out : LeaveOneOut
        Of the best penalty, with changes.
    alternatives : ndarray
        Coefficients with a tenth of the best penalty and with ten times of it, shape
        ``(m, n_features)``; those that fail are left out.
    draws : ndarray
        What ``draw`` made of it, shape ``(k, n_features)``.
    """

    size: int
    path: RidgePath
    best: int
    left_out: LeaveOneOut
    alternatives: FloatArray
    draws: FloatArray


Draw = Callable[[FloatArray, LeaveOneOut, Callable[[int, int], FloatArray]], FloatArray]
"""``draw(coefficients, left_out, posterior)``, with ``posterior(size, seed)``."""


def nested_paths(
    design: DesignMatrix,
    targets: Targets,
    alphas: Sequence[float],
    test_design: DesignMatrix,
    test_targets: Targets,
    sizes: Sequence[int],
    draw: Draw,
    advance: Advance = lambda _done: None,
) -> Iterator[NestedPath]:
    """Yield what `ridge_paths` gives, with errors of the best fit, for each size.

    Parameters
    ----------
    design, targets, alphas, test_design, test_targets, advance
        As in `ridge_paths`.
    sizes : sequence of int
        Ascending.
    draw : callable
        Draws coefficients about the best fit.

    Raises
    ------
    PotentialError
        A feature is not finite, or all penalties failed.
    """
    primal = smaller_form(design.n_features, targets.n_rows)
    forms = _accumulate(design, targets, sizes, primal, advance)
    missing = np.full(design.n_features, np.nan), np.nan
    expected = alphas[-1]
    for n, form in zip(sizes, forms, strict=True):
        wanted = [*alphas, *_neighbours(expected, alphas)]
        fits = form.solve(wanted, last=expected)
        coefficients, errors = zip(*(fits[a] or missing for a in alphas), strict=True)
        fitted = np.array(coefficients)
        lowest = targets.lowest_energy(n)
        (tested,) = _test_errors(
            fitted[None], [lowest], test_design, test_targets, lambda _done: None
        )
        path = RidgePath(np.array(alphas), fitted, np.array(errors), tested)
        best = path.best
        alpha = alphas[best]
        neighbours = _neighbours(alpha, fits)
        if alpha != expected:
            new = [a for a in neighbours if a not in fits]
            fits |= form.solve([alpha, *new], last=alpha)
            expected = alpha
        known = [fit for a in neighbours if (fit := fits[a]) is not None]
        alternatives = np.array([fitted for fitted, _ in known])
        if isinstance(form, Primal):
            left_out = form.leave_one_out(alpha, design, changes=True)
        else:
            left_out = form.leave_one_out(alpha, changes=True)
        posterior = partial(form.samples, alpha, left_out.noise)
        draws = draw(fitted[best], left_out, posterior)
        yield NestedPath(n, path, best, left_out, alternatives, draws)


def _neighbours(alpha: float, known: Iterable[float]) -> list[float]:
    """Return a tenth and ten times a penalty, as they are called among others."""
    known = np.array(list(known))
    return [
        float(min(known, key=lambda a: abs(a - other)))
        if np.isclose(known, other, rtol=1e-6).any()
        else other
        for other in (alpha / 10, alpha * 10)
    ]


def smaller_form(n_features: int, n_rows: int) -> Callable[[int], bool]:
    """Return whether the primal is the smaller form for n supercells."""
    return lambda n: n * n_rows >= _KEPT * n_features


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
    for some, block in blocks(design, len(targets), targets.n_rows):
        refuse_infinite(block, some, "test supercell")
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
        self._noise: dict[float, float] = {}
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
            found = self._form.leave_one_out(alpha, self._design, changes)
        else:
            found = self._form.leave_one_out(alpha, changes)
        self._noise[alpha] = found.noise
        return found

    def samples(self, alpha: float, size: int, seed: int) -> FloatArray:
        """Return coefficients drawn from their posterior, shape ``(size, n_features)``.

        The noise is that of the errors on supercells left out, not of the residuals,
        which are too small where coefficients are as many as data.

        Raises
        ------
        PotentialError
            The matrix is singular at this penalty.
        """
        if alpha not in self._noise:
            self.leave_one_out(alpha)
        return self._form.samples(alpha, self._noise[alpha], size, seed)

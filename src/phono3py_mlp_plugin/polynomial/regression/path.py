"""Fits with many penalties to the first structures of a training set.

The features are computed once, block by block, for all penalties and all sizes of the
training set. The smaller form of the regression is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from phono3py_mlp_plugin.contracts import (
    FloatArray,
    MapChunks,
    RidgePenalty,
    map_here,
)
from phono3py_mlp_plugin.errors import PotentialError
from phono3py_mlp_plugin.polynomial.regression.dual import Dual
from phono3py_mlp_plugin.polynomial.regression.form import Fit, Form
from phono3py_mlp_plugin.polynomial.regression.groups import (
    errors_of_block,
    features_of_block,
)
from phono3py_mlp_plugin.polynomial.regression.leave_one_out import LeaveOneOut
from phono3py_mlp_plugin.polynomial.regression.primal import Primal
from phono3py_mlp_plugin.polynomial.regression.problem import (
    Problem,
    check_finite,
    divided,
)

Advance: TypeAlias = Callable[[int], object]
"""Called with the number of structures that have just been finished."""

IsPrimal: TypeAlias = Callable[[int], bool]
"""Return whether n structures are fitted in the primal form."""

# Part of the features that is not dropped because of zero scatter, as in NaCl.
_KEPT = 0.87


@dataclass(frozen=True, eq=False)
class RidgePath:
    """The fits for all penalties.

    Attributes
    ----------
    alphas : ndarray
        Penalties, shape ``(n_alphas,)``.
    coefficients : ndarray
        Coefficients, shape ``(n_alphas, n_features)``. NaN if the factorisation failed.
    rmse_training, rmse_test : ndarray
        Weighted errors, shape ``(n_alphas,)``. NaN if the factorisation failed.
    """

    alphas: FloatArray
    coefficients: FloatArray
    rmse_training: FloatArray
    rmse_test: FloatArray

    @property
    def best(self) -> int:
        """Index of the penalty with the lowest test error.

        Raises
        ------
        PotentialError
            If all penalties failed.
        """
        if np.isnan(self.rmse_test).all():
            raise PotentialError(
                "training failed: X^T X + alpha I is singular at every penalty. Use "
                "larger ones, e.g. --mlp-params 'reg_alpha_params = -1 1 3', or a "
                "smaller model."
            )
        return int(np.nanargmin(self.rmse_test))

    @property
    def penalties(self) -> tuple[RidgePenalty, ...]:
        """All penalties with their errors, which are None if they failed."""
        return tuple(
            RidgePenalty(float(alpha), None, None)
            if np.isnan(tested)
            else RidgePenalty(float(alpha), float(trained), float(tested))
            for alpha, trained, tested in zip(
                self.alphas, self.rmse_training, self.rmse_test, strict=True
            )
        )


@dataclass(frozen=True, eq=False)
class CurvePoint:
    """The fits for all penalties to the first structures, and errors of the best fit.

    Attributes
    ----------
    size : int
        Number of structures.
    path : RidgePath
    left_out : LeaveOneOut
        Errors of the fit with the best penalty, with changes of the coefficients.
    alternatives : ndarray
        Coefficients of the fits with a tenth and ten times the best penalty, without
        those that failed, shape ``(m, n_features)``.
    form : Form
        The regression, valid until the next point is computed.
    """

    size: int
    path: RidgePath
    left_out: LeaveOneOut
    alternatives: FloatArray
    form: Form


def is_primal_smaller(n_features: int, n_rows: int) -> bool:
    """Return whether the primal form is smaller."""
    return n_rows >= _KEPT * n_features


def _smaller_form(problem: Problem) -> IsPrimal:
    return lambda n: is_primal_smaller(problem.n_features, problem.n_rows(n))


def regression(problem: Problem, primal: bool | None = None) -> Form:
    """Return the regression of all structures, by default in the smaller form.

    Raises
    ------
    PotentialError
        If a feature is not finite.
    """
    n = len(problem)
    if primal is None:
        primal = _smaller_form(problem)(n)
    return next(_regressions(problem, (n,), lambda _n: primal))


def ridge_paths(
    training: Problem,
    test: Problem,
    alphas: Sequence[float],
    *,
    sizes: Sequence[int] | None = None,
    is_primal: IsPrimal | None = None,
    advance: Advance = lambda _done: None,
    map_chunks: MapChunks = map_here,
) -> list[RidgePath]:
    """Fit the first n structures with all penalties, for several sizes n.

    Each fit is equal to that of an independent training on n structures, but features
    are computed once only.

    Parameters
    ----------
    training, test : Problem
    alphas : sequence of float
        Penalties.
    sizes : sequence of int, optional
        Numbers of structures in ascending order. By default, all structures.
    is_primal : callable, optional
        Decides whether n structures are fitted in the primal form. By default, the
        smaller form is used.
    advance : callable
        Called with the number of structures that have just been finished.
    map_chunks : MapChunks
        Computes features and sums over structures.

    Raises
    ------
    PotentialError
        If a feature is not finite.
    """
    sizes = sizes or (len(training),)
    if is_primal is None:
        is_primal = _smaller_form(training)
    coefficients, errors = [], []
    for form in _regressions(training, sizes, is_primal, advance, map_chunks):
        fitted, trained = _in_order(alphas, form.solve(alphas), training.n_features)
        coefficients.append(fitted)
        errors.append(trained)
    # The memory of the sums is released before the test set is evaluated.
    del form
    lowest = [training.targets.lowest_energy(n) for n in sizes]
    tested = _test_errors(np.array(coefficients), lowest, test, advance, map_chunks)
    return [
        RidgePath(np.array(alphas), *fits)
        for fits in zip(coefficients, errors, tested, strict=True)
    ]


def curve(
    training: Problem,
    test: Problem,
    alphas: Sequence[float],
    sizes: Sequence[int],
    advance: Advance = lambda _done: None,
    map_chunks: MapChunks = map_here,
) -> Iterator[CurvePoint]:
    """Yield the fits of `ridge_paths` and the errors of the best fit for each size.

    Parameters
    ----------
    training, test, alphas, advance, map_chunks
        See `ridge_paths`.
    sizes : sequence of int
        Numbers of structures in ascending order.

    Raises
    ------
    PotentialError
        If a feature is not finite, or all penalties failed.
    """
    is_primal = _smaller_form(training)
    forms = _regressions(training, sizes, is_primal, advance, map_chunks)
    expected = alphas[-1]
    for n, form in zip(sizes, forms, strict=True):
        fits = form.solve([*alphas, *_neighbours(expected, alphas)], last=expected)
        fitted, trained = _in_order(alphas, fits, training.n_features)
        lowest = training.targets.lowest_energy(n)
        (tested,) = _test_errors(fitted[None], [lowest], test, map_chunks=map_chunks)
        path = RidgePath(np.array(alphas), fitted, trained, tested)
        alpha = alphas[path.best]
        neighbours = _neighbours(alpha, fits)
        if alpha != expected:
            new = [a for a in neighbours if a not in fits]
            fits |= form.solve([alpha, *new], last=alpha)
            expected = alpha
        alternatives = [fit[0] for a in neighbours if (fit := fits[a]) is not None]
        left_out = form.leave_one_out(alpha, changes=True)
        yield CurvePoint(n, path, left_out, np.array(alternatives), form)


def _regressions(
    problem: Problem,
    sizes: Sequence[int],
    is_primal: IsPrimal,
    advance: Advance = lambda _done: None,
    map_chunks: MapChunks = map_here,
) -> Iterator[Form]:
    """Yield the regression of the first n structures for ascending sizes n.

    The features of each structure are computed once. A regression is valid until the
    next one is yielded.
    """
    n_dual = max((n for n in sizes if not is_primal(n)), default=0)
    needs_primal = any(map(is_primal, sizes))
    dual, primal = Dual(problem, n_dual), Primal(problem, map_chunks)
    # The primal form knows after a block which columns it stores.
    by_blocks = n_dual or min(sizes[0], problem.block_size)
    done = 0
    for n in sizes:
        first = range(done, max(done, min(n, by_blocks)))
        for supercells, block in _blocks(problem, first, dual, n_dual, map_chunks):
            if n_dual:
                dual.add(block, supercells)
            if needs_primal:
                primal.add(block, supercells)
            advance(len(supercells))
        if n > first.stop:
            primal.add_groups(range(first.stop, n), advance)
        done = n
        form = primal if is_primal(n) else dual
        form.prepare()
        yield form


def _blocks(
    problem: Problem, structures: range, dual: Dual, n_dual: int, map_chunks: MapChunks
) -> Iterator[tuple[range, FloatArray]]:
    """Yield X^T of structures by blocks, which the dual form keeps if it is used."""
    parts = divided(structures, problem.block_size)
    if n_dual and map_chunks is not map_here:
        problems = [problem.part(part) for part in parts]
        chunks = map_chunks(features_of_block, None, problems)
        for part, found in zip(parts, chunks, strict=True):
            yield part, dual.keep(found["features"], part)
        return
    for part in parts:
        if n_dual:
            yield part, dual.compute(part)
        else:
            yield part, problem.block(problem.workspace(len(part)), part)


def _in_order(
    alphas: Sequence[float], fits: Mapping[float, Fit | None], n_features: int
) -> tuple[FloatArray, FloatArray]:
    """Return coefficients and training errors of penalties, NaN if they failed."""
    failed = np.full(n_features, np.nan), np.nan
    coefficients, errors = zip(*(fits[a] or failed for a in alphas), strict=True)
    return np.array(coefficients), np.array(errors)


def _neighbours(alpha: float, known: Iterable[float]) -> list[float]:
    """Return a tenth and ten times a penalty, rounded to known penalties if close."""
    known = np.array(list(known))
    return [
        float(min(known, key=lambda a: abs(a - other)))
        if np.isclose(known, other, rtol=1e-6).any()
        else other
        for other in (alpha / 10, alpha * 10)
    ]


def _test_errors(
    coefficients: FloatArray,
    lowest: Sequence[float | None],
    test: Problem,
    advance: Advance = lambda _done: None,
    map_chunks: MapChunks = map_here,
) -> FloatArray:
    """Return weighted test errors, shape ``(n_sizes, n_alphas)``."""
    squares = np.zeros(coefficients.shape[:2])
    norms = np.zeros((len(coefficients), 1))
    parts = divided(range(len(test)), test.block_size)
    chunks = map_chunks(
        errors_of_block, (coefficients, lowest), [test.part(p) for p in parts]
    )
    for structures, found in zip(parts, chunks, strict=True):
        check_finite(found["row_sums"], structures, test.targets, "test supercell")
        squares += found["squares"]
        norms += found["norms"][:, None]
        advance(len(structures))
    return np.sqrt(squares / norms)

"""Base class of the two forms of the regression.

With scaled columns and weighted rows X and targets y, the coefficients are ``c = (X^T X
+ alpha)^-1 X^T y`` (primal) or ``c = X^T (X X^T + alpha)^-1 y`` (dual). Scales depend
on the training set, and penalties are tried one after the other. The sums over rows are
therefore stored without scales: X^T X of the forces in the primal form, and X itself in
the dual form.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TypeAlias

from phono3py_mlp_plugin.contracts import FloatArray
from phono3py_mlp_plugin.polynomial.regression.cholesky import LinearMap
from phono3py_mlp_plugin.polynomial.regression.krylov import (
    LARGEST_RATIO,
    penalty_groups,
    shifted_solutions,
)
from phono3py_mlp_plugin.polynomial.regression.leave_one_out import (
    LeaveOneOut,
    leave_one_out,
)
from phono3py_mlp_plugin.polynomial.regression.problem import Problem
from phono3py_mlp_plugin.polynomial.regression.training_rows import TrainingRows

Fit: TypeAlias = tuple[FloatArray, float]
"""Coefficients and weighted training error."""

# Number of unknowns above which further factorisations cost more than a Krylov space.
_KRYLOV_FROM = 3000

SCALED_AT_A_TIME = 1024
"""Number of rows of X^T that are scaled at a time."""


class Form(ABC):
    """Ridge regression of a training set to which supercells are added.

    After `add` for further supercells and `prepare`, the fits for penalties, the errors
    of supercells left out, and samples of the coefficients can be computed in any
    order, until the next supercells are added.

    A form defines a symmetric matrix A and a method to solve linear equations with
    ``A + alpha`` for many penalties alpha.

    Parameters
    ----------
    problem : Problem
        All supercells that may be added.
    """

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._rows = TrainingRows(problem.n_features, problem.targets)
        self._noise: dict[float, float] = {}

    def add(self, block: FloatArray, supercells: range) -> None:
        """Add X^T of further supercells.

        Raises
        ------
        PotentialError
            If a feature is not finite.
        """
        self._rows.add(block, supercells)
        self._add(block, supercells)

    def prepare(self) -> None:
        """Compute scales and weights for the supercells added so far."""
        self._noise = {}
        self._rows.prepare()
        self._prepare()

    def solve(
        self, alphas: Sequence[float], last: float | None = None
    ) -> dict[float, Fit | None]:
        """Return the fit for each penalty, or None if its factorisation failed.

        Parameters
        ----------
        alphas : sequence of float
        last : float, optional
            The penalty that is factorised last, so that its factor is stored.
        """
        fits: dict[float, Fit | None] = {}
        ratio = LARGEST_RATIO if self._n_unknowns >= _KRYLOV_FROM else 1.0
        for factorised, *others in penalty_groups(alphas, last, ratio):
            start = self._factorised(factorised)
            fits[factorised] = None if start is None else self._fit(factorised, start)
            solutions: list[FloatArray | None] = [None] * len(others)
            if start is not None and others:
                solutions = shifted_solutions(
                    self._inverse_map(), start, [a - factorised for a in others]
                )
            for alpha, solution in zip(others, solutions, strict=True):
                if solution is not None:
                    fits[alpha] = self._fit(alpha, solution)
            for alpha in others:
                if alpha not in fits:
                    start = self._factorised(alpha)
                    fits[alpha] = None if start is None else self._fit(alpha, start)
        return fits

    def leave_one_out(self, alpha: float, changes: bool = False) -> LeaveOneOut:
        """Return the errors on each supercell of the fit to all other ones.

        Parameters
        ----------
        alpha : float
        changes : bool
            Whether the changes of the coefficients are computed, too.

        Raises
        ------
        PotentialError
            If the matrix is singular at this penalty.
        """
        residuals, coefficients = self._left_out(alpha, changes)
        errors = leave_one_out(residuals, self._rows, coefficients)
        self._noise[alpha] = errors.noise
        return errors

    def samples(self, alpha: float, size: int, seed: int) -> FloatArray:
        """Return coefficients drawn from their posterior, shape ``(size, n_features)``.

        The noise is estimated from the errors on supercells left out. Residuals are too
        small if there are as many coefficients as data.

        Raises
        ------
        PotentialError
            If the matrix is singular at this penalty.
        """
        if alpha not in self._noise:
            self.leave_one_out(alpha)
        return self._posterior(alpha, self._noise[alpha], size, seed)

    @property
    @abstractmethod
    def _n_unknowns(self) -> int:
        """Number of unknowns."""

    @abstractmethod
    def _add(self, block: FloatArray, supercells: range) -> None:
        """Add X^T of further supercells to the sums."""

    @abstractmethod
    def _prepare(self) -> None:
        """Compute quantities that do not depend on the penalty."""

    @abstractmethod
    def _factorised(self, alpha: float) -> FloatArray | None:
        """Factorise ``A + alpha`` and return the solution, or None if that fails."""

    @abstractmethod
    def _inverse_map(self) -> LinearMap:
        """Return a function that multiplies by ``(A + alpha)^-1``.

        alpha is the penalty that was factorised last.
        """

    @abstractmethod
    def _fit(self, alpha: float, solution: FloatArray) -> Fit:
        """Return coefficients and training error from the solution for a penalty."""

    @abstractmethod
    def _left_out(
        self, alpha: float, changes: bool
    ) -> tuple[FloatArray, FloatArray | None]:
        """Return weighted residuals of rows left out, and changes of coefficients."""

    @abstractmethod
    def _posterior(
        self, alpha: float, noise: float, size: int, seed: int
    ) -> FloatArray:
        """Return samples of the coefficients for a given noise of weighted rows."""

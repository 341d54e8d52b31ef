"""What the two forms of the regression have in common.

With scaled columns and weighted rows X and targets y, the coefficients are ``c = (X^T X
+ alpha)^-1 X^T y`` (primal) or ``c = X^T (X X^T + alpha)^-1 y`` (dual). Scales belong
to the training set and penalties are tried one after the other, so the sums over rows
are kept unscaled: X^T X of the forces in the primal, X itself in the dual.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TypeAlias

from phono3py_mlp_plugin.contracts import FloatArray
from phono3py_mlp_plugin.polynomial.regression.cholesky import LinearMap
from phono3py_mlp_plugin.polynomial.regression.krylov import (
    REACH,
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

# Unknowns from which on factorisations cost more than the Krylov space of one.
_KRYLOV_FROM = 3000

SCALED_AT_A_TIME = 1024
"""Rows of X^T that are scaled at a time."""


class Form(ABC):
    """The ridge regression of a training set that grows.

    `add` takes further supercells, `prepare` ends that; then the fits of penalties, the
    errors of supercells left out, and samples of the coefficients can be asked for, in
    any order, until the next supercells are added.

    A form is a symmetric matrix A of its own, and what solves ``A + alpha`` for many
    penalties alpha.

    Parameters
    ----------
    problem : Problem
        Of all supercells that may be added.
    """

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._rows = TrainingRows(problem.n_features, problem.targets)
        self._noise: dict[float, float] = {}

    def add(self, block: FloatArray, supercells: range) -> None:
        """Take X^T of further supercells.

        Raises
        ------
        PotentialError
            A feature is not finite.
        """
        self._rows.take(block, supercells)
        self._add(block, supercells)

    def prepare(self) -> None:
        """Set scales and weights for the supercells taken so far."""
        self._noise = {}
        self._rows.prepare()
        self._prepare()

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
        reach = REACH if self._n_unknowns >= _KRYLOV_FROM else 1.0
        for leader, *others in penalty_groups(alphas, last, reach):
            start = self._factorised(leader)
            fits[leader] = None if start is None else self._fit(leader, start)
            solutions: list[FloatArray | None] = [None] * len(others)
            if start is not None and others:
                solutions = shifted_solutions(
                    self._division(), start, [a - leader for a in others]
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
        residuals, coefficients = self._left_out(alpha, changes)
        errors = leave_one_out(residuals, self._rows, coefficients)
        self._noise[alpha] = errors.noise
        return errors

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
        """Compute what all penalties share."""

    @abstractmethod
    def _factorised(self, alpha: float) -> FloatArray | None:
        """Factorise ``A + alpha`` and return the solution; None where it fails."""

    @abstractmethod
    def _division(self) -> LinearMap:
        """Return ``(A + alpha)^-1`` for the penalty factorised last."""

    @abstractmethod
    def _fit(self, alpha: float, solution: FloatArray) -> Fit:
        """Return what the solution for a penalty means."""

    @abstractmethod
    def _left_out(
        self, alpha: float, changes: bool
    ) -> tuple[FloatArray, FloatArray | None]:
        """Return weighted residuals of rows left out, and changes of coefficients."""

    @abstractmethod
    def _posterior(
        self, alpha: float, noise: float, size: int, seed: int
    ) -> FloatArray:
        """Return samples of the coefficients for a noise of weighted rows."""

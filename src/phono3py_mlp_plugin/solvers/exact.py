"""Exact force constants: derivatives of the potential, without displacements."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from phono3py_mlp_plugin.contracts import (
    ForceConstants,
    ForceConstantsProblem,
    ForceConstantsSolver,
    Potential,
)
from phono3py_mlp_plugin.errors import SolverError
from phono3py_mlp_plugin.hookspecs import hookimpl


def solve(problem: ForceConstantsProblem) -> ForceConstants:
    """Raise an error: forces are not what this solver takes.

    Raises
    ------
    SolverError
        Always.
    """
    del problem
    raise SolverError(
        "exact: there is no potential here to take derivatives of; expected that of "
        "--pypolymlp or --force-calculator (in Python: potential= of "
        "solve_force_constants). Give one, or use --fc-calculator symfc."
    )


def differentiate(
    potentials: Sequence[Potential], problem: ForceConstantsProblem
) -> Iterator[ForceConstants]:
    """Yield the force constants of each potential.

    Raises
    ------
    SolverError
        If a potential gives no derivatives, or a cutoff is requested.
    """
    if problem.cutoff:
        order, length = next(iter(problem.cutoff.items()))
        raise SolverError(
            f"exact: cutoff of fc{order} = {length:g} angstrom; expected none: "
            "derivatives reach as far as the potential does. Leave it out, or give "
            "--cutoff-fc3."
        )
    check_supported(potentials)
    return _force_constants(potentials, problem)


def _force_constants(
    potentials: Sequence[Potential], problem: ForceConstantsProblem
) -> Iterator[ForceConstants]:
    """Yield force constants; potentials of one class in a row may share work."""
    for _, group in itertools.groupby(potentials, key=type):
        first: Any
        first, *others = group
        yield from first.force_constants(problem, others)


def check_supported(potentials: Sequence[Potential]) -> None:
    """Raise if a potential gives no derivatives.

    Raises
    ------
    SolverError
    """
    for potential in potentials:
        if not callable(getattr(potential, "force_constants", None)):
            raise SolverError(
                f"exact: {type(potential).__name__} gives no derivatives "
                "(force_constants); expected a potential that does, as the polynomial "
                "ones of this package. Use displacements (-d), or --fc-calculator "
                "symfc with --rd."
            )


@hookimpl
def phono3py_mlp_force_constants_solvers() -> Iterable[ForceConstantsSolver]:
    """Register the solver exact."""
    yield ForceConstantsSolver(
        name="exact",
        summary="derivatives of the potential, without displacements",
        solve=solve,
        differentiate=differentiate,
    )

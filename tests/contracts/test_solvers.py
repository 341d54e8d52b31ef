"""Every built-in solver keeps the contract, and a broken promise is found."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from phono3py_mlp_plugin import plugins
from phono3py_mlp_plugin.contracts import ForceConstantsSolver
from phono3py_mlp_plugin.solvers import finite_difference
from phono3py_mlp_plugin.testing import check_force_constants_solver
from problems import force_constants_problem, load

BUILTIN = plugins.discover(()).solvers


@pytest.fixture(scope="module")
def silicon(host_source):
    # Pairs of displaced atoms in eight, which finite differences can use, and a cutoff
    # between first and second neighbours, which is all that fits for hiPhive.
    host = load(host_source, "phono3py_params_Si111.yaml")
    return force_constants_problem(host, cutoff={2: 2.6, 3: 2.6})


@pytest.mark.parametrize("orders", [(2,), (2, 3)], ids=["fc2", "fc3"])
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] if name == "hiphive" else [])
        for name in BUILTIN
    ],
)
def test_built_in_solver_keeps_the_contract(silicon, name, orders):
    solver = BUILTIN[name].record
    if (reason := solver.unavailable_reason()) is not None:
        pytest.skip(reason)
    if solver.differentiate is not None:
        pytest.skip("it takes potentials: tests/solvers/test_exact.py")
    check_force_constants_solver(solver, dataclasses.replace(silicon, orders=orders))


def wrong_sign(found, problem):
    return {order: -fc for order, fc in found.items()}


def twice_fc3(found, problem):
    return {order: fc * (order - 1) for order, fc in found.items()}


def wrong_shape(found, problem):
    return {order: fc[:1] for order, fc in found.items()}


def not_finite(found, problem):
    return {order: np.full_like(fc, np.nan) for order, fc in found.items()}


def without_self_terms(found, problem):
    fc2 = found[2].copy()
    rows = problem.primitive.p2s_map if problem.is_compact_fc else range(len(fc2))
    for row, atom in enumerate(rows):
        fc2[row, atom] = 0
    return found | {2: fc2}


def other_rows(found, problem):
    return {o: fc[::-1] if problem.is_compact_fc else fc for o, fc in found.items()}


def order_of_supercells(found, problem):
    return {o: fc * (1 + problem.displacements[0].sum()) for o, fc in found.items()}


def changed_problem(found, problem):
    problem.forces[:] = 0
    return found


def random(found, problem, rng=np.random.default_rng(1)):  # noqa: B008
    return {order: fc * rng.uniform(1, 1.1) for order, fc in found.items()}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (wrong_sign, "unexplained"),
        (twice_fc3, "fc3 fit those that it was solved for by a factor of 0.5"),
        (wrong_shape, "shape"),
        (not_finite, "not finite"),
        (without_self_terms, "summed over its second atom"),
        (other_rows, "p2s_map"),
        (order_of_supercells, "order of the supercells"),
        (changed_problem, "were changed"),
        (random, "changes when the solution is repeated"),
    ],
)
def test_broken_promise_is_found(silicon, spoil, message):
    solver = ForceConstantsSolver(
        name="spoilt",
        summary="finite differences, spoilt",
        solve=lambda problem: spoil(finite_difference.solve(problem), problem),
    )
    own = dataclasses.replace(silicon, forces=silicon.forces.copy())
    with pytest.raises(AssertionError, match=message):
        check_force_constants_solver(solver, own)


def test_unusable_solver_is_said_to_be_so(silicon):
    solver = ForceConstantsSolver(
        name="absent",
        summary="",
        solve=lambda problem: {},
        unavailable_reason=lambda: "no luck",
    )
    with pytest.raises(AssertionError, match="absent: cannot be used here: no luck"):
        check_force_constants_solver(solver, silicon)

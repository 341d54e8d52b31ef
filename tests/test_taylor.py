"""Forces of the Taylor expansion, and force constants held against forces."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from phono3py_mlp_plugin import plugins
from phono3py_mlp_plugin.contracts import ForceConstantsSolver
from phono3py_mlp_plugin.errors import SolverError
from phono3py_mlp_plugin.reference import RigidIonNaCl
from phono3py_mlp_plugin.solvers import symfc
from phono3py_mlp_plugin.solvers.symfc import SymfcOptions
from phono3py_mlp_plugin.taylor import (
    Lattice,
    agreement,
    check_force_constants,
    opposites,
    taylor_forces,
)
from problems import force_constants_problem, load

NACL = "phono3py_params_NaCl222.yaml.xz"


def random_nacl(host_source, number, seed=1, is_plusminus=True):
    """Return the problem of NaCl with random displacements and analytic forces."""
    host = load(host_source, NACL)
    host.dataset = None
    host.generate_displacements(
        distance=0.01,
        is_plusminus=is_plusminus,
        number_of_snapshots=number,
        random_seed=seed,
    )
    cells = host.supercells_with_displacements
    host.forces = RigidIonNaCl().evaluate(cells).forces
    return force_constants_problem(host, options=SymfcOptions(), cutoff={3: 4.5})


@pytest.fixture(scope="module")
def nacl(host_source):
    return random_nacl(host_source, 6)


@pytest.fixture(scope="module")
def solved(nacl):
    return symfc.solve(nacl)


def lattice_of(problem):
    return Lattice(problem.primitive.p2s_map, problem.primitive.atomic_permutations)


@pytest.mark.parametrize("few", [False, True], ids=["all atoms", "two atoms"])
def test_forces_are_those_of_the_sums_compact_or_full(nacl, solved, few):
    u = nacl.displacements[:2].copy()
    if few:
        u[:, 2:] = 0
    full = symfc.solve(replace(nacl, is_compact_fc=False))
    expected = {
        2: -np.einsum("ijab,njb->nia", full[2], u),
        3: -0.5 * np.einsum("ijkabc,njb,nkc->nia", full[3], u, u, optimize=True),
    }
    for force_constants in (full, solved):
        found = taylor_forces(force_constants, u, lattice_of(nacl))
        for order in (2, 3):
            scale = np.abs(expected[order]).max()
            assert np.abs(found[order] - expected[order]).max() < 1e-10 * scale


def test_right_force_constants_agree_with_forces(nacl, solved):
    found = agreement(solved, nacl.displacements, nacl.forces, lattice_of(nacl))
    for order in (2, 3):
        assert found.factors[order] == pytest.approx(1, abs=1e-6)
        # 0.95 to 1.12 over all crystals and solvers looked at.
        assert 0.85 < found.proportions[order] < 1.25
    assert found.unexplained < 0.01
    assert found.unexplained_even < 0.1


def exchanged_axes(fc):
    return {2: fc[2], 3: fc[3][..., ::-1]}


WRONG = {
    "fc2 twice too large": lambda fc: {2: 2 * fc[2], 3: fc[3]},
    "fc3 twice too large": lambda fc: {2: fc[2], 3: 2 * fc[3]},
    "fc3 half": lambda fc: {2: fc[2], 3: fc[3] / 2},
    "fc3 of the other sign": lambda fc: {2: fc[2], 3: -fc[3]},
    "fc3 is left out": lambda fc: {2: fc[2], 3: 0 * fc[3]},
    "axes of fc3": exchanged_axes,
    "fc3 not a number": lambda fc: {2: fc[2], 3: fc[3] * np.nan},
}


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize("wrong", WRONG)
def test_force_constants_that_do_not_describe_the_forces_are_refused(
    nacl, solved, wrong
):
    with pytest.raises(SolverError, match=r"^a: [^\n]*\.$"):
        check_force_constants(
            "a",
            WRONG[wrong](solved),
            nacl.displacements,
            nacl.forces,
            lattice_of(nacl),
        )


@pytest.mark.parametrize("is_plusminus", [True, False])
def test_factor_is_found_with_and_without_opposite_displacements(
    host_source, is_plusminus
):
    problem = random_nacl(host_source, 8, is_plusminus=is_plusminus)
    assert len(opposites(problem.displacements)) == (8 if is_plusminus else 0)
    found = symfc.solve(problem)
    with pytest.raises(SolverError, match=r"fc3 fit .* factor of 0\.5"):
        plugins.check_solution(
            "a", problem, {2: found[2], 3: 2 * found[3]}, problem.forces
        )


@pytest.mark.parametrize("prepared", [False, True])
def test_answers_of_foreign_solvers_are_held_against_the_forces(nacl, prepared):
    def solve(problem):
        found = symfc.solve(problem)
        return {2: found[2], 3: 2 * found[3]}

    def prepare(problem):
        return lambda sets: (solve(replace(problem, forces=f)) for f in sets)

    solver = ForceConstantsSolver(
        name="double", summary="", solve=solve, prepare=prepare if prepared else None
    )
    with pytest.raises(SolverError, match="double: forces of fc3"):
        if prepared:
            list(plugins.prepare(solver, nacl)(nacl.forces[None]))
        else:
            plugins.solve(solver, nacl)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_pairs_give_each_order_half_of_the_equations(host_source, seed):
    # Four pairs: 8 * 192 components for 789 unknowns, 4 * 189 equations for 758.
    problem = replace(random_nacl(host_source, 4, seed), cutoff={})
    with pytest.raises(
        SolverError, match=r"756 equations for 758 .*--rd N with N >= 5"
    ):
        symfc.solve(problem)
    with pytest.raises(
        SolverError, match=r"756 equations for 758 .*--rd N with N >= 5"
    ):
        symfc.prepare(problem)


def test_what_forces_leave_open_is_found_without_the_equations(host_source):
    """A part of fc3 that gives no forces at these displacements, as of any solver."""
    problem = random_nacl(host_source, 1)
    found = symfc.solve(problem)
    rng = np.random.default_rng(0)
    lattice = lattice_of(problem)
    # Any fc3 within the cutoff, less what gives forces here, is such a part.
    from phono3py_mlp_plugin.solvers.normal_equations import NormalEquations

    solver = symfc._symfc(replace(problem, cutoff={}))
    symfc._compute_basis(solver, replace(problem, cutoff={}))
    basis = {3: solver.basis_set[3]}
    matrix = NormalEquations(basis, solver.p2s_map, problem.displacements).matrix(
        lambda _: None
    )
    values, vectors = np.linalg.eigh(matrix, UPLO="U")
    silent = vectors[:, values < 1e-9 * values[-1]]
    coefficients = silent @ rng.normal(size=silent.shape[1])
    (part,) = symfc._expanded(coefficients, basis, problem, True).values()
    part *= 20 * np.abs(found[3]).max() / np.abs(part).max()
    here = taylor_forces({3: part}, problem.displacements, lattice)[3]
    assert np.abs(here).max() < 1e-3 * np.abs(problem.forces).max()
    with pytest.raises(SolverError, match=r"fc3 gives .* do not determine it"):
        plugins.check_solution(
            "a", problem, {2: found[2], 3: found[3] + part}, problem.forces
        )


def test_harmonic_forces_leave_fc3_without_a_verdict(nacl, solved):
    forces = taylor_forces({2: solved[2]}, nacl.displacements, lattice_of(nacl))[2]
    plugins.check_solution("a", nacl, {2: solved[2], 3: 0 * solved[3]}, forces)
    plugins.check_solution("a", nacl, {2: solved[2], 3: 1e-6 * solved[3]}, forces)

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

from phono3py_mlp_plugin.errors import SolverError
from phono3py_mlp_plugin.reference import nacl_dataset
from phono3py_mlp_plugin.solvers import least_squares
from phono3py_mlp_plugin.solvers.symfc import SymfcOptions, prepare, solve
from problems import force_constants_problem, load

SI_RANDOM = "phono3py_params-Si111-rd.yaml.xz"
NACL = "phono3py_params_NaCl222.yaml.xz"


def of_symfc(host, **changes):
    return force_constants_problem(host, **({"options": SymfcOptions()} | changes))


# Within it the supercells of NaCl determine fc3. Those of eight atoms of silicon do
# not, for some atoms move together in all of them; whether LAPACK notices is a matter
# of rounding, which differs by processor.
CUTOFF = {3: 4.5}


def of_few(host, **changes):
    """Return a problem of eight supercells with random displacements and forces."""
    problem = of_symfc(host, cutoff=CUTOFF, **changes)
    displacements, forces = np.random.default_rng(0).normal(size=(2, 8, 64, 3))
    return replace(problem, displacements=0.01 * displacements, forces=forces)


@pytest.mark.parametrize("is_compact_fc", [True, False])
def test_gives_the_bits_of_the_host(host_source, is_compact_fc):
    host = load(host_source, NACL)
    found = solve(of_symfc(host, cutoff=CUTOFF, is_compact_fc=is_compact_fc))
    host.produce_fc3(
        fc_calculator="symfc",
        fc_calculator_options="cutoff = 4.5",
        is_compact_fc=is_compact_fc,
    )
    assert np.array_equal(found[2], host.fc2)
    assert np.array_equal(found[3], host.fc3)


def test_gives_fc2_alone(host_source):
    host = load(host_source, NACL)
    problem = of_symfc(host, orders=(2,))
    found = solve(problem)
    assert list(found) == [2]
    assert found[2].shape == problem.shape(2)


@pytest.mark.slow
def test_compact_rows_are_those_of_the_chosen_primitive_cell(host_source):
    # symfc finds the primitive cell of two atoms; the tetragonal one has four, and the
    # host then stores full force constants.
    tetragonal = [[0.5, 0.5, 0], [-0.5, 0.5, 0], [0, 0, 1]]
    host = load(host_source, NACL, primitive_matrix=tetragonal)
    assert (len(host.primitive), len(host.supercell)) == (4, 64)
    found = solve(of_symfc(host, cutoff=CUTOFF))
    host.produce_fc3(fc_calculator="symfc", fc_calculator_options="cutoff = 4.5")
    assert np.array_equal(found[2], host.fc2[host.primitive.p2s_map])
    assert np.array_equal(found[3], host.fc3[host.primitive.p2s_map])


def test_says_how_many_supercells_are_needed(host_source):
    # 31 of fc2 and 758 of fc3 are unknown; a supercell gives 3 * 63 equations.
    problem = of_symfc(load(host_source, NACL))
    few = replace(
        problem, displacements=problem.displacements[:2], forces=problem.forces[:2]
    )
    with pytest.raises(SolverError, match="at least 5 supercells"):
        solve(few)


def test_refuses_what_singular_equations_leave(host_source, monkeypatch):
    # LAPACK fails, and symfc returns the right side that it was given.
    def unsolved(matrix, right_side, **_options):
        return matrix, right_side, 1

    monkeypatch.setattr(
        "symfc.utils.solver_funcs.get_lapack_funcs", lambda *_: (unsolved,)
    )
    problem = of_symfc(load(host_source, NACL), cutoff=CUTOFF)
    with pytest.raises(SolverError, match="do not determine"):
        solve(problem)


def test_says_where_symmetry_leaves_nothing(host_source):
    # Every atom of the cubic cell of rock salt is an inversion centre of all others.
    host = load(host_source, "phono3py_params_NaCl111.yaml")
    with pytest.raises(SolverError, match="larger supercell"):
        solve(of_symfc(host))


def test_is_silent(host_source, capsys):
    solve(of_symfc(load(host_source, NACL), cutoff=CUTOFF, log_level=0))
    assert capsys.readouterr() == ("", "")


def test_supercell_that_leaves_nothing_free_is_refused():
    from phono3py import Phono3py

    unitcell, data = nacl_dataset(4, repeats=1)
    ph3 = Phono3py(unitcell, supercell_matrix=[1, 1, 1], primitive_matrix="F")
    ph3.dataset = {"displacements": data.displacements, "forces": data.forces}
    with pytest.raises(SolverError, match="8 atoms leaves no force constant free"):
        ph3.produce_fc3(fc_calculator="symfc")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "cutoff", "is_compact_fc", "orders"),
    [
        (NACL, {3: 4.5}, True, (2, 3)),
        (NACL, {3: 3.0}, False, (2, 3)),
        (SI_RANDOM, {}, True, (2,)),
    ],
)
def test_many_sets_of_forces_are_solved_as_one_by_one(
    host_source, name, cutoff, is_compact_fc, orders
):
    problem = of_symfc(
        load(host_source, name),
        cutoff=cutoff,
        is_compact_fc=is_compact_fc,
        orders=orders,
    )
    rng = np.random.default_rng(0)
    noise = rng.normal(scale=1e-3, size=problem.forces.shape)
    sets = np.array([problem.forces, problem.forces + noise])
    for forces, found in zip(sets, prepare(problem)(sets), strict=True):
        expected = solve(replace(problem, forces=forces))
        for order in orders:
            # The same normal equations summed in another order.
            scale = np.abs(expected[order]).max()
            assert np.abs(found[order] - expected[order]).max() < 1e-9 * scale
            assert found[order].shape == problem.shape(order)


@pytest.mark.parametrize("method", ["direct", "iterative"])
def test_singular_normal_equations_are_refused(host_source, method):
    """Of these eight atoms of silicon, some move together in every supercell."""
    problem = of_symfc(
        load(host_source, SI_RANDOM), options=SymfcOptions(method=method)
    )
    with pytest.raises(SolverError, match="do not determine the force constants fc3"):
        prepare(problem)


@pytest.mark.parametrize("orders", [(2, 3), (2,)])
def test_iteration_gives_the_result_of_the_factorisation(host_source, orders):
    """Residuals of 1e-11 leave errors that are larger by the ratio of eigenvalues."""
    host = load(host_source, NACL)
    direct, iterative = (
        solve(of_few(host, orders=orders, options=SymfcOptions(method=method)))
        for method in ("direct", "iterative")
    )
    for order in orders:
        scale = np.abs(direct[order]).max()
        assert np.abs(iterative[order] - direct[order]).max() < 1e-9 * scale


@pytest.mark.slow
def test_matrix_that_does_not_fit_is_not_made(host_source, monkeypatch):
    shown = []

    @contextmanager
    def progress(task, _total):
        shown.append(task)
        yield lambda _done: None

    monkeypatch.setattr(least_squares, "available_memory", lambda: 1e9)
    # Whatever takes long on any machine is said before.
    monkeypatch.setattr(least_squares, "_SHOWN", 0.0)
    problem = of_few(load(host_source, NACL), progress=progress)
    sets = problem.forces[None]
    (found,) = prepare(problem)(sets)
    forecast, probe, iteration = shown
    assert "unknowns, iterative solution, about 1.0 GB beside" in forecast
    assert "determine" in probe and "iteration" in iteration
    monkeypatch.undo()
    (expected,) = prepare(problem)(sets)
    assert shown[3:] == ["Normal equations"]  # In a moment: no forecast.
    assert np.abs(found[3] - expected[3]).max() < 1e-9 * np.abs(expected[3]).max()


def test_iteration_that_does_not_converge_is_an_error(host_source, monkeypatch):
    monkeypatch.setattr(least_squares, "_LIMIT", 3)
    options = SymfcOptions(method="iterative")
    problem = of_few(load(host_source, NACL), options=options)
    with pytest.raises(SolverError, match=r"residual after 3 iterations = .* direct"):
        prepare(problem)

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest

from phono3py_mlp_plugin.contracts import ForceConstantsProblem
from phono3py_mlp_plugin.errors import ParameterError, SolverError
from phono3py_mlp_plugin.options import parse_options
from phono3py_mlp_plugin.solvers import symfc
from phono3py_mlp_plugin.solvers.hiphive import HiphiveOptions, solve
from phono3py_mlp_plugin.taylor import Lattice, taylor_forces
from problems import force_constants_problem, load
from spring_crystal import spring_crystal

pytest.importorskip("hiphive")

NACL = "phono3py_params_NaCl222.yaml.xz"
SI_RANDOM = "phono3py_params-Si111-rd.yaml.xz"
MGO = "phono3py_params_MgO-222rd-444rd.yaml.xz"
# Between shells, so that both programs mean the same pairs and triplets.
CUTOFF = {2: 4.5, 3: 3.5}


def of_hiphive(host, n_supercells=None, **changes):
    problem = force_constants_problem(host, **({"options": HiphiveOptions()} | changes))
    return replace(
        problem,
        displacements=problem.displacements[:n_supercells],
        forces=problem.forces[:n_supercells],
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "n_supercells", "cutoff", "primitive_matrix", "is_compact_fc"),
    [
        (NACL, 60, CUTOFF, "auto", True),
        (MGO, 5, {2: 4.0, 3: 3.2}, "auto", False),
        (SI_RANDOM, 20, {2: 2.6, 3: 2.6}, "P", True),
    ],
)
def test_least_squares_agrees_with_symfc(
    host_source, name, n_supercells, cutoff, primitive_matrix, is_compact_fc
):
    host = load(host_source, name, primitive_matrix=primitive_matrix)
    problem = of_hiphive(host, n_supercells, cutoff=cutoff, is_compact_fc=is_compact_fc)
    found = solve(problem)
    expected = symfc.solve(replace(problem, options=symfc.SymfcOptions()))
    # One least-squares problem in two bases of the same space: rounding times the
    # condition of the equations, 1e-14 to 1e-12 of the largest element when measured.
    for order in (2, 3):
        scale = abs(expected[order]).max()
        np.testing.assert_allclose(
            found[order], expected[order], rtol=0, atol=1e-10 * scale
        )


@pytest.mark.slow
def test_cutoffs_of_the_problem_come_before_those_of_the_options(host_source):
    host = load(host_source, NACL)
    options = HiphiveOptions(cutoffs=(3.5, 3.0))
    nearer = solve(of_hiphive(host, options=options, orders=(2,)))
    farther = solve(of_hiphive(host, options=options, orders=(2,), cutoff={2: 4.5}))
    assert reach(host, nearer[2]) <= 3.5 < reach(host, farther[2]) <= 4.5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "orders"), [(MGO, (2,)), (SI_RANDOM, (2,)), (NACL, (2, 3))]
)
def test_fc2_of_all_pairs_is_the_default(host_source, name, orders):
    # Also those on the faces of the supercell, with images at the same distance.
    host = load(host_source, name, primitive_matrix="auto")
    problem = of_hiphive(host, orders=orders, cutoff={3: 3.5})
    found = solve(problem)[2]
    expected = symfc.solve(replace(problem, options=symfc.SymfcOptions()))[2]
    assert reach(host, found) == distances(host).max().round(3)
    # Rounding times the condition of the equations.
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10 * scale)


@pytest.mark.slow
def test_fc2_of_all_pairs_in_a_supercell_of_any_shape():
    crystal = spring_crystal("triclinic")
    rows = crystal.primitive.p2s_map
    rng = np.random.default_rng(0)
    displacements = rng.normal(scale=0.01, size=(12, len(crystal.supercell), 3))
    lattice = Lattice(rows, crystal.primitive.atomic_permutations)
    forces = taylor_forces({2: crystal.fc2[rows]}, displacements, lattice)[2]
    problem = ForceConstantsProblem(
        supercell=crystal.supercell,
        primitive=crystal.primitive,
        symmetry=crystal.symmetry,
        displacements=displacements,
        forces=forces,
        orders=(2,),
        is_compact_fc=False,
        options=HiphiveOptions(),
    )
    # Springs of up to 4.5 angstrom, in a supercell with an edge of 5.2 angstrom.
    np.testing.assert_allclose(solve(problem)[2], crystal.fc2, rtol=0, atol=1e-8)


def reach(host, fc2):
    return distances(host)[np.abs(fc2).max(axis=(2, 3)) > 0].max().round(3)


def distances(host):
    positions = host.supercell.scaled_positions
    difference = positions[host.primitive.p2s_map][:, None] - positions
    difference -= np.rint(difference)
    return np.linalg.norm(difference @ host.supercell.cell, axis=2)


def test_cutoff_beyond_the_supercell_is_refused(host_source):
    host = load(host_source, NACL)
    with pytest.raises(ParameterError, match=r"fc3 = 7 angstrom; expected at most 5\."):
        solve(of_hiphive(host, cutoff={2: 4.5, 3: 7.0}))


@pytest.mark.slow
def test_undetermined_parameters_are_refused(host_source):
    problem = of_hiphive(load(host_source, NACL), n_supercells=1, cutoff=CUTOFF)
    with pytest.raises(SolverError, match="Add supercells"):
        solve(problem)


def test_ridge_solves_what_least_squares_cannot(host_source):
    options = HiphiveOptions(fit_method="ridge")
    host = load(host_source, NACL)
    problem = of_hiphive(host, n_supercells=1, cutoff=CUTOFF, options=options)
    found = solve(problem)
    assert all(np.isfinite(found[order]).all() for order in (2, 3))


def test_says_where_cutoffs_leave_nothing(host_source):
    # The nearest neighbours are 2.8 angstrom apart, and fc3 of one atom alone is odd
    # under the inversion at its site.
    host = load(host_source, NACL)
    with pytest.raises(SolverError, match="leave no fc3"):
        solve(of_hiphive(host, cutoff={2: 4.5, 3: 2.0}))


def test_options_are_read_from_text():
    text = {"cutoffs": "4.5 3.5", "fit_method": "ardr"}
    options = parse_options(text, HiphiveOptions, "--fc-calculator-options")
    assert options == HiphiveOptions(cutoffs=(4.5, 3.5), fit_method="ardr")


@pytest.mark.parametrize(
    ("cutoffs", "message"),
    [((4.0, 3.0, 2.0), "at most two positive"), ((4.0, -1.0), "= -1.0; expected")],
)
def test_wrong_cutoffs_are_refused(cutoffs, message):
    with pytest.raises(ParameterError, match=message):
        HiphiveOptions(cutoffs=cutoffs)


@pytest.mark.parametrize(("log_level", "speaks"), [(1, False), (2, True)])
def test_hiphive_speaks_only_when_asked(host_source, log_level, speaks):
    # Its handler keeps the stdout of its import, out of reach of capsys.
    records = []
    handler = logging.Handler()
    handler.emit = records.append
    logger = logging.getLogger("hiphive")
    level = logger.level
    logger.addHandler(handler)
    try:
        host = load(host_source, NACL)
        solve(of_hiphive(host, orders=(2,), cutoff=CUTOFF, log_level=log_level))
    finally:
        logger.removeHandler(handler)
    assert bool(records) == speaks
    assert logger.level == level

"""ALM has no wheel: a stand-in records what it gets; ALM runs where it is built."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest

from phono3py_mlp_plugin.errors import SolverError
from phono3py_mlp_plugin.solvers import alm, symfc
from phono3py_mlp_plugin.solvers.alm import AlmOptions, solve
from problems import force_constants_problem, load


class StandIn:
    """The part of ALM's interface that the solver uses, giving known elements."""

    origins: np.ndarray
    fc: dict[int, np.ndarray]
    info = 0
    made: list[StandIn]

    def __init__(self, lavec, xcoord, numbers):
        self.cell = (lavec, xcoord, numbers)
        self.open = False
        self.modes = []
        type(self).made.append(self)

    def __enter__(self):
        self.open = True
        return self

    def __exit__(self, *args):
        self.open = False

    def define(self, maxorder, cutoff_radii):
        self.maxorder, self.cutoff_radii = maxorder, cutoff_radii

    def optimize(self, solver):
        assert self.open
        self.solver = solver
        return self.info

    def getmap_primitive_to_supercell(self):
        return np.array([self.origins])

    def get_fc(self, fc_order, mode, permutation):
        assert self.open and permutation == 1
        self.modes.append(mode)
        fc = self.fc[fc_order + 1]
        found = np.argwhere(fc)
        if mode == "origin":
            found = found[np.isin(found[:, 0], self.origins)]
        atoms, components = np.split(found, 2, axis=1)
        return fc[tuple(found.T)], (3 * atoms + components).astype("intc")


@pytest.fixture
def silicon(host_source):
    return load(host_source, "phono3py_params_Si111.yaml")


@pytest.fixture
def nacl(host_source):
    return load(host_source, "phono3py_params_NaCl111.yaml")


@pytest.fixture
def stand_in(monkeypatch, silicon):
    class Fresh(StandIn):
        made = []  # noqa: RUF012
        origins = silicon.primitive.p2s_map
        fc = random_force_constants(8)

    module = ModuleType("alm")
    module.ALM = Fresh
    monkeypatch.setitem(sys.modules, "alm", module)
    return Fresh


def random_force_constants(n_atoms):
    rng = np.random.default_rng(1)
    fc2 = rng.normal(size=(n_atoms,) * 2 + (3,) * 2)
    fc3 = rng.normal(size=(n_atoms,) * 3 + (3,) * 3)
    # Elements beyond a cutoff are not listed by ALM.
    fc3[rng.random(fc3.shape) < 0.5] = 0
    return {2: fc2, 3: fc3}


def of_alm(host, **changes):
    return force_constants_problem(host, **({"options": AlmOptions()} | changes))


def test_stand_in_receives_crystal_data_and_options(stand_in, nacl):
    stand_in.origins = nacl.primitive.p2s_map
    problem = of_alm(
        nacl, cutoff={3: 4.0}, options=AlmOptions(solver="dense"), log_level=2
    )
    solve(problem)
    (made,) = stand_in.made
    np.testing.assert_array_equal(made.cell[0], nacl.supercell.cell)
    np.testing.assert_array_equal(made.cell[1], nacl.supercell.scaled_positions)
    np.testing.assert_array_equal(made.cell[2], nacl.supercell.numbers)
    np.testing.assert_array_equal(made.displacements, problem.displacements)
    np.testing.assert_array_equal(made.forces, problem.forces)
    # ALM counts from one for fc2, and a negative radius is none.
    assert made.maxorder == 2
    np.testing.assert_array_equal(
        made.cutoff_radii, [np.full((2, 2), -1.0), np.full((2, 2), 4.0)]
    )
    assert (made.solver, made.verbosity, made.open) == ("dense", 1, False)


@pytest.mark.parametrize("same_origins", [True, False])
@pytest.mark.parametrize("is_compact_fc", [True, False])
def test_elements_of_stand_in_are_put_where_they_belong(
    stand_in, silicon, same_origins, is_compact_fc
):
    p2s_map = silicon.primitive.p2s_map
    if not same_origins:
        stand_in.origins = p2s_map + 1
    found = solve(of_alm(silicon, is_compact_fc=is_compact_fc))
    rows = p2s_map if is_compact_fc else slice(None)
    for order in (2, 3):
        np.testing.assert_array_equal(found[order], stand_in.fc[order][rows])
    # A list of the primitive cell's elements serves only where it is the same cell.
    mode = "origin" if same_origins and is_compact_fc else "all"
    assert stand_in.made[0].modes == [mode, mode]


def test_stand_in_is_asked_for_fc2_alone(stand_in, silicon):
    found = solve(of_alm(silicon, orders=(2,)))
    assert list(found) == [2]
    assert stand_in.made[0].maxorder == 1


def test_failure_of_stand_in_is_reported(stand_in, silicon):
    stand_in.info = 1
    with pytest.raises(SolverError, match=r"SimplicialLDLT failed.*solver = dense"):
        solve(of_alm(silicon))


def test_the_other_project_of_that_name_is_recognised(monkeypatch):
    monkeypatch.setitem(sys.modules, "alm", ModuleType("alm"))
    reason = record().unavailable_reason()
    assert "has no ALM" in reason
    assert "conda install -c conda-forge alm" in reason


def test_without_alm_the_remedy_is_told(monkeypatch):
    # None in sys.modules makes the import fail, whatever is installed.
    monkeypatch.setitem(sys.modules, "alm", None)
    assert "conda install -c conda-forge alm" in record().unavailable_reason()


def test_with_alm_there_is_no_reason(stand_in):
    assert record().unavailable_reason() is None


def record():
    (record,) = alm.phono3py_mlp_force_constants_solvers()
    return record


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "cutoff", "is_compact_fc"),
    [
        ("phono3py_params_Si111.yaml", {}, True),
        ("phono3py_params_Si111.yaml", {}, False),
        # Between shells of neighbours.
        ("phono3py_params_NaCl222.yaml.xz", {3: 3.5}, True),
    ],
)
def test_real_alm_agrees_with_symfc(host_source, name, cutoff, is_compact_fc):
    if (reason := record().unavailable_reason()) is not None:
        pytest.skip(reason)
    host = load(host_source, name)
    problem = of_alm(host, cutoff=cutoff, is_compact_fc=is_compact_fc)
    first = {"displacements": problem.displacements[:111]}
    problem = replace(problem, forces=problem.forces[:111], **first)
    found = solve(problem)
    expected = symfc.solve(replace(problem, options=symfc.SymfcOptions()))
    # One least-squares problem in two bases of the same space.
    for order in (2, 3):
        scale = np.abs(expected[order]).max()
        np.testing.assert_allclose(
            found[order], expected[order], rtol=0, atol=1e-10 * scale
        )

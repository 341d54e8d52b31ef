"""Contributions to the error budget, of a crystal whose kappa is a known function."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from phono3py_mlp_plugin.errors import ResourceError
from phono3py_mlp_plugin.uncertainty import ErrorBar
from phono3py_mlp_plugin.workflow import (
    KappaOfFit,
    budget_lines,
    error_budget,
    large_contributions,
    request_force_constants,
)

TEMPERATURES = np.array([0.0, 300.0])
FCS = {2: np.ones((2, 4, 3, 3)), 3: np.ones((2, 4, 4, 3, 3, 3))}


class KnownTransport:
    """Kappa is 10 times the first element of fc3, and 2/n^2 too large on a mesh."""

    temperatures = TEMPERATURES

    def __init__(self, mesh=(10.0, 10.0, 10.0)):
        self.mesh = mesh
        self.meshes = []

    def kappa(self, force_constants, mesh=None):
        mesh = self.mesh if mesh is None else mesh
        self.meshes.append(mesh)
        value = 10 * force_constants[3].flat[0] * np.exp(2 / min(mesh) ** 2)
        row = [value, value, 2 * value, 0, 0, 0]
        return np.array([np.zeros(6), row])

    def mesh_density(self, mesh):
        return float(min(mesh))


class Crystal(SimpleNamespace):
    """A cubic supercell; fc3 beyond a distance makes up a tenth of kappa."""

    supercell = SimpleNamespace(cell=np.diag([8.0, 9.0, 10.0]))
    dataset = None
    phonon_supercell_matrix = None
    fc3 = None
    symmetry = primitive = None

    def cutoff_fc3_by_zero(self, distance):
        assert distance == pytest.approx(4.0)
        self.fc3 *= 0.9


def budget_of(transport=None, *, solver="exact", potential=None, cutoff_fc3=None):
    transport = transport or KnownTransport()
    bars = [[], [ErrorBar(0.01, 0.005, 1000)] * 3]
    fit = KappaOfFit(potential, FCS, transport.kappa(FCS), None, bars)
    request = replace(request_force_constants(solver), cutoff_fc3=cutoff_fc3)
    return error_budget(Crystal(), fit, request, transport, 0.001)


def share(budget, name):
    return np.array(budget.of(name).relative)


def test_each_contribution_is_the_change_of_kappa_it_causes():
    budget = budget_of()
    # A thousand supercells: the interval is that of a normal distribution.
    np.testing.assert_allclose(share(budget, "supercells")[1], 0.00995, rtol=1e-3)
    np.testing.assert_allclose(share(budget, "penalty")[1], 0.00497, rtol=1e-3)
    np.testing.assert_allclose(
        share(budget, "model")[1], 0.5 * 0.01118 * 1000**0.5, rtol=6e-3
    )
    # Anywhere within the change: a rectangular distribution.
    np.testing.assert_allclose(share(budget, "range of fc3")[1], -np.log(0.9) / 3**0.5)
    np.testing.assert_allclose(share(budget, "mesh")[1], 2 / 10**2, rtol=1e-10)
    assert not share(budget, "solver").any()
    # Kappa is zero at 0 K.
    assert not any(np.array(one.relative)[0].any() for one in budget.contributions)
    assert "infinite mesh: 10, 20 W/m-K" in budget.of("mesh").origin
    # 2/45^2 = 0.001
    assert "--mesh 45 45 45" in budget.of("mesh").origin


def test_changes_are_computed_on_a_coarse_mesh_and_each_mesh_once():
    transport = KnownTransport((20.0, 20.0, 12.0))
    budget_of(transport)
    coarse = (13.0, 13.0, 8.0)
    assert transport.meshes.count(coarse) == 2
    assert transport.meshes.count((16.0, 16.0, 10.0)) == 1
    assert transport.meshes.count((20.0, 20.0, 12.0)) == 1


def test_mesh_given_by_a_matrix_is_not_extrapolated():
    transport = KnownTransport((9.0,) * 3)
    of_fit = transport.kappa
    transport.kappa = lambda fcs, mesh=None: of_fit(fcs, mesh or (9.0,) * 3)
    transport.mesh = None
    assert "mesh (the mesh is given by a matrix)" in budget_of(transport).missing


def test_error_of_a_mesh_that_is_too_coarse_to_be_extrapolated_is_infinite():
    budget = budget_of(KnownTransport((3.0,) * 3))
    assert np.isinf(share(budget, "mesh")[1]).all()
    assert any("mesh: inf %" in text for text in large_contributions(budget, 0.5))


def test_what_fails_is_named_and_does_not_stop_the_others():
    class Failing(KnownTransport):
        def mesh_density(self, mesh):
            raise ResourceError("memory: too little.")

    budget = budget_of(Failing())
    assert budget.of("mesh") is None
    assert "mesh (memory: too little.)" in budget.missing
    assert budget.of("range of fc3") is not None
    assert "no derivatives" in str(budget_of(solver="symfc").missing)
    assert any("not estimated: mesh" in line for line in budget_lines(budget))


def test_kappa_that_is_not_finite_has_an_infinite_error_and_is_reported():
    class Failing(KnownTransport):
        def kappa(self, force_constants, mesh=None):
            kappa = super().kappa(force_constants, mesh)
            return kappa if mesh is None or mesh == self.mesh else kappa * np.nan

    budget = budget_of(Failing())
    assert np.isinf(share(budget, "mesh")[1]).all()
    assert np.isinf(budget.total(1)).all()
    assert any("mesh: inf %" in text for text in large_contributions(budget, 0.5))


def test_kappa_of_zero_has_an_infinite_error_and_no_value():
    class Zero(KnownTransport):
        def kappa(self, force_constants, mesh=None):
            return 0 * super().kappa(force_constants, mesh)

    budget = budget_of(Zero())
    assert np.isinf(share(budget, "range of fc3")[1]).all()
    assert budget.of("range of fc3").origin.endswith(": no kappa")


def test_large_contributions_are_those_that_a_study_does_not_vary():
    names = [text.partition(":")[0] for text in large_contributions(budget_of(), 0.001)]
    assert names == ["model", "mesh", "range of fc3"]
    assert large_contributions(budget_of(), 0.5) == []


@pytest.mark.parametrize(
    "solver, cutoff_fc3, remedy",
    [
        ("symfc", None, "Use --fc-calculator exact"),
        ("exact", 3.0, "Give a larger --cutoff-fc3"),
        ("symfc", 3.0, "Give a larger --cutoff-fc3"),
    ],
)
def test_remedy_for_the_solver_is_that_of_its_cause(
    monkeypatch, solver, cutoff_fc3, remedy
):
    from phono3py_mlp_plugin.workflow import budget

    exact = {2: FCS[2], 3: 1.1 * FCS[3]}
    monkeypatch.setattr(budget, "solve_force_constants", lambda *_: exact)
    potential = SimpleNamespace(force_constants=lambda: None)
    found = budget_of(solver=solver, cutoff_fc3=cutoff_fc3, potential=potential)
    assert found.of("solver").remedy.startswith(remedy)
    np.testing.assert_allclose(share(found, "solver")[1], np.log(1.1))


def budget_without_training(*, bars=(), solver="symfc", cutoff_fc3=None, **more):
    transport = KnownTransport()
    kappa = transport.kappa(FCS)
    fit = KappaOfFit(None, FCS, kappa, None, bars, unknown="not trained here", **more)
    request = replace(request_force_constants(solver), cutoff_fc3=cutoff_fc3)
    return error_budget(Crystal(), fit, request, transport, 0.001)


def test_budget_without_an_ensemble_names_what_only_an_ensemble_shows():
    budget = budget_without_training()
    assert [one.name for one in budget.contributions] == ["mesh", "range of fc3"]
    assert "supercells, penalty, model (not trained here)" in budget.missing
    assert "solver (the potential has no derivatives)" in budget.missing
    known = share(budget_of(), "mesh")
    np.testing.assert_array_equal(share(budget, "mesh"), known)


def test_scatter_of_models_is_the_contribution_of_the_model():
    bar = ErrorBar(0.01, 0.0, 3)
    budget = budget_without_training(bars=[[], [bar] * 3], of_models=True)
    np.testing.assert_allclose(share(budget, "model")[1], bar.relative())
    assert budget.of("model").origin == "scatter of 3 models"
    assert "supercells, penalty (not trained here)" in budget.missing


@pytest.mark.parametrize(
    "solver, cutoff_fc3, is_known",
    [
        ("symfc", None, True),
        ("traditional", None, True),
        # They truncate, and nothing tells by how much kappa changes.
        ("symfc", 4.0, False),
        ("hiphive", None, False),
    ],
)
def test_displacements_are_an_error_of_potentials_without_derivatives(
    solver, cutoff_fc3, is_known
):
    pytest.importorskip("hiphive") if solver == "hiphive" else None
    budget = budget_without_training(
        solver=solver,
        cutoff_fc3=cutoff_fc3,
        amplitude=0.02,
        error_of_displacements=0.03,
    )
    found = budget.of("solver")
    assert (found is not None) == is_known
    if is_known:
        np.testing.assert_allclose(share(budget, "solver")[1], 0.03)
        assert "0.02 angstrom" in found.origin

"""The solver exact: derivatives of any potential that gives them, checked by forces."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from phono3py import Phono3py

import phono3py_mlp_plugin as mlp
from phono3py_mlp_plugin import plugins
from phono3py_mlp_plugin.calculators.pypolymlp.hybrid import HybridPotential
from phono3py_mlp_plugin.errors import PluginFailed, SolverError
from phono3py_mlp_plugin.polynomial import (
    ModelParameters,
    PolynomialPotential,
    gaussian_pair_params,
)
from phono3py_mlp_plugin.polynomial.model.feature_list import list_features
from phono3py_mlp_plugin.reference import RigidIonNaCl, nacl_dataset
from phono3py_mlp_plugin.workflow import (
    ForceConstantsOf,
    differentiate,
    request_force_constants,
    supercells_of,
)


def polynomial(seed=0, elements=("Na", "Cl"), cutoff=5.0):
    """Return a potential with coefficients at random."""
    parameters = ModelParameters(
        elements,
        cutoff,
        gaussian_pair_params((1, 1, 1), (0, 4, 3)),
        gtinv_maxl=(3, 2),
    )
    features = list_features(parameters)
    coefficients = np.random.default_rng(seed).normal(size=features.n_features)
    coefficients[features.n_linear :] *= 0.01
    return PolynomialPotential(features, coefficients)


def crystal(dim=(2, 1, 1), dim_fc2=None):
    unitcell, _ = nacl_dataset(1, repeats=1)
    return Phono3py(
        unitcell,
        supercell_matrix=dim,
        primitive_matrix="F",
        phonon_supercell_matrix=dim_fc2,
        log_level=0,
    )


def exact(ph3, potential, **options):
    return mlp.solve_force_constants(ph3, "exact", potential=potential, **options)


@pytest.fixture
def ph3():
    return crystal()


@pytest.mark.parametrize("is_compact", [True, False], ids=["compact", "full"])
def test_small_displacements_give_the_same(ph3, is_compact):
    """The amplitude is 1e-3 angstrom: fourth and fifth orders are left, about 1e-5."""
    potential = polynomial()
    found = exact(ph3, potential, is_compact_fc=is_compact)
    ph3.generate_displacements(
        distance=1e-3, number_of_snapshots=30, is_plusminus=True, random_seed=1
    )
    mlp.evaluate(ph3, potential)
    expected = mlp.solve_force_constants(ph3, "symfc", is_compact_fc=is_compact)
    for order in (2, 3):
        assert found[order].shape == expected[order].shape
        scale = np.abs(expected[order]).max()
        np.testing.assert_allclose(found[order], expected[order], atol=1e-4 * scale)


def test_fc2_comes_from_its_own_supercell():
    ph3 = crystal(dim_fc2=(2, 2, 1))
    potential = polynomial()
    found = exact(ph3, potential)
    assert ph3.dataset is None and ph3.phonon_dataset is None
    assert found[2].shape == (2, 32, 3, 3)
    alone = exact(crystal(dim=(2, 2, 1)), potential)
    np.testing.assert_array_equal(found[2], alone[2])
    assert found[3].shape == (2, 16, 16, 3, 3, 3)


def test_members_of_an_ensemble_are_each_solved_for(ph3):
    request = request_force_constants("exact")
    potentials = [polynomial(seed) for seed in range(3)]
    # As in an ensemble, they share the list of features.
    first = potentials[0]
    shared = [
        PolynomialPotential(first.feature_list, p.coefficients) for p in potentials
    ]
    of_all = ForceConstantsOf(ph3, request, "pypolymlp")
    assert ph3.dataset is None
    for found, potential in zip(of_all.solve(shared), potentials, strict=True):
        expected = exact(ph3, potential)
        for order in (2, 3):
            np.testing.assert_array_equal(found[order], expected[order])


def test_hybrid_models_are_the_sum_of_their_parts(ph3):
    """A part without an element is a function of the other atoms."""
    parts = [polynomial(), polynomial(1, cutoff=4.5), polynomial(2, elements=("Cl",))]
    hybrid = HybridPotential(parts)
    found = exact(ph3, hybrid)
    ph3.generate_displacements(distance=1e-3, number_of_snapshots=30, random_seed=1)
    mlp.evaluate(ph3, hybrid)
    expected = mlp.solve_force_constants(ph3, "symfc")
    # Without opposite displacements fc3 is known less well.
    for order, error in ((2, 1e-4), (3, 2e-3)):
        scale = np.abs(expected[order]).max()
        np.testing.assert_allclose(found[order], expected[order], atol=error * scale)
    by_part = [exact(ph3, part) for part in parts[:2]]
    without = exact(ph3, HybridPotential(parts[:2]))
    np.testing.assert_allclose(without[3], by_part[0][3] + by_part[1][3], rtol=1e-10)


class Derivable(RigidIonNaCl):
    """A potential of somebody else, with derivatives that may be wrong."""

    def __init__(self, found):
        super().__init__()
        self.found = found

    def force_constants(self, problem, members=()):
        assert problem.displacements.shape == (0, len(problem.supercell), 3)
        assert not members
        yield self.found


@pytest.fixture(scope="module")
def derivatives():
    """fc2 and fc3 of the analytic potential, by finite differences of its forces."""
    ph3 = crystal()
    ph3.generate_displacements(distance=0.003, is_plusminus=True)
    mlp.evaluate(ph3, RigidIonNaCl())
    ph3.produce_fc3(is_compact_fc=True)
    return {2: ph3.fc2, 3: ph3.fc3}


def test_any_potential_may_offer_derivatives(ph3, derivatives):
    found = exact(ph3, Derivable(derivatives))
    for order in (2, 3):
        np.testing.assert_array_equal(found[order], derivatives[order])


@pytest.mark.parametrize(
    ("factors", "message"),
    [
        ((1.2, 1), "fc2 leaves 2. % of the forces unexplained"),
        ((1, -1), "fc3 leaves .* of the forces unexplained"),
        ((np.nan, 1), "fc2 holds numbers that are not finite"),
    ],
)
def test_wrong_derivatives_are_found(ph3, derivatives, factors, message):
    wrong = {o: f * derivatives[o] for o, f in zip((2, 3), factors, strict=True)}
    with pytest.raises((SolverError, PluginFailed), match=message):
        exact(ph3, Derivable(wrong))


def test_no_result_is_an_error_of_the_plugin(ph3):
    class Silent(RigidIonNaCl):
        def force_constants(self, problem, members=()):
            return iter(())

    with pytest.raises(PluginFailed, match="must return a dict"):
        exact(ph3, Silent())


def test_potential_without_derivatives_is_refused_with_a_remedy(ph3):
    with pytest.raises(SolverError, match=r"RigidIonNaCl gives no derivatives.*-d"):
        exact(ph3, RigidIonNaCl())


def test_part_without_derivatives_leaves_a_hybrid_without(ph3):
    hybrid = HybridPotential([polynomial(), RigidIonNaCl()])
    with pytest.raises(SolverError, match="HybridPotential gives no derivatives"):
        exact(ph3, hybrid)


def test_without_a_potential_it_says_what_is_missing(ph3):
    with pytest.raises(SolverError, match="there is no potential here"):
        mlp.solve_force_constants(ph3, "exact")
    ph3.generate_displacements(distance=0.01, number_of_snapshots=2)
    mlp.evaluate(ph3, RigidIonNaCl())
    with pytest.raises(SolverError, match="there is no potential here"):
        ph3.produce_fc3(fc_calculator="exact")


def test_cutoff_of_displacements_is_refused(ph3):
    with pytest.raises(SolverError, match=r"cutoff of fc3 = 4 angstrom.*--cutoff-fc3"):
        exact(ph3, polynomial(), options={"cutoff": 4.0})


def test_fc2_alone(ph3):
    request = request_force_constants("exact").fc2
    (part,) = supercells_of(ph3)
    found = differentiate(part, request, (2,), polynomial())
    assert sorted(found) == [2]
    np.testing.assert_array_equal(found[2], exact(ph3, polynomial())[2])


def test_it_is_registered():
    entry = plugins.discover(()).solvers["exact"]
    assert entry.record.differentiate is not None
    assert dataclasses.asdict(entry.record)["orders"] == (2, 3)

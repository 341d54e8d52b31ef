"""Ensembles of models that do not depend on each other."""

import numpy as np
import pytest
from phono3py import Phono3py
from phonopy.structure.atoms import PhonopyAtoms

import phono3py_mlp_plugin as mlp
from phono3py_mlp_plugin.contracts import Evaluation
from phono3py_mlp_plugin.errors import ParameterError
from phono3py_mlp_plugin.uncertainty import (
    NormScatter,
    around_first,
    half_width_of_interval,
    model_bar,
)


class Springs:
    """Atoms on springs with a cubic term, whose force constants are known."""

    elements = ()

    def __init__(self, sites, stiffness, cubic):
        self.sites, self.stiffness, self.cubic = sites, stiffness, cubic

    def evaluate(self, supercells):
        u = np.array([cell.positions - self.sites for cell in supercells])
        # Relative to the neighbour along the chain, so that net forces vanish.
        stretch = u - np.roll(u, 1, axis=1)
        tension = self.stiffness * stretch + self.cubic * stretch**2
        forces = np.roll(tension, -1, axis=1) - tension
        energies = self.stiffness * stretch**2 / 2 + self.cubic * stretch**3 / 3
        return Evaluation(energies.sum(axis=(1, 2)), forces)


@pytest.fixture
def chain():
    """Four atoms in a row, displaced."""
    cell = PhonopyAtoms(
        symbols=["Na", "Cl", "Na", "K"],
        cell=np.diag([8.0, 5.0, 5.5]),
        scaled_positions=[[0, 0, 0], [0.2, 0, 0], [0.5, 0, 0], [0.7, 0, 0]],
    )
    ph3 = Phono3py(cell, supercell_matrix=[1, 1, 1], primitive_matrix=np.eye(3))
    ph3.generate_displacements(distance=0.01, number_of_snapshots=120, random_seed=0)
    return ph3


def largest(ph3):
    """Return a number in place of kappa."""
    row = [*[np.abs(ph3.fc3).max()] * 3, 0, 0, 0]
    return [row]


def test_models_are_compared_at_the_same_displacements(chain):
    sites = chain.supercell.positions
    models = {f"{x:g}": Springs(sites, 2.0, x) for x in (0.5, 0.6, 0.7)}
    result = mlp.kappa_of_models(chain, models, largest)
    kappas = result.kappa_of_models()[:, 0, 0]
    assert result.names == ("0.5", "0.6", "0.7")
    # fc3 is proportional to the cubic term.
    np.testing.assert_allclose(kappas / kappas[0], [1, 1.2, 1.4], rtol=1e-6)
    bar = result.error_bar(0, 0)
    assert bar.sampling == pytest.approx(np.std(np.log([0.5, 0.6, 0.7]), ddof=1))
    assert bar.n == 3
    # Random displacements leave some of the cubic term in fc2.
    assert result.fc2_error == pytest.approx(0, abs=1e-3)
    assert result.fc3_error == pytest.approx(0.2, rel=1e-6)
    # Those of the first model are left in the crystal.
    assert np.abs(chain.fc3).max() == pytest.approx(kappas[0])


def test_one_model_has_no_scatter(chain):
    sites = chain.supercell.positions
    with pytest.raises(ParameterError, match=r"models = 1; expected 2 or more"):
        mlp.kappa_of_models(chain, {"a": Springs(sites, 2.0, 0.5)}, largest)


def test_kappa_of_another_shape_is_an_error(chain):
    sites = chain.supercell.positions
    models = {name: Springs(sites, 2.0, 0.5) for name in "ab"}
    with pytest.raises(ParameterError, match=r"shape \(\); expected \(n_temper"):
        mlp.kappa_of_models(chain, models, lambda _: 1.0)


def test_scatter_of_arrays_in_a_stream_is_their_standard_deviation():
    arrays = np.random.default_rng(0).normal(size=(5, 7, 3)) + 4
    scatter = NormScatter(arrays[0], of_models=True)
    for array in arrays[1:]:
        scatter.add(array)
    expected = np.sqrt(arrays.var(axis=0, ddof=1).sum() / np.sum(arrays[0] ** 2))
    assert scatter.relative == pytest.approx(expected)
    draws = around_first(arrays)
    rms = np.sqrt(np.mean((draws - arrays[0]) ** 2, axis=0))
    np.testing.assert_allclose(rms, arrays.std(axis=0, ddof=1))


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0, -1.0])
def test_a_model_without_kappa_makes_the_bar_infinite(bad):
    assert model_bar(np.array([1.0, bad, 1.1])).total == np.inf
    if not np.isfinite(bad):
        scatter = NormScatter(np.ones(2), of_models=True)
        scatter.add(np.array([1.0, bad]))
        assert scatter.relative == np.inf


def test_equal_models_scatter_by_nothing():
    array = np.full(3, 0.1)
    scatter = NormScatter(array, of_models=True)
    for _ in range(3):
        scatter.add(array * (1 + 1e-16))
    assert scatter.relative == 0.0


def test_interval_contains_the_mean_of_models_as_often_as_it_states():
    # The first model is one of those that scatter. Exact values: simulation of 4e5.
    values = np.random.default_rng(0).normal(size=(20_000, 5))
    scatter = values.std(axis=1, ddof=1)
    width = np.array([half_width_of_interval(1.0, 5, 0.68)]) * scatter
    # Three standard errors of 20,000 draws: 0.01.
    assert np.mean(np.abs(values[:, 0]) < width) == pytest.approx(0.686, abs=0.01)

"""Results of the functions for scripts: numbers, text, tables and figures."""

import json

import numpy as np
import pytest
from phono3py import Phono3py

import phono3py_mlp_plugin as mlp
from analytic_crystal import analytic_crystal
from api.crystal import sodium_chloride
from phono3py_mlp_plugin.reference import RigidIonNaCl

MODEL = "cutoff=4.0, gtinv_maxl=2 2, gaussian_params2=0 3 3"


@pytest.fixture(scope="module")
def crystal() -> Phono3py:
    return sodium_chloride()


@pytest.fixture(scope="module")
def training(crystal):
    return mlp.train(crystal, options=f"{MODEL}, ntrain=10, ntest=5", members=3)


@pytest.fixture(scope="module")
def kappa(crystal, training):
    return mlp.kappa(crystal, [3, 3, 3], [0, 200, 300], training)


@pytest.fixture(scope="module")
def study(crystal):
    return mlp.converge(
        crystal, [3, 3, 3], options=MODEL, sizes=[4, 8], members=2, error_budget=False
    )


@pytest.fixture(scope="module")
def evaluation(crystal, training):
    other = sodium_chloride()
    other.dataset = {k: v[:3] for k, v in crystal.dataset.items()}
    return mlp.evaluate(other, training)


@pytest.fixture(scope="module")
def force_constants(training):
    other = sodium_chloride()
    return mlp.solve_force_constants(other, "exact", potential=training)


RESULTS = [
    "training",
    "kappa",
    pytest.param("study", marks=pytest.mark.slow),
    "evaluation",
    "force_constants",
]


@pytest.mark.parametrize("name", RESULTS)
def test_results_are_written_as_strict_json(name, request):
    content = request.getfixturevalue(name).to_dict()
    text = json.dumps(content, allow_nan=False)
    assert json.loads(text) == content


@pytest.mark.parametrize("name", RESULTS)
def test_results_are_text_in_terminals_and_tables_in_notebooks(name, request):
    result = request.getfixturevalue(name)
    title, *_ = repr(result).splitlines()
    assert not title.startswith("<")
    # No line is longer than a terminal that is wide.
    assert all(len(line) < 400 for line in repr(result).splitlines())
    assert "<table>" in result._repr_html_()
    assert title in result._repr_html_().replace("&gt;", ">")


@pytest.mark.parametrize("name", RESULTS)
def test_results_draw_figures(name, request):
    assert request.getfixturevalue(name).plot().axes


def test_figures_are_saved_in_any_format(kappa, tmp_path):
    kappa.plot().savefig(tmp_path / "kappa.pdf")
    assert (tmp_path / "kappa.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("training", ["parity", "snapshots", "penalties"]),
        ("kappa", ["temperature", "cumulative"]),
    ],
)
def test_each_figure_that_an_error_names_can_be_drawn(name, kinds, request):
    result = request.getfixturevalue(name)
    with pytest.raises(mlp.ParameterError, match="kind = 'x'; expected") as raised:
        result.plot("x")
    for kind in kinds:
        assert repr(kind) in str(raised.value)
        assert result.plot(kind).axes


def test_error_bars_grow_with_the_level_of_the_interval(kappa):
    assert kappa.error().shape == (3, 3)
    assert (kappa.error(0.95) > kappa.error())[1:].all()
    assert (kappa.error()[1:] > 0).all()
    assert kappa.ensemble.members.shape == (3, 3, 6)


def test_there_are_no_error_bars_without_an_ensemble(crystal, force_constants):
    other = sodium_chloride()
    other.fc2, other.fc3 = force_constants.fc2, force_constants.fc3
    result = mlp.kappa(other, [3, 3, 3])
    assert result.error() is None
    assert result.to_dict()["error_68_W_per_mK"] is None


def test_kappa_at_zero_kelvin_has_no_error(kappa):
    assert (kappa.error()[0] == 0).all()


def test_force_constants_are_a_mapping_by_order(force_constants):
    assert sorted(force_constants) == [2, 3]
    assert force_constants[3] is force_constants.fc3
    assert all(check.passed for check in force_constants.checks())


def test_an_evaluation_tells_the_error_against_known_forces(evaluation, training):
    assert 0 < evaluation.rmse["force"] < 10 * training.provenance.rmse["test"]["force"]
    assert evaluation.rmse["energy"] is not None


def test_an_evaluation_without_known_forces_has_nothing_to_compare_with(crystal):
    other = sodium_chloride()
    other.dataset = {"displacements": crystal.dataset["displacements"][:2]}
    result = mlp.evaluate(other, RigidIonNaCl())
    assert result.rmse == {}
    with pytest.raises(mlp.DatasetError, match="no forces before the evaluation"):
        result.plot()


@pytest.mark.slow
def test_a_separate_supercell_of_fc2_is_part_of_the_evaluation():
    other = analytic_crystal(fc2_supercell=True)
    other.dataset = {"displacements": other.displacements[:2]}
    result = mlp.evaluate(other, RigidIonNaCl())
    assert result.of_fc2.forces.shape == (2, 54, 3)
    assert result.of_fc2.rmse["force"] < 1e-3
    assert "supercell of fc2" in repr(result)
    assert result.to_dict()["of_fc2"]["energies_eV"]


def test_numbers_that_are_not_finite_are_null():
    from phono3py_mlp_plugin.api.results import plain

    assert plain(np.array([[np.nan, -np.inf], [1.0, 2.0]])) == [[None, None], [1, 2]]
    assert plain(np.float64(2.0)) == 2.0 and plain(np.int64(3)) == 3

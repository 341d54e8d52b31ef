"""What polynomial/__init__.py exports is enough to use the engine."""

import numpy as np
import pytest

from phono3py_mlp_plugin import polynomial
from phono3py_mlp_plugin.contracts import Ensemble
from phono3py_mlp_plugin.errors import ParameterError, PotentialError, ResourceError
from phono3py_mlp_plugin.reference import nacl_dataset

OPTIONS = polynomial.RidgeOptions(alphas=(1e-3, 1e-2, 1e-1))


@pytest.fixture(scope="module")
def data():
    return nacl_dataset(20, repeats=1)[1]


@pytest.fixture(scope="module")
def parameters():
    return polynomial.ModelParameters(
        elements=("Na", "Cl"),
        cutoff=4.0,
        pair_params=polynomial.gaussian_pair_params((1.0, 1.0, 1), (0.0, 3.0, 3)),
        gtinv_maxl=(2, 2),
        atomic_energies=(-1.0, -2.0),
    )


def sets(data):
    return data.select(range(15)), data.select(range(15, 20))


def test_every_name_of_the_face_is_there():
    for name in polynomial.__all__:
        assert getattr(polynomial, name) is not None
    assert set(polynomial.__all__) <= set(dir(polynomial))
    with pytest.raises(AttributeError, match="no attribute 'Evaluator'"):
        _ = polynomial.Evaluator


def test_a_potential_is_trained_asked_written_and_read(data, parameters, tmp_path):
    training, test = sets(data)
    needs = polynomial.forecast(parameters, training, OPTIONS)
    trained = polynomial.fit(parameters, training, test, OPTIONS)
    assert trained.n_features == needs.n_features
    assert [p.alpha for p in trained.penalties] == list(OPTIONS.alphas)
    evaluation = trained.potential.evaluate(test.supercells())
    rms = np.sqrt(np.mean(test.forces**2))
    assert np.sqrt(np.mean((evaluation.forces - test.forces) ** 2)) < 0.02 * rms
    path = tmp_path / "polymlp.yaml"
    trained.potential.save(path)
    assert list(tmp_path.iterdir()) == [path]
    read = polynomial.load(path.read_text(), "polymlp.yaml")
    np.testing.assert_array_equal(
        read.evaluate(test.supercells()).forces, evaluation.forces
    )


@pytest.mark.parametrize("early", [True, False], ids=["before", "after"])
def test_potentials_of_all_penalties_are_written_where_asked(
    data, parameters, tmp_path, early
):
    training, test = sets(data)
    options = OPTIONS
    if early:
        options = polynomial.RidgeOptions(alphas=OPTIONS.alphas, save_all=True)
    potential = polynomial.fit(parameters, training, test, options).potential
    # What `Phono3py.save_mlp(optimal=False)` does after the training.
    potential.save_all |= not early
    potential.save(tmp_path / "polymlp.yaml")
    names = sorted(path.name for path in tmp_path.iterdir())
    versions = [f"polymlp.yaml.v0{n}" for n in (1, 2, 3)]
    assert names == ["polymlp.log", "polymlp.yaml", *versions]
    assert (tmp_path / "polymlp.yaml").read_text() in [
        (tmp_path / name).read_text() for name in versions
    ]


@pytest.mark.parametrize("method", ["jackknife", "posterior"])
def test_the_last_point_of_a_learning_curve_is_the_training(data, parameters, method):
    training, test = sets(data)
    ensemble = Ensemble(members=3, method=method)
    *_, last = polynomial.learning_curve(
        parameters, training, test, (8, 15), ensemble, OPTIONS
    )
    trained = polynomial.fit(parameters, training, test, OPTIONS)
    assert last.size == 15 and last.trained.alpha == trained.alpha
    cells = test.supercells()
    expected = trained.potential.evaluate(cells).forces
    found = last.trained.potential.evaluate(cells).forces
    # Sums over blocks of other sizes, at condition numbers of 1e10.
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-8)
    assert len(last.members) == 3
    for member in last.members:
        scatter = np.abs(member.evaluate(cells).forces - expected).max()
        assert 0 < scatter < np.abs(expected).max()


@pytest.mark.parametrize("kind", ["energy", "force"])
def test_a_weight_of_zero_leaves_a_kind_out(data, parameters, kind):
    """Then what it says does not matter; but finite it must be."""
    training, test = sets(data)
    options = polynomial.RidgeOptions(OPTIONS.alphas, **{f"{kind}_weight": 0.0})
    first = polynomial.fit(parameters, training, test, options).potential
    random = np.random.default_rng(0)
    for some in (training, test):
        values = some.energies if kind == "energy" else some.forces
        values += random.normal(size=values.shape)
    second = polynomial.fit(parameters, training, test, options).potential
    np.testing.assert_array_equal(first.coefficients, second.coefficients)


def test_what_cannot_be_is_refused_before_any_work(data, parameters):
    training, test = sets(data)
    little = polynomial.RidgeOptions(OPTIONS.alphas, memory=1e8)
    with pytest.raises(ResourceError, match=r"0\.1 GB may be taken"):
        polynomial.fit(parameters, training, test, little)
    with pytest.raises(PotentialError, match="cutoff = 1 angstrom"):
        short = polynomial.ModelParameters(("Na", "Cl"), 1.0, parameters.pair_params)
        polynomial.fit(short, training, test, OPTIONS)
    with pytest.raises(ParameterError, match="orders 4 to 6 need pypolymlp"):
        high = polynomial.ModelParameters(
            ("Na", "Cl"), 4.0, parameters.pair_params, gtinv_order=4,
            gtinv_maxl=(1, 1, 1),
        )  # fmt: skip
        polynomial.fit(high, training, test, OPTIONS)


def test_stresses_do_not_depend_on_the_hand_of_the_lattice(data, parameters):
    """phonopy's volume is a determinant, which is negative for a left-handed cell."""
    training, test = sets(data)
    potential = polynomial.fit(parameters, training, test, OPTIONS).potential
    (right,) = data.select([0]).supercells()
    left = type(training.supercells()[0])(
        symbols=right.symbols, cell=right.cell[[1, 0, 2]], positions=right.positions
    )
    assert right.volume > 0 > left.volume
    stresses = potential.evaluate([right, left]).stresses
    np.testing.assert_allclose(stresses[1], stresses[0], rtol=1e-9, atol=1e-12)

"""Documentation, Python: Phono3py objects and plain functions use the same hooks."""

import shutil

import numpy as np
import phono3py
import pytest

import phono3py_mlp_plugin as mlp
from phono3py_mlp_plugin.errors import ParameterError
from phono3py_mlp_plugin.reference import RigidIonNaCl, nacl_dataset
from small_model import MODEL

PARAMS = {
    "cutoff": 5.0,
    "gtinv_maxl": (2, 2),
    "gaussian_params2": (0.0, 4.0, 4),
    "ntrain": 20,
    "ntest": 20,
}


@pytest.fixture
def folder(tmp_path, nacl_params, monkeypatch):
    shutil.copy(nacl_params, tmp_path / "phono3py_params.yaml")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def training(nacl_params):
    ph3 = phono3py.load(nacl_params, produce_fc=False)
    return mlp.train(ph3, options=f"{MODEL}, ntrain=20, ntest=20")


def test_load_with_use_pypolymlp_trains_through_the_plugin(folder):
    ph3 = phono3py.load(
        "phono3py_params.yaml", use_pypolymlp=True, mlp_params=PARAMS, produce_fc=True
    )
    assert (folder / "polymlp.yaml").is_file()
    assert ph3.mlp.provenance.n_training == 20
    ph3.generate_displacements(distance=0.01, is_plusminus=True)
    ph3.evaluate_mlp()
    assert ph3.forces.shape == (292, 64, 3)
    ph3.produce_fc3()
    assert ph3.fc3.shape == (2, 64, 64, 3, 3, 3)


def test_methods_of_phono3py(folder):
    ph3 = phono3py.load("phono3py_params.yaml", produce_fc=False)
    ph3.mlp_dataset = ph3.dataset
    ph3.develop_mlp(params=PARAMS)
    ph3.save_mlp("mine.yaml")
    other = phono3py.load("phono3py_params.yaml", produce_fc=False)
    other.load_mlp("mine.yaml")
    for one in (ph3, other):
        one.generate_displacements(
            distance=0.01, number_of_snapshots=3, random_seed=1, is_plusminus=True
        )
        one.evaluate_mlp()
    # The file keeps 16 digits of coefficients up to 1e6.
    np.testing.assert_allclose(ph3.forces, other.forces, atol=1e-9)
    assert other.mlp.provenance == ph3.mlp.provenance


def test_potentials_of_all_penalties_are_saved_where_asked(folder):
    ph3 = phono3py.load("phono3py_params.yaml", produce_fc=False)
    ph3.mlp_dataset = ph3.dataset
    ph3.develop_mlp(params={**PARAMS, "gtinv_maxl": (1, 1), "ntrain": 4, "ntest": 2})
    ph3.save_mlp("mine.yaml", optimal=False)
    versions = sorted(p.name for p in folder.glob("mine.yaml.v*"))
    assert versions
    assert all(name in (folder / "mine.log").read_text() for name in versions)


def test_any_object_that_evaluates_is_a_potential_of_phono3py(folder, training):
    class Counting:
        calls = 0

        def evaluate(self, cells):
            Counting.calls += len(cells)
            result = training.potential.evaluate(cells)
            return result.energies, result.forces, None

    ph3 = phono3py.load("phono3py_params.yaml", produce_fc=False)
    ph3.mlp = Counting()
    ph3.generate_displacements(distance=0.01, number_of_snapshots=3)
    ph3.evaluate_mlp()
    assert Counting.calls == 3


def test_plain_functions_give_what_the_methods_give(folder, training):
    ph3 = phono3py.load("phono3py_params.yaml", produce_fc=False)
    training.save("polymlp.yaml")
    displace = {"distance": 0.01, "number_of_snapshots": 10, "random_seed": 2}
    ph3.generate_displacements(is_plusminus=True, **displace)
    mlp.evaluate(ph3, mlp.load_potential())
    mlp.solve_force_constants(ph3, "symfc", "cutoff = 4")

    other = phono3py.load("phono3py_params.yaml", produce_fc=False)
    other.load_mlp()
    other.generate_displacements(is_plusminus=True, **displace)
    other.evaluate_mlp()
    other.produce_fc3(fc_calculator="symfc", fc_calculator_options="cutoff = 4")
    np.testing.assert_array_equal(ph3.fc3, other.fc3)
    np.testing.assert_array_equal(ph3.fc2, other.fc2)


def test_stresses_are_the_derivative_by_strain(training, nacl_params):
    ph3 = phono3py.load(nacl_params, produce_fc=False)
    (cell,) = ph3.supercells_with_displacements[:1]
    stress = training.potential.evaluate([cell]).stresses[0]
    step = 1e-4
    for i, j in ((0, 0), (1, 2)):
        energies = []
        for sign in (1, -1):
            strain = np.zeros((3, 3))
            strain[i, j] += sign * step / 2
            strain[j, i] += sign * step / 2
            strained = cell.copy()
            strained.cell = cell.cell @ (np.eye(3) + strain)
            energies.append(training.potential.evaluate([strained]).energies[0])
        derivative = (energies[0] - energies[1]) / (2 * step) / cell.volume
        # Central differences: error of order step^2 times the third derivative.
        assert stress[i, j] == pytest.approx(derivative, abs=1e-6)


def test_host_gets_its_six_stresses(training, nacl_params):
    from phono3py_mlp_plugin.host.mlp import PluginMLP

    ph3 = phono3py.load(nacl_params, produce_fc=False)
    (cell,) = ph3.supercells_with_displacements[:1]
    host = PluginMLP()
    host.potential = training.potential
    tensor = -training.potential.evaluate([cell]).stresses[0] * cell.volume
    xx_yy_zz_xy_yz_zx = [
        tensor[i] for i in ((0, 0), (1, 1), (2, 2), (0, 1), (1, 2), (2, 0))
    ]
    np.testing.assert_allclose(host.evaluate([cell])[2][0], xx_yy_zz_xy_yz_zx)


def test_potential_of_other_elements_is_refused(training, host_source):
    silicon = phono3py.load(
        host_source / "test/phono3py_params_Si-111-222.yaml", produce_fc=False
    )
    silicon.generate_displacements(distance=0.01, number_of_snapshots=1)
    with pytest.raises(mlp.PotentialError, match=r"made for Na, Cl; .* contains Si"):
        mlp.evaluate(silicon, training.potential)


def test_dataset_that_is_not_finite_is_refused(nacl_params):
    ph3 = phono3py.load(nacl_params, produce_fc=False)
    ph3.dataset["forces"][7, 3, 1] = np.nan
    with pytest.raises(mlp.DatasetError, match="forces: snapshot 8 holds a number"):
        mlp.train(ph3, options=PARAMS)


def test_phonopy_keeps_its_own_pypolymlp(host_source):
    from phonopy.interface.mlp import PhonopyMLP
    from phonopy.interface.pypolymlp import develop_pypolymlp

    assert PhonopyMLP.__module__ == "phonopy.interface.mlp"
    assert develop_pypolymlp.__module__ == "phonopy.interface.pypolymlp"


def test_unknown_solver_in_produce_fc3(nacl_params):
    ph3 = phono3py.load(nacl_params, produce_fc=False)
    with pytest.raises(mlp.PluginNotFound, match="No force-constants solver named 'x'"):
        ph3.produce_fc3(fc_calculator="x")


def systematic():
    unitcell, _ = nacl_dataset(1, repeats=1)
    ph3 = phono3py.Phono3py(unitcell, supercell_matrix=[1, 1, 1], primitive_matrix="F")
    ph3.generate_displacements(distance=0.01)
    mlp.evaluate(ph3, RigidIonNaCl())
    return ph3


@pytest.mark.parametrize("options", [{"level": 5}, "memsize = 2", {"cutoff": 4.0}])
def test_options_that_finite_differences_would_not_use_are_refused(options):
    with pytest.raises(ParameterError, match="options: traditional has options in"):
        mlp.solve_force_constants(systematic(), "traditional", options)

"""Several models: kappa of the first, with the scatter of all as its error bar."""

import json
import shutil

import h5py
import numpy as np
import pytest
import yaml

pytest.importorskip("ase")

from phono3py import Phono3py
from phonopy.structure.atoms import PhonopyAtoms

from file_schemas import check_files
from phono3py_mlp_plugin.uncertainty import model_bar

MORSE = ("epsilon = 0.35, r0 = 2.82, rho0 = 4.0", "epsilon = 0.35, r0 = 2.82, rho0 = 5")
LOAD = ["phono3py-load", "phono3py_disp.yaml", "--force-calculator", "morse"]
KAPPA = ["--br", "--mesh", "3", "3", "3", "--ts", "300", "--rd", "4"]
KAPPA += ["--random-seed", "1"]
UNCERTAINTY = "phono3py_mlp_uncertainty.json"


def aluminium(edge=3.994):
    cell = PhonopyAtoms(
        symbols=["Al"] * 4,
        cell=edge * np.eye(3),
        scaled_positions=[[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]],
    )
    return Phono3py(cell, supercell_matrix=[2, 2, 1], primitive_matrix="F")


@pytest.fixture
def folder(tmp_path):
    ph3 = aluminium()
    ph3.generate_displacements(distance=0.01)
    ph3.save(tmp_path / "phono3py_disp.yaml")
    return tmp_path


def options(*texts):
    return [word for text in texts for word in ("--force-calculator-options", text)]


def files(*names):
    return [word for name in names for word in ("--mlp-file", str(name))]


def refused(done, *messages):
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("ERROR: ")
    for message in messages:
        assert message in line


def slow(*values):
    return pytest.param(*values, marks=pytest.mark.slow)


def kappa_in(folder):
    with h5py.File(folder / "kappa-m333.hdf5") as file:
        return file["kappa"][:]


@pytest.mark.slow
def test_kappa_of_each_model_is_that_of_a_run_with_it_alone(folder, run):
    done = run([*LOAD, *KAPPA, *options(*MORSE)], folder)
    assert done.returncode == 0, done.stderr
    check_files(folder, "health", "uncertainty")
    content = json.loads((folder / UNCERTAINTY).read_text())
    assert [model["name"] for model in content["models"]] == list(MORSE)
    kappas = np.array([model["kappa"] for model in content["models"]])
    np.testing.assert_array_equal(kappas[0], kappa_in(folder))
    (record,) = content["temperatures"]
    bar = model_bar(kappas[:, 0, 0])
    assert record["bars"][0] == {"sampling": bar.sampling, "penalty": 0.0} | {
        "n": 2,
        "fall": 0.5,
    }
    model, *_ = content["budget"]["contributions"]
    assert model["name"] == "model"
    assert "supercells, penalty (the potentials were not" in done.stdout
    # With the budget, kappa is computed by the same settings.
    alone = [*LOAD, *KAPPA, *options(MORSE[1]), "--error-budget"]
    done = run(alone, folder)
    assert done.returncode == 0, done.stderr
    # Rounding: the solver of phono3py and that of the ensemble sum in another order.
    np.testing.assert_allclose(kappa_in(folder), kappas[1], rtol=1e-8, atol=1e-8)
    content = json.loads((folder / UNCERTAINTY).read_text())
    # In this supercell, there is no fc3 within half its width.
    names = [one["name"] for one in content["budget"]["contributions"]]
    assert names == ["mesh", "solver"]
    assert "bars" not in content["temperatures"][0]
    report = ["phono3py-mlp", "report", "phono3py.yaml", "--force-calculator", "morse"]
    done = run([*report, *options(MORSE[1])], folder)
    assert done.returncode == 0, done.stderr
    page = (folder / "phono3py_mlp_report.html").read_text()
    assert "too coarse to be extrapolated" in page
    assert "model (the potential was not trained here)" in page


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Two small potentials of NaCl, their crystal without forces, and another one."""
    import phono3py_mlp_plugin as mlp
    from analytic_crystal import analytic_crystal
    from small_model import MODEL

    path = tmp_path_factory.mktemp("trained")
    ph3 = analytic_crystal()
    for name, number in (("a.yaml", 20), ("b.yaml", 30)):
        mlp.train(ph3, options=f"{MODEL}, ntrain={number}, ntest=10").save(path / name)
    shutil.copy(path / "a.yaml", path / "copy.yaml")
    ph3.dataset = None
    ph3.save(path / "nacl.yaml")
    aluminium().save(path / "al.yaml")
    return path


@pytest.mark.slow
def test_potential_files_are_models_of_any_solver(trained, run, tmp_path):
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    load = ["phono3py-load", "nacl.yaml", "--pypolymlp", *files("a.yaml", "b.yaml")]
    exact = ["--fc-calculator", "exact", *KAPPA[:-4]]
    done = run([*load, *exact], tmp_path)
    assert done.returncode == 0, done.stderr
    content = json.loads((tmp_path / UNCERTAINTY).read_text())
    assert [model["name"] for model in content["models"]] == ["a.yaml", "b.yaml"]
    names = [one["name"] for one in content["budget"]["contributions"]]
    assert names == ["model", "mesh", "solver", "range of fc3"]
    report = ["phono3py-mlp", "report", "nacl.yaml", *files("a.yaml")]
    done = run(report, tmp_path)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "phono3py_mlp_report.html").read_text()
    assert "scatter of the models a.yaml, b.yaml" in page
    record = yaml.safe_load((tmp_path / "phono3py.yaml").read_text())
    assert record["phono3py"]["configuration"]["mlp_file"] == "a.yaml | b.yaml"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("crystal", "names", "message"),
    [
        ("nacl", ["a.yaml", "none.yaml"], '--mlp-file: "none.yaml" is not found'),
        ("nacl", ["a.yaml", "./a.yaml"], "a.yaml: is given twice"),
        ("nacl", ["a.yaml", "copy.yaml"], "copy.yaml: is the same potential as a.yaml"),
        ("nacl", ["a.yaml", "nacl.yaml"], "nacl.yaml: not a polynomial potential"),
        ("al", ["a.yaml", "b.yaml"], "was made for Na, Cl; the crystal contains Al"),
    ],
)
def test_files_that_are_no_models_of_the_crystal_are_one_line(
    trained, run, tmp_path, crystal, names, message
):
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    load = ["phono3py-load", f"{crystal}.yaml", "--pypolymlp", "-q", *files(*names)]
    refused(run([*load, *KAPPA], tmp_path), message)
    assert not (tmp_path / "fc3.hdf5").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([*options(*MORSE), "-d"], "several models (--mlp-file): is for runs that"),
        ([*options(MORSE[0], MORSE[0]), *KAPPA], "is the same potential as"),
        slow([*options(*MORSE), *KAPPA, "--uncertainty", "3"], "expected 2."),
        slow([*options(*MORSE), *KAPPA, "--gp", "1"], "(--mlp-file) and --gp"),
        slow([*options(MORSE[0], "rho = 5"), *KAPPA], "unknown option 'rho'"),
        slow([*options(MORSE[0]), *KAPPA, "--uncertainty", "3"], "several models"),
        slow(["--error-budget", "-d"], "--error-budget: is for runs that compute"),
    ],
)
def test_error_bars_that_cannot_be_are_one_line(folder, run, words, message):
    refused(run([*LOAD, "-q", *words], folder), message)
    assert not (folder / "fc3.hdf5").exists()


WRONG = """
from ase.calculators.emt import EMT


class Scaled(EMT):
    def __init__(self, factor=1.0, bad=None):
        super().__init__()
        self.factor, self.bad, self.calls = factor, bad, 0

    def get_forces(self, atoms):
        self.calls += 1
        forces = self.factor * super().get_forces(atoms)
        if self.calls == self.bad:
            forces[0, 0] = float("nan")
        return forces
"""


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ("factor = -1", "ase (calculator = wrong:Scaled, factor = -1): work of the"),
        # 15 evaluations are for the examination, one for the undisplaced supercell.
        slow("bad = 18", "in supercell 2"),
    ],
)
def test_the_model_that_is_wrong_is_named(folder, run, second, message):
    (folder / "wrong.py").write_text(WRONG)
    ase = "calculator = wrong:Scaled"
    load = [*LOAD[:-1], "ase", "-q", *options(ase, f"{ase}, {second}")]
    done = run([*load, *KAPPA], folder)
    refused(done, message, second)
    assert not (folder / UNCERTAINTY).exists()

"""Functions for scripts compute what the commands compute."""

import json

import numpy as np
import pytest

import phono3py_mlp_plugin as mlp
from api.crystal import sodium_chloride

pytestmark = pytest.mark.slow

MODEL = "cutoff=4.0, gtinv_maxl=2 2, gaussian_params2=0 3 3"
MESH = ["--mesh", "3", "3", "3"]
# The file of the dataset has 16 digits.
ROUNDING = {"rtol": 1e-6, "atol": 1e-9}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("road")
    mlp.save_dataset(sodium_chloride(), folder / "phono3py_params.yaml")
    return folder


def test_kappa_and_its_error_bars_are_those_of_the_command(folder, run):
    options = f"{MODEL}, ntrain=10, ntest=5"
    command = ["phono3py-load", "phono3py_params.yaml", "--pypolymlp", "--br", *MESH]
    command += ["--mlp-params", options, "--ts", "200", "300", "--uncertainty", "3"]
    done = run(command, folder)
    assert done.returncode == 0, done.stderr
    content = json.loads((folder / "phono3py_mlp_uncertainty.json").read_text())

    training = mlp.train(sodium_chloride(), options=options, members=3)
    result = mlp.kappa(
        sodium_chloride(), [3, 3, 3], [200, 300], training, error_budget=True
    )
    for t, record in enumerate(content["temperatures"]):
        np.testing.assert_allclose(result.kappa[t], record["kappa"], **ROUNDING)
        sampling = [bar["sampling"] for bar in record["bars"]]
        np.testing.assert_allclose(
            [bar.sampling for bar in result.bars[t]], sampling, rtol=1e-4
        )
    names = [one["name"] for one in content["budget"]["contributions"]]
    assert [one.name for one in result.budget.contributions] == names
    for one, other in zip(
        result.budget.contributions, content["budget"]["contributions"], strict=True
    ):
        np.testing.assert_allclose(one.relative, other["relative"], rtol=1e-3)


def test_a_study_is_that_of_the_command(folder, run):
    command = ["phono3py-mlp", "converge", "phono3py_params.yaml", *MESH]
    command += ["--mlp-params", MODEL, "--sizes", "4", "8", "--members", "2"]
    done = run(command, folder)
    assert done.returncode == 0, done.stderr
    content = json.loads((folder / "phono3py_mlp_convergence.json").read_text())

    study = mlp.converge(
        sodium_chloride(), [3, 3, 3], options=MODEL, sizes=[4, 8], members=2
    )
    assert [p.size for p in study.points] == [p["size"] for p in content["points"]]
    for point, record in zip(study.points, content["points"], strict=True):
        np.testing.assert_allclose(point.kappa, record["kappa"], **ROUNDING)
        np.testing.assert_allclose(point.rmse_test, record["rmse_test"], rtol=1e-4)
    assert study.verdict.converged == content["verdicts"]["kappa"]["converged"]


def test_a_report_is_that_of_the_command(folder, run):
    done = run(["phono3py-mlp", "report"], folder)
    assert done.returncode == 0, done.stderr
    written = json.loads((folder / "phono3py_mlp_report.json").read_text())
    assert mlp.report(folder).to_dict() == written

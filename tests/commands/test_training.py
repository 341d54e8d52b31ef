"""Documentation, step 4: developing the potential."""

import io
import shutil

import numpy as np
import phono3py
import pytest
import yaml

import phono3py_mlp_plugin as mlp
from host_features import needs_pypolymlp
from small_model import SMALL, errors_shown


def test_training_shows_errors_and_penalties(nacl_training_run):
    done, folder = nacl_training_run
    assert done.returncode == 0, done.stderr
    shown = errors_shown(done.stdout)
    assert shown["training"][0] == shown["test"][0] == 20
    # Reference run of the small model: 9.3e-5 eV/angstrom on the test set.
    assert shown["test"][2] == pytest.approx(9.3e-5, rel=0.05)
    assert done.stdout.count("alpha = ") == 5
    assert done.stdout.count("<- chosen") == 1
    assert {p.name for p in folder.iterdir()} == {
        "phono3py_params.yaml",
        "phono3py.yaml",
        "polymlp.yaml",
    }


def test_potential_carries_its_provenance(nacl_training_run):
    _, folder = nacl_training_run
    record = yaml.safe_load((folder / "polymlp.yaml").read_text())["phono3py_mlp"]
    assert record["n_training"] == record["n_test"] == 20
    assert record["n_features"] == 420
    assert record["parameters"]["cutoff"] == 5.0
    assert record["alpha"] == pytest.approx(1e-3)
    assert len(record["penalties"]) == 5


@needs_pypolymlp
def test_potential_is_that_of_the_plain_host(
    nacl_training_run, run, run_plain, nacl_folder, tmp_path_factory
):
    plain = tmp_path_factory.mktemp("plain")
    shutil.copy(nacl_folder / "phono3py_params.yaml", plain)
    command = ["phono3py-load", "phono3py_params.yaml", "--pypolymlp", "--mlp-params"]
    done = run_plain([*command, SMALL], plain)
    assert done.returncode == 0, done.stderr
    theirs = (plain / "polymlp.yaml").read_text()
    # The library gives every bit; the engine of this package the same forces within
    # what the condition number of the regression leaves.
    done = run([*command, f"{SMALL}, engine = pypolymlp"], nacl_folder)
    assert done.returncode == 0, done.stderr
    ours = (nacl_folder / "polymlp.yaml").read_text()
    assert ours.startswith(theirs)
    assert ours[len(theirs) :].startswith("\nphono3py_mlp:\n")
    cells = phono3py.load(
        nacl_folder / "phono3py_params.yaml", produce_fc=False
    ).supercells_with_displacements[80:]
    forces = [
        mlp.load_potential(path / "polymlp.yaml").evaluate(cells).forces
        for path in (nacl_training_run[1], plain)
    ]
    # 1 % of the model's own error; the penalty is near the rounding of X^T X.
    assert np.sqrt(np.mean((forces[0] - forces[1]) ** 2)) < 1e-6  # eV/angstrom


@needs_pypolymlp
def test_pypolymlp_reads_our_potential(nacl_training_run):
    from pypolymlp.mlp_dev.pypolymlp import Pypolymlp

    polymlp = Pypolymlp()
    polymlp.load_mlp(io.StringIO((nacl_training_run[1] / "polymlp.yaml").read_text()))
    assert len(np.ravel(polymlp.coeffs)) == 420


def test_penalties_that_fail_are_reported(run, folder):
    done = run(
        [
            "phono3py-load",
            "--pypolymlp",
            "phono3py_params.yaml",
            "--mlp-params",
            "cutoff=5, gtinv_maxl=2 2, ntrain=2, ntest=2, reg_alpha_params=-14 0 2",
        ],
        folder,
    )
    assert done.returncode == 0, done.stderr
    assert "alpha = 1.000e-14: failed" in done.stdout


def test_quiet_run_prints_nothing_of_ours(run, folder):
    command = ["phono3py-load", "-q", "--pypolymlp", "phono3py_params.yaml"]
    done = run([*command, "--mlp-params", SMALL], folder)
    assert done.returncode == 0
    assert "pypolymlp" not in done.stdout
    assert (folder / "polymlp.yaml").is_file()

"""Options that this package adds, and options that would mean nothing."""

import shutil

import pytest

from small_model import SMALL, force_constants

LJ = "calculator = ase.calculators.lj:LennardJones, sigma = 2.5, epsilon = 0.1, rc = 5"

ASE = ["phono3py-load", "phono3py_params.yaml", "-d", "--force-calculator", "ase"]
ASE += ["--force-calculator-options"]


def refused(done, message):
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("ERROR: ")
    assert message in line


def test_ase_calculator_by_name(run, folder):
    done = run(
        [*ASE, LJ],
        folder,
    )
    assert done.returncode == 0, done.stderr
    assert "Evaluate forces in 124 supercells by ase" in done.stdout
    assert "Nothing is trained in this run" in done.stdout
    assert force_constants(folder)["fc3"].shape == (2, 16, 16, 3, 3, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("epsilon = 1", "calculator = ''; expected module:name"),
        ("calculator = ase.calculators.lj:LenardJones", "Did you mean 'LennardJones'?"),
        (LJ + ", sigm = 2", "unknown option 'sigm'. Did you mean 'sigma'?"),
        ("calculator = no.such.module:X", "No module named 'no'"),
        (LJ + ", ntrain = 3", "'ntrain' is for calculators that are trained"),
    ],
)
def test_ase_options_are_checked(run, folder, options, message):
    done = run(
        [*ASE, options],
        folder,
    )
    refused(done, message)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--force-calculator", "pypolymp"], "Did you mean 'pypolymlp'?"),
        (["--pypolymlp", "-d", "--fc-calculator", "symfx|"], "Did you mean 'symfc'?"),
        (["--fc-calculator", "foo"], "No force-constants solver named 'foo'"),
        (["--amplitude", "0.01"], "--amplitude = 0.01: needs --pypolymlp"),
        (["--mlp-file", "polymlp.yaml"], "--mlp-file = polymlp.yaml: needs"),
        (["--mlp-params", "cutoff=5"], "--mlp-params = cutoff=5: needs"),
    ],
)
def test_refused_before_any_work(run, trained, options, message):
    before = sorted(p.name for p in trained.iterdir())
    refused(run(["phono3py-load", "phono3py.yaml", *options], trained), message)
    assert sorted(p.name for p in trained.iterdir()) == before


def test_help_shows_our_options_in_a_group(run, tmp_path):
    done = run(["phono3py-load", "--help"], tmp_path)
    assert done.returncode == 0
    assert "machine-learning potentials (phono3py-mlp-plugin):" in done.stdout
    for option in ("--force-calculator", "--mlp-file", "--amplitude", "--rd-fc2"):
        assert option in done.stdout


def test_what_was_asked_is_recorded(run, trained):
    shutil.move(trained / "polymlp.yaml", trained / "mine.yaml")
    done = run(
        ["phono3py-load", "phono3py.yaml", "--pypolymlp", "--mlp-file", "mine.yaml"],
        trained,
    )
    assert done.returncode == 0, done.stderr
    assert 'mlp_file: "mine.yaml"' in (trained / "phono3py.yaml").read_text()


def test_run_without_a_potential_is_the_plain_hosts(run, run_plain, folder, tmp_path):
    other = tmp_path / "plain"
    other.mkdir()
    shutil.copy(folder / "phono3py_params.yaml", other)
    command = ["phono3py-load", "phono3py_params.yaml", "--symfc"]
    command += ["--fc-calc-opt", "cutoff=4"]
    assert run(command, folder).returncode == 0
    assert run_plain(command, other).returncode == 0
    for name in ("fc2.hdf5", "fc3.hdf5", "phono3py.yaml"):
        assert (folder / name).read_bytes() == (other / name).read_bytes()


def test_parameters_that_train_nothing_are_named(run, trained):
    done = run(
        ["phono3py-load", "--pypolymlp", "phono3py.yaml", "--mlp-params", SMALL],
        trained,
    )
    assert done.returncode == 0, done.stderr
    line = "Nothing is trained: cutoff, gtinv_maxl, gaussian_params2, ntrain, ntest"
    assert line in done.stdout

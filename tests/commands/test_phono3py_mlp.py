"""phono3py-mlp: plugins and doctor."""

import subprocess
import sys

import pytest


@pytest.mark.real_process
def test_plugins_are_listed_with_package_version_and_status(run, tmp_path):
    done = run(["phono3py-mlp", "plugins"], tmp_path)
    assert done.returncode == 0, done.stderr
    for name in ("pypolymlp", "ase", "symfc", "traditional", "alm", "hiphive"):
        assert name in done.stdout
    assert "phono3py-mlp-plugin" in done.stdout
    assert "conda-forge alm" in " ".join(done.stdout.replace("│", " ").split())


def test_options_of_one_plugin(run, tmp_path):
    done = run(["phono3py-mlp", "plugins", "pypolymlp"], tmp_path)
    assert done.returncode == 0
    assert "cutoff = 8.0  # cutoff radius (angstrom)" in done.stdout
    assert "gtinv_maxl = 8 8" in done.stdout


def test_unknown_plugin(run, tmp_path):
    done = run(["phono3py-mlp", "plugins", "symfcc"], tmp_path)
    assert done.returncode == 1
    assert "Did you mean 'symfc'?" in done.stderr


@pytest.mark.real_process
def test_doctor_says_that_the_bridge_is_active_and_to_what(run, tmp_path):
    done = run(["phono3py-mlp", "doctor"], tmp_path)
    assert done.returncode == 0, done.stdout
    assert "Bridge: active" in done.stdout
    for name in ("PhonopyMLP", "_set_fc_solver", "get_run_parser", "_run_pypolymlp"):
        assert name in done.stdout


@pytest.mark.real_process
def test_doctor_says_why_it_is_not(tmp_path):
    program = (
        "import phonopy.cui.load_helper as h\n"
        "h.develop_or_load_pypolymlp = lambda phonon: None\n"
        "import sys\n"
        "from phono3py_mlp_plugin.cli import main\n"
        "sys.exit(main(['doctor']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 1
    assert "Bridge: NOT ACTIVE" in done.stdout
    assert "develop_or_load_pypolymlp of phono3py" in done.stdout
    assert "takes (phonon)" in done.stdout

"""phono3py-mlp: plugins and doctor."""

import subprocess
import sys

import pytest

from phono3py_mlp_plugin import cli
from phono3py_mlp_plugin.__main__ import main as start
from phono3py_mlp_plugin.api import installation
from phono3py_mlp_plugin.plugins import registry


@pytest.mark.real_process
def test_plugins_are_listed_with_package_version_and_status(run, tmp_path):
    done = run(["phono3py-mlp", "plugins"], tmp_path)
    assert done.returncode == 0, done.stderr
    for name in ("pypolymlp", "ase", "symfc", "traditional", "alm", "hiphive"):
        assert name in done.stdout
    assert "phono3py-mlp-plugin" in done.stdout
    assert "conda-forge alm" in " ".join(done.stdout.replace("│", " ").split())


@pytest.mark.parametrize("columns", ["60", "80"])
def test_descriptions_of_plugins_are_whole_in_narrow_terminals(
    columns, capsys, monkeypatch
):
    monkeypatch.setenv("COLUMNS", columns)
    assert cli.main(["plugins"]) == 0
    printed = capsys.readouterr().out
    assert "…" not in printed
    for name, entry in registry().calculators.items():
        reason = entry.record.unavailable_reason()
        # Commands in it are copied.
        assert reason is None or f"{name}: {reason}" in printed.splitlines()


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


def test_the_version_is_told(run, tmp_path):
    done = run(["phono3py-mlp", "--version"], tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith("phono3py-mlp ") and "phono3py " in done.stdout[12:]


@pytest.mark.real_process
@pytest.mark.parametrize(
    ("value", "words", "code", "text"),
    [
        ("off", ["phono3py-mlp", "doctor"], 1, "PHONO3PY_MLP_PLUGIN=off switches it"),
        ("OFF", ["phono3py-load", "--mlp-file", "x"], 1, "Unset the variable"),
        ("offf", ["phono3py-load"], 1, "=offf; expected on or off"),
        ("off", ["phono3py-mlp", "--version"], 0, "phono3py-mlp"),
    ],
)
def test_it_can_be_switched_off(run, tmp_path, monkeypatch, value, words, code, text):
    monkeypatch.setenv("PHONO3PY_MLP_PLUGIN", value)
    done = run(words, tmp_path)
    assert done.returncode == code
    assert text in done.stdout + done.stderr
    if words[0] != "phono3py-mlp":
        assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.real_process
def test_phono3py_is_as_it_was_if_switched_off(tmp_path, monkeypatch):
    monkeypatch.setenv("PHONO3PY_MLP_PLUGIN", "off")
    program = (
        "import phono3py, phonopy.interface.mlp as mlp\n"
        "from phono3py_mlp_plugin.host import is_bound\n"
        "assert not is_bound()\n"
        "assert not hasattr(mlp.PhonopyMLP, '__wrapped__')\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=tmp_path)


def test_an_installation_without_a_requirement_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "phono3py_mlp_plugin.cli", None)
    with pytest.raises(SystemExit) as stopped:
        start()
    message = str(stopped.value)
    assert message.startswith("ERROR: phono3py-mlp cannot start: import of ")
    assert "pip install phono3py-mlp-plugin" in message and "\n" not in message


def test_doctor_says_that_phono3py_cannot_be_imported(monkeypatch):
    def fail(name):
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(installation.importlib, "import_module", fail)
    monkeypatch.setattr(installation, "is_bound", lambda: False)
    found = installation.doctor()
    assert not found.is_active
    verdict, reason, *_ = str(found).splitlines()
    assert verdict == "Bridge: NOT ACTIVE"
    assert reason.strip().startswith(
        "phono3py cannot be imported: No module named 'phono3py'. Install"
    )


def test_a_source_tree_that_is_not_installed_says_so(monkeypatch, capsys):
    monkeypatch.setattr(installation, "version_of", lambda name: None)
    monkeypatch.setattr(cli, "version_of", lambda name: None)
    monkeypatch.setattr(installation, "is_bound", lambda: False)
    assert cli.main(["doctor"]) == 1
    verdict, reason, *_ = capsys.readouterr().out.splitlines()
    assert verdict == "Bridge: NOT ACTIVE"
    assert "phono3py-mlp-plugin is not installed, so that" in reason
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == (
        "phono3py-mlp not installed (phono3py not installed)\n"
    )

"""A forecast has the stages of the run with its options, and starts nothing."""

from __future__ import annotations

import pytest

from small_model import MODEL

PARAMS = "phono3py_params.yaml"
FORECAST = ["phono3py-mlp", "forecast", PARAMS]
SMALL = ["--mlp-params", f"{MODEL}, ntrain = 30, ntest = 10"]
OPTIONS = "--force-calculator-options"
MESH = ["--br", "--mesh", "5", "5", "5", "--ts", "300"]


def stages(done):
    """The lines of the table by the name of their stage."""
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    start = next(k for k, line in enumerate(lines) if line.startswith("stage"))
    return {line[:24].strip(): line[24:] for line in lines[start + 1 :]}


def test_a_run_with_error_bars(run, folder):
    before = sorted(path.name for path in folder.iterdir())
    words = [*FORECAST, *SMALL, *MESH, "--uncertainty", "4", "--workers", "10"]
    found = stages(run(words, folder))
    assert list(found) == [
        "start and input",
        "training",
        "force constants",
        "of the ensemble",
        "kappa",
        "error budget",
        "total",
    ]
    assert "30 supercells of 16 atoms" in found["training"]
    assert "10 points of the mesh 5 5 5" in found["kappa"]
    assert sorted(path.name for path in folder.iterdir()) == before
    alone = stages(run([*words, "--no-error-budget"], folder))
    assert "error budget" not in alone


def test_displacements_are_counted(run, folder):
    done = run([*FORECAST, *SMALL, "--rd", "7"], folder)
    assert "14 supercells of 16 atoms" in stages(done)["forces"]
    assert "Not included: solving force constants by symfc." in done.stdout


def test_a_potential_in_the_folder_is_not_trained(run, trained):
    done = run(["phono3py-mlp", "forecast", "phono3py.yaml", *MESH, "-d"], trained)
    assert "training" not in stages(done)


def test_any_calculator(run, folder):
    pytest.importorskip("ase")
    words = [*FORECAST, "--force-calculator", "lj", *MESH]
    found = stages(run(words, folder))
    assert list(found)[1:3] == ["forces", "kappa"]


def test_kappa_of_each_of_several_models(run, folder):
    pytest.importorskip("ase")
    models = ["epsilon = 0.01, sigma = 2.5", "epsilon = 0.02, sigma = 2.5"]
    words = [*FORECAST, "--force-calculator", "lj", *MESH]
    words += [word for model in models for word in (OPTIONS, model)]
    assert "1 potential" in stages(run(words, folder))["of the ensemble"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--lbte", "--mesh", "5", "5", "5"], "forecast and --lbte"),
        ([*MESH, "--workers", "0"], "--workers = 0; expected positive numbers"),
        ([*MESH, "--mlp-params", "cutof = 3"], "cutof"),
        (
            [*SMALL, *MESH, "--uncertainty", "2", "--uncertainty-mesh", "5", "4", "3"],
            "mesh = 5 4 3: ",
        ),
    ],
)
def test_what_cannot_be_forecast_is_one_line(run, folder, words, message):
    done = run([*FORECAST, *words], folder)
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("ERROR:") and message in line

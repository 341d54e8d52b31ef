"""What ``make demo`` shows, and what users do next in the folder that it makes."""

import importlib.util
import json
import sys

import pytest

from conftest import FETCH_DATA
from small_model import MODEL

MESH = ["--mesh", "3", "3", "3", "--sigma", "0.3", "--ts", "300"]
LOAD = ["phono3py-load", "--pypolymlp", "-d", "--br", *MESH]
LOAD += ["--mlp-params", f"{MODEL}, ntrain = 20, ntest = 20", "phono3py_params.yaml"]


@pytest.fixture(scope="module")
def demonstration():
    """The script of the example."""
    sys.path.insert(0, str(FETCH_DATA.parent))
    try:
        spec = importlib.util.spec_from_file_location(
            "demonstration", FETCH_DATA.with_name("run.py")
        )
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(FETCH_DATA.parent))
    return module


@pytest.fixture(scope="module")
def demo(demonstration, tmp_path_factory, host_source):
    """Steps 1 to 3 of the demonstration: Born charges have no factor of units."""
    folder = tmp_path_factory.mktemp("demo")
    demonstration.first_principles_dataset(folder, host_source)
    return folder


def test_a_step_that_fails_shows_the_end_of_its_output(
    demonstration, tmp_path, monkeypatch, capfd
):
    program = "for n in range(50): print('line', n)\nraise SystemExit(3)"

    def run(job):
        with demonstration.step("Step 1: what fails"):
            demonstration.command(tmp_path, "python", "-c", program)

    monkeypatch.setattr(demonstration, "run", run)
    monkeypatch.setattr(sys, "argv", ["run.py", "--demo"])
    assert demonstration.main() == 1
    output = capfd.readouterr()
    (line,) = output.out.splitlines()
    assert line.startswith("Step 1: what fails") and line.endswith(" failed")
    *end, error = output.err.splitlines()
    assert end == [f"line {n}" for n in range(30, 50)]
    assert error.startswith("ERROR: python ended with exit code 3.")
    assert "log.txt" in error
    assert (tmp_path / "log.txt").read_text().startswith("\n$ python -c ")


def test_a_finished_step_is_a_line_with_its_time(demonstration, capfd):
    with demonstration.step("Step 1: what is done"):
        pass
    (line,) = capfd.readouterr().out.splitlines()
    title, seconds, unit = line.rsplit(maxsplit=2)
    assert (title, unit) == ("Step 1: what is done", "s")
    assert float(seconds) >= 0


@pytest.mark.slow
def test_demo_folder_takes_a_run_twice_then_report_and_converge(demo, run):
    text = (demo / "phono3py_params.yaml").read_text()
    assert "born_effective_charge" in text
    assert "unit_conversion_factor" not in text.partition("born_effective_charge")[0]
    first = run(LOAD, demo)
    assert first.returncode == 0, first.stderr
    second = run(LOAD, demo)
    assert second.returncode == 0, second.stderr
    assert "was trained on the same data and parameters: used again" in second.stdout
    assert "were computed from the same: used again" in second.stdout
    report = run(["phono3py-mlp", "report"], demo)
    assert report.returncode == 0, report.stderr
    assert (demo / "phono3py_mlp_report.html").is_file()
    words = ["--mlp-params", f"{MODEL}, ntest = 20", "--sizes", "20", "--members", "2"]
    study = run(
        ["phono3py-mlp", "converge", "-d", "phono3py_params.yaml", *MESH, *words], demo
    )
    assert study.returncode == 0, study.stderr
    (point,) = json.loads((demo / "phono3py_mlp_convergence.json").read_text())[
        "points"
    ]
    run_kappa = [x for x in first.stdout.splitlines() if x.strip().startswith("300.0")]
    assert point["kappa"][0][0] == pytest.approx(float(run_kappa[-1].split()[1]), 1e-4)

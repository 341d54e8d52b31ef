"""Commands give the same to the last bit, however their work is divided."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from analytic_crystal import analytic_crystal
from chunk_functions import LOG, POISON
from file_schemas import check_files
from phono3py_mlp_plugin.cli import main
from small_model import MODEL

pytest.importorskip("ase")

HERE = Path(__file__).parents[1]
LABEL = ["label", "--force-calculator", "ase", "--allow-poor-fit"]
CALCULATOR = "calculator = chunk_functions:lennard_jones"
PARAMS = "phono3py_params.yaml"
MESH = ["--mesh", "5", "5", "5", "--ts", "300"]
LOAD = ["phono3py-load", PARAMS, "--pypolymlp", "--br", *MESH]
LOAD += ["--mlp-params", f"{MODEL}, ntrain = 20, ntest = 10"]
CONVERGE = ["phono3py-mlp", "converge", PARAMS, *MESH, "--sizes", "10", "20"]
CONVERGE += ["--mlp-params", f"{MODEL}, ntest = 10", "--members", "3"]


@pytest.fixture
def displacements(tmp_path, monkeypatch):
    """A folder with 24 displaced supercells, in which commands are called."""
    crystal = analytic_crystal()
    crystal.dataset = {"displacements": crystal.dataset["displacements"][:24]}
    crystal.save(tmp_path / "phono3py_disp.yaml")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def label(*options, calculator=CALCULATOR):
    return main([*LABEL, "--force-calculator-options", calculator, *options])


def evaluated(folder):
    """Return process and first coordinate of what was evaluated."""
    path = folder / LOG
    lines = path.read_text().splitlines() if path.is_file() else []
    path.unlink(missing_ok=True)
    return [line.split() for line in lines]


def labelled(folder):
    path = folder / PARAMS
    content = path.read_bytes()
    path.unlink()
    (folder / "phono3py_mlp_labels.json").unlink()
    return content


def test_labels_are_the_same_by_one_process_two_or_parts(displacements, capsys):
    assert label() == 0
    check_files(displacements, "health", "labels")
    expected = labelled(displacements)
    # Once for the examination of the potential, too.
    n_alone = len(evaluated(displacements))
    assert label("--jobs", "2") == 0
    assert labelled(displacements) == expected
    processes = {process for process, _ in evaluated(displacements)}
    assert len(processes - {str(os.getpid())}) == 2
    capsys.readouterr()
    for i in (3, 1, 2):
        assert label("--part", f"{i}/3") == 0
        assert not (displacements / PARAMS).exists()
        last = capsys.readouterr().out.splitlines()[-1]
        assert last.startswith(f"Part {i}/3 of evaluation: 8 chunks computed")
    evaluated(displacements)
    assert label("--part", "collect/3") == 0
    assert labelled(displacements) == expected
    assert len(evaluated(displacements)) < n_alone - 20
    hidden = [p.name for p in displacements.iterdir() if p.name.startswith(".")]
    assert hidden == []


def test_parts_that_are_missing_are_named(displacements, capsys):
    assert label("--part", "2/3") == 0
    capsys.readouterr()
    assert label("--part", "collect/3") == 1
    error = capsys.readouterr().err
    assert error.startswith("ERROR: collect: 16 of 24 chunks of evaluation are missing")
    assert "Run --part 1/3 3/3 again" in error
    assert len(error.splitlines()) == 1


def test_a_supercell_that_fails_is_named_and_the_rest_is_kept(displacements, capsys):
    assert label() == 0
    expected = labelled(displacements)
    places = [place for _, place in evaluated(displacements)]
    (displacements / POISON).write_text(places[-5])
    for options in ((), ("--jobs", "2")):
        assert label(*options) == 1
        error = capsys.readouterr().err
        assert error.endswith("it does not converge (supercell 20)\n")
        assert len(error.splitlines()) == 1
        assert not (displacements / PARAMS).exists()
    (displacements / POISON).unlink()
    evaluated(displacements)
    assert label() == 0
    # Only the one that failed.
    assert [place for _, place in evaluated(displacements)] == [places[-5]]
    assert labelled(displacements) == expected


@pytest.mark.slow
def test_a_run_whose_driver_is_killed_goes_on_where_it_was(displacements):
    slow = f"{CALCULATOR}, seconds = 0.4"
    command = [sys.executable, "-c"]
    command += [
        "import sys; from phono3py_mlp_plugin.cli import main; sys.exit(main())"
    ]
    command += [*LABEL, "--force-calculator-options", slow, "--jobs", "2"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    driver = subprocess.Popen(
        command, env=environment, start_new_session=True, stdout=subprocess.DEVNULL
    )
    folder = displacements / ".phono3py-mlp-chunks"
    limit = time.monotonic() + 100
    while not list(folder.glob("*.hdf5")) and time.monotonic() < limit:
        time.sleep(0.05)
    assert list(folder.glob("*.hdf5"))
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()
    before = evaluated(displacements)
    workers = {int(process) for process, _ in before} - {driver.pid}
    time.sleep(2)
    # Workers have ended with their driver.
    for process in workers:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, 0)
            stat = Path(f"/proc/{process}/stat").read_text()
            assert stat.rpartition(")")[2].split()[0] == "Z"
    assert label("--jobs", "2", calculator=slow) == 0
    resumed = evaluated(displacements)
    found = labelled(displacements)
    assert label(calculator=slow) == 0
    n_all = len(evaluated(displacements))
    assert len(resumed) < n_all
    assert labelled(displacements) == found


def kappa_files(folder):
    (path,) = folder.glob("kappa-*.hdf5")
    with h5py.File(path) as file:
        return {name: np.array(file[name]) for name in file}


@pytest.mark.slow
def test_kappa_is_the_same_by_one_process_two_or_parts(run, analytic_params, tmp_path):
    """Evaluation, scattering by mesh points, and an ensemble."""
    folders = [tmp_path / name for name in ("alone", "jobs", "parts")]
    for folder in folders:
        folder.mkdir()
        shutil.copy(analytic_params, folder / PARAMS)
    command = [*LOAD, "-d", "--uncertainty", "2"]
    alone, jobs, parts = folders
    assert run(command, alone).returncode == 0
    assert run([*command, "--jobs", "2"], jobs).returncode == 0
    refused = run([*command, "--part", "1/2"], parts)
    assert refused.returncode == 1
    assert "--part = 1/2: the potential is not trained yet" in refused.stderr
    assert [path.name for path in parts.iterdir()] == [PARAMS]
    shutil.copy(alone / "polymlp.yaml", parts)
    lines = []
    while not lines or "nothing is left" not in lines[-1]:
        for part in ("2/2", "1/2"):
            done = run([*command, "--part", part], parts)
            assert done.returncode == 0, done.stderr
            lines.append(done.stdout.splitlines()[-1])
        assert len(lines) < 10
    assert not list(parts.glob("*.hdf5"))
    steps = [line.split()[3] for line in lines if " of " in line]
    assert list(dict.fromkeys(steps)) == ["evaluation:", "scattering:", "kappa:"]
    done = run(["phono3py-mlp", "collect"], parts)
    assert done.returncode == 0, done.stderr
    expected = kappa_files(alone)
    for folder in (jobs, parts):
        found = kappa_files(folder)
        assert set(found) == set(expected)
        for name, array in expected.items():
            assert array.tobytes() == found[name].tobytes(), name
        for record in ("polymlp.yaml", "phono3py_mlp_uncertainty.json"):
            assert (folder / record).read_bytes() == (alone / record).read_bytes()
        assert not (folder / ".phono3py-mlp-chunks").exists()


@pytest.mark.slow
def test_a_study_is_the_same_by_one_process_two_or_parts(
    run, analytic_params, tmp_path
):
    folders = [tmp_path / name for name in ("alone", "jobs", "parts")]
    for folder in folders:
        folder.mkdir()
        shutil.copy(analytic_params, folder / PARAMS)
    alone, jobs, parts = folders
    assert run(CONVERGE, alone).returncode == 0
    assert run([*CONVERGE, "--jobs", "2"], jobs).returncode == 0
    for part in ("1/2", "2/2", "1/2", "2/2"):
        assert run([*CONVERGE, "--part", part], parts).returncode == 0
    done = run(["phono3py-mlp", "collect", "--jobs", "2"], parts)
    assert done.returncode == 0, done.stderr
    record = "phono3py_mlp_convergence.json"
    for folder in (jobs, parts):
        assert (folder / record).read_bytes() == (alone / record).read_bytes()


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["--jobs", "0"], "--jobs = 0; expected 1 or more processes"),
        (["--part", "5/4"], "--part = 5/4; expected i/N"),
        (["--executor", "dask=nowhere.json"], "nowhere.json is not found"),
        (["--executor", "slurm=nowhere.yaml"], "nowhere.yaml"),
        (["--jobs", "2", "--executor", "dask=tcp://localhost:1"], "Give one"),
    ],
)
def test_where_to_compute_is_checked_before_work(
    run, tmp_path, displacements, capsys, options, found
):
    """Even before files are read. Where a package is missing, that is told."""
    results = [(label(*options), capsys.readouterr().err)]
    for command in (LOAD, CONVERGE):
        done = run([*command, *options], tmp_path)
        results.append((done.returncode, done.stderr))
    for code, error in results:
        assert code == 1
        (line,) = error.strip().splitlines()
        assert line.startswith("ERROR: ")
        is_missing = "--executor" in options and "is not installed" in line
        assert found in line or is_missing


def test_options_of_chunks_without_chunks_are_refused(run, analytic_params, tmp_path):
    shutil.copy(analytic_params, tmp_path / PARAMS)
    done = run(["phono3py-load", PARAMS, *MESH, "--br", "--jobs", "2"], tmp_path)
    assert done.returncode == 1
    assert "--jobs = 2: needs --pypolymlp, --force-calculator NAME" in done.stderr


def test_collect_without_parts_is_refused(displacements, capsys):
    assert main(["collect"]) == 1
    assert (
        "no part of a run has been computed in this folder" in capsys.readouterr().err
    )

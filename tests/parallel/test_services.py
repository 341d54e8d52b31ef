"""Workers of dask over TCP, and of executorlib: the same to the last bit."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import chunk_functions
import phono3py_mlp_plugin as mlp
from analytic_crystal import analytic_crystal
from phono3py_mlp_plugin.parallel import Chunk, ExecutorSpec, Stage, distribution_of
from phono3py_mlp_plugin.reference import RigidIonNaCl
from small_model import MODEL

pytestmark = pytest.mark.slow

TESTS = Path(__file__).parents[1]
PARAMS = "phono3py_params.yaml"
OPTIONS = ["--pypolymlp", "--br", "--mesh", "5", "5", "5", "--ts", "300", "-d"]
OPTIONS += ["--mlp-params", f"{MODEL}, ntrain = 20, ntest = 10"]


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory):
    """A scheduler of dask and two workers, and its file."""
    pytest.importorskip("distributed")
    folder = tmp_path_factory.mktemp("dask")
    path = folder / "scheduler.json"
    place = ["--scheduler-file", str(path)]
    words = [
        ["dask_scheduler", *place, "--host", "127.0.0.1", "--port", "0"],
        *([["dask_worker", *place, "--nthreads", "1"]] * 2),
    ]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path]),
        "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "60s",
    }
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.{name}", *rest, "--no-dashboard"],
            env=environment,
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        for name, *rest in words
    ]
    limit = time.monotonic() + 60
    while not path.is_file() and time.monotonic() < limit:
        time.sleep(0.1)
    yield path
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
    for process in processes:
        process.wait()


@pytest.fixture(scope="module")
def local_executorlib(tmp_path_factory):
    """Options of executorlib's executor of this machine."""
    pytest.importorskip("executorlib")
    path = tmp_path_factory.mktemp("executorlib") / "local.yaml"
    path.write_text("executor: local\nmax_workers: 2\nblock_allocation: true\n")
    return path


@pytest.fixture(params=["dask address", "dask file", "executorlib"])
def place(request):
    """The value of --executor."""
    if request.param == "executorlib":
        return f"slurm={request.getfixturevalue('local_executorlib')}"
    path = request.getfixturevalue("scheduler")
    if request.param == "dask file":
        return f"dask={path}"
    return f"dask={json.loads(path.read_text())['address']}"


@pytest.fixture(scope="module")
def alone(run_process, analytic_params, tmp_path_factory):
    """The folder of a run by one process."""
    folder = tmp_path_factory.mktemp("alone")
    shutil.copy(analytic_params, folder / PARAMS)
    done = run_process(
        ["phono3py-load", PARAMS, *OPTIONS, "--uncertainty", "2"], folder
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.real_process
def test_a_run_by_workers_elsewhere_is_that_of_one_process(
    place, alone, run, analytic_params, tmp_path
):
    """Training, evaluation, scattering by mesh points, and an ensemble."""
    shutil.copy(analytic_params, tmp_path / PARAMS)
    command = ["phono3py-load", PARAMS, *OPTIONS, "--uncertainty", "2"]
    done = run([*command, "--executor", place], tmp_path)
    assert done.returncode == 0, done.stderr
    for name in ("polymlp.yaml", "kappa-m555.hdf5", "phono3py_mlp_uncertainty.json"):
        assert (tmp_path / name).read_bytes() == (alone / name).read_bytes()


def test_workers_that_are_killed_are_replaced(scheduler, tmp_path):
    """One is killed from outside while it computes; another kills itself, once."""
    killed = []

    def kill():
        while not killed:
            for path in tmp_path.glob("*-*"):
                killed.append(int(path.name.split("-")[1]))
                os.kill(killed[0], signal.SIGKILL)
                break
            time.sleep(0.02)

    thread = threading.Thread(target=kill)
    thread.start()
    chunks = [Chunk(f"number {i}", i, {"number": i}) for i in range(12)]
    spec = ExecutorSpec.parse(None, f"dask={scheduler}")
    with distribution_of(spec) as distribution:
        stage = Stage("test", chunk_functions.wait, str(tmp_path))
        found = [float(a["square"][0]) for a in distribution.compute(stage, chunks)]
        thread.join()
        folder = tmp_path / "die"
        folder.mkdir()
        stage = Stage("test", chunk_functions.die, (str(folder), {5}, 1))
        again = [float(a["square"][0]) for a in distribution.compute(stage, chunks)]
    assert found == again == [i**2 for i in range(12)]


def test_any_executor_can_be_given_in_python(local_executorlib):
    from executorlib import SingleNodeExecutor

    crystal = analytic_crystal()
    crystal.dataset = {"displacements": crystal.dataset["displacements"]}
    mlp.evaluate(crystal, RigidIonNaCl())
    expected = crystal.forces.copy()
    crystal.forces = np.zeros_like(expected)
    with SingleNodeExecutor(max_workers=2, block_allocation=True) as executor:
        mlp.evaluate(crystal, RigidIonNaCl(), executor=executor)
    assert crystal.forces.tobytes() == expected.tobytes()

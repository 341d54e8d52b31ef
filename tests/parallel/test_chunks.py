"""Chunks of work: equal for all who compute them, whatever happens to workers."""

import contextlib
import os
import signal
import threading
import time
from concurrent.futures import (
    Executor,
    Future,
    InvalidStateError,
    ThreadPoolExecutor,
)
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import h5py
import numpy as np
import pytest

import chunk_functions
import phono3py_mlp_plugin as mlp
from phono3py_mlp_plugin.errors import ParameterError, PartFinished, WorkerError
from phono3py_mlp_plugin.parallel import (
    Chunk,
    ChunkStore,
    Distribution,
    ExecutorSpec,
    Part,
    Stage,
    count_chunks,
    distribution_of,
    forget_chunks,
)
from phono3py_mlp_plugin.parallel import chunks as chunk_module
from phono3py_mlp_plugin.parallel.chunks import run_chunk
from phono3py_mlp_plugin.parallel.executors import Workers

SQUARES = [float(n**2) for n in range(12)]


def stage(function, shared, content="x"):
    return Stage("test", function, shared, content)


def chunks(n=12):
    return [Chunk(f"number {i}", i, {"number": i}) for i in range(n)]


def values(distribution, of_stage, n=12):
    results = distribution.compute(of_stage, chunks(n))
    return [float(arrays["square"][0]) for arrays in results]


class Backwards(Executor):
    """An executor that finishes the last of what it was given first."""

    def __init__(self):
        self.waiting = []
        self.sizes = []

    def submit(self, function, /, *args, **kwargs):
        future = Future()
        self.waiting.append((future, function, args))
        if len(self.waiting) == 1:
            threading.Timer(0.05, self.finish).start()
        return future

    def finish(self):
        while self.waiting:
            future, function, args = self.waiting.pop()
            self.sizes.append(len(args[0].shared or b""))
            if future.set_running_or_notify_cancel():
                future.set_result(function(*args))


def test_results_are_in_order_whoever_computes_them_in_any_order():
    expected = values(Distribution(), stage(chunk_functions.square, 1.0))
    assert expected == SQUARES
    for executor in (Backwards(), ThreadPoolExecutor(3)):
        with distribution_of(executor) as distribution:
            assert values(distribution, stage(chunk_functions.square, 1.0)) == expected


@pytest.mark.parametrize("has_disk", [True, False])
def test_large_shared_arguments_are_on_disk_or_sent(tmp_path, monkeypatch, has_disk):
    executor = Backwards()
    shared = np.full(100_000, 2.0)
    if not has_disk:
        # Workers of another machine.
        monkeypatch.setattr(Path, "read_bytes", no_file)
    with distribution_of(executor, tmp_path) as distribution:
        of_stage = stage(chunk_functions.square, shared, content=None)
        results = distribution.compute(of_stage, chunks(3))
        for number, arrays in enumerate(results):
            assert (arrays["square"] == 2.0 * number**2).all()
    assert (max(executor.sizes) > shared.nbytes) != has_disk
    assert list(tmp_path.iterdir()) == []
    chunk_module._process.shared.clear()


def no_file(path):
    raise FileNotFoundError(path)


class Losing(Workers):
    """Workers that lose chunks, with all others if the pool is broken by it."""

    n_waiting = 4

    def __init__(self, deadly, times, *, breaks):
        self.can_restart = breaks
        self._deadly, self._times, self._breaks = deadly, times, breaks
        self._open = []

    def submit(self, of_stage, chunk, shared_file):
        future = Future()
        self._open.append(future)
        if chunk.arguments in self._deadly and self._times > 0:
            self._times -= 1
            error = BrokenProcessPool if self._breaks else ConnectionError
            for other in self._open if self._breaks else [future]:
                with contextlib.suppress(InvalidStateError):
                    other.set_exception(error("a worker was lost"))
        elif self._breaks:
            threading.Timer(0.02, finish, (future, of_stage, chunk)).start()
        else:
            future.set_result(done(of_stage, chunk))
        return future


def finish(future, of_stage, chunk):
    with contextlib.suppress(InvalidStateError):
        future.set_result(done(of_stage, chunk))


def done(of_stage, chunk):
    from phono3py_mlp_plugin.parallel.chunks import run_here

    return run_here(of_stage, chunk)


@pytest.mark.parametrize("breaks", [True, False])
def test_chunks_of_lost_workers_are_done_again(breaks):
    workers = Losing({3}, 2, breaks=breaks)
    found = values(Distribution(workers), stage(chunk_functions.square, 1.0))
    assert found == SQUARES


@pytest.mark.parametrize("breaks", [True, False])
def test_a_chunk_that_loses_its_worker_three_times_is_named(breaks):
    workers = Losing({3}, 99, breaks=breaks)
    with pytest.raises(WorkerError, match=r"number 3: the worker was lost 3 times"):
        values(Distribution(workers), stage(chunk_functions.square, 1.0))


def test_an_executor_of_others_that_is_broken_is_told_so():
    class Broken(Executor):
        def submit(self, *args, **kwargs):
            raise BrokenProcessPool("it is broken")

    with (
        pytest.raises(WorkerError, match="executor: it is broken; expected one"),
        distribution_of(Broken()) as distribution,
    ):
        values(distribution, stage(chunk_functions.square, 1.0))


def test_a_worker_with_another_version_of_a_package_is_refused(monkeypatch):
    old = stage(chunk_functions.square, 1.0)
    old.versions["numpy"] = "1.0"
    with (
        pytest.raises(WorkerError, match=r"worker on .*: numpy = .*; expected 1\.0"),
        distribution_of(Backwards()) as distribution,
    ):
        values(distribution, old)


def test_what_fails_is_reported_after_the_rest_is_kept(tmp_path):
    poisoned = stage(chunk_functions.refuse, (4, 7))
    with pytest.raises(ValueError, match="4 is poison"):
        values(Distribution(folder=tmp_path), poisoned)
    assert count_chunks(tmp_path, "test") == 10
    healed = stage(chunk_functions.refuse, ())
    assert values(Distribution(folder=tmp_path), healed) == SQUARES


def test_nothing_more_is_computed_where_everything_fails(tmp_path):
    poisoned = stage(chunk_functions.refuse, range(12))
    with pytest.raises(ValueError, match="0 is poison"):
        values(Distribution(folder=tmp_path), poisoned, 1000)
    assert count_chunks(tmp_path, "test") == 0


@pytest.fixture
def slow(monkeypatch):
    """Everything takes so long that it is kept."""
    monkeypatch.setattr(ChunkStore, "is_slow", True)


def test_fast_stages_leave_nothing_on_disk(tmp_path):
    values(Distribution(folder=tmp_path), stage(chunk_functions.square, 1.0))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("slow")
def test_finished_chunks_are_not_computed_again(tmp_path):
    first = values(Distribution(folder=tmp_path), stage(chunk_functions.square, 1.0))
    # The content is the same, the function would not give it.
    again = stage(chunk_functions.square, np.nan)
    assert values(Distribution(folder=tmp_path), again) == first
    other = stage(chunk_functions.square, 2.0, content="y")
    assert values(Distribution(folder=tmp_path), other) == [2 * x for x in first]
    forget_chunks(tmp_path, "test")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize("damage", ["cut", "changed", "empty", "other"])
def test_damaged_chunks_are_computed_again(tmp_path, damage):
    values(Distribution(folder=tmp_path), stage(chunk_functions.square, 1.0))
    (path,) = (tmp_path / ".phono3py-mlp-chunks").iterdir()
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:3000])
    elif damage == "empty":
        path.write_bytes(b"")
    else:
        with h5py.File(path, "r+") as file:
            for group in file.values():
                if damage == "changed":
                    group["square"][0] = np.nan
                else:
                    del group["square"]
    found = values(Distribution(folder=tmp_path), stage(chunk_functions.square, 1.0))
    assert found == SQUARES


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 1, 2)])
def test_parts_in_any_order_are_what_one_run_computes(tmp_path, order):
    of_stage = stage(chunk_functions.square, 1.0)
    for n, i in enumerate(order, start=1):
        part = Distribution(folder=tmp_path, part=Part(i, 3))
        text = f"Part {i}/3 of test: 4 chunks computed, {4 * n} of 12 are there"
        with pytest.raises(PartFinished, match=text):
            values(part, of_stage)
    # Nothing is computed any more: the shared argument is not used.
    complete = stage(chunk_functions.square, np.nan)
    assert values(Distribution(folder=tmp_path, part=Part(1, 3)), complete) == SQUARES
    assert values(Distribution(folder=tmp_path), complete) == SQUARES


@pytest.mark.parametrize("text", ["0/4", "5/4", "1", "1/0", "a/b", "-1/4", "1/4/2", ""])
def test_impossible_parts_are_refused(text):
    with pytest.raises(ParameterError, match=r"--part = .*; expected i/N"):
        Part.parse(text)


@pytest.mark.parametrize(
    ("jobs", "text", "found"),
    [
        (0, None, "--jobs = 0; expected 1 or more"),
        (-2, None, "--jobs = -2; expected 1 or more"),
        (2, "dask=tcp://a:1", "Give one"),
        (None, "dask", "--executor = dask; expected dask=tcp"),
        (None, "dask=", "--executor = dask=; expected dask=tcp"),
        (None, "dusk=tcp://a:1", "Did you mean 'dask'"),
        (None, "ray=x", "--executor = ray=x; expected dask=tcp"),
    ],
)
def test_impossible_executors_are_refused_before_work(jobs, text, found):
    with pytest.raises(ParameterError, match=found):
        ExecutorSpec.parse(jobs, text)


@pytest.mark.parametrize("executor", [0, -1, True, "2", 1.5])
def test_what_is_no_executor_is_refused(executor):
    with pytest.raises(ParameterError, match="executor = "), distribution_of(executor):
        pass


def test_a_store_writes_many_chunks_into_one_file(tmp_path):
    store = ChunkStore(tmp_path, "test")
    for number in range(100):
        store.add(f"{number:032}", {"x": np.arange(3.0), "y": np.zeros((0, 3))})
    store.write()
    assert len(list((tmp_path / ".phono3py-mlp-chunks").iterdir())) == 1
    found = ChunkStore(tmp_path, "test").get(f"{7:032}")
    assert found["y"].shape == (0, 3)
    assert np.array_equal(found["x"], np.arange(3.0))


def test_processes_that_are_killed_are_replaced_and_end_with_their_run(tmp_path):
    """Real processes: one kills itself, another is killed from outside."""
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
    with distribution_of(2) as distribution:
        found = values(distribution, stage(chunk_functions.wait, str(tmp_path)), 6)
        thread.join()
        assert found == SQUARES[:6]
        folder = tmp_path / "die"
        folder.mkdir()
        deadly = stage(chunk_functions.die, (str(folder), {2}, 99))
        with pytest.raises(WorkerError, match=r"number 2: the worker was lost 3 times"):
            values(distribution, deadly, 5)
    assert len(list(folder.iterdir())) == 3
    assert killed


def test_processes_that_are_killed_between_two_stages_are_replaced():
    with distribution_of(2) as distribution:
        assert values(distribution, stage(chunk_functions.square, 1), 4) == SQUARES[:4]
        for process in distribution.workers.processes():
            os.kill(process, signal.SIGKILL)
        time.sleep(0.5)
        assert values(distribution, stage(chunk_functions.square, 1), 4) == SQUARES[:4]


def test_errors_that_cannot_be_sent_back_become_text():
    from phono3py_mlp_plugin.parallel.chunks import message

    sent = message(
        stage(chunk_functions.refuse, (0,)),
        chunks(1)[0],
        None,
        None,
    )
    outcome = run_chunk(sent)
    assert isinstance(outcome.error, WorkerError)
    assert "ValueError: 0 is poison" in str(outcome.error)


def test_exact_force_constants_by_workers_are_those_of_one_process():
    """Chunks are central atoms; products of features have terms of their own."""
    from analytic_crystal import analytic_crystal
    from phono3py_mlp_plugin.workflow import (
        differentiate,
        request_force_constants,
        supercells_of,
    )

    crystal = analytic_crystal()
    crystal.mlp_dataset = crystal.dataset
    options = "cutoff=4.0, gtinv_maxl=2 2, gaussian_params2=0 3 3, ntrain=20, ntest=10"
    potential = mlp.train(crystal, options=options, allow_poor_fit=True).potential
    (part,) = supercells_of(crystal)
    solver = request_force_constants("exact").fc3
    alone = differentiate(part, solver, (2, 3), potential)
    with distribution_of(Backwards()) as distribution:
        found = differentiate(
            part, solver, (2, 3), potential, distribution=distribution
        )
    for order in (2, 3):
        assert found[order].tobytes() == alone[order].tobytes()

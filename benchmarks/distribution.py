"""Cost of chunks, and what two processes gain over one.

Usage: ``OMP_NUM_THREADS=1 python benchmarks/distribution.py PARAMS.yaml``, the dataset
of any crystal. CPU times are given too, because wall times of a busy machine mean
nothing.
"""

from __future__ import annotations

import pickle
import resource
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import phono3py

import phono3py_mlp_plugin as mlp
from phono3py_mlp_plugin.host.scattering import enable_fast_scattering
from phono3py_mlp_plugin.parallel import (
    Arrays,
    Chunk,
    Distribution,
    Stage,
    distribution_of,
)
from phono3py_mlp_plugin.parallel.chunks import Done
from phono3py_mlp_plugin.parallel.executors import ProcessWorkers, workers_of
from phono3py_mlp_plugin.workflow import (
    evaluate,
    read_dataset,
    request_calculator,
    train,
)

TRAINING = "ntrain = 80, ntest = 20"
SUPERCELLS = 800
MESH = (19, 19, 19)
CHUNKS = 2000


def _cpu(who: int) -> float:
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def measured(name: str, work: Callable[[Distribution], object]) -> None:
    """Print times of one process, and of two that have started already."""
    with distribution_of(None) as alone:
        work(alone)
        start, cpu = time.perf_counter(), _cpu(resource.RUSAGE_SELF)
        work(alone)
        wall, serial = time.perf_counter() - start, _cpu(resource.RUSAGE_SELF) - cpu
    alone_wall = wall
    print(f"{name}: one process {wall:.2f} s, CPU {serial:.2f} s")
    workers = ProcessWorkers(2)
    both = Distribution(workers)
    work(both)
    processes = list(workers.processes())
    before = [_cpu_of(process) for process in processes]
    start, cpu = time.perf_counter(), _cpu(resource.RUSAGE_SELF)
    work(both)
    wall, driver = time.perf_counter() - start, _cpu(resource.RUSAGE_SELF) - cpu
    of_workers = [_cpu_of(p) - b for p, b in zip(processes, before, strict=True)]
    workers.close()
    shown = " ".join(f"{t:.2f}" for t in of_workers)
    gain = serial / (driver + max(of_workers))
    print(
        f"{name}: two processes {wall:.2f} s, CPU of the driver {driver:.2f} s, of the "
        f"workers {shown} s; speed-up {alone_wall / wall:.2f}, by CPU {gain:.2f}"
    )


def _cpu_of(process: int) -> float:
    """Return the CPU time in seconds of a process."""
    words = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / 100


def _nothing(shared: object, number: int) -> Arrays:
    return {"number": np.zeros((16, 64, 3)) + number}


def main() -> None:
    """Measure chunks, training, evaluation and scattering."""
    path = Path(sys.argv[1])
    crystal = phono3py.load(path, produce_fc=False, log_level=0)
    crystal.mlp_dataset = crystal.dataset
    spec = request_calculator("pypolymlp", TRAINING)
    dataset = read_dataset(crystal.dataset, crystal.supercell)
    assert dataset is not None
    split = spec.divide(len(dataset))
    measured("training", lambda where: train(spec, dataset, split, distribution=where))
    trained = mlp.train(crystal, options="ntrain = 20, ntest = 10", allow_poor_fit=True)
    crystal.generate_displacements(
        distance=0.01, number_of_snapshots=SUPERCELLS, random_seed=0
    )
    cells = crystal.supercells_with_displacements
    measured(
        "evaluation",
        lambda where: evaluate("x", trained.potential, cells, distribution=where),
    )
    crystal.dataset = None
    mlp.solve_force_constants(crystal, "exact", potential=trained.potential)
    crystal.mesh_numbers = MESH
    crystal.init_phph_interaction()

    def scatter(where: Distribution) -> None:
        with enable_fast_scattering(distribution=where):
            crystal.run_thermal_conductivity(temperatures=[300])

    measured("scattering", scatter)
    cost_of_chunks()
    simulated()


def cost_of_chunks() -> None:
    """Print what chunks that compute nothing cost, kept on disk or not."""
    chunks = [Chunk(f"{i}", i, {"i": i}) for i in range(CHUNKS)]
    with TemporaryDirectory() as folder:
        for kept in (None, Path(folder)):
            stage = Stage("nothing", _nothing, None, "x" if kept else None)
            workers = ProcessWorkers(1)
            where = Distribution(workers, kept)
            list(where.compute(Stage("nothing", _nothing, None), chunks[:10]))
            start, cpu = time.perf_counter(), _cpu(resource.RUSAGE_SELF)
            list(where.compute(stage, chunks))
            wall, used = time.perf_counter() - start, _cpu(resource.RUSAGE_SELF) - cpu
            workers.close()
            print(
                f"chunks{' on disk' if kept else ''}: {1e3 * wall / CHUNKS:.2f} ms "
                f"each, {1e3 * used / CHUNKS:.2f} ms of the driver"
            )


class SimulatedWorkers(Executor):
    """Workers that take a given time for each chunk, and compute nothing.

    Chunks and results are pickled, as if they were sent.
    """

    def __init__(self, number: int, seconds: float) -> None:
        self._seconds, self._free = seconds, number
        self._waiting: deque[Future[object]] = deque()
        self._busy: deque[tuple[float, Future[object]]] = deque()
        self._changed = threading.Condition()
        self._result = pickle.dumps(Done(_nothing(None, 0)))
        threading.Thread(target=self._work, daemon=True).start()

    def submit(
        self, function: Callable[..., object], /, *args: object, **_: object
    ) -> Future[object]:
        """Give a chunk to a worker that is free, or let it wait for one."""
        pickle.dumps((function, args))
        future: Future[object] = Future()
        with self._changed:
            self._waiting.append(future)
            self._start_waiting()
            self._changed.notify()
        return future

    def _start_waiting(self) -> None:
        while self._free and self._waiting:
            self._free -= 1
            end = time.perf_counter() + self._seconds
            self._busy.append((end, self._waiting.popleft()))

    def _work(self) -> None:
        while True:
            done = []
            with self._changed:
                while self._busy and self._busy[0][0] <= time.perf_counter():
                    done.append(self._busy.popleft()[1])
                    self._free += 1
                self._start_waiting()
                if not done:
                    rest = self._busy[0][0] - time.perf_counter() if self._busy else 1
                    self._changed.wait(max(rest, 0))
            for future in done:
                future.set_result(pickle.loads(self._result))


def simulated() -> None:
    """Print the efficiency of one driver with many workers."""
    for number, seconds in ((100, 1.0), (1000, 1.0), (1000, 2.0)):
        where = Distribution(workers_of(SimulatedWorkers(number, seconds)))
        n = 10 * number
        chunks = [Chunk(f"{i}", np.zeros((16, 64, 3)), {}) for i in range(n)]
        start = time.perf_counter()
        list(where.compute(Stage("nothing", _nothing, None), chunks))
        wall = time.perf_counter() - start
        print(
            f"{number} simulated workers, {n} chunks of {seconds:.0f} s: {wall:.2f} s, "
            f"efficiency {10 * seconds / wall:.2f}"
        )


if __name__ == "__main__":
    main()

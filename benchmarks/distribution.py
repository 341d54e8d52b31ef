"""Cost of chunks, and what two processes gain over one.

Usage: ``OMP_NUM_THREADS=1 python benchmarks/distribution.py PARAMS.yaml``, the dataset
of any crystal. CPU times are given too, because wall times of a busy machine mean
nothing.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
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
from phono3py_mlp_plugin.parallel.executors import ProcessWorkers
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


if __name__ == "__main__":
    main()

"""Functions of chunks, which worker processes of tests import."""

import os
import pickle
import signal
import time
from pathlib import Path

import numpy as np


def square(shared, number):
    return {"square": np.array([shared * number**2])}


def refuse(shared, number):
    """Fail for some numbers."""
    if number in shared:
        raise ValueError(f"{number} is poison")
    return {"square": np.array([float(number**2)])}


def die(shared, number):
    """Kill the worker at some numbers, as often as files say."""
    folder, deadly, times = shared
    if number in deadly:
        marks = len(list(Path(folder).glob(f"{number}-*")))
        if marks < times:
            (Path(folder) / f"{number}-{marks}").touch()
            os.kill(os.getpid(), signal.SIGKILL)
    return {"square": np.array([float(number**2)])}


def wait(shared, number):
    """Take some time, and tell which process it takes it in."""
    (Path(shared) / f"{number}-{os.getpid()}").touch()
    time.sleep(0.2)
    return {"square": np.array([float(number**2)])}


def by_workers(function, shared, items):
    """A `MapChunks` that sends all there and back; the last chunk is computed first."""
    sent = [pickle.dumps((shared, item)) for item in items]
    done = [pickle.dumps(function(*pickle.loads(one))) for one in reversed(sent)]
    return map(pickle.loads, reversed(done))


LOG, POISON = "log", "poison"


def lennard_jones(seconds=0.0):
    """Return an ASE calculator that writes what it does, and fails if a file says so.

    It can be named in commands as ``chunk_functions:lennard_jones``.
    """
    from ase.calculators.lj import LennardJones

    class Slow(LennardJones):
        def get_forces(self, atoms):
            time.sleep(seconds)
            first = repr(float(atoms.positions[0, 0]))
            with Path(LOG).open("a") as file:
                file.write(f"{os.getpid()} {first}\n")
            if Path(POISON).is_file() and first == Path(POISON).read_text():
                raise RuntimeError("it does not converge")
            return super().get_forces(atoms)

    return Slow(sigma=2.4, rc=5.0)

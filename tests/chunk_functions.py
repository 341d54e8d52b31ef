"""Functions of chunks, which worker processes of tests import."""

import os
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


class Slow:
    """An ASE calculator in the folder of a run, that takes its time."""

    implemented_properties = ("energy", "forces")

    def __init__(self, seconds=0.0, poison=""):
        self.seconds = seconds
        self.poison = poison

    def get_forces(self, atoms):
        time.sleep(self.seconds)
        if self.poison and Path(self.poison).is_file():
            limit = float(Path(self.poison).read_text())
            if atoms.positions[0, 0] == limit:
                raise RuntimeError("it does not converge")
        return -np.sin(atoms.positions)

    def get_potential_energy(self, atoms):
        return float(np.cos(atoms.positions).sum())

"""A plugin that misbehaves in the way it is told to."""

import os
import sys
import threading
from dataclasses import dataclass
from typing import Literal

import numpy as np

from phono3py_mlp_plugin import (
    Evaluation,
    ForceCalculator,
    ForceConstantsSolver,
    hookimpl,
)

Way = Literal[
    "",
    "shape",
    "nan",
    "raise",
    "exit",
    "lines",
    "talk",
    "lock",
    "leave",
    "end",
    "chdir",
    "complex",
    "huge",
    "streams",
]

# The same when it is imported.
if os.environ.get("UNRULY_IMPORT") == "end":
    os._exit(0)
if os.environ.get("UNRULY_IMPORT") == "leave":
    sys.exit(0)


@dataclass(frozen=True)
class Options:
    way: Way = ""


class Unruly:
    elements = ()

    def __init__(self, options):
        self.way = options.way
        # Neither can be pickled.
        self.lock = threading.Lock()
        self.answer = lambda n, shape: Evaluation(np.zeros(n), np.zeros((n, *shape)))

    def evaluate(self, supercells):
        misbehave(self.way)
        n, atoms = len(supercells), len(supercells[0])
        result = self.answer(n, (atoms, 2 if self.way == "shape" else 3))
        if self.way == "nan":
            result.forces[-1, -1, -1] = np.nan
        if self.way == "huge":
            result.forces[-1, -1, -1] = 1e300
        if self.way == "complex":
            return Evaluation(result.energies, result.forces.astype(complex))
        return result

    def save(self, path):
        raise NotImplementedError


def misbehave(way):
    if way == "raise":
        raise KeyError("inside")
    if way == "exit":
        sys.exit("I have seen enough")
    if way == "leave":
        sys.exit(0)
    if way == "end":
        os._exit(0)
    if way == "chdir":
        os.chdir(os.sep)
    if way == "streams":
        os.umask(0o777)
        np.seterr(all="raise")
        sys.stdout.close()
        os.close(2)
    if way == "lines":
        raise RuntimeError("one line\nand another\nand a third")
    if way == "talk":
        for _ in range(20_000):
            print("working " * 10)


def solve(problem):
    misbehave(problem.options.way)
    shift = 1 if problem.options.way == "shape" else 0
    value = {"nan": np.nan, "huge": 1e300, "complex": 1j}.get(problem.options.way, 0.0)
    return {
        order: np.full((*problem.shape(order)[:-1], 3 + shift), value)
        for order in problem.orders
    }


@hookimpl
def phono3py_mlp_force_calculators():
    if os.environ.get("UNRULY_IMPORT") == "hook":
        sys.exit(0)
    return [
        ForceCalculator(
            name="unruly",
            summary="misbehaves",
            load=lambda path, options: Unruly(options),
            options=Options,
        )
    ]


@hookimpl
def phono3py_mlp_force_constants_solvers():
    return [
        ForceConstantsSolver(
            name="unruly", summary="misbehaves", solve=solve, options=Options
        )
    ]

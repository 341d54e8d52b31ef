"""A plugin that misbehaves in the way it is told to."""

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

Way = Literal["", "shape", "nan", "raise", "exit", "lines", "talk", "lock"]


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
        return result

    def save(self, path):
        raise NotImplementedError


def misbehave(way):
    if way == "raise":
        raise KeyError("inside")
    if way == "exit":
        sys.exit("I have seen enough")
    if way == "lines":
        raise RuntimeError("one line\nand another\nand a third")
    if way == "talk":
        for _ in range(20_000):
            print("working " * 10)


def solve(problem):
    misbehave(problem.options.way)
    shift = 1 if problem.options.way == "shape" else 0
    return {
        order: np.full(
            (*problem.shape(order)[:-1], 3 + shift),
            np.nan if problem.options.way == "nan" else 0.0,
        )
        for order in problem.orders
    }


@hookimpl
def phono3py_mlp_force_calculators():
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

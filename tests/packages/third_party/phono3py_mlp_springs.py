"""A third party's plugin: springs between neighbours, and a solver by symfc."""

from dataclasses import dataclass

import numpy as np

from phono3py_mlp_plugin import (
    Evaluation,
    ForceCalculator,
    ForceConstantsSolver,
    hookimpl,
)


@dataclass(frozen=True)
class SpringOptions:
    k: float = 5.0  # eV/angstrom^2
    cubic: float = -8.0  # eV/angstrom^3
    length: float = 2.8016  # angstrom
    reach: float = 3.3  # angstrom


class Springs:
    elements = ()

    def __init__(self, options):
        self.o = options

    def evaluate(self, supercells):
        results = [self.one(cell) for cell in supercells]
        return Evaluation(*(np.array(column) for column in zip(*results, strict=True)))

    def one(self, cell):
        d = cell.scaled_positions[None] - cell.scaled_positions[:, None]
        v = (d - np.rint(d)) @ cell.cell
        r = np.linalg.norm(v, axis=2) + 10.0 * np.eye(len(cell))
        x = np.where(r < self.o.reach, r - self.o.length, 0.0)
        energy = (self.o.k * x**2 / 2 + self.o.cubic * x**3 / 6).sum() / 2
        slope = self.o.k * x + self.o.cubic * x**2 / 2
        return energy, ((slope / r)[:, :, None] * v).sum(axis=1)

    def save(self, path):
        path.write_text(f"{self.o}\n")


@dataclass(frozen=True)
class SolverOptions:
    skip: int = 0  # snapshots left out


def solve(problem):
    from symfc import Symfc
    from symfc.utils.utils import SymfcAtoms

    cell = problem.supercell
    atoms = SymfcAtoms(
        cell=cell.cell, scaled_positions=cell.scaled_positions, numbers=cell.numbers
    )
    skip = problem.options.skip
    symfc = Symfc(
        atoms,
        displacements=problem.displacements[skip:],
        forces=problem.forces[skip:],
        cutoff=dict(problem.cutoff) or None,
    )
    symfc.run(orders=list(problem.orders), is_compact_fc=problem.is_compact_fc)
    return symfc.force_constants


@hookimpl
def phono3py_mlp_force_calculators():
    yield ForceCalculator(
        name="springs",
        summary="springs between neighbours",
        options=SpringOptions,
        load=lambda path, options: Springs(options),
    )


@hookimpl
def phono3py_mlp_force_constants_solvers():
    yield ForceConstantsSolver(
        name="mine", summary="symfc once more", solve=solve, options=SolverOptions
    )

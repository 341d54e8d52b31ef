"""Discovery and lookup of plugins, and the check of what they return.

Built-in plugins are registered exactly as those of other packages: modules that
implement the hooks. A plugin that cannot be loaded stops only the commands that
ask for it by name.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.metadata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
import pluggy

from phono3py_mlp_plugin import hookspecs
from phono3py_mlp_plugin.contracts import (
    Evaluation,
    FloatArray,
    ForceCalculator,
    ForceConstants,
    ForceConstantsProblem,
    ForceConstantsSolver,
    Potential,
    SolveMany,
)
from phono3py_mlp_plugin.errors import (
    MLPError,
    PluginFailed,
    PluginNotFound,
    did_you_mean,
    one_line,
)
from phono3py_mlp_plugin.taylor import Lattice, check_force_constants

if TYPE_CHECKING:
    from pathlib import Path

    from phonopy.structure.atoms import PhonopyAtoms

DISTRIBUTION = "phono3py-mlp-plugin"

_BUILTIN = tuple(
    f"phono3py_mlp_plugin.{name}"
    for name in (
        "calculators.pypolymlp",
        "calculators.ase",
        "solvers.symfc",
        "solvers.finite_difference",
        "solvers.alm",
        "solvers.hiphive",
    )
)

Record = TypeVar("Record", ForceCalculator, ForceConstantsSolver)


@dataclass(frozen=True)
class Origin:
    """The distribution that a plugin came with."""

    distribution: str
    version: str

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}"


@dataclass(frozen=True)
class Offered(Generic[Record]):
    """A record and where it came from."""

    record: Record
    origin: Origin


@dataclass
class Registry:
    """All plugins that were found, and those that could not be loaded."""

    calculators: dict[str, Offered[ForceCalculator]] = field(default_factory=dict)
    solvers: dict[str, Offered[ForceConstantsSolver]] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    def force_calculator(self, name: str) -> ForceCalculator:
        """Return a usable force calculator.

        Raises
        ------
        PluginNotFound
            No calculator has this name, or it cannot be used here.
        """
        return self._usable("force calculator", self.calculators, name)

    def force_constants_solver(self, name: str) -> ForceConstantsSolver:
        """Return a usable force-constants solver; raises as `force_calculator`."""
        return self._usable("force-constants solver", self.solvers, name)

    def _usable(
        self, kind: str, offered: Mapping[str, Offered[Record]], name: str
    ) -> Record:
        if name not in offered:
            broken = f" ({'; '.join(self.broken)})" if self.broken else ""
            raise PluginNotFound(
                f"No {kind} named {name!r}.{did_you_mean(name, offered)} "
                f"Installed: {', '.join(sorted(offered))}.{broken}"
            )
        obstacle = offered[name].record.obstacle()
        if obstacle is not None:
            raise PluginNotFound(f"{kind} {name!r} cannot be used: {obstacle}")
        return offered[name].record


@functools.cache
def registry() -> Registry:
    """Return the plugins of this environment, found once per process."""
    return discover(importlib.metadata.entry_points(group=hookspecs.GROUP))


def discover(entry_points: Iterable[importlib.metadata.EntryPoint]) -> Registry:
    """Return built-in plugins and those of these entry points.

    Raises
    ------
    PluginFailed
        Two plugins offer the same name.
    """
    found = Registry()
    own = Origin(DISTRIBUTION, importlib.metadata.version(DISTRIBUTION))
    for name in _BUILTIN:
        _collect(found, importlib.import_module(name), own)
    for entry_point in entry_points:
        dist = entry_point.dist
        origin = Origin(dist.name, dist.version) if dist else Origin("?", "?")
        try:
            _collect(found, entry_point.load(), origin)
        except MLPError:
            raise
        # SystemExit too: a plugin must not end the command that looks for plugins.
        except (Exception, SystemExit) as error:
            found.broken.append(
                f"{entry_point.name} of {origin} could not be loaded: {one_line(error)}"
            )
    return found


def _collect(found: Registry, module: Any, origin: Origin) -> None:
    """Add what one plugin offers; one manager each, so that blame is certain."""
    manager = pluggy.PluginManager(hookspecs.GROUP)
    manager.add_hookspecs(hookspecs)
    manager.register(module)
    manager.check_pending()
    if not manager.get_hookcallers(module):
        raise TypeError("it implements no hook of phono3py_mlp")
    calculators = list(_flat(manager.hook.phono3py_mlp_force_calculators()))
    solvers = list(_flat(manager.hook.phono3py_mlp_force_constants_solvers()))
    _add(found.calculators, calculators, ForceCalculator, origin)
    _add(found.solvers, solvers, ForceConstantsSolver, origin)


def _flat(results: Iterable[Iterable[Any]]) -> Iterator[Any]:
    for result in results:
        yield from result


def _add(
    offered: dict[str, Offered[Record]],
    records: Sequence[Any],
    kind: type[Record],
    origin: Origin,
) -> None:
    for record in records:
        if not isinstance(record, kind):
            raise TypeError(f"a hook returned {record!r}; expected {kind.__name__}")
        if record.name in offered:
            raise PluginFailed(
                f"{record.name!r} is offered by both {offered[record.name].origin} "
                f"and {origin}: uninstall one."
            )
        offered[record.name] = Offered(record, origin)


@contextlib.contextmanager
def blame(what: str) -> Iterator[None]:
    """Turn what a plugin raises into PluginFailed; our own errors pass.

    SystemExit too: a plugin must not end the command.
    """
    try:
        yield
    except MLPError:
        raise
    except (Exception, SystemExit) as error:
        raise PluginFailed(f"{what}: {one_line(error)}") from error


def load(calculator: ForceCalculator, path: Path | None, options: Any) -> Potential:
    """Ask a calculator for its potential.

    Raises
    ------
    PluginFailed
        It raised something else than our errors.
    """
    with blame(f"force calculator {calculator.name!r} cannot be loaded"):
        potential: Potential = calculator.load(path, options)
    return potential


def evaluate(
    name: str, potential: Potential, supercells: Sequence[PhonopyAtoms]
) -> Evaluation:
    """Ask a potential for forces and check the answer.

    Raises
    ------
    PluginFailed
        The potential raised, or returned wrong shapes or numbers that are not finite.
    """
    n, natom = len(supercells), len(supercells[0])
    with blame(f"force calculator {name!r} failed"):
        result = potential.evaluate(supercells)
        energies = _checked(name, "energies", result.energies, (n,))
        forces = _checked(name, "forces", result.forces, (n, natom, 3))
        stresses = result.stresses
        if stresses is not None:
            stresses = _checked(name, "stresses", stresses, (n, 3, 3))
    return Evaluation(energies, forces, stresses)


def solve(
    solver: ForceConstantsSolver, problem: ForceConstantsProblem
) -> ForceConstants:
    """Ask a solver for force constants and hold the answer against the forces.

    Raises
    ------
    PluginFailed
        The solver cannot give the orders wanted, raised, or returned wrong shapes or
        numbers that are not finite.
    SolverError
        The forces do not determine the force constants, or are not described by them.
    """
    # A solver may change what it is given; its answer is judged by what it was given.
    given = replace(
        problem,
        displacements=problem.displacements.copy(),
        forces=problem.forces.copy(),
    )
    found = ask(solver, problem)
    check_answer(solver.name, given, found, given.forces)
    return found


def ask(solver: ForceConstantsSolver, problem: ForceConstantsProblem) -> ForceConstants:
    """Ask a solver for force constants and check their shapes only.

    Raises
    ------
    PluginFailed
        As `solve`.
    """
    _check_orders(solver, problem)
    with blame(f"force-constants solver {solver.name!r} failed"):
        result = solver.solve(problem)
    return _checked_orders(solver, problem, result)


def check_answer(
    name: str,
    problem: ForceConstantsProblem,
    force_constants: ForceConstants,
    forces: FloatArray,
) -> None:
    """Hold force constants against forces at the displacements of the problem.

    Raises
    ------
    SolverError
        As `solve`.
    """
    lattice = Lattice(problem.primitive.p2s_map, problem.primitive.atomic_permutations)
    check_force_constants(name, force_constants, problem.displacements, forces, lattice)


def prepare(solver: ForceConstantsSolver, problem: ForceConstantsProblem) -> SolveMany:
    """Return what solves for many sets of forces; one by one if it must.

    Parameters
    ----------
    solver : ForceConstantsSolver
    problem : ForceConstantsProblem
        Its own forces are not used.

    Returns
    -------
    callable
        ``solve_many(force_sets)``, forces in eV/angstrom, shape ``(k, n, N, 3)``.

    Raises
    ------
    PluginFailed
        As `solve`.
    """
    if solver.prepare is None:
        return lambda sets: (solve(solver, replace(problem, forces=f)) for f in sets)
    _check_orders(solver, problem)
    where = f"force-constants solver {solver.name!r} failed"
    with blame(where):
        prepared = solver.prepare(problem)

    def solve_many(force_sets: FloatArray) -> Iterator[ForceConstants]:
        with blame(where):
            for result, forces in zip(prepared(force_sets), force_sets, strict=True):
                found = _checked_orders(solver, problem, result)
                check_answer(solver.name, problem, found, forces)
                yield found

    return solve_many


def _check_orders(solver: ForceConstantsSolver, problem: ForceConstantsProblem) -> None:
    missing = set(problem.orders) - set(solver.orders)
    if missing:
        raise PluginFailed(
            f"force-constants solver {solver.name!r} gives orders "
            f"{', '.join(map(str, solver.orders))}; order {min(missing)} is needed."
        )


def _checked_orders(
    solver: ForceConstantsSolver, problem: ForceConstantsProblem, result: Any
) -> ForceConstants:
    if not isinstance(result, Mapping) or set(problem.orders) - set(result):
        raise PluginFailed(
            f"force-constants solver {solver.name!r} must return a dict with the "
            f"orders {', '.join(map(str, problem.orders))}."
        )
    return {
        order: _checked(solver.name, f"fc{order}", result[order], problem.shape(order))
        for order in problem.orders
    }


def _checked(name: str, what: str, values: Any, shape: tuple[int, ...]) -> Any:
    array = np.ascontiguousarray(values, dtype=np.float64)
    if array.shape != shape:
        raise PluginFailed(f"{name}: {what} has shape {array.shape}; expected {shape}.")
    if not np.isfinite(array).all():
        raise PluginFailed(f"{name}: {what} holds numbers that are not finite.")
    return array

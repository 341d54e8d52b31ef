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
from phono3py_mlp_plugin.isolation import isolated
from phono3py_mlp_plugin.polynomial import check_beyond_nearest
from phono3py_mlp_plugin.supervision import noted
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
        with blame(f"{kind} {name!r} cannot be used"):
            reason = offered[name].record.unavailable_reason()
        if reason is not None:
            raise PluginNotFound(f"{kind} {name!r} cannot be used: {reason}")
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
        plugin = f"{entry_point.name} of {origin} could not be loaded"
        try:
            with blame(plugin):
                _collect(found, entry_point.load(), origin)
        except PluginFailed as error:
            if not str(error).startswith(plugin):
                raise
            found.broken.append(one_line(error))
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

    SystemExit too: a plugin must not end the command. What it changed of the state of
    the process is put back; another working directory, where relative names would mean
    other files, is told.

    Parameters
    ----------
    what : str
        The plugin, and that it failed at what.
    """
    try:
        with noted(what), isolated() as changes:
            yield
    except (MLPError, KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        message = one_line(error)
        if isinstance(error, SystemExit) and not isinstance(error.code, str):
            message = f"it called sys.exit({error.code})"
        raise PluginFailed(f"{what}: {message}") from error
    if changes.directory is not None:
        raise PluginFailed(
            f"{what}: it changed the working directory to {changes.directory}; "
            "expected that of the run. Change back before returning."
        )


def load(calculator: ForceCalculator, path: Path | None, options: Any) -> Potential:
    """Ask a calculator for its potential.

    Raises
    ------
    PluginFailed
        It raised something else than our errors, or gave nothing to evaluate.
    """
    with blame(f"force calculator {calculator.name!r} cannot be loaded"):
        potential: Potential = calculator.load(path, options)
        if not callable(getattr(potential, "evaluate", None)):
            raise TypeError(
                f"load returned {_kind(potential)}; expected a potential with the "
                "method evaluate"
            )
    return potential


def evaluate(
    name: str, potential: Potential, supercells: Sequence[PhonopyAtoms]
) -> Evaluation:
    """Ask a potential for forces and check the answer.

    The arrays are copies: a potential may use its own ones again.

    Raises
    ------
    PluginFailed
        The potential raised, changed the supercells, or returned something else than
        real numbers of plausible size in arrays of the right shapes.
    """
    n, natom = len(supercells), len(supercells[0])
    before = [cell.positions for cell in supercells]
    with blame(f"force calculator {name!r} failed"):
        result = potential.evaluate(supercells)
        if not (hasattr(result, "energies") and hasattr(result, "forces")):
            raise TypeError(f"evaluate returned {_kind(result)}; expected Evaluation")
        energies = _checked(name, "energies", result.energies, (n,))
        forces = _checked(name, "forces", result.forces, (n, natom, 3))
        stresses = getattr(result, "stresses", None)
        if stresses is not None:
            stresses = _checked(name, "stresses", stresses, (n, 3, 3)).copy()
        for number, (cell, positions) in enumerate(
            zip(supercells, before, strict=True), start=1
        ):
            if not np.array_equal(cell.positions, positions):
                raise ValueError(f"it changed the positions of supercell {number}")
    return Evaluation(energies.copy(), forces.copy(), stresses)


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
    _check_cutoffs(solver, problem)
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
        return lambda sets: (solve(solver, problem.with_forces(f)) for f in sets)
    _check_orders(solver, problem)
    _check_cutoffs(solver, problem)
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


def _check_cutoffs(
    solver: ForceConstantsSolver, problem: ForceConstantsProblem
) -> None:
    # A negative one is none, in ALM.
    given = {
        f"{solver.name}: cutoff of fc{order}": cutoff
        for order, cutoff in problem.cutoff.items()
        if cutoff > 0
    }
    cell = problem.supercell
    check_beyond_nearest(cell.cell, cell.positions, given)


def _checked_orders(
    solver: ForceConstantsSolver, problem: ForceConstantsProblem, result: Any
) -> ForceConstants:
    if not isinstance(result, Mapping) or set(problem.orders) - set(result):
        found = (
            f"one with the orders {', '.join(map(str, result)) or 'none'}"
            if isinstance(result, Mapping)
            else _kind(result)
        )
        raise PluginFailed(
            f"force-constants solver {solver.name!r} must return a dict with the "
            f"orders {', '.join(map(str, problem.orders))}; it returned {found}."
        )
    return {
        order: _checked(solver.name, f"fc{order}", result[order], problem.shape(order))
        for order in problem.orders
    }


# No crystal comes near these (eV, eV/angstrom, eV/angstrom^3, eV/angstrom^n for force
# constants of order n): energies of all electrons of a thousand heavy atoms are 1e9,
# forces of colliding atoms 1e4, fc3 of stiff bonds 1e3.
_LARGEST = {"energies": 1e12, "forces": 1e6, "stresses": 1e6}
_LARGEST_FORCE_CONSTANT = 1e8

# Letters of numpy's kinds of numbers: integers are exact.
_REAL = "fiu"


def _checked(name: str, what: str, values: Any, shape: tuple[int, ...]) -> Any:
    """Return an array of a plugin as it has to be: C order, float64."""
    array = _real_numbers(name, what, values)
    if array.shape != shape:
        raise PluginFailed(f"{name}: {what} has shape {array.shape}; expected {shape}.")
    if not np.isfinite(array).all():
        raise PluginFailed(
            f"{name}: {what} holds numbers that are not finite "
            f"({array[~np.isfinite(array)][0]} at {_place(~np.isfinite(array))})."
        )
    largest = _LARGEST.get(what, _LARGEST_FORCE_CONSTANT)
    if not (np.abs(array) <= largest).all():
        place = _place(np.abs(array) > largest)
        raise PluginFailed(
            f"{name}: {what} holds {array[place]:g} at {place}; expected no more than "
            f"{largest:g} in units of eV and angstrom."
        )
    return array


def _real_numbers(name: str, what: str, values: Any) -> Any:
    """Return float64; refuse what conversion would strip of its meaning."""
    expected = "expected a numpy.ndarray of float64"
    ours = type(values) in (np.ndarray, np.memmap)
    if (isinstance(values, np.ndarray) and not ours) or (
        hasattr(values, "units") or hasattr(values, "unit")
    ):
        # Masks and units would be lost.
        raise PluginFailed(f"{name}: {what} is {_kind(values)}; {expected}.")
    try:
        array = np.asarray(values)
    except (TypeError, ValueError) as error:
        raise PluginFailed(
            f"{name}: {what} is no array ({one_line(error)}); {expected}."
        ) from error
    if array.dtype.kind not in _REAL or array.dtype == np.float16:
        raise PluginFailed(f"{name}: {what} is of type {array.dtype}; {expected}.")
    return np.ascontiguousarray(array, dtype=np.float64)


def _place(mask: Any) -> tuple[int, ...]:
    return tuple(int(i) for i in np.argwhere(mask)[0])


def _kind(value: Any) -> str:
    """Return what a plugin returned, in words."""
    return "None" if value is None else f"a {type(value).__name__}"

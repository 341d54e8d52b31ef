"""Discovery and lookup of plugins, and checks of their results.

Built-in plugins are registered like plugins of other packages, as modules that
implement the hooks. A plugin that cannot be loaded affects only commands that use it.
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
from phono3py_mlp_plugin.supervision import current_activity
from phono3py_mlp_plugin.taylor import (
    Lattice,
    check_derivatives,
    check_force_constants,
    derivative_displacements,
)

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
        "solvers.exact",
        "solvers.finite_difference",
        "solvers.alm",
        "solvers.hiphive",
    )
)

# Names of these are free for packages of others, which then offer them instead.
_FALLBACKS = ("phono3py_mlp_plugin.calculators.ase.libraries",)

Record = TypeVar("Record", ForceCalculator, ForceConstantsSolver)


@dataclass(frozen=True)
class Origin:
    """The distribution that provides a plugin."""

    distribution: str
    version: str

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}"


@dataclass(frozen=True)
class PluginEntry(Generic[Record]):
    """The record of a plugin and its origin."""

    record: Record
    origin: Origin


@dataclass
class Registry:
    """All registered plugins, and messages about plugins that failed to load."""

    calculators: dict[str, PluginEntry[ForceCalculator]] = field(default_factory=dict)
    solvers: dict[str, PluginEntry[ForceConstantsSolver]] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    def force_calculator(self, name: str) -> ForceCalculator:
        """Return a usable force calculator.

        Raises
        ------
        PluginNotFound
            If no calculator has this name, or it cannot be used.
        """
        return self._usable_record("force calculator", self.calculators, name)

    def force_constants_solver(self, name: str) -> ForceConstantsSolver:
        """Return a usable force-constants solver; see `force_calculator`."""
        return self._usable_record("force-constants solver", self.solvers, name)

    def _usable_record(
        self, kind: str, entries: Mapping[str, PluginEntry[Record]], name: str
    ) -> Record:
        if name not in entries:
            broken = f" ({'; '.join(self.broken)})" if self.broken else ""
            raise PluginNotFound(
                f"No {kind} named {name!r}.{did_you_mean(name, entries)} "
                f"Installed: {', '.join(sorted(entries))}.{broken}"
            )
        with plugin_errors(f"{kind} {name!r} cannot be used"):
            reason = entries[name].record.unavailable_reason()
        if reason is not None:
            raise PluginNotFound(f"{kind} {name!r} cannot be used: {reason}")
        return entries[name].record


def version_of(distribution: str) -> str | None:
    """Return the version of a package, None if it is not installed."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


@functools.cache
def registry() -> Registry:
    """Return the plugins of this environment, cached for the process."""
    return discover(importlib.metadata.entry_points(group=hookspecs.GROUP))


def discover(entry_points: Iterable[importlib.metadata.EntryPoint]) -> Registry:
    """Return the built-in plugins and those of the entry points.

    Raises
    ------
    PluginFailed
        If two plugins have the same name.
    """
    plugins = Registry()
    own = Origin(DISTRIBUTION, version_of(DISTRIBUTION) or "not installed")
    for name in _BUILTIN:
        _collect(plugins, importlib.import_module(name), own)
    for entry_point in entry_points:
        dist = entry_point.dist
        origin = Origin(dist.name, dist.version) if dist else Origin("?", "?")
        plugin = f"{entry_point.name} of {origin} could not be loaded"
        try:
            with plugin_errors(plugin):
                _collect(plugins, entry_point.load(), origin)
        except PluginFailed as error:
            if not str(error).startswith(plugin):
                raise
            plugins.broken.append(one_line(error))
    for name in _FALLBACKS:
        fallback = Registry()
        _collect(fallback, importlib.import_module(name), own)
        plugins.calculators = fallback.calculators | plugins.calculators
    return plugins


def _collect(plugins: Registry, module: Any, origin: Origin) -> None:
    """Add the records of one plugin.

    Each plugin gets a separate manager, so that an error is assigned to this plugin.
    """
    manager = pluggy.PluginManager(hookspecs.GROUP)
    manager.add_hookspecs(hookspecs)
    manager.register(module)
    manager.check_pending()
    if not manager.get_hookcallers(module):
        raise TypeError("it implements no hook of phono3py_mlp")
    calculators = list(_flat(manager.hook.phono3py_mlp_force_calculators()))
    solvers = list(_flat(manager.hook.phono3py_mlp_force_constants_solvers()))
    _add(plugins.calculators, calculators, ForceCalculator, origin)
    _add(plugins.solvers, solvers, ForceConstantsSolver, origin)


def _flat(results: Iterable[Iterable[Any]]) -> Iterator[Any]:
    for result in results:
        yield from result


def _add(
    entries: dict[str, PluginEntry[Record]],
    records: Sequence[Any],
    kind: type[Record],
    origin: Origin,
) -> None:
    for record in records:
        if not isinstance(record, kind):
            raise TypeError(f"a hook returned {record!r}; expected {kind.__name__}")
        if record.name in entries:
            raise PluginFailed(
                f"{record.name!r} is offered by both {entries[record.name].origin} "
                f"and {origin}: uninstall one."
            )
        entries[record.name] = PluginEntry(record, origin)


@contextlib.contextmanager
def plugin_errors(what: str) -> Iterator[None]:
    """Convert errors of a plugin into `PluginFailed`, and restore the process state.

    Errors of this package are not converted. SystemExit is converted, because a plugin
    must not end the command. A changed working directory is also an error, because
    relative file names would refer to other files.

    Parameters
    ----------
    what : str
        Start of the message: the plugin and the step that failed.

    Raises
    ------
    PluginFailed
        If the block raises an error or changes the working directory.
    """
    try:
        with current_activity(what), isolated() as changes:
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
    """Load a potential with a force calculator.

    Raises
    ------
    PluginFailed
        If the plugin raised an error, or did not return a potential.
    """
    with plugin_errors(f"force calculator {calculator.name!r} cannot be loaded"):
        potential: Potential = calculator.load(path, options)
        if not callable(getattr(potential, "evaluate", None)):
            raise TypeError(
                f"load returned {_kind(potential)}; expected a potential with the "
                "method evaluate"
            )
    return potential


def evaluate(
    name: str,
    potential: Potential,
    supercells: Sequence[PhonopyAtoms],
    numbers: Sequence[int] | None = None,
) -> Evaluation:
    """Evaluate supercells with a potential and check the result.

    The returned arrays are copies, because a potential may reuse its arrays.

    Parameters
    ----------
    name : str
        Name of the force calculator, used in messages.
    potential : Potential
    supercells : sequence of PhonopyAtoms
    numbers : sequence of int, optional
        Numbers of the supercells in messages; 1, 2, ... by default.

    Raises
    ------
    PluginFailed
        If the potential raised an error, changed the supercells, or did not return
        arrays of real numbers with plausible values and the right shapes.
    """
    n, natom = len(supercells), len(supercells[0])
    before = [cell.positions for cell in supercells]
    numbers = range(1, n + 1) if numbers is None else numbers
    with plugin_errors(f"force calculator {name!r} failed"):
        result = potential.evaluate(supercells)
        if not (hasattr(result, "energies") and hasattr(result, "forces")):
            raise TypeError(f"evaluate returned {_kind(result)}; expected Evaluation")
        energies = _checked(name, "energies", result.energies, (n,), numbers)
        forces = _checked(name, "forces", result.forces, (n, natom, 3), numbers)
        stresses = getattr(result, "stresses", None)
        if stresses is not None:
            stresses = _checked(name, "stresses", stresses, (n, 3, 3), numbers).copy()
        for number, cell, positions in zip(numbers, supercells, before, strict=True):
            if not np.array_equal(cell.positions, positions):
                raise ValueError(f"it changed the positions of supercell {number}")
    return Evaluation(energies.copy(), forces.copy(), stresses)


def solve(
    solver: ForceConstantsSolver, problem: ForceConstantsProblem
) -> ForceConstants:
    """Solve for force constants and compare the result with the forces.

    Raises
    ------
    PluginFailed
        If the solver does not support the orders, raised an error, or returned wrong
        shapes or numbers that are not finite.
    SolverError
        If the forces do not determine the force constants, or are not reproduced.
    """
    # A solver may change its input arrays; the check uses copies.
    given = replace(
        problem,
        displacements=problem.displacements.copy(),
        forces=problem.forces.copy(),
    )
    force_constants = solve_unchecked(solver, problem)
    check_solution(solver.name, given, force_constants, given.forces)
    return force_constants


def solve_unchecked(
    solver: ForceConstantsSolver, problem: ForceConstantsProblem
) -> ForceConstants:
    """Solve for force constants and check only their shapes.

    Raises
    ------
    PluginFailed
        See `solve`.
    """
    _check_orders(solver, problem)
    _check_cutoffs(solver, problem)
    with plugin_errors(f"force-constants solver {solver.name!r} failed"):
        result = solver.solve(problem)
    return _checked_orders(solver, problem, result)


def check_solution(
    name: str,
    problem: ForceConstantsProblem,
    force_constants: ForceConstants,
    forces: FloatArray,
) -> None:
    """Compare force constants with forces at the displacements of the problem.

    Raises
    ------
    SolverError
        See `solve`.
    """
    lattice = Lattice(problem.primitive.p2s_map, problem.primitive.atomic_permutations)
    check_force_constants(name, force_constants, problem.displacements, forces, lattice)


def prepare(solver: ForceConstantsSolver, problem: ForceConstantsProblem) -> SolveMany:
    """Return a function that solves for many sets of forces.

    Without ``prepare`` of the solver, each set is solved separately.

    Parameters
    ----------
    solver : ForceConstantsSolver
    problem : ForceConstantsProblem
        The forces in the problem are not used.

    Returns
    -------
    callable
        ``solve_many(force_sets)``, forces in eV/angstrom, shape ``(k, n, N, 3)``.

    Raises
    ------
    PluginFailed
        See `solve`.
    """
    if solver.prepare is None:
        return lambda sets: (solve(solver, problem.with_forces(f)) for f in sets)
    _check_orders(solver, problem)
    _check_cutoffs(solver, problem)
    where = f"force-constants solver {solver.name!r} failed"
    with plugin_errors(where):
        prepared = solver.prepare(problem)

    def solve_many(force_sets: FloatArray) -> Iterator[ForceConstants]:
        with plugin_errors(where):
            for result, forces in zip(prepared(force_sets), force_sets, strict=True):
                force_constants = _checked_orders(solver, problem, result)
                check_solution(solver.name, problem, force_constants, forces)
                yield force_constants

    return solve_many


def differentiate(
    solver: ForceConstantsSolver,
    calculator: str,
    potentials: Sequence[Potential],
    problem: ForceConstantsProblem,
) -> Iterator[ForceConstants]:
    """Yield the force constants of potentials by a solver that takes potentials.

    Results of the first and the last are compared with forces of their potentials at a
    few displacements.

    Parameters
    ----------
    solver : ForceConstantsSolver
    calculator : str
        Name of the force calculator, used in messages.
    potentials : sequence of Potential
    problem : ForceConstantsProblem
        Without displacements and forces.

    Raises
    ------
    PluginFailed
        See `solve`.
    SolverError
        If the potentials have no derivatives, or these do not describe the forces.
    """
    assert solver.differentiate is not None
    _check_orders(solver, problem)
    lattice = Lattice(problem.primitive.p2s_map, problem.primitive.atomic_permutations)
    displacements = derivative_displacements(len(problem.supercell))
    cells = []
    for displacement in displacements:
        cell = problem.supercell.copy()
        cell.positions = problem.supercell.positions + displacement
        cells.append(cell)
    results = _results(solver, potentials, problem)
    last = len(potentials) - 1
    for number, potential in enumerate(potentials):
        force_constants = _checked_orders(solver, problem, next(results, None))
        if number in (0, last):
            forces = evaluate(calculator, potential, cells).forces
            check_derivatives(
                solver.name, force_constants, displacements, forces, lattice
            )
        yield force_constants


def _results(
    solver: ForceConstantsSolver,
    potentials: Sequence[Potential],
    problem: ForceConstantsProblem,
) -> Iterator[Any]:
    """Yield what a solver gives, its errors converted."""
    assert solver.differentiate is not None
    where = f"force-constants solver {solver.name!r} failed"
    with plugin_errors(where):
        results = iter(solver.differentiate(potentials, problem))
    while True:
        with plugin_errors(where):
            result = next(results, None)
        if result is None:
            return
        yield result


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
    # In ALM a negative cutoff means no cutoff.
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
        returned = (
            f"one with the orders {', '.join(map(str, result)) or 'none'}"
            if isinstance(result, Mapping)
            else _kind(result)
        )
        raise PluginFailed(
            f"force-constants solver {solver.name!r} must return a dict with the "
            f"orders {', '.join(map(str, problem.orders))}; it returned {returned}."
        )
    return {
        order: _checked(solver.name, f"fc{order}", result[order], problem.shape(order))
        for order in problem.orders
    }


# Upper limits in eV, eV/angstrom, eV/angstrom^3, and eV/angstrom^n for force constants
# of order n. For comparison: all-electron energies of a thousand heavy atoms are 1e9,
# forces of colliding atoms 1e4, fc3 of stiff bonds 1e3.
_LARGEST = {"energies": 1e12, "forces": 1e6, "stresses": 1e6}
_LARGEST_FORCE_CONSTANT = 1e8

# Accepted dtype kinds of numpy: real numbers and integers.
_REAL = "fiu"


def _checked(
    name: str,
    what: str,
    values: Any,
    shape: tuple[int, ...],
    numbers: Sequence[int] | None = None,
) -> Any:
    """Return an array of a plugin after checks, in C order and float64.

    ``numbers`` are those of the supercells, over which the first axis runs.
    """
    array = _real_numbers(name, what, values)
    if array.shape != shape:
        raise PluginFailed(f"{name}: {what} has shape {array.shape}; expected {shape}.")
    if not np.isfinite(array).all():
        place = _place(~np.isfinite(array))
        where = "" if numbers is None else f", in supercell {numbers[place[0]]}"
        raise PluginFailed(
            f"{name}: {what} holds numbers that are not finite "
            f"({array[place]} at {place}){where}."
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
    """Return float64; raise an error if the conversion would lose information."""
    expected = "expected a numpy.ndarray of float64"
    ours = type(values) in (np.ndarray, np.memmap)
    if (isinstance(values, np.ndarray) and not ours) or (
        hasattr(values, "units") or hasattr(values, "unit")
    ):
        # The conversion would lose masks and units.
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


def distributions(name: str) -> tuple[str, ...]:
    """Return the distributions that provide a force calculator, if it is known."""
    entry = registry().calculators.get(name)
    return () if entry is None else (entry.origin.distribution,)


def _kind(value: Any) -> str:
    """Return the type of a value in words."""
    return "None" if value is None else f"a {type(value).__name__}"

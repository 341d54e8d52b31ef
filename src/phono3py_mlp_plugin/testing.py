"""Executable checks of the plugin contract, for authors of plugins.

Each function raises `AssertionError` with a message of one line if a requirement is
violated, and returns None otherwise. No test framework is needed.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from phono3py_mlp_plugin import plugins
from phono3py_mlp_plugin.contracts import (
    Evaluation,
    ForceCalculator,
    ForceConstants,
    ForceConstantsProblem,
    ForceConstantsSolver,
    NoOptions,
    Potential,
)
from phono3py_mlp_plugin.errors import PluginFailed, PotentialError, SolverError

if TYPE_CHECKING:
    from phonopy.structure.atoms import PhonopyAtoms

    from phono3py_mlp_plugin.contracts import FloatArray

# Single precision gives forces to about 1e-6 eV/angstrom and, of a supercell of some
# hundred eV, energies to about 1e-5 eV.
_SAME = 1e-5
_NET_FORCE = 1e-4  # eV/angstrom per atom
# With a step of 0.02 angstrom, noise of 1e-5 eV in energies gives 1e-3 eV/angstrom. The
# error of the five-point formula, of fourth order in the step, is below 1e-5.
_STEP = 0.02  # angstrom
_FORCE = 2e-3  # eV/angstrom
_STRAIN = 5e-3
_STRESS = 2e-5  # eV/angstrom^3, about 3 MPa
# A solver may use a cutoff and need not impose sum rules. Its fc2 must nevertheless
# explain most of the forces, and the forces under translation must nearly vanish.
_UNEXPLAINED = 0.5
_TRANSLATION = 0.02


def check_force_calculator(
    calculator: ForceCalculator,
    supercells: Sequence[PhonopyAtoms],
    options: Any = None,
    path: Path | None = None,
) -> None:
    """Check a force calculator on supercells.

    The checks are:

    - Shapes are right and all numbers are finite.
    - Forces are minus the gradient of the energy, and stresses are its derivative with
      respect to strain, compared with central differences.
    - There is no net force.
    - Results do not change when the evaluation is repeated, when supercells are in
      another order or evaluated one by one, and after saving and loading.
    - Supercells are not changed.

    Parameters
    ----------
    calculator : ForceCalculator
    supercells : sequence of PhonopyAtoms
        At least two supercells of the same size, with displacements.
    options : object, optional
        Options record of the calculator.
    path : Path, optional
        File of the potential, if there is one.

    Raises
    ------
    AssertionError
        If a requirement is violated.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> import numpy as np
    >>> from phonopy.structure.atoms import PhonopyAtoms
    >>> @dataclass
    ... class Spring:
    ...     constant: float
    ...     elements = ()
    ...     def evaluate(self, supercells):
    ...         pairs = [c.positions[1] - c.positions[0] for c in supercells]
    ...         energies = [self.constant / 2 * (pair @ pair) for pair in pairs]
    ...         forces = [self.constant * np.array([pair, -pair]) for pair in pairs]
    ...         return Evaluation(np.array(energies), np.array(forces))
    ...     def save(self, path):
    ...         path.write_text(str(self.constant))
    >>> calculator = ForceCalculator(
    ...     name="spring",
    ...     summary="two atoms",
    ...     load=lambda path, options: Spring(float(path.read_text()) if path else 2.0),
    ... )
    >>> cells = [
    ...     PhonopyAtoms(symbols=["H", "H"], cell=np.eye(3), positions=positions)
    ...     for positions in (np.eye(3)[:2], np.eye(3)[1:])
    ... ]
    >>> check_force_calculator(calculator, cells)
    """
    if len(supercells) < 2:
        raise ValueError("check_force_calculator needs at least two supercells.")
    reason = calculator.unavailable_reason()
    _require(reason is None, calculator.name, f"cannot be used here: {reason}")
    if options is None:
        options = calculator.options()
    potential = calculator.load(path, options)
    _check_elements(calculator.name, potential, supercells)
    first = _check_repeatable(calculator.name, potential, supercells)
    _check_net_forces(calculator.name, first)
    _check_gradient(calculator.name, potential, supercells[0], first.forces[0])
    if first.stresses is not None:
        _check_stress(calculator.name, potential, supercells[0], first.stresses[0])
    _check_round_trip(calculator, potential, supercells, options, first)


def check_force_constants_solver(
    solver: ForceConstantsSolver, problem: ForceConstantsProblem
) -> None:
    """Check a force-constants solver on a problem.

    The checks are:

    - Shapes are right and all numbers are finite.
    - Force constants explain most of the forces, each order with a factor of 1.
    - Forces from fc2 vanish under translation.
    - Results do not change when the solution is repeated, or when supercells are in
      another order.
    - Compact force constants are rows of full force constants.
    - Displacements and forces are not changed.

    Parameters
    ----------
    solver : ForceConstantsSolver
    problem : ForceConstantsProblem
        A small problem, because it is solved four times, once with full force
        constants. Without options, the defaults of the solver are used.

    Raises
    ------
    AssertionError
        If a requirement is violated.
    """
    reason = solver.unavailable_reason()
    _require(reason is None, solver.name, f"cannot be used here: {reason}")
    if isinstance(problem.options, NoOptions):
        problem = dataclasses.replace(problem, options=solver.options())
    compact = dataclasses.replace(problem, is_compact_fc=True)
    full = dataclasses.replace(problem, is_compact_fc=False)
    reverse = dataclasses.replace(
        compact,
        displacements=np.ascontiguousarray(problem.displacements[::-1]),
        forces=np.ascontiguousarray(problem.forces[::-1]),
    )
    before = problem.displacements.copy(), problem.forces.copy()
    first = _solve(solver, compact)
    for other, what in (
        (_solve(solver, compact), "changes when the solution is repeated"),
        (_solve(solver, reverse), "depends on the order of the supercells"),
    ):
        for order in problem.orders:
            _check_same_fc(solver.name, order, first[order], other[order], what)
    if solver.prepare is not None:
        unforced = dataclasses.replace(compact, forces=np.zeros_like(problem.forces))
        (prepared,) = plugins.prepare(solver, unforced)(problem.forces[None])
        for order in problem.orders:
            what = "differs between prepare and solve"
            _check_same_fc(solver.name, order, first[order], prepared[order], what)
    full_fc = _solve(solver, full)
    for order in problem.orders:
        rows = full_fc[order][problem.primitive.p2s_map]
        what = "in compact form differs from the rows p2s_map of the full form"
        _check_same_fc(solver.name, order, first[order], rows, what)
    _require(
        np.array_equal(before[0], problem.displacements)
        and np.array_equal(before[1], problem.forces),
        solver.name,
        "displacements or forces of the problem were changed",
    )
    _check_translation(solver.name, full_fc[2])
    _check_explains_forces(solver.name, full_fc, problem)
    _check_solution(solver.name, full_fc, problem, before)


def _require(fulfilled: bool | np.bool_, name: str, violation: str) -> None:
    # Not an assert statement, which python -O would remove.
    if not fulfilled:
        raise AssertionError(f"{name}: {violation}.")


def _evaluate(
    name: str, potential: Potential, supercells: Sequence[PhonopyAtoms]
) -> Evaluation:
    try:
        return plugins.evaluate(name, potential, supercells)
    except PluginFailed as error:
        raise AssertionError(str(error)) from error


def _solve(
    solver: ForceConstantsSolver, problem: ForceConstantsProblem
) -> ForceConstants:
    try:
        return plugins.solve_unchecked(solver, problem)
    except (PluginFailed, SolverError) as error:
        raise AssertionError(str(error)) from error


def _check_elements(
    name: str, potential: Potential, supercells: Sequence[PhonopyAtoms]
) -> None:
    unknown = {s for cell in supercells for s in cell.symbols} - set(potential.elements)
    _require(
        not potential.elements or not unknown,
        name,
        f"elements = {potential.elements}; the supercells hold {sorted(unknown)} too",
    )


def _check_repeatable(
    name: str, potential: Potential, supercells: Sequence[PhonopyAtoms]
) -> Evaluation:
    before = [cell.positions for cell in supercells]
    first = _evaluate(name, potential, supercells)
    unchanged = all(
        np.array_equal(cell.positions, positions)
        for cell, positions in zip(supercells, before, strict=True)
    )
    _require(unchanged, name, "evaluate changed the positions of the supercells")
    again = _evaluate(name, potential, supercells)
    _check_same(name, first, again, "change when the evaluation is repeated")
    reverse = _reversed(_evaluate(name, potential, supercells[::-1]))
    _check_same(name, first, reverse, "depend on the order of the supercells")
    alone = _evaluate(name, potential, supercells[:1])
    what = "depend on which other supercells are evaluated with them"
    _check_same(name, _first(first), alone, what)
    return first


def _reversed(evaluation: Evaluation) -> Evaluation:
    stresses = evaluation.stresses
    return Evaluation(
        evaluation.energies[::-1],
        evaluation.forces[::-1],
        None if stresses is None else stresses[::-1],
    )


def _first(evaluation: Evaluation) -> Evaluation:
    stresses = evaluation.stresses
    return Evaluation(
        evaluation.energies[:1],
        evaluation.forces[:1],
        None if stresses is None else stresses[:1],
    )


def _check_same(name: str, one: Evaluation, two: Evaluation, what: str) -> None:
    _require(
        (one.stresses is None) == (two.stresses is None),
        name,
        "stresses are returned in some evaluations only",
    )
    for field in ("energies", "forces", "stresses"):
        values = getattr(one, field)
        if values is not None:
            change = float(np.abs(values - getattr(two, field)).max())
            _require(change <= _SAME, name, f"{field} {what}, by {change:.2g}")


def _check_net_forces(name: str, evaluation: Evaluation) -> None:
    net = float(np.abs(evaluation.forces.mean(axis=1)).max())
    _require(
        net <= _NET_FORCE,
        name,
        f"the net force is {net:.2g} eV/angstrom per atom; expected none",
    )


def _check_gradient(
    name: str, potential: Potential, cell: PhonopyAtoms, forces: FloatArray
) -> None:
    """Check the three largest force components, which reveal a wrong factor."""
    for index in np.argsort(-np.abs(forces), axis=None)[:3]:
        atom, axis = divmod(int(index), 3)
        direction = np.zeros_like(forces)
        direction[atom, axis] = 1.0
        cells = [_displaced(cell, direction * step) for step in _stencil(_STEP)]
        expected = -_derivative(_evaluate(name, potential, cells).energies, _STEP)
        _require(
            abs(forces[atom, axis] - expected) <= _FORCE,
            name,
            f"the force on atom {atom + 1} along {'xyz'[axis]} is "
            f"{forces[atom, axis]:.5f} eV/angstrom; expected {expected:.5f}, minus the "
            "gradient of the energy",
        )


def _check_stress(
    name: str, potential: Potential, cell: PhonopyAtoms, stress: FloatArray
) -> None:
    """Check two diagonal and one off-diagonal component, which reveal the order."""
    for i, j in ((0, 0), (2, 2), (0, 1)):
        strain = np.zeros((3, 3))
        strain[i, j] += 0.5
        strain[j, i] += 0.5
        cells = [_strained(cell, strain * step) for step in _stencil(_STRAIN)]
        energies = _evaluate(name, potential, cells).energies
        expected = _derivative(energies, _STRAIN) / cell.volume
        _require(
            max(abs(stress[i, j] - expected), abs(stress[j, i] - expected)) <= _STRESS,
            name,
            f"the stress {'xyz'[i]}{'xyz'[j]} is {stress[i, j]:.6f} eV/angstrom^3; "
            f"expected {expected:.6f}, the derivative of the energy by strain over the "
            "volume",
        )


def _stencil(step: float) -> list[float]:
    return [-2 * step, -step, step, 2 * step]


def _derivative(values: FloatArray, step: float) -> float:
    """Return the first derivative from the values at the points of `_stencil`."""
    return float((values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * step))


def _displaced(cell: PhonopyAtoms, displacement: FloatArray) -> PhonopyAtoms:
    displaced = cell.copy()
    displaced.positions = cell.positions + displacement
    return displaced


def _strained(cell: PhonopyAtoms, strain: FloatArray) -> PhonopyAtoms:
    strained = cell.copy()
    strained.cell = cell.cell @ (np.eye(3) + strain)
    strained.scaled_positions = cell.scaled_positions
    return strained


def _check_round_trip(
    calculator: ForceCalculator,
    potential: Potential,
    supercells: Sequence[PhonopyAtoms],
    options: Any,
    first: Evaluation,
) -> None:
    """Check results after saving and loading, if the potential can be saved."""
    with tempfile.TemporaryDirectory() as folder:
        file_name = calculator.file_names[0] if calculator.file_names else "potential"
        path = Path(folder) / file_name
        try:
            potential.save(path)
        except PotentialError:
            return
        loaded = calculator.load(path, options)
        again = _evaluate(calculator.name, loaded, supercells)
    _check_same(calculator.name, first, again, "change after saving and loading")


def _check_same_fc(
    name: str, order: int, one: FloatArray, two: FloatArray, what: str
) -> None:
    change = float(np.abs(one - two).max())
    scale = float(np.abs(one).max())
    _require(
        change <= 1e-6 * scale,
        name,
        f"fc{order} {what}, by {change:.2g} of {scale:.2g}",
    )


def _check_translation(name: str, fc2: FloatArray) -> None:
    drift = float(np.abs(fc2.sum(axis=1)).max())
    scale = float(np.abs(fc2).max())
    _require(
        drift <= _TRANSLATION * scale,
        name,
        f"fc2 summed over its second atom is {drift:.2g} eV/angstrom^2; expected "
        f"nearly none of {scale:.2g}, because a translation gives no force",
    )


def _check_solution(
    name: str,
    fc: ForceConstants,
    problem: ForceConstantsProblem,
    given: tuple[FloatArray, FloatArray],
) -> None:
    """Compare the force constants with the forces, as in every run."""
    displacements, forces = given
    problem = dataclasses.replace(problem, displacements=displacements)
    try:
        plugins.check_solution(name, problem, fc, forces)
    except SolverError as error:
        raise AssertionError(str(error)) from error


def _check_explains_forces(
    name: str, fc: ForceConstants, problem: ForceConstantsProblem
) -> None:
    u = problem.displacements
    model = -np.einsum("ijab,njb->nia", fc[2], u)
    if 3 in fc:
        model -= 0.5 * np.einsum("ijkabc,njb,nkc->nia", fc[3], u, u, optimize=True)
    unexplained = float(
        np.linalg.norm(problem.forces - model) / np.linalg.norm(problem.forces)
    )
    _require(
        unexplained <= _UNEXPLAINED,
        name,
        f"force constants leave {100 * unexplained:.0f} % of the forces unexplained; "
        f"expected at most {100 * _UNEXPLAINED:.0f} %. Check sign, units and axes",
    )

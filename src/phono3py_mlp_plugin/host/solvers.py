"""Force-constants calculators of phono3py, extended by registered solvers.

The three solvers of phono3py run with its original code, so that results stay
bit-identical; every other name belongs to a plugin. The exception is symfc where its
equations do not fit into the memory, in runs with a potential of this package.
"""

from __future__ import annotations

import sys
from contextvars import ContextVar
from typing import Any

import numpy as np
from phonopy.interface.fc_calculator import FCSolver, fc_calculator_names
from phonopy.interface.symfc import parse_symfc_options

from phono3py_mlp_plugin import plugins
from phono3py_mlp_plugin.contracts import (
    FloatArray,
    ForceConstants,
    ForceConstantsProblem,
)
from phono3py_mlp_plugin.errors import PluginNotFound, SolverError
from phono3py_mlp_plugin.files import text_of_options
from phono3py_mlp_plugin.host.bindings import original
from phono3py_mlp_plugin.host.output import progress, show
from phono3py_mlp_plugin.solvers.pivots import record_pivots
from phono3py_mlp_plugin.solvers.symfc import (
    check_number_of_equations,
    check_pivots,
    is_iterative,
)
from phono3py_mlp_plugin.taylor import Lattice, check_force_constants
from phono3py_mlp_plugin.workflow import (
    CrystalSupercell,
    SolverSpec,
    check_solver_cutoffs,
    cutoffs_in_options,
    describe_truncation,
    force_constants_problem,
    request_solver,
)

_MODULE = "phono3py.interface.fc_calculator"


class PluginFCSolver:
    """Solver object with the interface that phonopy expects."""

    def __init__(self, force_constants: ForceConstants) -> None:
        self.force_constants = force_constants


class _InsteadOfSymfc(PluginFCSolver):
    """An iterative solution, with what phono3py asks its own solver symfc for."""

    def __init__(self, force_constants: ForceConstants, solver: FCSolver) -> None:
        super().__init__(force_constants)
        self._supercell = solver._supercell
        self.options = parse_symfc_options(solver._options, 3)

    def get_nonzero_atomic_indices_fc3(self) -> Any:
        """Return which triples of atoms are within the cutoff of fc3, if there is one.

        Returns
        -------
        ndarray or None
            Shape ``(N, N, N)``.
        """
        from symfc.utils.cutoff_tools import FCCutoff
        from symfc.utils.utils import SymfcAtoms

        cutoff = self.options.get("cutoff", {}).get(3)
        if cutoff is None:
            return None
        cell = self._supercell
        atoms = SymfcAtoms(
            cell=cell.cell,
            scaled_positions=cell.scaled_positions,
            # Labels only, as distances decide.
            numbers=cell.species_ids if cell.has_mixtures else cell.numbers,
        )
        within = FCCutoff(atoms, cutoff=cutoff).nonzero_atomic_indices_fc3()
        return within.reshape((len(cell),) * 3)


# Whether the run uses no potential: failed checks are then warnings, not errors.
_without_potential: ContextVar[bool] = ContextVar("host_alone", default=True)


def is_host_only() -> bool:
    """Return what `set_host_only` has set."""
    return _without_potential.get()


def set_host_only(host_only: bool) -> None:
    """Set whether the following calculations use no potential of this package.

    Their results stay byte-identical, and failed checks are only warnings.
    """
    _without_potential.set(host_only)


def set_fc_solver(self: FCSolver, fc_calculator_name: str) -> Any:
    """Replace ``FCSolver._set_fc_solver``, and check results against the forces."""
    self._options = text_of_options(self._options, "fc_calculator_options")
    check_solver_cutoffs(self._supercell, cutoffs_in_options(self._options))
    orders = tuple(self._orders or (2,))
    iterates = fc_calculator_name == "symfc" and _needs_iteration(self, orders)
    if fc_calculator_name in fc_calculator_names and not iterates:
        return _checked_host_solver(self, fc_calculator_name)
    request = request_solver(fc_calculator_name, self._options, max(orders))
    found = plugins.solve(request.solver, _problem(self, request, orders))
    if iterates:
        return _InsteadOfSymfc(found, self)
    if self._primitive is not None:
        lines = describe_truncation(fc_calculator_name, self._primitive, found)
        show(lines, self._log_level)
    return PluginFCSolver(found)


def _needs_iteration(self: FCSolver, orders: tuple[int, ...]) -> bool:
    """Return whether symfc's own equations are replaced by an iterative solution.

    Only in runs with a potential of this package, whose supercells have forces.
    """
    known = self._orders and self._dataset and self._primitive and self._symmetry
    if _without_potential.get() or not known:
        return False
    if self._get_displacements_and_forces()[1] is None:
        return False
    request = request_solver("symfc", self._options, max(orders))
    return is_iterative(_problem(self, request, orders))


def _checked_host_solver(self: FCSolver, name: str) -> Any:
    with record_pivots() as pivots:
        solver = _host_solver(self, name)
    orders = list(self._orders or ())
    if not self._dataset or (name == "symfc" and not orders):
        return solver
    displacements, forces = self._get_displacements_and_forces()
    if forces is None:
        return solver
    singles: Any = self._dataset.get("first_atoms")
    if singles is not None:
        # phono3py stores zeros for pairs beyond a cutoff, which are not calculated.
        calculated = np.array(forces.any(axis=(1, 2)))
        calculated[: len(singles)] = True
        displacements, forces = displacements[calculated], forces[calculated]
    if name == "symfc":
        check_number_of_equations(solver.basis_set, displacements, orders)
    try:
        if name == "symfc":
            check_pivots(pivots, solver.basis_set, displacements, orders)
        _check_host_solution(self, name, solver, displacements, forces)
    except SolverError as error:
        if not _without_potential.get():
            raise
        print(f"WARNING: {error}", file=sys.stderr, flush=True)
    return solver


def _host_solver(self: FCSolver, name: str) -> Any:
    host = original("phonopy.interface.fc_calculator:FCSolver._set_fc_solver")
    try:
        return host(self, name)
    except AssertionError as error:
        if name != "symfc":
            raise
        # symfc does not handle the case that symmetry and sum rules fix everything.
        raise SolverError(
            f"symfc: a supercell of {len(self._supercell)} atoms leaves no force "
            "constant free. Use a larger supercell."
        ) from error


def _check_host_solution(
    self: FCSolver,
    name: str,
    solver: Any,
    displacements: FloatArray,
    forces: FloatArray,
) -> None:
    """Compare the force constants of a solver of phono3py with the forces."""
    force_constants = solver.force_constants
    n_atoms = len(self._supercell)
    if self._primitive is not None:
        lattice = Lattice(self._primitive.p2s_map, self._primitive.atomic_permutations)
    elif all(len(fc) == n_atoms for fc in force_constants.values()):
        lattice = Lattice(np.arange(n_atoms), np.arange(n_atoms)[None])
    else:
        # Compact force constants would need the lattice translations.
        return
    check_force_constants(name, force_constants, displacements, forces, lattice)


def _problem(
    self: FCSolver, request: SolverSpec, orders: tuple[int, ...]
) -> ForceConstantsProblem:
    if self._dataset is None or self._primitive is None or self._symmetry is None:
        raise SolverError(
            f"{request.solver.name}: dataset, primitive cell and symmetry are needed."
        )
    part = CrystalSupercell(
        "fc3" if 3 in orders else "dim-fc2",
        orders,
        self._supercell,
        self._primitive,
        self._symmetry,
        self._dataset,
    )
    data = part.read_dataset()
    if data is None:
        raise SolverError(f"{request.solver.name}: the dataset has no forces.")
    return force_constants_problem(
        part,
        request,
        orders,
        is_compact_fc=self._is_compact_fc,
        forces=data.forces,
        log_level=self._log_level,
        progress=progress(self._log_level),
    )


def extract_fc2_fc3_calculators(fc_calculator: str | None, order: int) -> str | None:
    """Replace the function of phono3py: return the name for one order, or None."""
    if fc_calculator is None:
        return None
    parts = fc_calculator.split("|")
    name = parts[order - 2 if len(parts) > 1 else 0].strip()
    return _registered_name(name) if name else None


def get_fc_calculator_params(
    fc_calculator: str | None,
    fc_calculator_options: str | None,
    cutoff_pair_distance: float | None,
    log_level: int = 0,
) -> tuple[str | None, str | None]:
    """Replace the function of phono3py; an unknown name is an error."""
    names = check_names(fc_calculator)
    if all(name in fc_calculator_names for name in names):
        host = original(f"{_MODULE}:get_fc_calculator_params")
        return host(  # type: ignore[no-any-return]
            fc_calculator, fc_calculator_options, cutoff_pair_distance, log_level
        )
    # A plugin gets the pair cutoff through the options of fc3, to which
    # compute_force_constants_from_datasets of phono3py appends it.
    return fc_calculator, fc_calculator_options


def check_names(fc_calculator: str | None) -> list[str]:
    """Return the solver names of the ``fc2|fc3`` notation of phono3py.

    Raises
    ------
    PluginNotFound
        If a name is not registered, or its solver cannot be used.
    """
    parts = [] if fc_calculator is None else fc_calculator.split("|")
    return [_registered_name(part.strip()) for part in parts if part.strip()]


def _registered_name(name: str) -> str:
    lower = name.lower()
    if lower in fc_calculator_names:
        return lower
    try:
        return plugins.registry().force_constants_solver(name).name
    except PluginNotFound as error:
        raise PluginNotFound(f"--fc-calculator: {error}") from None

"""Force constants by symfc: least squares in the symmetry-adapted basis."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import factorial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from phono3py_mlp_plugin.contracts import (
    ForceConstants,
    ForceConstantsProblem,
    ForceConstantsSolver,
    SolveMany,
)
from phono3py_mlp_plugin.errors import SolverError
from phono3py_mlp_plugin.hookspecs import hookimpl
from phono3py_mlp_plugin.ranges import Gigabytes, check_ranges
from phono3py_mlp_plugin.solvers.least_squares import (
    Direct,
    Iterative,
    Method,
    choose_method,
)
from phono3py_mlp_plugin.solvers.normal_equations import NormalEquations
from phono3py_mlp_plugin.solvers.pivots import (
    record_pivots,
    undetermined_orders,
)
from phono3py_mlp_plugin.taylor import more_supercells, opposites

if TYPE_CHECKING:
    from phono3py_mlp_plugin.contracts import FloatArray


@dataclass(frozen=True)
class SymfcOptions:
    """Options of symfc for sparse matrices and memory."""

    use_mkl: bool = field(
        default=False, metadata={"help": "use MKL, if sparse_dot_mkl is installed"}
    )
    memsize: Gigabytes | None = field(
        default=None,
        metadata={"help": "memory (GB) that sets the cutoff of fc3, if none is given"},
    )

    method: Literal["direct", "iterative"] | None = field(
        default=None,
        metadata={
            "help": "direct: factorise the normal equations; iterative: conjugate "
            "gradients without their matrix; by default iterative where the matrix "
            "does not fit into the free memory, or takes much longer"
        },
    )

    def __post_init__(self) -> None:
        check_ranges(self)


def solve(problem: ForceConstantsProblem) -> ForceConstants:
    """Return force constants with all symmetries and sum rules.

    Raises
    ------
    SolverError
        If the forces do not determine the force constants.
    """
    symfc = _symfc(problem)
    orders = list(problem.orders)
    _compute_basis(symfc, problem)
    basis = {order: symfc.basis_set[order] for order in orders}
    check_number_of_equations(basis, problem.displacements, orders)
    method = _method(problem, basis)
    if method.name == "iterative":
        (result,) = _solver_of_many(problem, symfc, method)(problem.forces[None])
        return result
    # Compact arrays of symfc refer to its own primitive cell. The primitive cell of the
    # crystal may be larger; the full array is needed then.
    is_compact = problem.is_compact_fc and np.array_equal(
        symfc.p2s_map, problem.primitive.p2s_map
    )
    with record_pivots() as pivots_of_systems, method.announced(problem.progress):
        symfc.solve(orders=orders, is_compact_fc=is_compact)
    check_pivots(pivots_of_systems, symfc.basis_set, problem.displacements, orders)
    fcs = {order: symfc.force_constants[order] for order in orders}
    if problem.is_compact_fc and not is_compact:
        fcs = {order: fc[problem.primitive.p2s_map] for order, fc in fcs.items()}
    return fcs


def prepare(problem: ForceConstantsProblem) -> SolveMany:
    """Return a function that computes the force constants of many sets of forces.

    They are equal to those of `solve`, and are computed with one normal matrix in the
    basis of symfc.

    Parameters
    ----------
    problem : ForceConstantsProblem
        Its forces are not used.

    Raises
    ------
    SolverError
        If the displacements do not determine the force constants.
    """
    symfc = _symfc(problem)
    _compute_basis(symfc, problem)
    basis = {order: symfc.basis_set[order] for order in problem.orders}
    check_number_of_equations(basis, problem.displacements, problem.orders)
    return _solver_of_many(problem, symfc, _method(problem, basis))


def is_iterative(problem: ForceConstantsProblem) -> bool:
    """Return whether a problem will be solved by iteration, before the basis is known.

    Permutations and operations turn elements of force constants into each other. A
    cutoff leaves fewer of them: then only a request counts.
    """
    requested = problem.options.method
    if requested is not None or problem.cutoff or problem.options.memsize is not None:
        return bool(requested == "iterative")
    n = len(problem.supercell)
    n_operations = len(problem.symmetry.symmetry_operations["rotations"])
    elements = sum((3 * n) ** o / factorial(o) for o in problem.orders)
    unknowns = round(elements / n_operations)
    return choose_method(None, unknowns, problem.displacements).name == "iterative"


def _method(problem: ForceConstantsProblem, basis: Mapping[int, Any]) -> Method:
    unknowns = sum(part.blocked_basis_set.shape[1] for part in basis.values())
    return choose_method(problem.options.method, unknowns, problem.displacements)


def _solver_of_many(
    problem: ForceConstantsProblem, symfc: Any, method: Method
) -> SolveMany:
    """Return a function that solves for many sets of forces by a method."""
    basis = {order: symfc.basis_set[order] for order in problem.orders}
    equations = NormalEquations(basis, symfc.p2s_map, problem.displacements)
    is_compact = np.array_equal(symfc.p2s_map, problem.primitive.p2s_map)
    solver: Direct | Iterative
    with method.announced(problem.progress):
        if method.name == "direct":
            solver = Direct(equations, problem.progress)
            pivots = solver.pivots
            check_pivots([pivots], basis, problem.displacements, problem.orders)
        else:
            solver = Iterative(equations, problem.progress)
            for order in solver.undetermined:
                raise _undetermined(order, basis, problem.displacements, problem.orders)

    def solve_many(force_sets: FloatArray) -> Iterator[ForceConstants]:
        for column in solver.solve(equations.right(force_sets).T):
            yield _expanded(column, basis, problem, is_compact)

    return solve_many


def _expanded(
    coefficients: FloatArray,
    basis: Mapping[int, Any],
    problem: ForceConstantsProblem,
    is_compact: bool,
) -> ForceConstants:
    """Return the force constants from their coefficients in the basis."""
    force_constants, begin = {}, 0
    for order, part in basis.items():
        n = part.blocked_basis_set.shape[1]
        reduced = part.blocked_basis_set @ coefficients[begin : begin + n]
        begin += n
        if problem.is_compact_fc and is_compact:
            values = part.compact_compression_matrix @ reduced
        else:
            values = part.compression_matrix @ reduced
        fc = values.reshape(-1, *problem.shape(order)[1:])
        if problem.is_compact_fc and not is_compact:
            fc = fc[problem.primitive.p2s_map]
        force_constants[order] = np.ascontiguousarray(fc)
    return force_constants


@hookimpl
def phono3py_mlp_force_constants_solvers() -> Iterable[ForceConstantsSolver]:
    """Register the solver symfc."""
    yield ForceConstantsSolver(
        name="symfc",
        summary="least squares in symfc's symmetry-adapted basis",
        solve=solve,
        prepare=prepare,
        options=SymfcOptions,
        citation="A. Seko and A. Togo, Phys. Rev. B 110, 214302 (2024)",
    )


def _symfc(problem: ForceConstantsProblem) -> Any:
    from symfc import Symfc
    from symfc.utils.utils import SymfcAtoms

    cell = problem.supercell
    symfc = Symfc(
        SymfcAtoms(
            cell=cell.cell,
            scaled_positions=cell.scaled_positions,
            # Used as labels only; a site with several species has no atomic number.
            numbers=cell.species_ids if cell.has_mixtures else cell.numbers,
        ),
        spacegroup_operations=problem.symmetry.symmetry_operations,
        symprec=problem.symmetry.tolerance,
        cutoff=_cutoff(problem),
        use_mkl=problem.options.use_mkl,
        log_level=max(problem.log_level - 1, 0),
    )
    symfc.displacements = problem.displacements
    symfc.forces = problem.forces
    return symfc


def _cutoff(problem: ForceConstantsProblem) -> dict[int, float]:
    """Return the cutoffs; that of fc3 follows from the memory if it is not given."""
    from phonopy.interface.symfc import estimate_symfc_cutoff_from_memsize

    cutoff, memory = dict(problem.cutoff), problem.options.memsize
    if memory is not None and 3 in problem.orders and 3 not in cutoff:
        estimated = estimate_symfc_cutoff_from_memsize(
            problem.supercell,
            problem.primitive,
            problem.symmetry,
            3,
            max_memsize=memory,
        )
        if estimated is not None:
            cutoff[3] = estimated
    return cutoff


def _compute_basis(symfc: Any, problem: ForceConstantsProblem) -> None:
    try:
        symfc.compute_basis_set(orders=list(problem.orders))
    except AssertionError as error:
        # Raised if an order has no basis, e.g. fc3 of rock salt with eight atoms.
        raise SolverError(
            "symfc: symmetry and cutoff leave no force constants of orders "
            f"{', '.join(map(str, problem.orders))} in the supercell of "
            f"{len(problem.supercell)} atoms. Use a larger supercell or cutoff."
        ) from error


def check_number_of_equations(
    basis_set: Mapping[int, Any], displacements: FloatArray, orders: Sequence[int]
) -> None:
    """Raise if there are fewer equations than independent force constants.

    symfc would return meaningless numbers without a warning. Forces that are odd in the
    displacements determine fc2, and those that are even determine fc3, so that
    supercells with opposite displacements provide half of their equations for each
    order.

    Parameters
    ----------
    basis_set : mapping
        Basis sets of symfc by order.
    displacements : ndarray
        Shape ``(n, N, 3)``.
    orders : sequence of int

    Raises
    ------
    SolverError
    """
    # The attribute basis_set would convert each blocked basis set to a dense matrix.
    unknowns = {o: basis_set[o].blocked_basis_set.shape[1] for o in orders}
    # Three components depend on the others, because the forces sum to zero.
    per_supercell = displacements[0].size - 3
    n_pairs = len(opposites(displacements))
    n_each = len(displacements) - n_pairs
    sums = [(size, f"fc{o}", n_each) for o, size in unknowns.items()]
    names = " and ".join(f"fc{order}" for order in unknowns)
    for size, what, n in (*sums, (sum(unknowns.values()), names, len(displacements))):
        if n * per_supercell >= size:
            continue
        needed = -(-size // per_supercell)
        of_pairs = "pairs of " if n == n_pairs else ""
        raise SolverError(
            f"symfc: {n} {of_pairs}supercells give {n * per_supercell} equations for "
            f"{size} independent force constants of {what}; expected at least {needed} "
            f"{of_pairs}supercells. {more_supercells(displacements, needed)}"
        )


def check_pivots(
    pivots_of_systems: Sequence[FloatArray],
    basis_set: Mapping[int, Any],
    displacements: FloatArray,
    orders: Sequence[int],
) -> None:
    """Raise if the equations do not determine the force constants.

    Parameters
    ----------
    pivots_of_systems : sequence of ndarray
        Pivots of the systems that were solved, as returned by `record_pivots`.
    basis_set, displacements, orders
        See `check_number_of_equations`.

    Raises
    ------
    SolverError
    """
    sizes = [(o, basis_set[o].blocked_basis_set.shape[1]) for o in orders]
    for pivots in pivots_of_systems:
        if len(pivots) != sum(size for _, size in sizes):
            continue
        for order in undetermined_orders(pivots, sizes):
            raise _undetermined(order, basis_set, displacements, orders)


def _undetermined(
    order: int,
    basis_set: Mapping[int, Any],
    displacements: FloatArray,
    orders: Sequence[int],
) -> SolverError:
    """Return the error that supercells do not determine force constants."""
    n, n_pairs = len(displacements), len(opposites(displacements))
    equations = (n - n_pairs) * (displacements[0].size - 3)
    # If there are many more equations, more of them do not help.
    largest = max(basis_set[o].blocked_basis_set.shape[1] for o in orders)
    needed = 2 * (n - n_pairs) if equations < 2 * largest else None
    return SolverError(
        f"symfc: the {n} supercells do not determine the "
        f"force constants fc{order}: their displacements depend on each other. "
        f"{more_supercells(displacements, needed)}"
    )

"""Force constants by symfc: least squares in the symmetry-adapted basis."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import linalg

from phono3py_mlp_plugin.contracts import (
    ForceConstants,
    ForceConstantsProblem,
    ForceConstantsSolver,
    SolveMany,
)
from phono3py_mlp_plugin.errors import SolverError
from phono3py_mlp_plugin.hookspecs import hookimpl
from phono3py_mlp_plugin.ranges import Gigabytes, check_ranges
from phono3py_mlp_plugin.solvers.normal_equations import NormalEquations
from phono3py_mlp_plugin.solvers.pivots import (
    relative_pivots,
    undetermined_orders,
    watch_pivots,
)
from phono3py_mlp_plugin.taylor import more_supercells, opposites

if TYPE_CHECKING:
    from phono3py_mlp_plugin.contracts import FloatArray


@dataclass(frozen=True)
class SymfcOptions:
    """How symfc multiplies sparse matrices, and the memory that it may take."""

    use_mkl: bool = field(
        default=False, metadata={"help": "use MKL, where sparse_dot_mkl is installed"}
    )
    memsize: Gigabytes | None = field(
        default=None,
        metadata={
            "help": "memory (GB) that sets the cutoff of fc3, where none is given"
        },
    )

    def __post_init__(self) -> None:
        check_ranges(self)


def solve(problem: ForceConstantsProblem) -> ForceConstants:
    """Return force constants with all symmetries and sum rules.

    Raises
    ------
    SolverError
        The forces do not determine the force constants.
    """
    symfc = _symfc(problem)
    orders = list(problem.orders)
    _compute_basis(symfc, problem)
    check_number_of_equations(symfc.basis_set, problem.displacements, orders)
    # symfc lays compact arrays out by its own primitive cell, which is smaller than
    # the host's where the latter was chosen so: only the full array fits then.
    is_compact = problem.is_compact_fc and np.array_equal(
        symfc.p2s_map, problem.primitive.p2s_map
    )
    with watch_pivots() as seen:
        symfc.solve(orders=orders, is_compact_fc=is_compact)
    check_pivots(seen, symfc.basis_set, problem.displacements, orders)
    found = {order: symfc.force_constants[order] for order in orders}
    if problem.is_compact_fc and not is_compact:
        found = {order: fc[problem.primitive.p2s_map] for order, fc in found.items()}
    return found


def prepare(problem: ForceConstantsProblem) -> SolveMany:
    """Return what gives the force constants of many sets of forces.

    Those of `solve`, by one normal matrix in symfc's basis.

    Parameters
    ----------
    problem : ForceConstantsProblem
        Its own forces are not used.

    Raises
    ------
    SolverError
        The displacements do not determine the force constants.
    """
    symfc = _symfc(problem)
    _compute_basis(symfc, problem)
    basis = {order: symfc.basis_set[order] for order in problem.orders}
    check_number_of_equations(basis, problem.displacements, problem.orders)
    equations = NormalEquations(basis, symfc.p2s_map, problem.displacements)
    matrix = equations.matrix()
    # fc3 multiplies squares of small displacements: without scales its columns are
    # thousands of times smaller than those of fc2.
    diagonal = np.diag(matrix).copy()
    scales = 1 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    matrix *= scales[:, None] * scales
    factor, info = linalg.lapack.dpotrf(matrix, overwrite_a=True)
    pivots = relative_pivots(factor, np.ones(len(diagonal)), info)
    check_pivots([pivots], basis, problem.displacements, problem.orders)
    is_compact = np.array_equal(symfc.p2s_map, problem.primitive.p2s_map)

    def solve_many(force_sets: FloatArray) -> Iterator[ForceConstants]:
        right = scales[:, None] * equations.right(force_sets)
        coefficients = scales[:, None] * linalg.cho_solve((factor, False), right)
        for column in coefficients.T:
            yield _expanded(column, basis, problem, is_compact)

    return solve_many


def _expanded(
    coefficients: FloatArray,
    basis: Mapping[int, Any],
    problem: ForceConstantsProblem,
    is_compact: bool,
) -> ForceConstants:
    """Return force constants of their coefficients in the basis."""
    found, begin = {}, 0
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
        found[order] = np.ascontiguousarray(fc)
    return found


@hookimpl
def phono3py_mlp_force_constants_solvers() -> Iterable[ForceConstantsSolver]:
    """Offer symfc."""
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
            # Labels only; a mixed site has no atomic number.
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
    """Return the cutoffs, that of fc3 from the memory where only this is given."""
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
        # Bare, where an order has no basis: e.g. fc3 of eight atoms of rock salt.
        raise SolverError(
            "symfc: symmetry and cutoff leave no force constants of orders "
            f"{', '.join(map(str, problem.orders))} in the supercell of "
            f"{len(problem.supercell)} atoms. Take a larger supercell or cutoff."
        ) from error


def check_number_of_equations(
    basis_set: Mapping[int, Any], displacements: FloatArray, orders: Sequence[int]
) -> None:
    """Refuse fewer equations than independent force constants.

    symfc would return numbers that mean nothing, without a word. Forces that are odd in
    the displacements tell of fc2, those that are even of fc3, so that supercells with
    opposite displacements give each order half of their equations.

    Parameters
    ----------
    basis_set : mapping
        Of symfc, by order.
    displacements : ndarray
        Shape ``(n, N, 3)``.
    orders : sequence of int

    Raises
    ------
    SolverError
    """
    # In blocks: the attribute basis_set of each would make a dense matrix of it.
    unknowns = {o: basis_set[o].blocked_basis_set.shape[1] for o in orders}
    # Three components follow from the others: the forces of an expansion sum to zero.
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
    seen: Sequence[FloatArray],
    basis_set: Mapping[int, Any],
    displacements: FloatArray,
    orders: Sequence[int],
) -> None:
    """Refuse equations that leave force constants open, however many they are.

    Parameters
    ----------
    seen : sequence of ndarray
        Pivots of the systems solved, as of `watch_pivots`.
    basis_set, displacements, orders
        As in `check_number_of_equations`.

    Raises
    ------
    SolverError
    """
    sizes = [(o, basis_set[o].blocked_basis_set.shape[1]) for o in orders]
    n = len(displacements)
    equations = (n - len(opposites(displacements))) * (displacements[0].size - 3)
    # Where there are many more equations, their number is not what is missing.
    few = equations < 2 * max(size for _, size in sizes)
    needed = 2 * (n - len(opposites(displacements))) if few else None
    for pivots in seen:
        if len(pivots) != sum(size for _, size in sizes):
            continue
        for order in undetermined_orders(pivots, sizes):
            raise SolverError(
                f"symfc: the {n} supercells do not determine the "
                f"force constants fc{order}: their displacements depend on each other. "
                f"{more_supercells(displacements, needed)}"
            )

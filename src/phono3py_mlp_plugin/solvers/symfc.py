"""Force constants by symfc: least squares in the symmetry-adapted basis."""

from __future__ import annotations

import math
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
from phono3py_mlp_plugin.errors import ParameterError, SolverError
from phono3py_mlp_plugin.hookspecs import hookimpl
from phono3py_mlp_plugin.solvers.normal_equations import NormalEquations

if TYPE_CHECKING:
    from phono3py_mlp_plugin.contracts import FloatArray


# Diagonal of the factor of the scaled normal matrix below which it is singular.
_LEAST_PIVOT = 1e-7


@dataclass(frozen=True)
class SymfcOptions:
    """How symfc multiplies sparse matrices, and the memory that it may take."""

    use_mkl: bool = field(
        default=False, metadata={"help": "use MKL, where sparse_dot_mkl is installed"}
    )
    memsize: float | None = field(
        default=None,
        metadata={
            "help": "memory (GB) that sets the cutoff of fc3, where none is given"
        },
    )

    def __post_init__(self) -> None:
        if self.memsize is not None and not 0 < self.memsize < math.inf:
            raise ParameterError(
                f"memsize = {self.memsize}; expected a positive number."
            )


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
    check_number_of_equations(symfc.basis_set, problem.forces, problem.orders)
    # symfc lays compact arrays out by its own primitive cell, which is smaller than
    # the host's where the latter was chosen so: only the full array fits then.
    is_compact = problem.is_compact_fc and np.array_equal(
        symfc.p2s_map, problem.primitive.p2s_map
    )
    symfc.solve(orders=orders, is_compact_fc=is_compact)
    found = {order: symfc.force_constants[order] for order in orders}
    if problem.is_compact_fc and not is_compact:
        found = {order: fc[problem.primitive.p2s_map] for order, fc in found.items()}
    _check_least_squares(found, problem)
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
    scales = 1 / np.sqrt(np.diag(matrix))
    matrix *= scales[:, None] * scales
    try:
        factor = linalg.cho_factor(matrix, overwrite_a=True, check_finite=False)
    except linalg.LinAlgError as error:
        raise _undetermined() from error
    if np.diag(factor[0]).min() < _LEAST_PIVOT:
        raise _undetermined()
    is_compact = np.array_equal(symfc.p2s_map, problem.primitive.p2s_map)

    def solve_many(force_sets: FloatArray) -> Iterator[ForceConstants]:
        right = scales[:, None] * equations.right(force_sets)
        coefficients = scales[:, None] * linalg.cho_solve(factor, right)
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


def _undetermined() -> SolverError:
    return SolverError(
        "symfc: the displacements do not determine the force constants. Add "
        "supercells with random displacements, set a cutoff or take a larger supercell."
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
    basis_set: Mapping[int, Any], forces: FloatArray, orders: Sequence[int]
) -> None:
    """Refuse fewer force components than independent force constants.

    symfc would return numbers that mean nothing, without a word.

    Parameters
    ----------
    basis_set : mapping
        Of symfc, by order.
    forces : ndarray
        Shape ``(n, N, 3)``.
    orders : sequence of int

    Raises
    ------
    SolverError
    """
    # In blocks: the attribute basis_set of each would make a dense matrix of it.
    unknowns = sum(basis_set[order].blocked_basis_set.shape[1] for order in orders)
    if forces.size < unknowns:
        n_needed = -(-unknowns // forces[0].size)
        raise SolverError(
            f"symfc: {len(forces)} supercells give {forces.size} force components for "
            f"{unknowns} independent force constants; expected at least {n_needed} "
            "supercells. Add supercells or set a cutoff."
        )


def _check_least_squares(found: ForceConstants, problem: ForceConstantsProblem) -> None:
    """Refuse what symfc returns where its normal equations are singular.

    It does not look at the error code of LAPACK's ``posv``. A least-squares solution
    is known by its forces f being the projection of the forces F: F.f = f.f.
    """
    overlap = norm = 0.0
    rows = problem.primitive.p2s_map
    # By translations, the rows of the primitive cell give the forces on all atoms.
    translations = problem.primitive.atomic_permutations
    blocks = {
        order: _matrix(fc if problem.is_compact_fc else fc[rows])
        for order, fc in found.items()
    }
    for displacement, force in zip(problem.displacements, problem.forces, strict=True):
        u = displacement[translations].reshape(len(translations), -1)
        f = force[translations][:, rows].reshape(len(translations), -1)
        model = _model_forces(blocks, u)
        overlap += float(np.vdot(model, f))
        norm += float(np.vdot(model, model))
    if not abs(overlap - norm) <= 1e-2 * norm:
        raise SolverError(
            f"symfc: overlap of forces = {overlap / norm if norm else np.nan:.3g}; "
            "expected 1, so the displacements do not determine the force constants. "
            "Add supercells with random displacements, set a cutoff or take a larger "
            "supercell."
        )


def _matrix(fc: FloatArray) -> FloatArray:
    """Return (N_p 3, 3N) of fc2 or (N_p 3, 3N, 3N) of fc3."""
    order = fc.ndim // 2
    pairs = [axis for i in range(order) for axis in (i, order + i)]
    return fc.transpose(pairs).reshape(len(fc) * 3, *(fc.shape[1] * 3,) * (order - 1))


def _model_forces(blocks: ForceConstants, u: FloatArray) -> FloatArray:
    """Return forces (n, N_p 3) of the Taylor expansion at displacements (n, 3N)."""
    forces = -u @ blocks[2].T
    if 3 in blocks:
        gradient = (blocks[3].reshape(-1, u.shape[1]) @ u.T).reshape(-1, *u.T.shape)
        forces -= 0.5 * np.einsum("ijn,nj->ni", gradient, u)
    return forces

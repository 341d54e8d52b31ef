"""Force constants by hiPhive: a fit of clusters within a cutoff."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from phono3py_mlp_plugin.contracts import (
    ForceConstants,
    ForceConstantsProblem,
    ForceConstantsSolver,
)
from phono3py_mlp_plugin.errors import ParameterError, SolverError
from phono3py_mlp_plugin.hookspecs import hookimpl
from phono3py_mlp_plugin.ranges import Length, check_ranges
from phono3py_mlp_plugin.solvers.hiphive.pairs import full_fc2, pair_basis, reach
from phono3py_mlp_plugin.solvers.hiphive.structures import ase_atoms
from phono3py_mlp_plugin.solvers.hiphive.triplets import Triplets
from phono3py_mlp_plugin.taylor import Lattice, taylor_forces

if TYPE_CHECKING:
    from phono3py_mlp_plugin.contracts import FloatArray

# Margin (angstrom) below the largest cutoff of fc3, which hiPhive finds by bisection
# and which may coincide with a shell of neighbours.
_CUTOFF_MARGIN = 0.01


@dataclass(frozen=True)
class HiphiveOptions:
    """Cutoffs of the clusters and the method of the fit."""

    cutoffs: tuple[Length, ...] = field(
        default=(),
        metadata={
            "help": "of fc2 and fc3 in angstrom; by default fc2 of all pairs, and the "
            "largest of fc3 that fits the supercell"
        },
    )
    fit_method: Literal["least-squares", "ridge", "lasso", "ardr", "rfe"] = field(
        default="least-squares", metadata={"help": "of trainstation"}
    )

    def __post_init__(self) -> None:
        check_ranges(self)
        if len(self.cutoffs) > 2:
            raise ParameterError(
                f"cutoffs = {' '.join(map(str, self.cutoffs))}; expected at most two "
                "positive numbers, of fc2 and fc3."
            )


def solve(problem: ForceConstantsProblem) -> ForceConstants:
    """Return force constants with all symmetries and translational sum rules.

    The symmetries are those that hiPhive finds in the primitive cell.

    Raises
    ------
    ParameterError
        If the cutoff of fc3 is too large for the supercell.
    SolverError
        If the forces do not determine the parameters of a least-squares fit, or there
        are no parameters.
    """
    with _logging(problem.log_level):
        cutoffs = _cutoffs(problem)
        with problem.progress("Clusters of hiPhive", None):
            pairs = _pairs(problem, cutoffs[2])
            triplets = _triplets(problem, cutoffs[3]) if 3 in problem.orders else None
        parameters = _fit(problem, pairs, triplets)
        found = {2: np.tensordot(parameters[: len(pairs)], pairs, axes=1)}
        if triplets is not None:
            found[3] = triplets.force_constants(parameters[len(pairs) :])
    if not problem.is_compact_fc:
        translations = problem.primitive.atomic_permutations
        found[2] = full_fc2(found[2], problem.primitive.p2s_map, translations)
    return found


@hookimpl
def phono3py_mlp_force_constants_solvers() -> Iterable[ForceConstantsSolver]:
    """Register the solver hiphive."""
    yield ForceConstantsSolver(
        name="hiphive",
        summary="a fit of clusters within a cutoff by hiPhive",
        solve=solve,
        options=HiphiveOptions,
        unavailable_reason=_unavailable_reason,
        citation="F. Eriksson, E. Fransson and P. Erhart, "
        "Adv. Theory Simul. 2, 1800184 (2019)",
    )


def _unavailable_reason() -> str | None:
    if importlib.util.find_spec("hiphive") is None:
        return "hiphive is not installed. Install it by 'pip install hiphive'."
    return None


@contextmanager
def _logging(log_level: int) -> Iterator[None]:
    """Set the level of the log of hiPhive, which is printed."""
    logger = logging.getLogger("hiphive")
    level = logger.level
    logger.setLevel(logging.INFO if log_level > 1 else logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _cutoffs(problem: ForceConstantsProblem) -> dict[int, float]:
    """Return the cutoffs by order: those requested, or the largest."""
    from hiphive.cutoffs import estimate_maximum_cutoff, is_cutoff_allowed

    cutoffs = dict(enumerate(problem.options.cutoffs, start=2)) | dict(problem.cutoff)
    farthest = reach(problem.primitive)
    cutoffs[2] = min(cutoffs.get(2, farthest), farthest)
    if 3 in problem.orders:
        supercell = ase_atoms(problem.supercell)
        largest = estimate_maximum_cutoff(supercell) - _CUTOFF_MARGIN
        if not is_cutoff_allowed(supercell, cutoffs.setdefault(3, largest)):
            raise ParameterError(
                f"hiphive: cutoff of fc3 = {cutoffs[3]:g} angstrom; expected at most "
                f"{largest:.2f}, beyond which atoms of the supercell interact with "
                "their own images. Lower it or use a larger supercell."
            )
    return cutoffs


def _pairs(problem: ForceConstantsProblem, cutoff: float) -> FloatArray:
    """Return a basis of fc2, shape ``(P, N_p, N, 3, 3)``."""
    clusters = _clusters(problem, [cutoff])
    supercell = ase_atoms(problem.supercell)
    return pair_basis(problem.primitive, supercell, clusters, cutoff)


def _triplets(problem: ForceConstantsProblem, cutoff: float) -> Triplets:
    return Triplets(problem, _clusters(problem, [cutoff, cutoff]))


def _clusters(problem: ForceConstantsProblem, cutoffs: list[float]) -> Any:
    """Return the clusters up to the order that the cutoffs belong to."""
    from hiphive import ClusterSpace

    order = len(cutoffs) + 1
    primitive = ase_atoms(problem.primitive)
    try:
        clusters = ClusterSpace(primitive, cutoffs, symprec=problem.symmetry.tolerance)
    except ValueError as error:
        if "no degrees of freedom" not in str(error):
            raise
        clusters = None
    if clusters is None or not len(clusters.get_parameter_indices(order)):
        raise SolverError(
            f"hiphive: symmetry and cutoffs leave no fc{order} in the supercell of "
            f"{len(problem.supercell)} atoms. Use a larger supercell or cutoff."
        )
    return clusters


def _fit(
    problem: ForceConstantsProblem, pairs: FloatArray, triplets: Triplets | None
) -> FloatArray:
    """Return the parameters that reproduce the forces."""
    lattice = Lattice(problem.primitive.p2s_map, problem.primitive.atomic_permutations)
    columns = [
        taylor_forces({2: fc2}, problem.displacements, lattice)[2].ravel()
        for fc2 in pairs
    ]
    matrix = np.array(columns).T
    if triplets is not None:
        matrix = np.hstack([matrix, triplets.fit_matrix()])
    forces = problem.forces.ravel()
    if problem.options.fit_method == "least-squares":
        return _least_squares(matrix, forces)

    from trainstation import Optimizer  # type: ignore[import-untyped]

    optimizer = Optimizer(
        (matrix, forces),
        fit_method=problem.options.fit_method,
        train_size=1.0,
        # The check only warns, and these methods are meant for such matrices.
        check_condition=False,
    )
    optimizer.train()
    return np.asarray(optimizer.parameters)


def _least_squares(matrix: FloatArray, forces: FloatArray) -> FloatArray:
    """Return the least-squares solution; raise if it is not unique.

    The method of trainstation does not check that.
    """
    # The scales of the columns of fc2 and fc3 differ by the size of displacements.
    scale = np.linalg.norm(matrix, axis=0)
    scale[scale == 0] = 1.0
    parameters, _, rank, _ = np.linalg.lstsq(matrix / scale, forces, rcond=None)
    if rank < matrix.shape[1]:
        raise SolverError(
            f"hiphive: the displacements determine {rank} of {matrix.shape[1]} "
            "parameters. Add supercells with random displacements, lower the cutoffs "
            "or set another fit_method."
        )
    return np.asarray(parameters / scale)

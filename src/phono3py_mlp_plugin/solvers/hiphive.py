"""Force constants by hiPhive: a fit of clusters within a cutoff."""

from __future__ import annotations

import importlib.util
import itertools
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

if TYPE_CHECKING:
    from phonopy.structure.atoms import PhonopyAtoms

    from phono3py_mlp_plugin.contracts import FloatArray

# Margin (angstrom) below the largest cutoff, which hiPhive determines by bisection and
# which may coincide with a shell of neighbours.
_CUTOFF_MARGIN = 0.01


@dataclass(frozen=True)
class HiphiveOptions:
    """Cutoffs of the clusters and the method of the fit."""

    cutoffs: tuple[Length, ...] = field(
        default=(),
        metadata={
            "help": "of fc2 and fc3 in angstrom; by default the largest that fits the "
            "supercell"
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
        If a cutoff is too large for the supercell.
    SolverError
        If the forces do not determine the parameters of a least-squares fit, or there
        are no parameters.
    """
    from hiphive import ClusterSpace
    from hiphive.force_constant_model import ForceConstantModel

    supercell = _ase_atoms(problem.supercell)
    with _logging(problem.log_level):
        clusters = ClusterSpace(
            _ase_atoms(problem.primitive),
            _cutoffs(problem, supercell),
            symprec=problem.symmetry.tolerance,
        )
        model = ForceConstantModel(supercell, clusters)
        model.parameters = _fit(model, problem)
        force_constants = model.get_force_constants()
    missing = set(problem.orders) - set(force_constants.orders)
    if missing:
        raise SolverError(
            f"hiphive: symmetry and cutoffs leave no fc{min(missing)} in the supercell "
            f"of {len(problem.supercell)} atoms. Use a larger supercell or cutoff."
        )
    return {order: _array(force_constants, problem, order) for order in problem.orders}


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


def _ase_atoms(cell: PhonopyAtoms) -> Any:
    from ase import Atoms

    return Atoms(
        numbers=cell.numbers, cell=cell.cell, positions=cell.positions, pbc=True
    )


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


def _cutoffs(problem: ForceConstantsProblem, supercell: Any) -> list[float]:
    from hiphive.cutoffs import estimate_maximum_cutoff, is_cutoff_allowed

    largest = estimate_maximum_cutoff(supercell) - _CUTOFF_MARGIN
    cutoffs = dict(enumerate(problem.options.cutoffs, start=2)) | dict(problem.cutoff)
    for order in problem.orders:
        cutoff = cutoffs.setdefault(order, largest)
        if not is_cutoff_allowed(supercell, cutoff):
            raise ParameterError(
                f"hiphive: cutoff of fc{order} = {cutoff:g} angstrom; expected at most "
                f"{largest:.2f}, beyond which atoms of the supercell interact with "
                "their own images. Lower it or use a larger supercell."
            )
    return [cutoffs[order] for order in range(2, max(problem.orders) + 1)]


def _fit(model: Any, problem: ForceConstantsProblem) -> FloatArray:
    """Return the parameters that reproduce the forces."""
    matrix = np.vstack([model.get_fit_matrix(u) for u in problem.displacements])
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


def _array(
    force_constants: Any, problem: ForceConstantsProblem, order: int
) -> FloatArray:
    """Return the force constants of one order, stored by sorted clusters, as array."""
    n_atoms = len(problem.supercell)
    rows = problem.primitive.p2s_map if problem.is_compact_fc else np.arange(n_atoms)
    row_of_atom = {int(atom): row for row, atom in enumerate(rows)}
    array = np.zeros(problem.shape(order))
    for cluster, values in force_constants.get_fc_dict(order).items():
        for permutation in itertools.permutations(range(order)):
            first, *others = (cluster[i] for i in permutation)
            if first in row_of_atom:
                array[row_of_atom[first], *others] = values.transpose(permutation)
    return array

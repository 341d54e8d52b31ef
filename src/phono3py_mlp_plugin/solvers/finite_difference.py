"""Force constants by finite differences of systematic displacements.

This is the method of phono3py, which is called through its public classes. The force
constants have the symmetry of the crystal, but do not obey the sum rules and the
permutation symmetry of indices.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np

from phono3py_mlp_plugin.contracts import (
    ForceConstants,
    ForceConstantsProblem,
    ForceConstantsSolver,
)
from phono3py_mlp_plugin.errors import SolverError
from phono3py_mlp_plugin.hookspecs import hookimpl
from phono3py_mlp_plugin.ranges import POSITIVE, Gigabytes, check_ranges


@dataclass(frozen=True)
class FiniteDifferenceOptions:
    """Options of the selection of pairs and of the symmetrisation."""

    memsize: Gigabytes | None = field(
        default=None,
        metadata={"help": "memory (GB) of symfc that sets the cutoff of pairs"},
    )
    level: Annotated[int, POSITIVE] = field(
        default=3,
        metadata={"help": "number of times that sum rules and exchange are imposed"},
    )
    use_mkl: bool = field(
        default=False, metadata={"help": "use MKL in symfc's projector"}
    )

    def __post_init__(self) -> None:
        check_ranges(self)


def solve(problem: ForceConstantsProblem) -> ForceConstants:
    """Return force constants, not symmetrised.

    Raises
    ------
    SolverError
        If the dataset does not consist of systematic displacements with forces.
    """
    _check_dataset(problem)
    if 3 in problem.orders:
        return _solve_third_order(problem)
    return _solve_second_order(problem)


@hookimpl
def phono3py_mlp_force_constants_solvers() -> Iterable[ForceConstantsSolver]:
    """Register the solver traditional."""
    yield ForceConstantsSolver(
        name="traditional",
        summary="finite differences of systematic displacements",
        solve=solve,
        options=FiniteDifferenceOptions,
        citation="L. Chaput, A. Togo, I. Tanaka and G. Hug, "
        "Phys. Rev. B 84, 094302 (2011)",
    )


def _check_dataset(problem: ForceConstantsProblem) -> None:
    """Raise if displacements or forces are missing.

    phono3py would raise a `KeyError`, or use zeros.
    """
    remedy = (
        "Make systematic displacements (-d) and compute their forces, or use "
        "--fc-calculator symfc."
    )
    first_atoms = problem.dataset.get("first_atoms")
    if not first_atoms:
        raise SolverError(
            "traditional: the dataset has no first_atoms; finite differences need "
            f"systematic displacements, not random ones. {remedy}"
        )
    if 3 in problem.orders and not all(a.get("second_atoms") for a in first_atoms):
        raise SolverError(
            "traditional: the dataset displaces single atoms; fc3 needs pairs "
            f"(second_atoms). {remedy}"
        )
    entries = list(first_atoms)
    if 3 in problem.orders:
        pairs = (pair for atom in first_atoms for pair in atom["second_atoms"])
        entries += [pair for pair in pairs if pair.get("included", True)]
    missing = sum("forces" not in entry for entry in entries)
    if missing:
        raise SolverError(
            f"traditional: {missing} of {len(entries)} displacements of the dataset "
            f"have no forces. {remedy}"
        )


def _solve_third_order(problem: ForceConstantsProblem) -> ForceConstants:
    from phono3py import Phono3py

    host: Any = Phono3py(**_crystal(problem))
    host.dataset = problem.dataset
    host.produce_fc3(fc_calculator="traditional", is_compact_fc=problem.is_compact_fc)
    return {2: host.fc2, 3: host.fc3}


def _solve_second_order(problem: ForceConstantsProblem) -> ForceConstants:
    from phonopy import Phonopy

    host: Any = Phonopy(**_crystal(problem))
    host.dataset = problem.dataset
    host.produce_force_constants(
        fc_calculator="traditional",
        calculate_full_force_constants=not problem.is_compact_fc,
        show_drift=problem.log_level > 0,
    )
    return {2: host.force_constants}


def _crystal(problem: ForceConstantsProblem) -> dict[str, Any]:
    """Return arguments of phono3py's classes, with the supercell as the unit cell."""
    from phonopy.structure.symmetry import NosymDataset

    # Columns are the primitive lattice vectors in the basis of the supercell.
    primitive_matrix = np.linalg.solve(
        problem.supercell.cell.T, problem.primitive.cell.T
    )
    return {
        "unitcell": problem.supercell,
        "supercell_matrix": np.eye(3, dtype=int),
        "primitive_matrix": primitive_matrix,
        "symprec": problem.symmetry.tolerance,
        "is_symmetry": not isinstance(problem.symmetry.dataset, NosymDataset),
        "log_level": problem.log_level,
    }

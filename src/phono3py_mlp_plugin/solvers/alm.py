"""Force constants by ALM: least squares in an irreducible basis."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from phono3py_mlp_plugin.contracts import (
    ForceConstants,
    ForceConstantsProblem,
    ForceConstantsSolver,
)
from phono3py_mlp_plugin.errors import SolverError
from phono3py_mlp_plugin.hookspecs import hookimpl

if TYPE_CHECKING:
    from phono3py_mlp_plugin.contracts import FloatArray


@dataclass(frozen=True)
class AlmOptions:
    """How ALM solves its linear equations."""

    solver: Literal["dense", "SimplicialLDLT"] = field(
        default="SimplicialLDLT",
        metadata={"help": "dense (singular values) or SimplicialLDLT (sparse)"},
    )


def solve(problem: ForceConstantsProblem) -> ForceConstants:
    """Return force constants with all symmetries and sum rules.

    Raises
    ------
    SolverError
        If ALM could not solve its equations.
    """
    from alm import ALM

    cell = problem.supercell
    with ALM(cell.cell, cell.scaled_positions, cell.numbers) as alm:
        alm.verbosity = max(problem.log_level - 1, 0)
        alm.define(max(problem.orders) - 1, cutoff_radii=_cutoff_radii(problem))
        alm.displacements = problem.displacements
        alm.forces = problem.forces
        if alm.optimize(solver=problem.options.solver) != 0:
            raise SolverError(
                f"alm: the solver {problem.options.solver} failed on "
                f"{len(problem.displacements)} supercells. Add supercells, set a "
                "cutoff or use --fc-calculator-options 'solver = dense'."
            )
        return {
            order: _force_constants(alm, problem, order) for order in problem.orders
        }


@hookimpl
def phono3py_mlp_force_constants_solvers() -> Iterable[ForceConstantsSolver]:
    """Register the solver alm."""
    yield ForceConstantsSolver(
        name="alm",
        summary="least squares by ALM",
        solve=solve,
        options=AlmOptions,
        unavailable_reason=_unavailable_reason,
        citation="T. Tadano and S. Tsuneyuki, J. Phys. Soc. Jpn. 87, 041015 (2018)",
    )


def _unavailable_reason() -> str | None:
    remedy = (
        "Install it by 'conda install -c conda-forge alm'; the package of that name "
        "on PyPI is another project."
    )
    try:
        module = importlib.import_module("alm")
    except ImportError as error:
        return f"ALM cannot be imported ({error}). {remedy}"
    if not hasattr(module, "ALM"):
        return f"the installed module 'alm' has no ALM. {remedy}"
    return None


def _cutoff_radii(problem: ForceConstantsProblem) -> FloatArray:
    """Return cutoff radii for each order and pair of elements, negative for none."""
    n_elements = len(np.unique(problem.supercell.numbers))
    orders = range(2, max(problem.orders) + 1)
    radii = [problem.cutoff.get(order, -1.0) for order in orders]
    return np.array(radii)[:, None, None] * np.ones((n_elements, n_elements))


def _force_constants(
    alm: Any, problem: ForceConstantsProblem, order: int
) -> FloatArray:
    p2s_map = problem.primitive.p2s_map
    origins = alm.getmap_primitive_to_supercell()[0]
    same_origins = problem.is_compact_fc and np.array_equal(origins, p2s_map)
    # Either the elements whose first atom is in ALM's primitive cell, or all elements,
    # whose number is larger by the number of primitive cells in the supercell.
    values, indices = alm.get_fc(
        order - 1, mode="origin" if same_origins else "all", permutation=1
    )
    n_atoms = len(problem.supercell)
    rows = p2s_map if problem.is_compact_fc else np.arange(n_atoms)
    row_of_atom = np.full(n_atoms, -1)
    row_of_atom[rows] = np.arange(len(rows))
    atoms, components = np.divmod(indices, 3)
    first = row_of_atom[atoms[:, 0]]
    used = first >= 0
    force_constants = np.zeros(problem.shape(order))
    force_constants[first[used], *atoms[used, 1:].T, *components[used].T] = values[used]
    return force_constants

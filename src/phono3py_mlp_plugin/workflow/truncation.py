"""What force constants leave out: pairs of atoms beyond the cutoff of a solver."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from phono3py_mlp_plugin.contracts import FloatArray, ForceConstants

if TYPE_CHECKING:
    from phonopy.structure.cells import Primitive

# Difference of distances in the same shell of neighbours (angstrom).
_SHELL = 0.01


def describe_truncation(
    name: str, primitive: Primitive, force_constants: ForceConstants
) -> list[str]:
    """Return a line for each order that is zero for distant pairs of the supercell.

    Parameters
    ----------
    name : str
        Name of the solver.
    primitive : Primitive
    force_constants : mapping of int to ndarray
        Shapes ``(N_p or N, N, 3, 3)`` and ``(N_p or N, N, N, 3, 3, 3)``.
    """
    vectors, multiplicity = primitive.get_smallest_vectors()
    nearest = vectors[multiplicity[:, :, 1]] @ primitive.cell
    distances = np.linalg.norm(nearest, axis=2).T
    lines = []
    for order, array in sorted(force_constants.items()):
        interact = _interacting_pairs(primitive, array)
        reach, size = distances[interact].max(initial=0.0), distances.max()
        if size - reach > _SHELL:
            beyond = int((distances > reach + _SHELL).sum())
            lines.append(
                f"{name}: fc{order} is zero beyond {reach:.2f} angstrom, for {beyond} "
                f"of {distances.size} pairs; the supercell reaches to {size:.2f}. "
                "The solver symfc has no such limit."
            )
    return lines


def _interacting_pairs(primitive: Primitive, array: FloatArray) -> np.ndarray:
    """Return which pairs have force constants, shape ``(N_p, N)``."""
    if array.shape[0] == array.shape[1]:
        array = array[primitive.p2s_map]
    return np.asarray(array.any(axis=tuple(range(2, array.ndim))))

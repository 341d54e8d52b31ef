"""Vacuum in the cells of slabs, wires and molecules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from phono3py_mlp_plugin.contracts import FloatArray
from phono3py_mlp_plugin.errors import DatasetError, PhysicsError

if TYPE_CHECKING:
    from phonopy.structure.atoms import PhonopyAtoms

# Smallest gap (angstrom) between images of what is not periodic: bonds are shorter.
_APART = 5.0

# Smallest gap (angstrom) that is vacuum. Gaps between layers of crystals are up to 5.
_VACUUM = 8.0


def gaps(lattice: FloatArray, positions: FloatArray) -> FloatArray:
    """Return the widest empty layer between planes parallel to two lattice vectors.

    Parameters
    ----------
    lattice : ndarray
        Rows are lattice vectors (angstrom), shape ``(3, 3)``.
    positions : ndarray
        In angstrom, shape ``(N, 3)``.

    Returns
    -------
    ndarray
        Thickness of the layer (angstrom) along the normal of the other two vectors,
        for each lattice vector, shape ``(3,)``.
    """
    reciprocal = np.linalg.inv(lattice)
    heights = 1 / np.linalg.norm(reciprocal, axis=0)
    scaled = np.sort((positions @ reciprocal) % 1.0, axis=0)
    between = np.diff(scaled, axis=0, append=scaled[:1] + 1)
    return np.asarray(between.max(axis=0) * heights)


def check_vacuum(
    lattice: FloatArray, positions: FloatArray, pbc: Sequence[bool], where: str
) -> None:
    """Raise if a structure that is not periodic in a direction has no vacuum there.

    Parameters
    ----------
    lattice, positions : ndarray
        See `gaps`.
    pbc : sequence of bool
        Along which lattice vectors it is periodic.
    where : str
        Used in messages.

    Raises
    ------
    DatasetError
    """
    # Lattices that are flat or not finite are refused with the crystal.
    if all(pbc) or not abs(np.linalg.det(lattice)) > 0:
        return
    widths = gaps(lattice, positions)
    for axis in range(3):
        if not pbc[axis] and not widths[axis] >= _APART:
            raise DatasetError(
                f"{where}: not periodic along {'abc'[axis]}, with a gap of "
                f"{widths[axis]:.1f} angstrom; expected {_APART:g} or more, because "
                "force constants are those of a periodic crystal. Add vacuum, or set "
                "its periodicity (pbc)."
            )


def vacuum_axes(cell: PhonopyAtoms) -> list[int]:
    """Return the lattice vectors along which there is vacuum."""
    widths = gaps(cell.cell, cell.positions)
    return [axis for axis in range(3) if widths[axis] >= _VACUUM]


def check_extended(cell: PhonopyAtoms) -> None:
    """Raise if there is vacuum in all directions, so that heat is not conducted.

    Raises
    ------
    PhysicsError
    """
    if len(vacuum_axes(cell)) == 3:
        widths = gaps(cell.cell, cell.positions)
        raise PhysicsError(
            "unit cell: vacuum along a, b and c = "
            f"{' '.join(f'{width:.1f}' for width in widths)} angstrom; expected a "
            "crystal, slab or wire: a molecule in a box conducts no heat. Without "
            "--mesh, force constants are computed."
        )

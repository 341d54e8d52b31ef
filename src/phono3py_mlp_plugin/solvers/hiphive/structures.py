"""Structures as hiPhive takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from phonopy.structure.atoms import PhonopyAtoms


def ase_atoms(cell: PhonopyAtoms) -> Any:
    """Return the cell as Atoms of ASE."""
    from ase import Atoms

    return Atoms(
        numbers=cell.numbers, cell=cell.cell, positions=cell.positions, pbc=True
    )

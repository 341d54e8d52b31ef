"""What a user should know about a crystal before kappa is computed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import cKDTree

from phono3py_mlp_plugin.workflow.species import element_of
from phono3py_mlp_plugin.workflow.vacuum import gaps, vacuum_axes

if TYPE_CHECKING:
    from phono3py import Phono3py
    from phonopy.structure.atoms import PhonopyAtoms

# Elements that are anions in polar insulators, and those that form molecules among
# themselves, in which Born charges matter little.
_ANIONS = {"N", "P", "As", "Sb", "O", "S", "Se", "Te", "F", "Cl", "Br", "I"}
_OF_MOLECULES = {"H", "C", "N", "O", "F", "P", "S", "Cl", "Se", "Br", "I"} | {
    "He",
    "Ne",
    "Ar",
    "Kr",
    "Xe",
}
_COVALENT = {"C", "Si", "Ge", "Sn"}

# Tolerance (angstrom) at which coordinates with few digits have their symmetry.
_ROUNDED = 1e-2

# Half of the width of a supercell over the shortest distance of atoms below which it is
# narrow. 3x3x3 of a single fcc atom has 1.2, 2x2x2 of diamond 1.3, of fcc cubes 1.4.
_FEW_BONDS = 1.15

_SHIFTS = np.array(np.meshgrid(*[(-1, 0, 1)] * 3)).reshape(3, -1).T

# Distance (angstrom) up to which hydrogen atoms can be a molecule.
_MOLECULE = 1.2


def crystal_notes(crystal: Phono3py) -> list[str]:
    """Return notes about vacuum, width of the supercell, symmetry and elements.

    Parameters
    ----------
    crystal : Phono3py
    """
    cell = crystal.unitcell
    return [
        *_of_vacuum(cell),
        *_of_width(crystal.supercell),
        *_of_symmetry(crystal),
        *_of_elements(cell),
    ]


def charges_note(crystal: Phono3py) -> str | None:
    """Return a note if Born charges are missing that a crystal may need.

    Parameters
    ----------
    crystal : Phono3py
    """
    if crystal.nac_params is not None or not may_be_polar(crystal.unitcell.symbols):
        return None
    return (
        "there are no Born charges. If this crystal is an insulator, potentials of "
        "short range do not describe the splitting of its optical modes: put BORN "
        "into the folder, or set nac_params in Python."
    )


def may_be_polar(symbols: Iterable[str]) -> bool:
    """Return whether elements can form an insulator with polar optical modes.

    Metals and alloys, elements, and crystals of molecules are left out. Some metals
    with anions, such as TiN, are not recognised.

    Examples
    --------
    >>> may_be_polar(["Na", "Cl"]), may_be_polar(["Ni", "Al"]), may_be_polar(["C", "H"])
    (True, False, False)
    """
    elements = {element_of(symbol) for symbol in symbols}
    if len(elements) < 2 or elements <= _OF_MOLECULES:
        return False
    return bool(elements & _ANIONS) or ("C" in elements and elements <= _COVALENT)


def _of_vacuum(cell: PhonopyAtoms) -> list[str]:
    axes = vacuum_axes(cell)
    if not axes or len(axes) == 3:
        return []
    widths = gaps(cell.cell, cell.positions)
    gap = " and ".join(f"{widths[i]:.1f} angstrom along {'abc'[i]}" for i in axes)
    return [
        f"there is vacuum of {gap}: kappa refers to the volume of the cell, with its "
        "vacuum. Multiply it by this volume over that of the material. Along the "
        "vacuum, one point of the mesh suffices."
    ]


def _of_width(supercell: PhonopyAtoms) -> list[str]:
    """Return a note if half the supercell is hardly more than a bond."""
    lattice, vacuum = supercell.cell, vacuum_axes(supercell)
    heights = 1 / np.linalg.norm(np.linalg.inv(lattice), axis=0)
    half = min((heights[i] / 2 for i in range(3) if i not in vacuum), default=np.inf)
    images = (supercell.scaled_positions[:, None] + _SHIFTS) @ lattice
    tree = cKDTree(images.reshape(-1, 3))
    distances, _ = tree.query(supercell.positions, k=2)
    bond = float(distances[:, 1].min())
    if half >= _FEW_BONDS * bond:
        return []
    return [
        f"half of the width of the supercell = {half:.2f} angstrom, {half / bond:.1f} "
        "times the shortest distance of atoms: force constants of an atom and of its "
        "images are not told apart. Compare kappa of a larger supercell (--dim)."
    ]


def _of_symmetry(crystal: Phono3py) -> list[str]:
    """Return a note if rounded coordinates hide symmetry."""
    if crystal.unitcell.magnetic_moments is not None:
        return []
    from phonopy.structure.symmetry import Symmetry

    tolerance = crystal.symmetry.tolerance
    is_searched = crystal.symmetry.get_international_table() is not None
    if tolerance >= _ROUNDED or not is_searched:
        return []
    found, rounded = (
        Symmetry(crystal.unitcell, symprec=symprec) for symprec in (tolerance, _ROUNDED)
    )
    few, many = (
        len(np.asarray(s.symmetry_operations["rotations"])) for s in (found, rounded)
    )
    if many <= few:
        return []
    return [
        f"the symmetry is {found.get_international_table()} at a tolerance of "
        f"{tolerance:g} angstrom, but {rounded.get_international_table()} at "
        f"{_ROUNDED:g}. If coordinates are rounded, give more digits or --tolerance "
        f"{_ROUNDED:g}: symmetry saves {many / few:.2g} times the work."
    ]


def _of_elements(cell: PhonopyAtoms) -> list[str]:
    """Return a note if all atoms are hydrogen, but far apart.

    phono3py takes the elements H, He, ... where a POSCAR names none.
    """
    elements = list(dict.fromkeys(map(element_of, cell.symbols)))
    if elements == ["H", "He"] or (
        elements == ["H"] and (cell.volume / len(cell)) ** (1 / 3) > 2 * _MOLECULE
    ):
        return [
            f"the elements are {' and '.join(elements)}. Does the unit cell name its "
            "elements? phono3py takes these where a POSCAR has none."
        ]
    return []

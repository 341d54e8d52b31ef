"""Periodic structures, and their neighbours by type of the centre."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from phono3py_mlp_plugin.contracts import FloatArray, IntArray
from phono3py_mlp_plugin.errors import PotentialError
from phono3py_mlp_plugin.polynomial.structures.neighbours import find_neighbours

if TYPE_CHECKING:
    from phonopy.structure.atoms import PhonopyAtoms


@dataclass(frozen=True, eq=False)
class Structure:
    """Lattice vectors as rows, Cartesian positions (angstrom), and types of atoms."""

    lattice: FloatArray
    positions: FloatArray
    types: IntArray

    def __len__(self) -> int:
        return len(self.types)


@dataclass(frozen=True, eq=False)
class Pairs:
    """Neighbours of all centres of one type in several structures.

    Atoms are numbered consecutively over all structures.

    Attributes
    ----------
    centres : ndarray
        Atom of each centre, shape ``(n_centres,)``.
    structures : ndarray
        Structure of each centre, shape ``(n_centres,)``.
    centre, partner, partner_type : ndarray
        Index in ``centres``, neighbour, and type of the neighbour of each pair, shape
        ``(n_pairs,)``. Pairs are sorted by centre, partner type and partner.
    vectors : ndarray
        Vectors from the centre to the neighbour in angstrom, shape ``(n_pairs, 3)``.
    """

    centres: IntArray
    structures: IntArray
    centre: IntArray
    partner: IntArray
    partner_type: IntArray
    vectors: FloatArray


def structures_of(
    cells: Sequence[PhonopyAtoms], elements: Sequence[str], name: str = "supercell"
) -> list[Structure]:
    """Convert cells to structures; ``name`` is what messages call them.

    Raises
    ------
    PotentialError
        If a cell has an element that the model does not have, or a position that is not
        finite.
    """
    types = {symbol: number for number, symbol in enumerate(elements)}
    structures = []
    for number, cell in enumerate(cells):
        unknown = sorted(set(cell.symbols) - set(types))
        if unknown:
            raise PotentialError(
                f"{name} {number + 1}: the potential was made for "
                f"{', '.join(elements)}; found {', '.join(unknown)}. Train one for "
                "this crystal."
            )
        positions = np.array(cell.positions, dtype=np.float64)
        if not np.isfinite(positions).all():
            raise PotentialError(
                f"{name} {number + 1}: a position is not finite. Correct the "
                "displacements."
            )
        structures.append(
            Structure(
                np.array(cell.cell, dtype=np.float64),
                positions,
                np.array([types[symbol] for symbol in cell.symbols]),
            )
        )
    return structures


def pairs_by_centre_type(
    structures: Sequence[Structure], n_types: int, cutoff: float
) -> list[Pairs]:
    """Return the neighbours of all atoms, by the type of the centre."""
    first = np.cumsum([0, *(len(s) for s in structures)])
    types = np.concatenate([s.types for s in structures])
    owner = np.repeat(np.arange(len(structures)), np.diff(first))
    centre, partner, vectors = [], [], []
    for offset, structure in zip(first, structures, strict=False):
        neighbours = find_neighbours(structure.lattice, structure.positions, cutoff)
        counts = np.diff(neighbours.start)
        centre.append(offset + np.repeat(np.arange(len(structure)), counts))
        partner.append(offset + neighbours.partners)
        vectors.append(neighbours.vectors)
    i, j = np.concatenate(centre), np.concatenate(partner)
    order = np.lexsort((j, types[j], i))
    i, j, r = i[order], j[order], np.concatenate(vectors)[order]
    result = []
    for c in range(n_types):
        centres = np.flatnonzero(types == c)
        index = np.full(len(types), -1)
        index[centres] = np.arange(len(centres))
        of_type = types[i] == c
        result.append(
            Pairs(
                centres,
                owner[centres],
                index[i[of_type]],
                j[of_type],
                types[j[of_type]],
                r[of_type],
            )
        )
    return result

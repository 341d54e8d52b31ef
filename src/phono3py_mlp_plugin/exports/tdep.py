"""infile.ucposcar, ssposcar, forceconstant and forceconstant_thirdorder of TDEP.

The formats are described on the pages of TDEP on input files and in the manual of
extract_forceconstants. Atoms are sorted by element, as in all files of VASP.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import numpy as np

from phono3py_mlp_plugin.contracts import FloatArray, IntArray
from phono3py_mlp_plugin.exports.terms import (
    Pairs,
    Triplets,
    pair_terms,
    triplet_terms,
)

if TYPE_CHECKING:
    from phono3py import Phono3py
    from phonopy.structure.atoms import PhonopyAtoms

_VECTOR = "%.15e %.15e %.15e\n"
_CELL = "%d.0 %d.0 %d.0\n"
_PAIR = "%d\n" + _CELL + 3 * _VECTOR
_TRIPLET = 3 * "%d\n" + "0.0 0.0 0.0\n" + 2 * _CELL + 9 * _VECTOR

# Added to the largest distance (angstrom).
_MARGIN = 1e-5


def write_tdep(crystal: Phono3py, folder: Path) -> None:
    """Write primitive cell, supercell of fc3, and force constants."""
    primitive = crystal.primitive
    order = _by_element(primitive)
    for name, cell in (("ucposcar", primitive), ("ssposcar", crystal.supercell)):
        with (folder / f"infile.{name}").open("w", encoding="utf-8") as file:
            _write_cell(file, cell)
    # From numbers of atoms to their places in the file.
    places = np.argsort(order)
    positions = primitive.scaled_positions
    pairs = pair_terms(crystal.phonon_primitive, crystal.fc2, positions)
    with (folder / "infile.forceconstant").open("w", encoding="utf-8") as file:
        _write_pairs(file, pairs, primitive, places)
    triplets = triplet_terms(primitive, crystal.fc3)
    path = folder / "infile.forceconstant_thirdorder"
    with path.open("w", encoding="utf-8") as file:
        _write_triplets(file, triplets, primitive, places)


def _by_element(cell: PhonopyAtoms) -> IntArray:
    kinds = list(dict.fromkeys(cell.symbols))
    return np.argsort([kinds.index(symbol) for symbol in cell.symbols], kind="stable")


def _write_cell(file: TextIO, cell: PhonopyAtoms) -> None:
    order = _by_element(cell)
    symbols = [cell.symbols[atom] for atom in order]
    kinds = list(dict.fromkeys(symbols))
    file.write("written by phono3py-mlp\n1.0\n")
    for vector in cell.cell:
        file.write(_VECTOR % tuple(vector))
    file.write(" ".join(kind.rstrip("0123456789") for kind in kinds) + "\n")
    file.write(" ".join(str(symbols.count(kind)) for kind in kinds) + "\n")
    file.write("direct coordinates\n")
    for position in cell.scaled_positions[order]:
        file.write(_VECTOR % tuple(position))


def _vectors(
    cell: PhonopyAtoms, first: IntArray, second: IntArray, cells: IntArray
) -> FloatArray:
    """Return vectors from first to second atoms (angstrom), shape ``(n, 3)``."""
    positions = cell.scaled_positions
    return (cells + positions[second] - positions[first]) @ cell.cell


def _write_head(file: TextIO, cell: PhonopyAtoms, vectors: FloatArray) -> None:
    reach = float(np.linalg.norm(vectors, axis=1).max(initial=0.0)) + _MARGIN
    file.write(f"{len(cell)}   How many atoms per unit cell\n")
    file.write(f"{reach:.15f}   Realspace cutoff (A)\n")


def _write_pairs(
    file: TextIO, pairs: Pairs, cell: PhonopyAtoms, places: IntArray
) -> None:
    _write_head(
        file, cell, _vectors(cell, pairs.atoms[:, 0], pairs.atoms[:, 1], pairs.cells)
    )
    values = pairs.values.reshape(-1, 9)
    for atom in np.argsort(places):
        (chosen,) = np.nonzero(pairs.atoms[:, 0] == atom)
        file.write(f"{len(chosen)}   How many neighbours does the atom have\n")
        for n in chosen:
            neighbour = places[pairs.atoms[n, 1]] + 1
            file.write(_PAIR % (neighbour, *pairs.cells[n], *values[n].tolist()))
    # Born charges belong to force constants without the part of the dipoles.
    file.write("0   # This contains no information about Born charges\n")


def _write_triplets(
    file: TextIO, triplets: Triplets, cell: PhonopyAtoms, places: IntArray
) -> None:
    first, second, third = triplets.atoms.T
    to_second, to_third = triplets.cells.swapaxes(0, 1)
    vectors = [
        _vectors(cell, first, second, to_second),
        _vectors(cell, first, third, to_third),
        _vectors(cell, second, third, to_third - to_second),
    ]
    _write_head(file, cell, np.concatenate(vectors))
    values = triplets.values.reshape(-1, 27)
    cells = triplets.cells.reshape(-1, 6)
    atoms = places[triplets.atoms] + 1
    for atom in np.argsort(places):
        (chosen,) = np.nonzero(triplets.atoms[:, 0] == atom)
        file.write(f"{len(chosen)}   How many triplets is the atom part of\n")
        for n in chosen:
            line = (*atoms[n].tolist(), *cells[n].tolist(), *values[n].tolist())
            file.write(_TRIPLET % line)

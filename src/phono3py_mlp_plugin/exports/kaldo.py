"""replicated_atoms.xyz, second.npy and third.npz, the format ``numpy`` of kALDo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from phono3py_mlp_plugin.contracts import FloatArray
from phono3py_mlp_plugin.exports.box import (
    box_of,
    cells_of,
    pairs_in_box,
    triplet_places,
)
from phono3py_mlp_plugin.exports.terms import Triplets, pair_terms, triplet_terms

if TYPE_CHECKING:
    from phono3py import Phono3py
    from phonopy.structure.atoms import PhonopyAtoms


def write_kaldo(crystal: Phono3py, folder: Path) -> None:
    """Write fc2 and fc3 in supercells of the primitive cell, each in its own."""
    primitive = crystal.primitive
    n_atoms = len(primitive)
    second = box_of(primitive, crystal.phonon_supercell)
    third = box_of(primitive, crystal.supercell)
    positions = primitive.scaled_positions
    pairs = pair_terms(crystal.phonon_primitive, crystal.fc2, positions)
    array = pairs_in_box(pairs, n_atoms, second).transpose(0, 3, 1, 2, 4)
    _write_cell(folder / "replicated_atoms.xyz", primitive, second)
    np.save(folder / "second.npy", array[None])
    _write_cell(folder / "replicated_atoms_third.xyz", primitive, third)
    triplets = triplet_terms(primitive, crystal.fc3)
    _write_triplets(folder / "third.npz", triplets, n_atoms, third)


def _write_cell(path: Path, cell: PhonopyAtoms, box: tuple[int, int, int]) -> None:
    """Write the atoms of a box, cell by cell, as extended XYZ."""
    shifts = cells_of(box) @ cell.cell
    lattice = np.array(box)[:, None] * cell.cell
    with path.open("w", encoding="utf-8") as file:
        file.write(f"{len(shifts) * len(cell)}\n")
        numbers = " ".join(f"{x:.15g}" for x in lattice.ravel())
        file.write(f'Lattice="{numbers}" Properties=species:S:1:pos:R:3 pbc="T T T"\n')
        for shift in shifts:
            for symbol, position in zip(cell.symbols, cell.positions, strict=True):
                x, y, z = position + shift
                name = symbol.rstrip("0123456789")
                file.write(f"{name} {x:.15f} {y:.15f} {z:.15f}\n")


def _write_triplets(
    path: Path, triplets: Triplets, n_atoms: int, box: tuple[int, int, int]
) -> None:
    """Write fc3 as a sparse matrix.

    Rows are components of the first atom and those of the second one in all cells,
    columns those of the third one.
    """
    from scipy.sparse import coo_array, csr_matrix, save_npz

    n_columns = 3 * n_atoms * int(np.prod(box))
    places = triplet_places(triplets, box)
    second, third = (places * n_atoms + triplets.atoms[:, 1:]).T
    a, b, c = (x.ravel() for x in np.indices((3, 3, 3)))
    first_rows = 3 * triplets.atoms[:, 0, None] + a
    rows = first_rows * n_columns + 3 * second[:, None] + b
    columns = 3 * third[:, None] + c
    values: FloatArray = triplets.values.reshape(-1, 27)
    matrix = coo_array(
        (values.ravel(), (rows.ravel(), columns.ravel())),
        shape=(3 * n_atoms * n_columns, n_columns),
    )
    # Images in the same cell of the supercell are added.
    save_npz(path, csr_matrix(matrix.tocsr()))

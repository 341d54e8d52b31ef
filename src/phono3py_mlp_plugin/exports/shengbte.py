"""CONTROL, FORCE_CONSTANTS_2ND and FORCE_CONSTANTS_3RD of ShengBTE and FourPhonon.

The formats are described in the documentation of ShengBTE, and are those of phonopy for
fc2 and of thirdorder for fc3.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import numpy as np

from phono3py_mlp_plugin.contracts import FloatArray
from phono3py_mlp_plugin.exports.box import box_of, cells_of, pairs_in_box
from phono3py_mlp_plugin.exports.terms import Triplets, pair_terms, triplet_terms

if TYPE_CHECKING:
    from phono3py import Phono3py

_COMPONENTS = tuple(itertools.product((1, 2, 3), repeat=3))
_TRIPLET = "\n%d\n%.10f %.10f %.10f\n%.10f %.10f %.10f\n%d %d %d\n" + "".join(
    f"{a} {b} {c} %.15e\n" for a, b, c in _COMPONENTS
)
_PAIR = "%d %d\n" + 3 * "%.15e %.15e %.15e\n"


def write_shengbte(crystal: Phono3py, folder: Path) -> None:
    """Write the crystal, fc2 in a supercell of the primitive cell, and fc3."""
    primitive = crystal.primitive
    box = box_of(primitive, crystal.phonon_supercell)
    pairs = pair_terms(
        crystal.phonon_primitive, crystal.fc2, primitive.scaled_positions
    )
    array = pairs_in_box(pairs, len(primitive), box)
    with (folder / "CONTROL").open("w", encoding="utf-8") as file:
        _write_control(file, crystal, box)
    with (folder / "FORCE_CONSTANTS_2ND").open("w", encoding="utf-8") as file:
        _write_pairs(file, array, box)
    triplets = triplet_terms(primitive, crystal.fc3)
    with (folder / "FORCE_CONSTANTS_3RD").open("w", encoding="utf-8") as file:
        _write_triplets(file, triplets, primitive.cell)


def _write_pairs(file: TextIO, array: FloatArray, box: tuple[int, int, int]) -> None:
    """Write fc2 of all pairs; atoms of one kind are contiguous, x is fastest."""
    cells = cells_of(box)
    number = {tuple(cell): n for n, cell in enumerate(cells.tolist())}
    in_order = [tuple(cell[::-1]) for cell in np.ndindex(*box[::-1])]
    n_atoms = len(array)
    sites = [(atom, cell) for atom in range(n_atoms) for cell in in_order]
    file.write(f"{len(sites)}\n")
    for (row, (a, origin)), (column, (b, cell)) in itertools.product(
        enumerate(sites, start=1), repeat=2
    ):
        x, y, z = (
            (end - start) % n for end, start, n in zip(cell, origin, box, strict=True)
        )
        block = array[a, number[x, y, z], b]
        file.write(_PAIR % (row, column, *block.ravel().tolist()))


def _write_triplets(file: TextIO, triplets: Triplets, lattice: FloatArray) -> None:
    n = len(triplets.values)
    vectors = (triplets.cells @ lattice).reshape(n, 6)
    atoms = triplets.atoms + 1
    values = triplets.values.reshape(n, 27)
    file.write(f"{n}\n")
    for i in range(n):
        line = (i + 1, *vectors[i].tolist(), *atoms[i].tolist(), *values[i].tolist())
        file.write(_TRIPLET % line)


def _write_control(file: TextIO, crystal: Phono3py, box: tuple[int, int, int]) -> None:
    primitive = crystal.primitive
    # Atoms of an element may have several masses.
    species = list(zip(primitive.symbols, map(float, primitive.masses), strict=True))
    kinds = list(dict.fromkeys(species))
    types = [kinds.index(one) + 1 for one in species]
    nac = crystal.nac_params
    lines = ["&allocations", f"nelements={len(kinds)},", f"natoms={len(primitive)},"]
    lines += ["ngrid(:)=11 11 11", "&end", "&crystal", "lfactor=0.1,"]
    for i, vector in enumerate(primitive.cell, start=1):
        lines.append(f"lattvec(:,{i})={_numbers(vector)},")
    names = " ".join('"' + symbol.rstrip("0123456789") + '"' for symbol, _ in kinds)
    lines.append(f"elements={names},")
    lines.append(f"types={' '.join(map(str, types))},")
    for i, position in enumerate(primitive.scaled_positions, start=1):
        lines.append(f"positions(:,{i})={_numbers(position)},")
    lines.append(f"masses={_numbers(np.array([mass for _, mass in kinds]))},")
    if nac:
        for i, row in enumerate(np.transpose(nac["dielectric"]), start=1):
            lines.append(f"epsilon(:,{i})={_numbers(row)},")
        for atom, born in enumerate(nac["born"], start=1):
            for i, row in enumerate(np.transpose(born), start=1):
                lines.append(f"born(:,{i},{atom})={_numbers(row)},")
    lines += [f"scell(:)={' '.join(map(str, box))}", "&end"]
    lines += ["&parameters", "T=300", "scalebroad=1.0", "&end", "&flags"]
    lines.append(f"nonanalytic={'.TRUE.' if nac else '.FALSE.'}")
    # Otherwise masses are replaced by those of the natural elements.
    lines += ["autoisotopes=.FALSE.", "isotopes=.FALSE.", "&end"]
    file.write("\n".join(lines) + "\n")


def _numbers(values: FloatArray) -> str:
    return " ".join(f"{float(x):.14f}" for x in values)

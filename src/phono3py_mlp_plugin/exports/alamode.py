"""alamode_fc2.xml and alamode_fc3.xml: FC2XML and FCSXML of ALAMODE (anphon).

The format is that of the old format of alm/writer.cpp and of anphon/fcs_phonon.cpp.
Units are bohr and rydberg. Images are numbered by the 27 cells around the supercell;
they are those around the first atom, because more distant cells have no number. The
second and third atom are written in ascending order, and exchanged by the program.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import numpy as np
from scipy.constants import physical_constants

from phono3py_mlp_plugin.contracts import FloatArray, IntArray
from phono3py_mlp_plugin.errors import SolverError
from phono3py_mlp_plugin.exports.terms import Images, first_indices, nearest_images

if TYPE_CHECKING:
    from phono3py import Phono3py
    from phonopy.structure.cells import Primitive, Supercell

_BOHR = physical_constants["Bohr radius"][0] * 1e10  # angstrom
_RYDBERG = physical_constants["Rydberg constant times hc in eV"][0]

# Size of a term, relative to the largest one, below which it is a rounding error.
_NEGLIGIBLE = 1e-12

_SHIFTS = [(0, 0, 0)] + [s for s in itertools.product((-1, 0, 1), repeat=3) if any(s)]


@dataclass(frozen=True, eq=False)
class _Numbering:
    """Numbers of the atoms of a supercell, as sites and lattice translations.

    Attributes
    ----------
    sites : ndarray of shape (N_p, 3)
        Fractional coordinates in the primitive cell, the same in both files.
    positions : ndarray of shape (N, 3)
        Fractional coordinates in the supercell; atoms of the first translation are at
        the sites.
    table : ndarray of int, shape (N / N_p, N_p)
        Atoms of the supercell by translation, that of zero first, and site.
    translations : dict
        Numbers of translations.
    to_supercell : ndarray of shape (3, 3)
        From coordinates in the primitive cell to those in the supercell.
    """

    sites: FloatArray
    positions: FloatArray
    table: IntArray
    translations: dict[tuple[int, ...], int]
    to_supercell: FloatArray

    @classmethod
    def of(
        cls, primitive: Primitive, supercell: Supercell, sites: FloatArray
    ) -> _Numbering:
        """Return the numbers of a supercell."""
        to_supercell = primitive.cell @ np.linalg.inv(supercell.cell)
        site = np.array([primitive.p2p_map[atom] for atom in primitive.s2p_map])
        positions = np.array(supercell.scaled_positions)
        count = len(supercell) // len(primitive)
        steps = _steps(positions - (sites @ to_supercell)[site], count)
        found, number = np.unique(steps, axis=0, return_inverse=True)
        table = np.zeros((count, len(primitive)), dtype=int)
        table[number.ravel(), site] = np.arange(len(supercell))
        positions[table[0]] = sites @ to_supercell
        translations = {tuple(step): n for n, step in enumerate(found.tolist())}
        return cls(sites, positions, table, translations, to_supercell)

    def images(self, primitive: Primitive, i: int) -> tuple[Images, IntArray, IntArray]:
        """Return nearest images around a site, their atoms, and numbers of cells."""
        images = nearest_images(primitive, i, self.sites)
        steps = _steps(images.cells @ self.to_supercell, len(self.table))
        number = [self.translations[tuple(step)] for step in steps.tolist()]
        atoms = self.table[number, images.atoms]
        places = (self.sites[images.atoms] + images.cells) @ self.to_supercell
        shifts = np.rint(places - self.positions[atoms]).astype(int)
        if np.abs(shifts).max() > 1:
            raise SolverError(
                "alamode: the nearest image of an atom is more than one supercell "
                "away; expected one of the 27 cells that ALAMODE numbers. Use a "
                "supercell with edges that are less oblique."
            )
        cells = np.array([_SHIFTS.index(tuple(shift)) for shift in shifts.tolist()])
        return images, atoms + 1, cells + 1


def _steps(vectors: FloatArray, count: int) -> IntArray:
    """Return translations modulo the supercell, multiples of 1 / count of its edges."""
    return np.rint(vectors * count).astype(int) % count


def write_alamode(crystal: Phono3py, folder: Path) -> None:
    """Write fc2 and fc3, each with its supercell."""
    sites = crystal.primitive.scaled_positions
    primitive, supercell = crystal.phonon_primitive, crystal.phonon_supercell
    numbering = _Numbering.of(primitive, supercell, sites)
    with (folder / "alamode_fc2.xml").open("w", encoding="utf-8") as file:
        _write_structure(file, supercell, numbering)
        file.write("<HARMONIC>\n")
        _write_pairs(file, primitive, numbering, crystal.fc2)
        file.write("</HARMONIC>\n</ForceConstants></Data>\n")
    primitive, supercell = crystal.primitive, crystal.supercell
    numbering = _Numbering.of(primitive, supercell, sites)
    with (folder / "alamode_fc3.xml").open("w", encoding="utf-8") as file:
        _write_structure(file, supercell, numbering)
        # Replaced by FC2XML.
        file.write("<HARMONIC>\n</HARMONIC>\n<ANHARM3>\n")
        _write_triplets(file, primitive, numbering, crystal.fc3)
        file.write("</ANHARM3>\n</ForceConstants></Data>\n")


def _write_structure(file: TextIO, supercell: Supercell, numbering: _Numbering) -> None:
    names = [symbol.rstrip("0123456789") for symbol in supercell.symbols]
    kinds = list(dict.fromkeys(names))
    file.write('<?xml version="1.0" encoding="utf-8"?>\n<Data>\n<Structure>\n')
    file.write(f"<NumberOfAtoms>{len(supercell)}</NumberOfAtoms>\n")
    file.write(f"<NumberOfElements>{len(kinds)}</NumberOfElements>\n")
    file.write("<AtomicElements>\n")
    for number, kind in enumerate(kinds, start=1):
        file.write(f'<element number="{number}">{kind}</element>\n')
    file.write("</AtomicElements>\n<LatticeVector>\n")
    for i, vector in enumerate(supercell.cell / _BOHR, start=1):
        file.write(f"<a{i}>{_numbers(vector)}</a{i}>\n")
    file.write("</LatticeVector>\n<Periodicity>1 1 1</Periodicity>\n<Position>\n")
    places = enumerate(zip(names, numbering.positions, strict=True), start=1)
    for atom, (name, position) in places:
        place = _numbers(position)
        file.write(f'<pos index="{atom}" element="{name}">{place}</pos>\n')
    file.write("</Position>\n</Structure>\n<Symmetry>\n")
    count = len(numbering.table)
    file.write(f"<NumberOfTranslations>{count}</NumberOfTranslations>\n")
    file.write("<Translations>\n")
    for t, row in enumerate(numbering.table, start=1):
        for a, atom in enumerate(row, start=1):
            file.write(f'<map tran="{t}" atom="{a}">{atom + 1}</map>\n')
    file.write("</Translations>\n</Symmetry>\n<ForceConstants>\n")


def _numbers(values: FloatArray) -> str:
    return " ".join(f"{float(x):.15e}" for x in values)


def _write_pairs(
    file: TextIO, primitive: Primitive, numbering: _Numbering, fc2: FloatArray
) -> None:
    unit = _BOHR**2 / _RYDBERG
    for i, row in enumerate(first_indices(primitive, fc2)):
        images, atoms, cells = numbering.images(primitive, i)
        values = fc2[row, images.supercell_atoms] * unit
        values = values * images.weights[:, None, None]
        for n, atom in enumerate(atoms):
            for a, b in np.ndindex(3, 3):
                if values[n, a, b] != 0:
                    file.write(
                        f'<FC2 pair1="{i + 1} {a + 1}" '
                        f'pair2="{atom} {b + 1} {cells[n]}">'
                        f"{values[n, a, b]:.15e}</FC2>\n"
                    )


def _write_triplets(
    file: TextIO, primitive: Primitive, numbering: _Numbering, fc3: FloatArray
) -> None:
    unit = _BOHR**3 / _RYDBERG
    largest = float(np.abs(fc3).max()) * unit
    for i, row in enumerate(first_indices(primitive, fc3)):
        images, atoms, cells = numbering.images(primitive, i)
        rows = images.supercell_atoms
        # The order of atoms and components together.
        ends = [(n, b, 3 * atom + b) for n, atom in enumerate(atoms) for b in range(3)]
        for (n, b, second), (m, c, third) in itertools.product(ends, repeat=2):
            if second > third:
                continue
            share = float(images.weights[n] * images.weights[m]) * unit
            pairs = (
                f'pair2="{atoms[n]} {b + 1} {cells[n]}" '
                f'pair3="{atoms[m]} {c + 1} {cells[m]}"'
            )
            for a in range(3):
                value = share * fc3[row, rows[n], rows[m], a, b, c]
                if abs(value) > _NEGLIGIBLE * largest:
                    first = f'<FC3 pair1="{i + 1} {a + 1}" '
                    file.write(f"{first}{pairs}>{value:.15e}</FC3>\n")

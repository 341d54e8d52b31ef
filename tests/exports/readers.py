"""Readers of exported files, written from the documentation of the programs.

Each follows the program's own reading: which atom is meant by a number, which images a
pair is shared among, and which unit numbers have.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from ase.units import Bohr, Rydberg
from scipy.sparse import load_npz

from phono3py_mlp_plugin.contracts import FloatArray, IntArray


@dataclass(eq=False)
class Model:
    """Lattice dynamics as in a program: sums over atoms and lattice vectors.

    ``pairs`` and ``triplets`` are lists of atoms, lattice vectors and values, in
    eV and angstrom.
    """

    lattice: FloatArray
    positions: FloatArray
    symbols: list[str]
    pairs: list[tuple[int, int, IntArray, FloatArray]]
    triplets: tuple[IntArray, IntArray, FloatArray]

    def second(self, q: FloatArray) -> FloatArray:
        """Return fc2 at a wave vector, with phases of lattice vectors."""
        n = len(self.positions)
        total = np.zeros((n, n, 3, 3), dtype=complex)
        for i, j, cell, value in self.pairs:
            total[i, j] += value * np.exp(2j * np.pi * cell @ q)
        return total

    def third(self, q1: FloatArray, q2: FloatArray) -> FloatArray:
        """Return fc3 at -q1 - q2, q1, q2, with phases of positions."""
        atoms, cells, values = self.triplets
        n = len(self.positions)
        total = np.zeros((n, n, n, 3, 3, 3), dtype=complex)
        x = self.positions
        to_j = cells[:, 0] + x[atoms[:, 1]] - x[atoms[:, 0]]
        to_k = cells[:, 1] + x[atoms[:, 2]] - x[atoms[:, 0]]
        phase = np.exp(2j * np.pi * (to_j @ q1 + to_k @ q2))
        np.add.at(total, tuple(atoms.T), values * phase[:, None, None, None])
        return total


def nearest_cells(
    lattice: FloatArray, box: IntArray, vector: FloatArray, cell: IntArray
) -> IntArray:
    """Return the lattice vectors of the images with the shortest vectors."""
    shifts = np.array(list(itertools.product(range(-2, 3), repeat=3))) * box
    lengths = np.linalg.norm((vector + cell + shifts) @ lattice, axis=1)
    return (cell + shifts)[lengths < lengths.min() + 1e-5]


def shared(lattice, positions, box, array) -> list:
    """Share fc2[i, x, y, z, j] of a box among the nearest images, as programs do."""
    pairs = []
    for i, *cell, j in np.ndindex(array.shape[:5]):
        cells = nearest_cells(lattice, box, positions[j] - positions[i], np.array(cell))
        value = array[i, *cell, j] / len(cells)
        pairs += [(i, j, c, value) for c in cells]
    return pairs


def read_shengbte(folder: Path) -> Model:
    text = (folder / "CONTROL").read_text()

    def numbers(name):
        found = re.search(rf"^{re.escape(name)}=([^=\n]*?),?$", text, re.MULTILINE)
        return np.array(found[1].split(), dtype=float)

    n = int(numbers("natoms")[0])
    # nm
    lattice = (
        10
        * numbers("lfactor")[0]
        * np.array([numbers(f"lattvec(:,{i})") for i in (1, 2, 3)])
    )
    positions = np.array([numbers(f"positions(:,{i})") for i in range(1, n + 1)])
    elements = (
        re.search("^elements=(.*),$", text, re.MULTILINE)[1].replace('"', "").split()
    )
    symbols = [elements[int(t) - 1] for t in numbers("types")]
    box = numbers("scell(:)").astype(int)
    values = (folder / "FORCE_CONSTANTS_2ND").read_text().split()
    n_sites = int(values[0])
    blocks = np.array(values[1:], dtype=float).reshape(n_sites, n_sites, 11)
    array = np.zeros((n, *box, n, 3, 3))
    # A number is x + nx (y + ny (z + nz atom)).
    for row, column in np.ndindex(n_sites, n_sites):
        assert tuple(blocks[row, column, :2]) == (row + 1, column + 1)
        i, *origin = _split(row, box)
        j, *cell = _split(column, box)
        if not any(origin):
            array[i, *cell, j] = blocks[row, column, 2:].reshape(3, 3)
    pairs = shared(lattice, positions, box, array)
    # The rows of other cells are the same, shifted.
    for row, column in [(1, 0), (n_sites - 1, 1), (n_sites // 2, n_sites - 1)]:
        i, *origin = _split(row, box)
        j, *cell = _split(column, box)
        cell = (np.array(cell) - origin) % box
        found = blocks[row, column, 2:].reshape(3, 3)
        np.testing.assert_array_equal(found, array[i, *cell, j])
    triplets = _third(folder / "FORCE_CONSTANTS_3RD", lattice)
    return Model(lattice, positions, symbols, pairs, triplets)


def _split(number, box):
    rest, x = divmod(number, box[0])
    rest, y = divmod(rest, box[1])
    atom, z = divmod(rest, box[2])
    return atom, x, y, z


def _third(path: Path, lattice: FloatArray):
    words = path.read_text().split()
    # Number, two vectors, three atoms, and 27 lines of three indices and a value.
    blocks = np.array(words[1:], dtype=float).reshape(int(words[0]), 10 + 27 * 4)
    assert (blocks[:, 0] == np.arange(1, len(blocks) + 1)).all()
    vectors = np.linalg.solve(lattice.T, blocks[:, 1:7].reshape(-1, 3).T).T
    np.testing.assert_allclose(vectors, np.rint(vectors), atol=1e-6)
    entries = blocks[:, 10:].reshape(-1, 27, 4)
    indices = np.array(list(itertools.product((1, 2, 3), repeat=3)))
    assert (entries[:, :, :3] == indices).all()
    return (
        blocks[:, 7:10].astype(int) - 1,
        np.rint(vectors).astype(int).reshape(-1, 2, 3),
        entries[:, :, 3].reshape(-1, 3, 3, 3),
    )


def _read_poscar(path: Path):
    lines = path.read_text().splitlines()
    lattice = float(lines[1]) * np.array([x.split() for x in lines[2:5]], dtype=float)
    counts = [int(x) for x in lines[6].split()]
    symbols = [
        s for s, c in zip(lines[5].split(), counts, strict=True) for _ in range(c)
    ]
    assert lines[7] == "direct coordinates"
    positions = np.array([x.split()[:3] for x in lines[8:]], dtype=float)
    assert len(positions) == len(symbols)
    return lattice, symbols, positions


def read_tdep(folder: Path) -> Model:
    lattice, symbols, positions = _read_poscar(folder / "infile.ucposcar")
    box, super_symbols, super_positions = _read_poscar(folder / "infile.ssposcar")
    # Both describe the same lattice.
    places = super_positions @ box @ np.linalg.inv(lattice)
    for place, symbol in zip(places, super_symbols, strict=True):
        offsets = place - positions
        on_site = np.abs(offsets - np.rint(offsets)).max(axis=1) < 1e-6
        assert [symbols[i] for i in np.flatnonzero(on_site)] == [symbol]
    lines = iter((folder / "infile.forceconstant").read_text().splitlines())
    n, cutoff = int(next(lines).split()[0]), float(next(lines).split()[0])
    pairs = []
    for i in range(n):
        for _ in range(int(next(lines).split()[0])):
            j = int(next(lines).split()[0]) - 1
            cell = np.rint(np.array(next(lines).split(), dtype=float)).astype(int)
            rows = [next(lines).split() for _ in range(3)]
            pairs.append((i, j, cell, np.array(rows, dtype=float)))
            vector = (cell + positions[j] - positions[i]) @ lattice
            assert np.linalg.norm(vector) <= cutoff
    assert next(lines).split()[0] == "0"
    path = folder / "infile.forceconstant_thirdorder"
    lines = iter(path.read_text().splitlines())
    assert int(next(lines).split()[0]) == n
    next(lines)
    atoms, cells, values = [], [], []
    for i in range(n):
        for _ in range(int(next(lines).split()[0])):
            atoms.append([int(next(lines).split()[0]) - 1 for _ in range(3)])
            assert atoms[-1][0] == i
            first, *others = (
                np.array(next(lines).split(), dtype=float) for _ in range(3)
            )
            assert not first.any()
            cells.append(np.rint(others).astype(int))
            rows = [next(lines).split() for _ in range(9)]
            values.append(np.array(rows, dtype=float).reshape(3, 3, 3))
    triplets = np.array(atoms), np.array(cells), np.array(values)
    return Model(lattice, positions, symbols, pairs, triplets)


def read_kaldo(
    folder: Path, second: tuple[int, int, int], third: tuple[int, int, int]
) -> Model:
    """Supercells are given by the user of kALDo."""
    from ase.io import read

    cell = read(folder / "replicated_atoms.xyz", format="extxyz")
    n = len(cell) // np.prod(second)
    lattice = cell.cell[:] / np.array(second)[:, None]
    positions = np.linalg.solve(lattice.T, cell.positions[:n].T).T
    for name, box in (("", second), ("_third", third)):
        atoms = read(folder / f"replicated_atoms{name}.xyz", format="extxyz")
        shifts = np.linalg.solve(
            lattice.T,
            (atoms.positions.reshape(-1, n, 3) - cell.positions[:n]).reshape(-1, 3).T,
        ).T.reshape(-1, n, 3)
        # Rows of the array are cells, the last index fastest.
        grid = np.array(np.unravel_index(np.arange(np.prod(box)), box)).T
        expected = np.broadcast_to(grid[:, None], shifts.shape)
        np.testing.assert_allclose(shifts, expected, atol=1e-9)
        assert atoms.pbc.all()
    array = np.load(folder / "second.npy")
    assert array.shape == (1, n, 3, np.prod(second), n, 3)
    array = array[0].transpose(0, 2, 3, 1, 4).reshape(n, *second, n, 3, 3)
    n_all = n * np.prod(third)
    dense = load_npz(folder / "third.npz").tocoo()
    rows, last = dense.row, dense.col
    components = np.stack(
        [*np.unravel_index(rows, (n, 3, n_all, 3)), *np.unravel_index(last, (n_all, 3))]
    )
    i, a, j, b, k, c = components
    cells = np.array(np.unravel_index([j // n, k // n], third)).transpose(2, 1, 0)
    values = np.zeros((len(i), 3, 3, 3))
    values[np.arange(len(i)), a, b, c] = dense.data
    triplets = np.stack([i, j % n, k % n], axis=1), cells, values
    pairs = shared(lattice, positions, np.array(second), array)
    return Model(lattice, positions, cell.get_chemical_symbols()[:n], pairs, triplets)


def read_alamode(folder: Path, lattice: FloatArray) -> Model:
    """Read what anphon reads from FC2XML and FCSXML, in bohr and rydberg.

    The primitive lattice (angstrom) is given by the user in the input of anphon.
    """
    second, third = (
        ElementTree.parse(folder / f"alamode_fc{order}.xml").getroot()
        for order in (2, 3)
    )
    shifts = [(0, 0, 0)]
    shifts += [s for s in itertools.product((-1, 0, 1), repeat=3) if any(s)]
    crystals = [_Supercell(root) for root in (second, third)]
    positions, symbols = crystals[0].first_atoms(lattice)
    again, _ = crystals[1].first_atoms(lattice)
    np.testing.assert_allclose(again, positions, atol=1e-9)
    pairs = []
    for entry in second.iterfind("ForceConstants/HARMONIC/FC2"):
        i, a = _integers(entry.get("pair1"))
        atom, b, cell = _integers(entry.get("pair2"))
        j, vector = crystals[0].lattice_vector(atom, shifts[cell - 1], lattice)
        value = np.zeros((3, 3))
        value[a - 1, b - 1] = float(entry.text) * Rydberg / Bohr**2
        pairs.append((i - 1, j, vector, value))
    atoms, cells, values = [], [], []
    for entry in third.iterfind("ForceConstants/ANHARM3/FC3"):
        i, a = _integers(entry.get("pair1"))
        ends = [_integers(entry.get(f"pair{n}")) for n in (2, 3)]
        places = [3 * atom + b for atom, b, _ in ends]
        assert places[0] <= places[1]
        # Both orders, where these differ in atom or component.
        for order in (1, -1) if places[0] < places[1] else (1,):
            found = [
                (*crystals[1].lattice_vector(atom, shifts[cell - 1], lattice), b - 1)
                for atom, b, cell in ends[::order]
            ]
            (j, to_j, b), (k, to_k, c) = found
            atoms.append((i - 1, j, k))
            cells.append((to_j, to_k))
            value = np.zeros((3, 3, 3))
            value[a - 1, b, c] = float(entry.text) * Rydberg / Bohr**3
            values.append(value)
    triplets = np.array(atoms), np.array(cells), np.array(values)
    return Model(lattice, positions, symbols, pairs, triplets)


def _integers(text):
    return [int(word) for word in text.split()]


class _Supercell:
    """The supercell of an XML file, in angstrom."""

    def __init__(self, root: ElementTree.Element) -> None:
        lattice = root.find("Structure/LatticeVector")
        edges = [lattice.findtext(f"a{i}").split() for i in (1, 2, 3)]
        self.edges = np.array(edges, dtype=float) * Bohr
        atoms = root.findall("Structure/Position/pos")
        assert [int(p.get("index")) for p in atoms] == list(range(1, len(atoms) + 1))
        assert root.findtext("Structure/NumberOfAtoms") == str(len(atoms))
        self.positions = np.array([p.text.split() for p in atoms], dtype=float)
        self.symbols = [p.get("element") for p in atoms]
        self.maps = {
            (int(m.get("tran")), int(m.get("atom"))): int(m.text)
            for m in root.iterfind("Symmetry/Translations/map")
        }
        assert sorted(self.maps.values()) == list(range(1, len(atoms) + 1))
        self.primitive_atom = {atom: place for (_, place), atom in self.maps.items()}

    def first_atoms(self, lattice):
        count = max(place for _, place in self.maps)
        atoms = [self.maps[1, place] - 1 for place in range(1, count + 1)]
        positions = self.positions[atoms] @ self.edges @ np.linalg.inv(lattice)
        return positions, [self.symbols[atom] for atom in atoms]

    def lattice_vector(self, atom, shift, lattice):
        """Return the primitive atom, and the cell relative to its first image."""
        place = self.primitive_atom[atom]
        origin = self.positions[self.maps[1, place] - 1]
        vector = self.positions[atom - 1] + shift - origin
        cell = np.linalg.solve(lattice.T, vector @ self.edges)
        assert np.abs(cell - np.rint(cell)).max() < 1e-6
        return place - 1, np.rint(cell).astype(int)

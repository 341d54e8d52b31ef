"""Output files of programs that ASE does not read, or not in the right units.

ASE has no reader for the output of CP2K and SIESTA, and takes the lattice of ABINIT's
output for angstrom.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from phono3py_mlp_plugin.contracts import FloatArray
from phono3py_mlp_plugin.errors import DatasetError


@dataclass(frozen=True, eq=False)
class Snapshot:
    """One configuration in a file, with all energies and forces found.

    Attributes
    ----------
    lattice : ndarray
        Rows are lattice vectors (angstrom), shape ``(3, 3)``.
    symbols : list of str
    positions : ndarray
        In angstrom, shape ``(N, 3)``.
    periodic : bool
        Whether it is periodic in any direction.
    forces : mapping of str to ndarray
        Name and forces (eV/angstrom), each of shape ``(N, 3)``, and other vectors of
        atoms, which a user may name.
    energies : mapping of str to float
        Name and energy (eV), and other numbers.
    stresses : mapping of str to ndarray
        Name and stress (eV/angstrom^3) or virial (eV), as in the file, shape
        ``(3, 3)``.
    masses : ndarray or None
        In atomic mass units, if they are not those of the elements, shape ``(N,)``.
    magnetic_moments : ndarray or None
        In Bohr magnetons, shape ``(N,)`` or ``(N, 3)``.
    pbc : tuple of bool
        Along which lattice vectors it is periodic.
    partial_site : str or None
        Elements and occupancies of a site that is not occupied by one element.
    """

    lattice: FloatArray
    symbols: list[str]
    positions: FloatArray
    periodic: bool
    forces: Mapping[str, FloatArray]
    energies: Mapping[str, float]
    masses: FloatArray | None = None
    magnetic_moments: FloatArray | None = None
    pbc: tuple[bool, bool, bool] = (True, True, True)
    partial_site: str | None = None
    stresses: Mapping[str, FloatArray] = field(default_factory=dict)


class Program(NamedTuple):
    """How the output of a program is known, and read.

    Attributes
    ----------
    marks : tuple of bytes
        All of them stand in the first bytes of the file.
    read : callable
        From the lines of a file to snapshots.
    """

    marks: tuple[bytes, ...]
    read: Callable[[Sequence[str]], Iterator[Snapshot]]


def _units() -> Any:
    """Return physical constants. phonopy is imported only where a file is read."""
    from phonopy.physical_units import get_physical_units

    return get_physical_units()


def _numbers(lines: Sequence[str], columns: slice) -> FloatArray:
    return np.array([line.split()[columns] for line in lines], dtype="double")


def _rows(lines: Sequence[str], start: int, n_columns: int) -> list[list[str]]:
    """Return the words of the lines of a table, which begin with a number."""
    rows = []
    for line in lines[start:]:
        words = line.removeprefix("siesta:").split()
        if len(words) < n_columns or not words[0].isdigit():
            break
        rows.append(words)
    return rows


def _length_unit(line: str) -> float:
    """Return angstrom per unit for a heading that names bohr or angstrom."""
    return float(_units().Bohr) if "bohr" in line.lower() else 1.0


def _force_unit(line: str) -> float:
    units = _units()
    name = line[line.index("[") + 1 : line.index("]")].lower()
    known = {
        "a.u.": units.Hartree / units.Bohr,
        "hartree/bohr": units.Hartree / units.Bohr,
        "ev/angstrom": 1.0,
    }
    if name not in known:
        raise DatasetError(f"the unit of forces is [{name}]; expected {list(known)}.")
    return float(known[name])


def _read_cp2k(lines: Sequence[str]) -> Iterator[Snapshot]:
    """Read the output of CP2K with FORCE_EVAL/PRINT/FORCES and a printed cell."""
    vectors: dict[str, list[str]] = {}
    atoms: list[list[str]] | None = None
    symbols: list[str] = []
    energies: dict[str, float] = {}
    for number, line in enumerate(lines):
        words = line.split()
        if line.startswith(" CELL| Vector") and len(words) > 6:
            vectors[words[2]] = words[4:7]
            scale = _length_unit(words[3])
        elif "ATOMIC COORDINATES IN" in line.upper():
            start = number + 1
            while not (lines[start].split() or ["x"])[0].isdigit():
                start += 1
            atoms = _rows(lines, start, 7)
            unit = _length_unit(line.upper().split("COORDINATES IN")[1])
            symbols = [words[2] for words in atoms]
        elif line.startswith(" ENERGY| Total FORCE_EVAL"):
            energies["energy"] = float(words[-1]) * _units().Hartree
        elif "ATOMIC FORCES in [" in line or "FORCES| Atomic forces [" in line:
            if atoms is None:
                raise DatasetError(
                    "forces of a second step without its positions, or without any. "
                    "Use RUN_TYPE ENERGY_FORCE, and PRINT_LEVEL MEDIUM."
                )
            if len(vectors) < 3:
                raise DatasetError("there is no cell ('CELL| Vector a').")
            forces = _cp2k_forces(lines, number, len(atoms)) * _force_unit(line)
            yield Snapshot(
                np.array([vectors[axis] for axis in "abc"], dtype="double") * scale,
                symbols,
                np.array([words[4:7] for words in atoms], dtype="double") * unit,
                True,
                {"forces": forces},
                energies,
            )
            atoms, energies = None, {}


def _cp2k_forces(lines: Sequence[str], heading: int, n_atoms: int) -> FloatArray:
    """Return a table of forces, of CP2K before or since 2025."""
    columns = slice(2, 5) if "FORCES|" in lines[heading] else slice(3, 6)
    start = heading + 1
    while not lines[start].replace("FORCES|", "").strip()[:1].isdigit():
        start += 1
    return _numbers(lines[start : start + n_atoms], columns)


def _read_abinit(lines: Sequence[str]) -> Iterator[Snapshot]:
    """Read the main output file of ABINIT."""
    lattice = np.zeros((3, 3))
    positions: FloatArray | None = None
    energies: dict[str, float] = {}
    symbols = _abinit_symbols(lines)
    n_atoms = len(symbols)
    units = _units()
    for number, line in enumerate(lines):
        table = lines[number + 1 : number + 1 + n_atoms]
        if line.startswith((" R(1)=", " R(2)=", " R(3)=")):
            row = int(line[3]) - 1
            lattice[row] = np.array(line.split()[1:4], dtype="double") * units.Bohr
        elif line.startswith(" ETOT "):
            energies["energy"] = float(line.split()[2]) * units.Hartree
        elif "cartesian coordinates (angstrom) at end" in line:
            positions = _numbers(table, slice(1, 4))
        elif "cartesian forces (eV/Angstrom) at end" in line and positions is not None:
            forces = {"forces": _numbers(table, slice(1, 4))}
            yield Snapshot(lattice.copy(), symbols, positions, True, forces, energies)
            positions, energies = None, {}


def _abinit_symbols(lines: Sequence[str]) -> list[str]:
    """Return the elements of the atoms in the echo of ABINIT's variables."""
    types = _abinit_variable(lines, "typat")
    charges = _abinit_variable(lines, "znucl")
    n_atoms = int(_abinit_variable(lines, "natom")[0])
    if len(types) == 1:
        types = types * n_atoms
    from phonopy.structure.atomic_data import get_atomic_data

    names = get_atomic_data().atom_data
    return [str(names[int(charges[int(t) - 1])][1]) for t in types]


def _abinit_variable(lines: Sequence[str], name: str) -> list[float]:
    first = next(i for i, line in enumerate(lines) if line.split()[:1] == [name])
    words = lines[first].split()[1:]
    for line in lines[first + 1 :]:
        more = line.split()
        if not more or not more[0].replace(".", "").isdigit():
            break
        words += more
    return [float(word) for word in words]


def _read_siesta(lines: Sequence[str]) -> Iterator[Snapshot]:
    """Read the standard output of SIESTA."""
    lattice: FloatArray | None = None
    heading: int | None = None
    energies: dict[str, float] = {}
    free_energy: float | None = None
    snapshots: list[Snapshot] = []
    for number, line in enumerate(lines):
        if line.startswith("outcell: Unit cell vectors"):
            rows = lines[number + 1 : number + 4]
            lattice = _numbers(rows, slice(0, 3)) * _length_unit(line)
        elif line.startswith("outcoor: Atomic coordinates"):
            heading = number
        elif line.startswith("siesta: E_KS(eV) ="):
            energies["energy"] = float(line.split()[-1])
        elif line.split()[:2] == ["siesta:", "FreeEng"]:
            free_energy = float(line.split()[-1])
        elif line.startswith("siesta: Atomic forces (eV/Ang)") and heading is not None:
            forces = _rows(lines, number + 1, 4)
            snapshots.append(
                _siesta_snapshot(lattice, lines[heading:], forces, dict(energies))
            )
            # The same forces are printed once more at the end.
            heading = free_energy = None
    if len(snapshots) == 1 and free_energy is not None:
        # Printed after the last step alone.
        energies["free_energy"] = free_energy
        snapshots = [replace(snapshots[0], energies=energies)]
    yield from snapshots


def _siesta_snapshot(
    lattice: FloatArray | None,
    lines: Sequence[str],
    rows: list[list[str]],
    energies: Mapping[str, float],
) -> Snapshot:
    atoms = [line.split() for line in lines[1 : 1 + len(rows)]]
    positions = np.array([words[:3] for words in atoms], dtype="double")
    if lattice is None:
        raise DatasetError("there are no 'outcell: Unit cell vectors'.")
    if "fractional" in lines[0].lower() or "scaled" in lines[0].lower():
        positions = positions @ lattice
    else:
        positions = positions * _length_unit(lines[0])
    forces = np.array([row[1:4] for row in rows], dtype="double")
    symbols = [words[5] for words in atoms]
    return Snapshot(lattice, symbols, positions, True, {"forces": forces}, energies)


PROGRAMS = {
    "cp2k-out": Program((b"CP2K|",), _read_cp2k),
    "abinit-out": Program((b"Version", b"of ABINIT"), _read_abinit),
    "siesta-out": Program((b"siesta: ", b"outcoor: "), _read_siesta),
}
"""Own formats by name. Of ASE's formats with the same name, these take precedence."""

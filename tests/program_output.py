"""Output files as programs write them, of a displaced supercell.

For programs of which no complete output file is in the source packages of phono3py and
phonopy: the tables that are read, in the format of the program, with its digits.
"""

from __future__ import annotations

import numpy as np
from phonopy.physical_units import get_physical_units

from phono3py_mlp_plugin.files import Frame

UNITS = get_physical_units()
ATOMIC_FORCE = UNITS.Hartree / UNITS.Bohr


def cp2k(frame: Frame) -> str:
    """Output of CP2K 2024 or earlier, PRINT_LEVEL MEDIUM with FORCES."""
    lines = [" CP2K| version string:                    CP2K version 2023.1", ""]
    lines += _cp2k_cell_and_atoms(frame)
    energy = frame.energy / UNITS.Hartree
    lines += [
        f" ENERGY| Total FORCE_EVAL ( QS ) energy [a.u.]:  {energy:22.15f}",
        "",
        " ATOMIC FORCES in [a.u.]",
        "",
        " # Atom   Kind   Element          X              Y              Z",
    ]
    for i, force in enumerate(frame.forces / ATOMIC_FORCE):
        numbers = "".join(f"{x:15.8f}" for x in force)
        lines.append(f" {i + 1:6d} {1:6d} {frame.symbols[i]:>7s} {numbers}")
    return "\n".join([*lines, " SUM OF ATOMIC FORCES  0.0 0.0 0.0 0.0", ""])


def cp2k_2025(frame: Frame) -> str:
    """Output of CP2K 2025, PRINT_LEVEL MEDIUM with FORCES."""
    lines = [" CP2K| version string:                    CP2K version 2025.1", ""]
    lines += _cp2k_cell_and_atoms(frame)
    energy = frame.energy / UNITS.Hartree
    lines += [
        f" ENERGY| Total FORCE_EVAL ( QS ) energy [hartree]  {energy:22.15f}",
        "",
        " FORCES| Atomic forces [hartree/bohr]",
        " FORCES|   Atom     x                y                z               |f|",
    ]
    for i, force in enumerate(frame.forces / ATOMIC_FORCE):
        numbers = "".join(f"{x:17.8E}" for x in force)
        lines.append(f" FORCES|{i + 1:7d}{numbers}{np.linalg.norm(force):17.8E}")
    return "\n".join([*lines, " FORCES| Sum  0.0 0.0 0.0 0.0", ""])


def _cp2k_cell_and_atoms(frame: Frame) -> list[str]:
    lines = []
    for axis, vector in zip("abc", frame.lattice, strict=True):
        numbers = "".join(f"{x:12.6f}" for x in vector)
        length = np.linalg.norm(vector)
        lines.append(f" CELL| Vector {axis} [angstrom]:{numbers}   |{axis}| = {length}")
    lines += [
        "",
        " MODULE QUICKSTEP: ATOMIC COORDINATES IN ANGSTROM",
        "",
        "   Atom Kind Element         X             Y             Z       Z(eff)  Mass",
        "",
    ]
    for i, position in enumerate(frame.positions):
        numbers = "".join(f"{x:14.6f}" for x in position)
        lines.append(f" {i + 1:6d}    1 {frame.symbols[i]}  11 {numbers}  9.0  22.99")
    return [*lines, ""]


def siesta(frame: Frame, coordinates: str = "Ang") -> str:
    """Output of SIESTA, with coordinates in Ang, Bohr or fractional."""
    positions = {
        "Ang": frame.positions,
        "Bohr": frame.positions / UNITS.Bohr,
        "fractional": frame.positions @ np.linalg.inv(frame.lattice),
    }[coordinates]
    lines = ["Siesta Version  : 4.1.5", "Architecture    : unknown", ""]
    lines.append("                           *  WELCOME TO SIESTA  *")
    lines.append(f"outcoor: Atomic coordinates ({coordinates}):")
    for symbol, position in zip(frame.symbols, positions, strict=True):
        numbers = "".join(f"{x:14.8f}" for x in position)
        lines.append(f"{numbers}   1       1  {symbol}")
    lines += ["", "outcell: Unit cell vectors (Ang):"]
    lines += ["".join(f"{x:14.8f}" for x in vector) for vector in frame.lattice]
    lines += ["", "siesta: Program's energy decomposition (eV):"]
    lines += ["siesta:         FreeEng =        -1.000000"]
    lines += [f"siesta: E_KS(eV) = {frame.energy + 0.001:20.4f}", ""]
    forces = [
        f"{i + 1:6d}" + "".join(f"{x:12.6f}" for x in force)
        for i, force in enumerate(frame.forces)
    ]
    lines += ["siesta: Atomic forces (eV/Ang):", *forces, "-" * 40]
    lines += ["", "siesta: Program's energy decomposition (eV):"]
    lines += [f"siesta:         FreeEng = {frame.energy:16.6f}", ""]
    # Printed once more at the end; they are no second frame.
    lines += ["outcoor: Relaxed atomic coordinates (fractional):"]
    lines += ["    0.00000000    0.00000000    0.00000000   1       1  Na", ""]
    lines += ["siesta: Atomic forces (eV/Ang):", *[f"siesta: {f}" for f in forces]]
    return "\n".join([*lines, "siesta: " + "-" * 40, ""])


def lammps(frame: Frame) -> str:
    """A dump of LAMMPS in units metal, of an orthogonal box."""
    lines = ["ITEM: TIMESTEP", "0", "ITEM: NUMBER OF ATOMS", str(len(frame.symbols))]
    lines += ["ITEM: BOX BOUNDS pp pp pp"]
    lines += [f"0.0 {length:.16e}" for length in np.diag(frame.lattice)]
    lines += ["ITEM: ATOMS id element x y z fx fy fz"]
    for i, symbol in enumerate(frame.symbols):
        numbers = (*frame.positions[i], *frame.forces[i])
        lines.append(" ".join([f"{i + 1} {symbol}", *(f"{x:.12f}" for x in numbers)]))
    return "\n".join([*lines, ""])

"""Forces and energies of snapshots in files of any program, chosen by name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from phono3py_mlp_plugin.contracts import FloatArray
from phono3py_mlp_plugin.errors import DatasetError
from phono3py_mlp_plugin.files.program_output import Snapshot
from phono3py_mlp_plugin.files.snapshots import read_snapshots

# The first of these names that is found is used. The free energy is the one whose
# derivatives are the forces; without smearing both are the same.
_ENERGIES = ("free_energy", "energy")
_FORCES = ("forces", "force")

# What is in the name of energies and forces; other names are used if they are given.
_WORDS = {"energy": "energ", "forces": "force"}

NO_ENERGY = "none"
"""Name of the energy if energies are not to be used."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One snapshot of another program.

    Attributes
    ----------
    where : str
        File name and frame number, for messages.
    lattice : ndarray
        Rows are lattice vectors (angstrom), shape ``(3, 3)``.
    symbols : list of str
    positions, forces : ndarray
        In angstrom and eV/angstrom, shape ``(N, 3)``.
    energy : float or None
        In eV.
    energy_name : str
        Name of the energy in the file.
    unused : tuple of str
        Names of other energies and forces in the file.
    stress : ndarray or None
        In eV/angstrom^3, positive under tension, shape ``(3, 3)``.
    pbc : tuple of bool
        Along which lattice vectors it is periodic.
    """

    where: str
    lattice: FloatArray
    symbols: list[str]
    positions: FloatArray
    forces: FloatArray
    energy: float | None
    energy_name: str = "energy"
    unused: tuple[str, ...] = ()
    stress: FloatArray | None = None
    pbc: tuple[bool, bool, bool] = (True, True, True)


def read_frames(
    path: Path,
    file_format: str | None = None,
    energy_key: str | None = None,
    forces_key: str | None = None,
) -> list[Frame]:
    """Read all frames of a file, with forces and energies.

    Parameters
    ----------
    path : Path
    file_format : str, optional
        See `read_snapshots`.
    energy_key, forces_key : str, optional
        Names of energies and forces in the file. By default the free energy if there
        is one, otherwise the energy, and the forces. Energies are left out if the
        name is ``none``.

    Raises
    ------
    DatasetError
        If a frame has no cell, no forces, or a number that is not finite.
    MLPError, OSError
        See `read_snapshots`.
    """
    snapshots = read_snapshots(path, file_format)
    if not snapshots:
        raise DatasetError(
            f"{path}: there is no frame with results in it. Is the calculation "
            "complete, and is this its format (--format)?"
        )
    return [
        _frame(snapshot, f"{path}, frame {number}", energy_key, forces_key)
        for number, snapshot in enumerate(snapshots, start=1)
    ]


def read_energy(path: Path, file_format: str | None = None) -> float | None:
    """Return the energy (eV) in a file of one frame, None if there is none."""
    snapshots = read_snapshots(path, file_format)
    if len(snapshots) != 1:
        return None
    energies = snapshots[0].energies
    found = next((energies[name] for name in _ENERGIES if name in energies), None)
    return found if found is not None and np.isfinite(found) else None


def _frame(
    snapshot: Snapshot, where: str, energy_key: str | None, forces_key: str | None
) -> Frame:
    if not snapshot.periodic or not abs(np.linalg.det(snapshot.lattice)) >= 1e-9:
        raise DatasetError(
            f"{where}: there is no periodic cell. Give lattice vectors and "
            'periodicity (in extended XYZ: Lattice="..." pbc="T T T"), or leave an '
            "isolated atom or molecule out."
        )
    forces_name = _choose(snapshot.forces, _FORCES, forces_key, where, "forces")
    if forces_name is None:
        raise DatasetError(
            f"{where}: there are no forces. Did the calculation print them?"
        )
    energy_name = None
    if energy_key != NO_ENERGY:
        energy_name = _choose(snapshot.energies, _ENERGIES, energy_key, where, "energy")
    energy = None if energy_name is None else snapshot.energies[energy_name]
    forces = snapshot.forces[forces_name]
    for name, value in (
        ("position", snapshot.positions),
        (forces_name, forces),
        (energy_name, 0.0 if energy is None else energy),
    ):
        if not np.isfinite(value).all():
            raise DatasetError(
                f"{where}: a number of {name!r} is not finite. Correct it, or leave "
                "the frame out."
            )
    return Frame(
        where=where,
        lattice=snapshot.lattice,
        symbols=snapshot.symbols,
        positions=snapshot.positions,
        forces=forces,
        energy=energy,
        energy_name=energy_name or "",
        unused=_unused(snapshot, energy_name, forces_name),
        stress=_stress(snapshot, forces_name, where),
        pbc=snapshot.pbc,
    )


def _stress(snapshot: Snapshot, forces_name: str, where: str) -> FloatArray | None:
    """Return the stress that belongs to forces of this name: REF_stress, virial_dft.

    A virial is minus the stress times the volume, as in files of GAP and MACE.
    """
    parts = re.fullmatch(r"(.*?)forces?(.*)", forces_name.lower())
    if parts is None:
        return None
    prefix, suffix = parts.groups()
    by_name = {name.lower(): value for name, value in snapshot.stresses.items()}
    volume = abs(np.linalg.det(snapshot.lattice))
    for name, factor in (
        ("stress", 1.0),
        ("virial", -1.0 / volume),
        ("virials", -1.0 / volume),
    ):
        found = by_name.get(f"{prefix}{name}{suffix}")
        if found is None:
            continue
        if not np.isfinite(found).all():
            raise DatasetError(
                f"{where}: a number of '{prefix}{name}{suffix}' is not finite. Correct "
                "it, or leave the frame out."
            )
        return factor * (found + found.T) / 2
    return None


def _choose(
    found: Mapping[str, Any],
    standard: tuple[str, ...],
    key: str | None,
    where: str,
    what: str,
) -> str | None:
    """Return the name to use, None if there is nothing."""
    named = _named(found, what)
    names = ", ".join(map(repr, named)) or "none"
    if key is not None:
        if key in found:
            return key
        raise DatasetError(f"{where}: there is no {key!r}; {what} found: {names}.")
    for name in standard:
        if name in found:
            return name
    if not named:
        return None
    option = f"--{what}-key"
    none = f", or give '{option} {NO_ENERGY}'" if what == "energy" else ""
    raise DatasetError(
        f"{where}: there is no {standard[-1] if what == 'energy' else standard[0]!r}; "
        f"found: {names}. Name what to use, such as '{option} {named[0]}'"
        f"{none}."
    )


def _named(found: Mapping[str, Any], what: str) -> list[str]:
    """Return the names that say what they are."""
    return [name for name in found if _WORDS[what] in name.lower()]


def _unused(
    snapshot: Snapshot, energy_name: str | None, forces_name: str
) -> tuple[str, ...]:
    """Return names with other values than those used, standard names left out."""
    energy = None if energy_name is None else snapshot.energies[energy_name]
    energies = [
        name
        for name in _named(snapshot.energies, "energy")
        if name not in _ENERGIES
        and energy is not None
        and snapshot.energies[name] != energy
    ]
    forces = [
        name
        for name in _named(snapshot.forces, "forces")
        if name not in _FORCES
        and not np.array_equal(snapshot.forces[name], snapshot.forces[forces_name])
    ]
    return (*energies, *forces)

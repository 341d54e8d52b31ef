"""Structures of other sizes and shapes in a training set, from files of any program."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from phonopy.structure.atoms import PhonopyAtoms

from phono3py_mlp_plugin.contracts import (
    Dataset,
    ForceCalculator,
    LabelledStructure,
    Potential,
    Progress,
    no_progress,
)
from phono3py_mlp_plugin.errors import DatasetError, ParameterError
from phono3py_mlp_plugin.files import Frame, read_frames
from phono3py_mlp_plugin.workflow.crystal import check_supercell
from phono3py_mlp_plugin.workflow.evaluate import evaluate
from phono3py_mlp_plugin.workflow.sites import Sites
from phono3py_mlp_plugin.workflow.vacuum import check_vacuum

# Largest force (eV/angstrom) and stress (eV/angstrom^3, 160 TPa) of a calculation.
_LARGEST = {"force": 1e3, "stress": 1e3}

# Difference of positions (angstrom) and lattice vectors below which two are the same.
_SAME = 1e-6

# Output files have positions of four decimals or more.
_PRINTED = 1e-4


@dataclass(frozen=True)
class StructureFiles:
    """Files of any program with structures to train on, and names of values in them.

    Attributes
    ----------
    paths : tuple of Path
    energy_key, forces_key : str or None
        See `read_frames`.
    """

    paths: tuple[Path, ...]
    energy_key: str | None = None
    forces_key: str | None = None

    def added_to(self, dataset: Dataset, progress: Progress = no_progress) -> Dataset:
        """Return the dataset with the structures in the files.

        Raises
        ------
        DatasetError
            If a structure is invalid, has other elements than the crystal, or occurs
            twice.
        MLPError, OSError
            See `read_frames`.
        """
        frames: list[Frame] = []
        with progress("Reading structures", len(self.paths)) as advance:
            for path in self.paths:
                frames += read_frames(
                    path, energy_key=self.energy_key, forces_key=self.forces_key
                )
                advance(1)
        return with_structures(dataset, [_structure(frame) for frame in frames])


def with_structures(
    dataset: Dataset, structures: Sequence[LabelledStructure]
) -> Dataset:
    """Return the dataset with structures that belong to every training set.

    Raises
    ------
    DatasetError
        If a structure is invalid, has other elements than the crystal, or occurs twice.
    """
    elements = set(dataset.supercell.symbols)
    for number, structure in enumerate(structures, start=1):
        where = structure.where or f"training structure {number}"
        unknown = sorted(set(structure.cell.symbols) - elements)
        if unknown:
            raise DatasetError(
                f"{where}: it has {', '.join(unknown)}; expected elements of the "
                f"crystal ({', '.join(sorted(elements))}). Leave it out."
            )
        check_supercell(structure.cell, where)
        _check_values(structure, where)
    _check_repetitions(dataset, structures)
    return replace(dataset, structures=tuple(structures))


def _check_values(structure: LabelledStructure, where: str) -> None:
    shape = (len(structure.cell), 3)
    if np.shape(structure.forces) != shape:
        raise DatasetError(
            f"{where}: shape of forces = {np.shape(structure.forces)}; expected "
            f"{shape}."
        )
    values = {"force": structure.forces, "stress": structure.stress}
    if structure.energy is not None and not np.isfinite(structure.energy):
        raise DatasetError(f"{where}: its energy is not finite. Leave it out.")
    for name, value in values.items():
        if value is None:
            continue
        largest = float(np.abs(value).max())
        if not largest <= _LARGEST[name]:
            raise DatasetError(
                f"{where}: its largest {name} is {largest:.3g}; expected at most "
                f"{_LARGEST[name]:g}. Compute it again or leave it out."
            )


def _check_repetitions(
    dataset: Dataset, structures: Sequence[LabelledStructure]
) -> None:
    """Raise if a structure is given twice, or is a supercell of the dataset."""
    sites = Sites(dataset.supercell)
    known: dict[bytes, str] = {}
    for structure in structures:
        cell, where = structure.cell, structure.where or "a training structure"
        numbers = np.concatenate([cell.cell, cell.positions])
        key = np.round(numbers / _SAME).astype(np.int64).tobytes()
        same = known.get(key) or _snapshot_of(cell, dataset, sites)
        if same is not None:
            raise DatasetError(
                f"{where}: is the same as {same}. Leave one of them out."
            )
        known[key] = where


def _snapshot_of(cell: PhonopyAtoms, dataset: Dataset, sites: Sites) -> str | None:
    """Return the snapshot of the dataset that a cell is, whose atoms may be wrapped."""
    if len(cell) != len(dataset.supercell):
        return None
    try:
        _, displacements = sites.assign(cell.cell, list(cell.symbols), cell.positions)
    except DatasetError:
        return None  # Another lattice or composition, or atoms that left their sites.
    distances = np.abs(dataset.displacements - displacements).max(axis=(1, 2))
    nearest = int(distances.argmin())
    return f"snapshot {nearest + 1}" if distances[nearest] <= _PRINTED else None


def _structure(frame: Frame) -> LabelledStructure:
    check_vacuum(frame.lattice, frame.positions, frame.pbc, frame.where)
    cell = PhonopyAtoms(
        symbols=frame.symbols, cell=frame.lattice, positions=frame.positions
    )
    return LabelledStructure(
        cell, frame.forces, frame.energy, frame.stress, frame.where
    )


def check_structures_used(calculator: ForceCalculator, dataset: Dataset) -> None:
    """Raise if a calculator would ignore structures of the training set.

    Raises
    ------
    ParameterError
    """
    if dataset.structures and not calculator.takes_structures:
        raise ParameterError(
            f"force calculator {calculator.name!r} is not trained on structures other "
            "than supercells; pypolymlp is."
        )


def errors_on_structures(
    name: str, potential: Potential, structures: Sequence[LabelledStructure]
) -> dict[str, float | None]:
    """Return root-mean-square errors of structures.

    Returns
    -------
    dict
        Errors of energies (eV/atom), forces (eV/angstrom) and stresses
        (eV/angstrom^3), None if there are none.
    """
    errors: dict[str, list[Any]] = {"energy": [], "force": [], "stress": []}
    for structure in structures:
        found = evaluate(name, potential, [structure.cell])
        errors["force"].append((found.forces[0] - structure.forces).reshape(-1))
        if structure.energy is not None:
            difference = found.energies[0] - structure.energy
            errors["energy"].append([difference / len(structure.cell)])
        if structure.stress is not None and found.stresses is not None:
            difference = found.stresses[0] - structure.stress
            errors["stress"].append(difference.reshape(-1))
    return {
        kind: float(np.sqrt(np.mean(np.concatenate(values) ** 2))) if values else None
        for kind, values in errors.items()
    }


def structures_lines(dataset: Dataset) -> list[str]:
    """Return what is printed about the structures of a dataset."""
    structures = dataset.structures
    sizes = Counter(len(structure.cell) for structure in structures)
    listed = ", ".join(f"{n} of {atoms} atoms" for atoms, n in sorted(sizes.items()))
    energies = sum(structure.energy is not None for structure in structures)
    stresses = sum(structure.stress is not None for structure in structures)
    return [
        f"Structures for training besides the supercells: {listed}; {energies} with "
        f"energies, {stresses} with stresses."
    ]


def structures_content(structures: Sequence[LabelledStructure]) -> dict[str, Any]:
    """Return what determines a training on structures, for fingerprints."""
    if not structures:
        return {}
    return {
        "structures": [
            {
                "lattice": structure.cell.cell,
                "positions": structure.cell.positions,
                "symbols": list(structure.cell.symbols),
                "forces": structure.forces,
                "energy": structure.energy,
                "stress": structure.stress,
            }
            for structure in structures
        ]
    }

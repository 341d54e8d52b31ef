"""Datasets made of other programs' snapshots, and of several datasets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from phono3py_mlp_plugin.contracts import Dataset
from phono3py_mlp_plugin.errors import DatasetError
from phono3py_mlp_plugin.files import Frame
from phono3py_mlp_plugin.workflow.sites import Sites

if TYPE_CHECKING:
    from phonopy.structure.atoms import PhonopyAtoms

# Displacements that agree to this (angstrom) are those of the same supercell.
_SAME = 1e-5


def dataset_of_frames(frames: Sequence[Frame], supercell: PhonopyAtoms) -> Dataset:
    """Return the displacements of frames from the sites of a supercell.

    Atoms may come in any order, wrapped into the cell or not.

    Parameters
    ----------
    frames : sequence of Frame
    supercell : PhonopyAtoms
        The supercell without displacements.

    Raises
    ------
    DatasetError
        A frame is of another crystal, or some have energies and others none.
    """
    sites = Sites(supercell)
    displacements, forces = [], []
    for frame in frames:
        try:
            order, displacement = sites.assign(
                frame.lattice, frame.symbols, frame.positions
            )
        except DatasetError as error:
            raise DatasetError(f"{frame.where}: {error}") from None
        displacements.append(displacement)
        forces.append(frame.forces[order])
    energies = [frame.energy for frame in frames]
    if None in energies and any(energy is not None for energy in energies):
        raise DatasetError(
            f"{frames[energies.index(None)].where}: there is no energy, and others "
            "have one. Give it, or remove all."
        )
    return Dataset(
        supercell,
        np.array(displacements),
        np.array(forces),
        None if None in energies else np.array(energies, dtype="double"),
    )


def frames_of_dataset(dataset: Dataset, name: str) -> list[Frame]:
    """Return the snapshots of a dataset as frames, to be put on another supercell."""
    cell = dataset.supercell
    return [
        Frame(
            where=f"{name}, snapshot {i + 1}",
            lattice=cell.cell,
            symbols=list(cell.symbols),
            positions=cell.positions + dataset.displacements[i],
            forces=dataset.forces[i],
            energy=None if dataset.energies is None else float(dataset.energies[i]),
        )
        for i in range(len(dataset))
    ]


def joined(parts: Sequence[tuple[str, Dataset]]) -> Dataset:
    """Return one dataset of several, on the supercell of the first.

    Parameters
    ----------
    parts : sequence of tuple
        Name for messages, and dataset.

    Raises
    ------
    DatasetError
        Another crystal, a snapshot that is there already, or some have energies and
        others none.
    """
    frames = [
        frame for name, dataset in parts for frame in frames_of_dataset(dataset, name)
    ]
    result = dataset_of_frames(frames, parts[0][1].supercell)
    first = len(parts[0][1])
    known = result.displacements[:first]
    for i in range(first, len(result)):
        same = np.abs(known - result.displacements[i]).max(axis=(1, 2)) < _SAME
        if same.any():
            raise DatasetError(
                f"{frames[i].where} is the same as {frames[int(same.argmax())].where}. "
                "Was it added before?"
            )
        known = result.displacements[: i + 1]
    return result

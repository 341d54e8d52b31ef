"""Conversion of snapshots of other programs to a dataset, and joining of datasets."""

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

# Displacements that agree within this tolerance (angstrom) are the same.
_SAME = 1e-5


def dataset_of_frames(frames: Sequence[Frame], supercell: PhonopyAtoms) -> Dataset:
    """Return the dataset of frames, with displacements from the sites of a supercell.

    Atoms may be in any order, and may be wrapped into the cell.

    Parameters
    ----------
    frames : sequence of Frame
    supercell : PhonopyAtoms
        The supercell without displacements.

    Raises
    ------
    DatasetError
        If a frame is of another crystal, or only some frames have energies.
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
    """Return the snapshots of a dataset as frames."""
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


def join_datasets(parts: Sequence[tuple[str, Dataset]]) -> Dataset:
    """Join several datasets, using the supercell of the first one.

    Parameters
    ----------
    parts : sequence of tuple
        Names, which are used in messages, and datasets.

    Raises
    ------
    DatasetError
        If the crystals differ, a snapshot occurs twice, or only some snapshots have
        energies.
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

"""Conversion of snapshots of other programs to a dataset, and joining of datasets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from phono3py_mlp_plugin.contracts import Dataset, FloatArray
from phono3py_mlp_plugin.errors import DatasetError
from phono3py_mlp_plugin.files import Frame
from phono3py_mlp_plugin.workflow.sites import Sites

if TYPE_CHECKING:
    from phonopy.structure.atoms import PhonopyAtoms

# Displacements that agree within this tolerance (angstrom) are the same.
_SAME = 1e-5

# Positions in output files have six decimals or more, in units of up to the lattice
# constant.
_PRINTED = 1e-4


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
        If a frame is of another crystal, only some frames have energies, or energies
        have different names.
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
    _check_energy_names(frames)
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


def _check_energy_names(frames: Sequence[Frame]) -> None:
    """Refuse free energies of some snapshots and energies of others."""
    named = [frame for frame in frames if frame.energy is not None]
    for frame in named:
        if frame.energy_name != named[0].energy_name:
            raise DatasetError(
                f"{frame.where}: its energy is {frame.energy_name!r}, that of "
                f"{named[0].where} is {named[0].energy_name!r}. Name one that all have "
                "by --energy-key."
            )


def with_planned_displacements(dataset: Dataset, planned: FloatArray) -> Dataset:
    """Return a dataset with displacements of full precision where they are known.

    Parameters
    ----------
    dataset : Dataset
        With displacements from positions that another program has rounded.
    planned : ndarray
        Displacements of which snapshots were made (angstrom), shape ``(n, N, 3)``. A
        snapshot that is none of these keeps its displacements.
    """
    displacements = dataset.displacements.copy()
    for displacement in displacements:
        distances = np.abs(planned - displacement).max(axis=(1, 2))
        if len(planned) and distances.min() <= _PRINTED:
            displacement[:] = planned[distances.argmin()]
    return replace(dataset, displacements=displacements)


def without_net_force(dataset: Dataset) -> Dataset:
    """Return a dataset without the mean force of each snapshot, as phono3py does."""
    forces = dataset.forces - dataset.forces.mean(axis=1, keepdims=True)
    return replace(dataset, forces=forces)


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

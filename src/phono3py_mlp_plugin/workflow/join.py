"""Conversion of snapshots of other programs to a dataset, and joining of datasets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

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

# Numbers of displacements that a message names.
_NAMED = 10


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


def planned_of_snapshots(dataset: Dataset, planned: FloatArray) -> NDArray[np.int64]:
    """Return which planned displacements each snapshot has.

    Parameters
    ----------
    dataset : Dataset
        With displacements from positions that another program has rounded.
    planned : ndarray
        Displacements of which snapshots were made (angstrom), shape ``(k, N, 3)``.

    Returns
    -------
    ndarray
        Indices of ``planned``, -1 for a snapshot that is none of these; shape ``(n,)``.
    """
    found = np.full(len(dataset), -1)
    for n, displacement in enumerate(dataset.displacements if len(planned) else ()):
        distances = np.abs(planned - displacement).max(axis=(1, 2))
        if distances.min() <= _PRINTED:
            found[n] = distances.argmin()
    return found


def with_planned_displacements(dataset: Dataset, planned: FloatArray) -> Dataset:
    """Return a dataset with displacements of full precision where they are known.

    Parameters
    ----------
    dataset, planned
        See `planned_of_snapshots`. A snapshot that is none of ``planned`` keeps its
        displacements.
    """
    index = planned_of_snapshots(dataset, planned)
    displacements = dataset.displacements.copy()
    displacements[index >= 0] = planned[index[index >= 0]]
    return replace(dataset, displacements=displacements)


def describe_planned(index: NDArray[np.int64], n_planned: int) -> list[str]:
    """Return lines about planned displacements without a snapshot, and the reverse.

    Parameters
    ----------
    index : ndarray
        As returned by `planned_of_snapshots`.
    n_planned : int
    """
    missing = [str(n + 1) for n in range(n_planned) if n not in index]
    lines = []
    if missing:
        more = len(missing) - _NAMED
        names = ", ".join(missing[:_NAMED]) + (f" and {more} more" if more > 0 else "")
        lines.append(
            f"Note: {len(missing)} of {n_planned} planned displacements are in no "
            f"file: {names}."
        )
    others = int((index < 0).sum())
    if others and n_planned:
        lines.append(
            f"Note: {others} of {len(index)} snapshots have displacements that were "
            "not planned; they come from the positions in the files."
        )
    return lines


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

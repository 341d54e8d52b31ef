"""Datasets of other programs, joined datasets, and their files."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phono3py_mlp_plugin import workflow
from phono3py_mlp_plugin.contracts import Dataset, FloatArray, Progress, no_progress
from phono3py_mlp_plugin.errors import DatasetError, ParameterError
from phono3py_mlp_plugin.files import (
    HDF5_SUFFIXES,
    Frame,
    back_up,
    read_frames,
    replacing,
    write_columnar,
)

if TYPE_CHECKING:
    from phono3py import Phono3py

_SUFFIXES = (*HDF5_SUFFIXES, ".yaml", ".yml")


def import_dataset(
    ph3: Phono3py,
    files: str | Path | Sequence[str | Path],
    *,
    format: str | None = None,
    energy_key: str | None = None,
    forces_key: str | None = None,
    progress: Progress = no_progress,
) -> Dataset:
    """Set the dataset of ``ph3`` to forces and energies in files of other programs.

    Atoms may be in any order, wrapped into the cell or not. The net force of each
    snapshot is removed. What is suspicious is a warning.

    Parameters
    ----------
    ph3 : Phono3py
        Its supercell is that of the files. If it has displacements from which the files
        were made, those are used, which have more digits.
    files : str, Path or sequence of them
        Output files of programs that ASE reads, of CP2K and of SIESTA.
    format : str, optional
        Format of the files, as ASE calls it; by default found by content.
    energy_key, forces_key : str, optional
        Names of energies and forces in the files; "none" for no energies.
    progress : Progress, optional
        Reports the progress.

    Returns
    -------
    Dataset
        The dataset that was set.

    Raises
    ------
    DatasetError
        If a file cannot be read, or is of another crystal.
    PluginNotFound
        If ase is needed and not installed.
    """
    workflow.check_arguments(ph3=ph3, files=files, progress=progress)
    paths = [files] if isinstance(files, str | Path) else list(files)
    if not paths:
        raise ParameterError("files = []; expected output files. Give one or more.")
    for path in paths:
        if not Path(path).exists():
            raise DatasetError(f'"{path}" is not found. Check the name.')
    planned = None if ph3.dataset is None else ph3.displacements
    dataset, notes = dataset_of_files(
        ph3,
        [Path(path) for path in paths],
        (format, energy_key, forces_key),
        planned,
        progress,
    )
    for note in notes:
        warnings.warn(note, stacklevel=2)
    set_dataset(ph3, dataset)
    return dataset


def extend_dataset(ph3: Phono3py, *others: Phono3py) -> Dataset:
    """Append the supercells of other crystals to the dataset of ``ph3``.

    Parameters
    ----------
    ph3 : Phono3py
        Its dataset is replaced.
    *others : Phono3py
        Crystals with the same supercell, with forces.

    Returns
    -------
    Dataset
        The dataset that was set.

    Raises
    ------
    DatasetError
        If there are no forces, crystals differ, or a snapshot occurs twice.
    """
    workflow.check_arguments(ph3=ph3)
    for one in others:
        workflow.check_arguments(others=one)
    parts = [
        (f"dataset {k}", _with_forces(one, k)) for k, one in enumerate((ph3, *others))
    ]
    dataset = workflow.join_datasets(parts)
    for note in workflow.check_dataset(dataset):
        warnings.warn(note, stacklevel=2)
    set_dataset(ph3, dataset)
    return dataset


def save_dataset(ph3: Phono3py, path: str | Path) -> Path | None:
    """Write crystal, displacements, forces and Born charges, as YAML or HDF5.

    Parameters
    ----------
    ph3 : Phono3py
    path : str or Path
        Name ending in .yaml, .h5 or .hdf5. HDF5 is read a hundred times faster.

    Returns
    -------
    Path or None
        The name under which an old file of this name is kept.

    Raises
    ------
    ParameterError
        If the ending is another.
    OSError
        If the file cannot be written.
    """
    workflow.check_arguments(ph3=ph3, path=path)
    target = Path(path)
    if target.suffix not in _SUFFIXES:
        raise ParameterError(
            f'"{target}": expected a name ending in {", ".join(_SUFFIXES)}.'
        )
    with replacing(target) as temporary:
        write_crystal(ph3, target, temporary)
        return back_up(target) if target.is_file() else None


def write_crystal(ph3: Phono3py, path: Path, temporary: Path) -> None:
    """Write a crystal with its datasets in the format of a name, under another one."""
    from phono3py_mlp_plugin.host.reading import content_of_crystal

    if path.suffix in HDF5_SUFFIXES:
        write_columnar(content_of_crystal(ph3), temporary)
    else:
        options = {"force_sets": True, "displacements": True}
        ph3.save(temporary, settings=options)


def dataset_of_files(
    ph3: Phono3py,
    paths: Sequence[Path],
    names: tuple[str | None, str | None, str | None],
    planned: FloatArray | None,
    progress: Progress,
) -> tuple[Dataset, list[str]]:
    """Return the dataset in files of other programs, and notes about it.

    Parameters
    ----------
    ph3 : Phono3py
        Provides the supercell.
    paths : sequence of Path
    names : tuple
        Format, name of energies and name of forces; None if they are not given.
    planned : ndarray or None
        Displacements from which the files were made, shape ``(k, N, 3)``.
    progress : Progress
    """
    frames: list[Frame] = []
    with progress("Reading", len(paths)) as advance:
        for path in paths:
            frames += read_frames(path, *names)
            advance(1)
    dataset = workflow.dataset_of_frames(frames, ph3.supercell)
    notes = []
    if planned is not None:
        index = workflow.planned_of_snapshots(dataset, planned)
        notes += workflow.describe_planned(index, len(planned))
        dataset = workflow.with_planned_displacements(dataset, planned)
    unused = dict.fromkeys(name for frame in frames for name in frame.unused)
    if unused:
        notes.append(
            f"Note: not used: {', '.join(unused)}. --energy-key and --forces-key "
            "choose others."
        )
    sources = [frame.where for frame in frames]
    notes += checked_dataset(dataset, sources)
    return workflow.without_net_force(dataset), notes


def checked_dataset(dataset: Dataset, sources: Sequence[str] = ()) -> list[str]:
    """Return notes about the data, with the files of the snapshots that they name."""
    try:
        return [
            f"Note: {note}{_sources(note, sources)}"
            for note in workflow.check_dataset(dataset)
        ]
    except DatasetError as error:
        raise DatasetError(f"{error}{_sources(str(error), sources)}") from error


def set_dataset(ph3: Phono3py, dataset: Dataset) -> None:
    """Set the dataset of a crystal."""
    arrays: dict[str, Any] = {
        "displacements": dataset.displacements,
        "forces": dataset.forces,
    }
    if dataset.energies is not None:
        arrays["supercell_energies"] = dataset.energies
    ph3.dataset = arrays


def _with_forces(ph3: Phono3py, number: int) -> Dataset:
    dataset = workflow.read_dataset(ph3.dataset, ph3.supercell)
    if dataset is None:
        which = "ph3" if number == 0 else f"others[{number - 1}]"
        raise DatasetError(
            f"{which}: there are no forces; expected a dataset with forces. Evaluate "
            "or import it first."
        )
    return dataset


def _sources(message: str, sources: Sequence[str]) -> str:
    """Return the sources of the snapshots that a message names."""
    numbers = [int(n) for n in re.findall(r"snapshot (\d+)", message)]
    named = dict.fromkeys(n for n in numbers if 0 < n <= len(sources))
    return "".join(f" Snapshot {n} is {sources[n - 1]}." for n in named)

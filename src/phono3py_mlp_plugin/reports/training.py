"""The potential of a run and its errors on the dataset."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from phono3py_mlp_plugin import plugins
from phono3py_mlp_plugin.contracts import Dataset, Potential
from phono3py_mlp_plugin.errors import DatasetError, MLPError
from phono3py_mlp_plugin.files import Provenance
from phono3py_mlp_plugin.reports.contents import Snapshots
from phono3py_mlp_plugin.reports.folder import RunFolder
from phono3py_mlp_plugin.workflow import (
    Check,
    Split,
    check_dataset,
    check_potential,
    evaluate,
    read_dataset,
    split_dataset,
)

NO_RECORD = "The potential has no record of a training."


def checked_dataset(folder: RunFolder) -> Dataset | None:
    """Return the dataset with forces.

    Raises
    ------
    DatasetError
        If the dataset is inconsistent.
    """
    dataset = read_dataset(folder.crystal.dataset, folder.crystal.supercell)
    if dataset is not None:
        check_dataset(dataset)
    return dataset


def load_potential(folder: RunFolder, path: Path | None) -> Potential:
    """Return the potential.

    Raises
    ------
    DatasetError
        If there is none.
    """
    if path is None and folder.spec.calculator.file_names:
        raise DatasetError(
            "No potential: phono3py --pypolymlp phono3py_params.yaml trains one."
        )
    return plugins.load(folder.spec.calculator, path, folder.spec.options)


def named_potential(folder: RunFolder, path: Path) -> Potential:
    """Return the potential that the user names, which must be one of this crystal.

    Raises
    ------
    ParameterError, PotentialError
        If it is not.
    """
    potential = load_potential(folder, path)
    evaluate(folder.spec.calculator.name, potential, [folder.run.supercell])
    return potential


def split_of(provenance: Provenance | None, dataset: Dataset | None) -> Split:
    """Return which snapshots of the dataset were used for training and testing.

    Raises
    ------
    DatasetError
        If the potential was trained on another dataset.
    """
    if provenance is None or dataset is None:
        return no_split()
    head, _, seed = provenance.split.partition(", seed ")
    try:
        return split_dataset(
            len(dataset),
            provenance.n_training,
            provenance.n_test,
            seed=int(seed) if head == "shuffled" else None,
        )
    except (MLPError, ValueError):
        raise DatasetError(
            f"The potential was trained on {provenance.n_training} supercells and "
            f"tested on {provenance.n_test}; this dataset has {len(dataset)}: it is "
            "another one."
        ) from None


def no_split() -> Split:
    """Return empty training and test sets, for an unknown split."""
    empty = np.empty(0, dtype=np.intp)
    return Split(empty, empty)


def snapshots_of(
    folder: RunFolder, potential: Potential, dataset: Dataset | None, split: Split
) -> Snapshots:
    """Return forces and energies of first principles and of the potential.

    Raises
    ------
    DatasetError
        If there is no dataset.
    """
    if dataset is None:
        raise DatasetError(
            "No dataset with forces: give phono3py_params.yaml to the report."
        )
    name = folder.spec.calculator.name
    evaluation = evaluate(name, potential, dataset.supercells())
    return Snapshots.of(dataset, evaluation, split)


def potential_checks(
    folder: RunFolder,
    potential: Potential,
    dataset: Dataset | None,
    split: Split,
    provenance: Provenance | None,
) -> list[Check]:
    """Return the checks of the potential."""
    evaluated = None if folder.evaluated is None else folder.evaluated.displacements
    return check_potential(
        folder.spec.calculator.name,
        potential,
        folder.run.supercell,
        evaluated,
        dataset,
        split.training.tolist(),
        provenance if len(split.training) else None,
    )

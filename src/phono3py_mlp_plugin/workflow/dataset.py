"""Reading, checking and splitting of datasets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from phono3py_mlp_plugin.contracts import Dataset, FloatArray
from phono3py_mlp_plugin.errors import DatasetError, ParameterError, one_line

if TYPE_CHECKING:
    from phonopy.structure.atoms import PhonopyAtoms


# Upper limit of displacements (angstrom), forces (eV/angstrom) and energies (eV).
_LARGEST = 1e12


@dataclass(frozen=True, eq=False)
class Split:
    """Division of a dataset into training and test sets.

    Attributes
    ----------
    training, test : ndarray
        Indices of snapshots.
    seed : int or None
        Seed of the random selection. None if the first snapshots are the training set
        and the last ones the test set.
    """

    training: NDArray[np.intp]
    test: NDArray[np.intp]
    seed: int | None = None

    @property
    def shuffled(self) -> bool:
        """Whether the snapshots were selected at random."""
        return self.seed is not None

    def __str__(self) -> str:
        return "head-tail" if self.seed is None else f"shuffled, seed {self.seed}"


def read_dataset(
    dataset: Mapping[str, Any] | None, supercell: PhonopyAtoms, where: str = "dataset"
) -> Dataset | None:
    """Return displacements, forces and energies of the host's dataset.

    Parameters
    ----------
    dataset : mapping or None
        Dataset of type 1 (``first_atoms``) or type 2 (``displacements``).
    supercell : PhonopyAtoms
        The supercell without displacements.
    where : str
        Source of the dataset, used in error messages.

    Returns
    -------
    Dataset or None
        None if there are no forces.

    Raises
    ------
    DatasetError
        If shapes do not fit the supercell, or a number is not finite.
    """
    if dataset is None:
        return None
    if "first_atoms" in dataset:
        pairs_marked = with_pairs_marked(dataset)
        arrays = _from_first_atoms(pairs_marked["first_atoms"], len(supercell))
    else:
        arrays = (
            dataset.get("displacements"),
            dataset.get("forces"),
            dataset.get("supercell_energies"),
        )
    if arrays[1] is None:
        return None
    names = ("displacements", "forces", "energies")
    by_name = {
        name: _array(values, f"{where}: {name}")
        for name, values in zip(names, arrays, strict=True)
        if values is not None
    }
    _check_lengths(by_name, where)
    shape = (len(by_name["forces"]), len(supercell), 3)
    for name, array in by_name.items():
        _check_values(
            array, shape[: 1 if name == "energies" else 3], f"{where}: {name}"
        )
    return Dataset(
        supercell,
        by_name["displacements"],
        by_name["forces"],
        by_name.get("energies"),
    )


def split_dataset(
    n: int,
    ntrain: int | None = None,
    ntest: int | None = None,
    test_size: float = 0.1,
    seed: int | None = None,
) -> Split:
    """Return the first and last of ``n`` snapshots, shuffled before if a seed is given.

    Parameters
    ----------
    n : int
        Number of snapshots.
    ntrain, ntest : int, optional
        Number of snapshots used for training (the first ones) and for testing (the last
        ones). If only one is given, the other set consists of the remaining snapshots.
    test_size : float
        Fraction of snapshots in the test set if neither number is given.
    seed : int, optional
        With the same seed, the test set is the same for all ``ntrain``, and a larger
        training set contains the smaller ones.

    Raises
    ------
    ParameterError
        If a set would be empty, or the two would overlap.

    Examples
    --------
    >>> split = split_dataset(100, ntrain=20, ntest=20)
    >>> split.training[[0, -1]].tolist(), split.test[[0, -1]].tolist()
    ([0, 19], [80, 99])
    """
    if n < 2:
        raise ParameterError(
            f"{n} supercell has forces; at least 2 are needed, one of them for testing."
        )
    if ntrain is None and ntest is None:
        ntrain = int(n * (1 - test_size))
    if ntrain is None:
        ntrain = n - _positive("ntest", ntest, n)
    if ntest is None:
        ntest = n - _positive("ntrain", ntrain, n)
    _positive("ntrain", ntrain, n)
    _positive("ntest", ntest, n)
    if ntrain + ntest > n:
        raise ParameterError(
            f"ntrain + ntest = {ntrain} + {ntest}; the dataset has {n} supercells, so "
            "that training and test set would overlap. Lower one of them."
        )
    order = np.arange(n)
    if seed is not None:
        order = np.random.default_rng(seed).permutation(n)
    return Split(order[:ntrain], order[n - ntest :], seed)


def _positive(name: str, value: int | None, n: int) -> int:
    if value is None or not 0 < value < n:
        raise ParameterError(
            f"{name} = {value}; expected 1 to {n - 1} of the {n} supercells."
        )
    return value


def displacements_of(
    dataset: Mapping[str, Any] | None, supercell: PhonopyAtoms
) -> FloatArray | None:
    """Return the displacements (angstrom) of the host's dataset, shape ``(n, N, 3)``.

    Pairs beyond the cutoff are left out. None if there are no displacements.
    """
    if dataset is None:
        return None
    if "first_atoms" not in dataset:
        values = dataset.get("displacements")
        return None if values is None else np.array(values, dtype="double", order="C")
    entries = _entries(dataset["first_atoms"], len(supercell))
    return np.array([displacement for displacement, _ in entries])


def with_pairs_marked(dataset: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the host's dataset; pairs without any force are marked as not included.

    phono3py writes zeros to FORCES_FC3 for pairs beyond the cutoff of
    ``--cutoff-pair``, and a file of displacements does not always tell which they are.
    Single displacements have no cutoff: they are not marked.
    """
    if "first_atoms" not in dataset:
        return dataset
    atoms = [
        {
            **atom,
            "second_atoms": [
                {**pair, "included": False} if _is_zero(pair.get("forces")) else pair
                for pair in atom["second_atoms"]
            ],
        }
        if "second_atoms" in atom
        else atom
        for atom in dataset["first_atoms"]
    ]
    return {**dataset, "first_atoms": atoms}


def _is_zero(forces: Any) -> bool:
    try:
        return forces is not None and not np.array(forces, dtype="double").any()
    except (TypeError, ValueError):
        # Reported where the values are read.
        return False


def _entries(
    first_atoms: Any, n_atoms: int
) -> list[tuple[FloatArray, Mapping[str, Any]]]:
    """Return displacements and records of a type-1 dataset.

    Single displacements come first, as the host orders supercells; pairs beyond the
    cutoff are left out.
    """
    singles, pairs = [], []
    for first in first_atoms:
        one = np.zeros((n_atoms, 3))
        one[first["number"]] = first["displacement"]
        singles.append((one, first))
        for second in first.get("second_atoms", ()):
            if second.get("included", True):
                two = one.copy()
                two[second["number"]] += second["displacement"]
                pairs.append((two, second))
    return singles + pairs


def _from_first_atoms(first_atoms: Any, n_atoms: int) -> tuple[Any, Any, Any]:
    """Return displacements, forces and energies of a type-1 dataset."""
    entries = _entries(first_atoms, n_atoms)
    if not all("forces" in entry for _, entry in entries):
        return None, None, None
    energies = [entry.get("supercell_energy") for _, entry in entries]
    return (
        np.array([displacement for displacement, _ in entries]),
        np.array([entry["forces"] for _, entry in entries]),
        None if None in energies else energies,
    )


def _array(values: Any, where: str) -> FloatArray:
    try:
        array = np.array(values, dtype="double", order="C")
    except (TypeError, ValueError) as error:
        raise DatasetError(
            f"{where}: not an array of numbers ({one_line(error)})."
        ) from error
    if array.ndim == 0:
        raise DatasetError(f"{where}: {array}; expected an array.")
    return array


def _check_lengths(arrays: Mapping[str, FloatArray], where: str) -> None:
    """Raise if the arrays have different numbers of supercells."""
    if len({len(array) for array in arrays.values()}) > 1:
        raise DatasetError(
            f"{where}: "
            + ", ".join(f"{name} of {len(a)} supercells" for name, a in arrays.items())
            + ". Leave out the supercells that were not computed."
        )


def _check_values(array: FloatArray, shape: tuple[int, ...], where: str) -> None:
    """Raise if an array has a wrong shape or impossible values."""
    if array.shape != shape:
        raise DatasetError(
            f"{where}: shape = {array.shape}; expected {shape}. "
            "Was the dataset made for this supercell?"
        )
    finite = np.isfinite(array.reshape(len(array), -1)).all(axis=1)
    if not finite.all():
        raise DatasetError(
            f"{where}: snapshot {int(np.argmin(finite)) + 1} holds a number that is "
            "not finite. Compute it again or leave it out."
        )
    largest = np.abs(array).reshape(len(array), -1).max(axis=1, initial=0.0)
    if largest.max(initial=0.0) > _LARGEST:
        raise DatasetError(
            f"{where}: snapshot {int(largest.argmax()) + 1} holds {largest.max():.3g}, "
            "which is impossible. Compute it again or leave it out."
        )

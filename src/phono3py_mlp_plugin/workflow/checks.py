"""Checks of the consistency of a dataset, made before a potential is trained on it.

Snapshots are numbered from 1, as in the host's files.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from phono3py_mlp_plugin.contracts import Dataset, FloatArray
from phono3py_mlp_plugin.errors import DatasetError
from phono3py_mlp_plugin.workflow.consistency import check_energies, check_forces
from phono3py_mlp_plugin.workflow.dataset import Split
from phono3py_mlp_plugin.workflow.sites import Sites

# Displacements that agree within this tolerance (angstrom) are the same.
_SAME = 1e-6

# Largest difference of forces for the same displacements, as a fraction of the rms
# force.
_CONTRADICTION = 0.1

# Largest mean force of a snapshot, as a fraction of the rms force.
_NET_FORCE = 0.02

# Largest ratio of rms force over rms displacement between snapshots of one crystal;
# units of forces differ by factors of 13.6 (Ry), 25.7 (Ry/bohr) and more.
_OTHER_UNITS = 6.0
_UNCERTAIN = 0.25
_UNITS = {
    13.606: "Ry/angstrom",
    25.711: "Ry/bohr",
    27.211: "hartree/angstrom",
    51.422: "hartree/bohr",
}

# With at least _MANY snapshots, one of them may differ by this factor, and by this
# many times the spread. Good data: up to 4.7 spreads; factors of 1.17 for 64 atoms, 2.1
# for 8 (limit 6), 1.9 for Lennard-Jones at 0.6 angstrom.
_MANY = 8
_OTHER_STIFFNESS = 1.5
_FAR = 10.0

# Displacements of a smaller fraction of the atoms than this are systematic ones.
_FEW = 0.2

# Energies of one supercell differ by less than this factor.
_OTHER_ENERGY = 3.0

# Largest difference of energies over 1/2 |u| |F|. Good data: at most 1, even if the
# crystal is strongly anharmonic.
_MORE_THAN_WORK = 3.0

# Rank correlation of amplitude and position, and ratio of the largest to the smallest
# amplitude, from which a dataset counts as ordered.
_ORDERED = 0.8
_SPREAD = 1.2


def check_dataset(dataset: Dataset) -> list[str]:
    """Raise if a dataset is inconsistent, and return notes on what is suspicious.

    Parameters
    ----------
    dataset : Dataset

    Returns
    -------
    list of str
        Notes for the user.

    Raises
    ------
    DatasetError
        If a displacement reaches the neighbouring atoms, forces or energies are in
        different units, or the same displacements have different forces.
    """
    _check_displacements(dataset)
    suspicious = check_forces(dataset)
    _check_zero(dataset)
    _check_stiffness(dataset)
    _check_magnitude(dataset)
    check_energies(dataset)
    return [
        *_few_displaced(dataset),
        *_repeated(dataset),
        *suspicious,
        *_net_force(dataset),
    ]


def check_split(dataset: Dataset, split: Split) -> list[str]:
    """Return a note if the training and test sets differ in amplitude."""
    amplitudes = _rms(dataset.displacements)
    n = len(amplitudes)
    if split.shuffled or n < 5 or amplitudes.max() < _SPREAD * amplitudes.min():
        return []
    ranks = np.argsort(np.argsort(amplitudes))
    if abs(np.corrcoef(ranks, np.arange(n))[0, 1]) < _ORDERED:
        return []
    training, test = (
        float(np.sqrt((amplitudes[rows] ** 2).mean()))
        for rows in (split.training, split.test)
    )
    return [
        f"the dataset is ordered by amplitude: {training:.3f} angstrom (rms) in the "
        f"training set, {test:.3f} in the test set. 'split = shuffled' among the "
        "parameters mixes them."
    ]


def _check_displacements(dataset: Dataset) -> None:
    lengths = np.linalg.norm(dataset.displacements, axis=2)
    limit = Sites(dataset.supercell).neighbour_distance
    snapshot, atom = np.unravel_index(int(lengths.argmax()), lengths.shape)
    if lengths[snapshot, atom] > limit:
        raise DatasetError(
            f"snapshot {snapshot + 1}: displacement of atom {atom + 1} = "
            f"{lengths[snapshot, atom]:.2f} angstrom; atoms are {limit:.2f} apart. Was "
            "it wrapped into the cell, or made for another supercell?"
        )


def _check_zero(dataset: Dataset) -> None:
    # Forces whose squares underflow count as zero, too.
    still = _rms(dataset.forces) == 0
    wrong = np.flatnonzero(still & (dataset.displacements != 0).any(axis=(1, 2)))
    if len(wrong):
        raise DatasetError(
            f"snapshot {wrong[0] + 1}: all forces are zero. Were they computed?"
        )


def _check_stiffness(dataset: Dataset) -> None:
    """Raise if a snapshot differs in its ratio of forces to displacements."""
    if len(dataset.supercell) < 2:
        return
    # If few atoms are displaced, the forces depend on which ones.
    displaced = np.abs(dataset.displacements).max(axis=2) > 0
    many = displaced.mean(axis=1) >= 0.5
    # Medians over the atoms: two atoms that come close to each other, which have large
    # forces, do not indicate different units.
    strengths, lengths = (
        np.median(np.linalg.norm(vectors, axis=2), axis=1)
        for vectors in (dataset.forces, dataset.displacements)
    )
    _compare_stiffness(np.flatnonzero(many & (lengths > 0)), strengths, lengths)
    strengths, lengths = (
        np.sqrt((vectors**2 * displaced[:, :, None]).sum(axis=(1, 2)))
        for vectors in (dataset.forces, dataset.displacements)
    )
    symbols = np.array(dataset.supercell.symbols)
    few = np.flatnonzero(~many & (lengths > 0))
    kinds = [tuple(sorted(symbols[displaced[i]])) for i in few]
    for kind in dict.fromkeys(kinds):
        alike = few[[kind == other for other in kinds]]
        _compare_stiffness(alike, strengths, lengths, _OTHER_UNITS)


def _compare_stiffness(
    snapshots: NDArray[np.intp],
    strengths: FloatArray,
    lengths: FloatArray,
    least: float = _OTHER_STIFFNESS,
) -> None:
    if len(snapshots) < 3:
        return
    length = lengths[snapshots]
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        ratio = strengths[snapshots] / length
        ratio /= _upper_median(ratio)
        # Crystals become stiffer with the amplitude.
        stiffer = np.maximum(1.0, length / np.median(length))
        ratio_allowed = np.where(ratio > 1, np.maximum(ratio / stiffer, 1), ratio)
        deviations = np.abs(np.log(ratio_allowed))
    worst = int(np.argmax(deviations))
    limit = np.log(_OTHER_UNITS)
    if len(snapshots) >= _MANY:
        spread = 1.4826 * float(np.median(deviations))
        limit = min(limit, max(np.log(least), _FAR * spread))
    if not deviations[worst] <= limit:
        raise DatasetError(
            f"snapshot {snapshots[worst] + 1}: forces over displacements are "
            f"{ratio[worst]:.3g} times those of the others"
            f"{_unit_of(ratio[worst])}. Compute it again or leave it out."
        )


def _check_magnitude(dataset: Dataset) -> None:
    """Raise if energies differ by more than the forces can explain."""
    energies = dataset.energies
    if energies is None or len(dataset) < 3:
        return
    median = float(np.median(energies))
    with np.errstate(divide="ignore", invalid="ignore"):
        deviations = np.abs(np.log(np.abs(energies / median)))
    lengths, strengths = (
        np.sqrt((vectors**2).sum(axis=(1, 2)))
        for vectors in (dataset.displacements, dataset.forces)
    )
    work = 0.5 * float((lengths * strengths).max())
    least = max(0.1 * len(dataset.supercell), _MORE_THAN_WORK * work)
    wrong = np.flatnonzero(
        (np.abs(energies - median) > least) & ~(deviations < np.log(_OTHER_ENERGY))
    )
    if len(wrong):
        raise DatasetError(
            f"snapshot {wrong[0] + 1}: energy = {energies[wrong[0]]:.6g} eV; the "
            f"median is {median:.6g}. Is it in other units?"
        )


def _unit_of(ratio: float) -> str:
    factor = ratio if ratio > 1 else 1 / max(ratio, 1e-300)
    near = [
        f"{name} (factor {unit})"
        for unit, name in _UNITS.items()
        if abs(np.log(factor / unit)) < _UNCERTAIN
    ]
    if not near:
        return ""
    which = "are these" if ratio < 1 else "are the others"
    return f" ({which} in {' or '.join(near)}?)"


def _few_displaced(dataset: Dataset) -> list[str]:
    moved = (np.abs(dataset.displacements).max(axis=2) > 0).sum(axis=1)
    median = int(np.median(moved))
    if median >= _FEW * dataset.displacements.shape[1]:
        return []
    return [
        f"a snapshot displaces {median} of {dataset.displacements.shape[1]} atoms: a "
        "potential learns more from random displacements of all (--rd)."
    ]


def _repeated(dataset: Dataset) -> list[str]:
    first: dict[bytes, int] = {}
    notes = []
    scale = float(np.sqrt((dataset.forces**2).mean()))
    for i, displacement in enumerate(dataset.displacements):
        key = (np.round(displacement / _SAME) + 0.0).tobytes()
        j = first.setdefault(key, i)
        if j == i:
            continue
        difference = float(_rms((dataset.forces[i] - dataset.forces[j])[None])[0])
        if difference > _CONTRADICTION * scale:
            raise DatasetError(
                f"snapshots {j + 1} and {i + 1} have the same displacements and "
                f"forces that differ by {difference:.3g} eV/angstrom (rms). Leave one "
                "out."
            )
        notes.append(
            f"snapshots {j + 1} and {i + 1} are the same: if one is used for training "
            "and the other for testing, the test error is too small."
        )
    return notes


def _net_force(dataset: Dataset) -> list[str]:
    net = np.linalg.norm(dataset.forces.mean(axis=1), axis=1)
    scale = float(np.sqrt((dataset.forces**2).mean()))
    worst = int(net.argmax())
    if net[worst] <= _NET_FORCE * scale:
        return []
    return [
        f"snapshot {worst + 1}: the mean force is {net[worst]:.2g} eV/angstrom per "
        f"atom ({100 * net[worst] / scale:.0f} % of the rms force); it should vanish. "
        "Is the calculation converged?"
    ]


def _upper_median(values: FloatArray) -> float:
    """Return the median; of an even number of values, the larger middle one."""
    return float(np.sort(values)[len(values) // 2])


def _rms(vectors: FloatArray) -> FloatArray:
    """Return the root mean square over the components of each snapshot."""
    return np.asarray(np.sqrt((vectors**2).mean(axis=(1, 2))))

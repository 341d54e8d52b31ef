"""What a dataset says against itself, before a potential is trained on it.

Snapshots are counted from 1, as in the host's files.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from phono3py_mlp_plugin.contracts import Dataset, FloatArray
from phono3py_mlp_plugin.errors import DatasetError
from phono3py_mlp_plugin.workflow.consistency import check_energies, check_forces
from phono3py_mlp_plugin.workflow.dataset import Split
from phono3py_mlp_plugin.workflow.sites import Sites

# Displacements that agree to this (angstrom) are the same.
_SAME = 1e-6

# Part of the rms force by which forces of the same displacements may differ.
_CONTRADICTION = 0.1

# Part of the rms force that the mean force of a snapshot may have.
_NET_FORCE = 0.02

# Snapshots of one crystal differ less than this in rms force over rms displacement;
# units of forces differ by 13.6 (Ry), 25.7 (Ry/bohr) and more.
_OTHER_UNITS = 6.0
_UNCERTAIN = 0.25
_UNITS = {
    13.606: "Ry/angstrom",
    25.711: "Ry/bohr",
    27.211: "hartree/angstrom",
    51.422: "hartree/bohr",
}

# Where there are so many snapshots, by how much one may differ: by this factor, and by
# this many spreads. Good data: up to 4.7 spreads; 1.17 for 64 atoms, 2.1 for 8 (limit
# 6), 1.9 for Lennard-Jones at 0.6 angstrom.
_MANY = 8
_OTHER_STIFFNESS = 1.5
_FAR = 10.0

# Part of the atoms of which fewer are displaced in systematic displacements.
_FEW = 0.2

# Energies of one supercell differ less than by this factor.
_OTHER_ENERGY = 3.0

# Differences of energies over 1/2 |u| |F|: at most 1 in good data, however anharmonic.
_MORE_THAN_WORK = 3.0

# Rank correlation of amplitude and place, and ratio of amplitudes, of an ordered set.
_ORDERED = 0.8
_SPREAD = 1.2


def check_dataset(dataset: Dataset) -> list[str]:
    """Refuse what contradicts itself; return notes on what is only suspicious.

    Parameters
    ----------
    dataset : Dataset

    Raises
    ------
    DatasetError
        A displacement reaches the neighbouring atoms, forces or energies are in other
        units, or the same displacements have different forces.
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
    """Return a note where head and tail of the dataset are not alike."""
    amplitudes = _rms(dataset.displacements)
    n = len(amplitudes)
    if split.shuffled or n < 5 or amplitudes.max() < _SPREAD * amplitudes.min():
        return []
    ranks = np.argsort(np.argsort(amplitudes))
    if abs(np.corrcoef(ranks, np.arange(n))[0, 1]) < _ORDERED:
        return []
    training, test = (
        float(np.sqrt((amplitudes[some] ** 2).mean()))
        for some in (split.training, split.test)
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
    # Numbers whose squares underflow are zero too.
    still = _rms(dataset.forces) == 0
    wrong = np.flatnonzero(still & (dataset.displacements != 0).any(axis=(1, 2)))
    if len(wrong):
        raise DatasetError(
            f"snapshot {wrong[0] + 1}: all forces are zero. Were they computed?"
        )


def _check_stiffness(dataset: Dataset) -> None:
    """Refuse snapshots whose forces over displacements are not those of the others."""
    if len(dataset.supercell) < 2:
        return
    # Where few atoms are displaced, the force depends on which ones.
    displaced = np.abs(dataset.displacements).max(axis=2) > 0
    many = displaced.mean(axis=1) >= 0.5
    # Of most of the atoms: two that come close to each other are no matter of units.
    pulls, lengths = (
        np.median(np.linalg.norm(vectors, axis=2), axis=1)
        for vectors in (dataset.forces, dataset.displacements)
    )
    _compare_stiffness(np.flatnonzero(many & (lengths > 0)), pulls, lengths)
    pulls, lengths = (
        np.sqrt((vectors**2 * displaced[:, :, None]).sum(axis=(1, 2)))
        for vectors in (dataset.forces, dataset.displacements)
    )
    symbols = np.array(dataset.supercell.symbols)
    few = np.flatnonzero(~many & (lengths > 0))
    kinds = [tuple(sorted(symbols[displaced[i]])) for i in few]
    for kind in dict.fromkeys(kinds):
        alike = few[[kind == other for other in kinds]]
        _compare_stiffness(alike, pulls, lengths, _OTHER_UNITS)


def _compare_stiffness(
    snapshots: NDArray[np.intp],
    pulls: FloatArray,
    lengths: FloatArray,
    least: float = _OTHER_STIFFNESS,
) -> None:
    if len(snapshots) < 3:
        return
    length = lengths[snapshots]
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        ratio = pulls[snapshots] / length
        ratio /= _middle(ratio)
        # Crystals become stiffer with the amplitude.
        stiffer = np.maximum(1.0, length / np.median(length))
        off = np.abs(np.log(np.where(ratio > 1, np.maximum(ratio / stiffer, 1), ratio)))
    worst = int(np.argmax(off))
    limit = np.log(_OTHER_UNITS)
    if len(snapshots) >= _MANY:
        spread = 1.4826 * float(np.median(off))
        limit = min(limit, max(np.log(least), _FAR * spread))
    if not off[worst] <= limit:
        raise DatasetError(
            f"snapshot {snapshots[worst] + 1}: forces over displacements are "
            f"{ratio[worst]:.3g} times those of the others"
            f"{_unit_of(ratio[worst])}. Compute it again or leave it out."
        )


def _check_magnitude(dataset: Dataset) -> None:
    """Refuse energies that differ by more than any work of the forces."""
    energies = dataset.energies
    if energies is None or len(dataset) < 3:
        return
    middle = float(np.median(energies))
    with np.errstate(divide="ignore", invalid="ignore"):
        off = np.abs(np.log(np.abs(energies / middle)))
    lengths, strengths = (
        np.sqrt((vectors**2).sum(axis=(1, 2)))
        for vectors in (dataset.displacements, dataset.forces)
    )
    work = 0.5 * float((lengths * strengths).max())
    least = max(0.1 * len(dataset.supercell), _MORE_THAN_WORK * work)
    wrong = np.flatnonzero(
        (np.abs(energies - middle) > least) & ~(off < np.log(_OTHER_ENERGY))
    )
    if len(wrong):
        raise DatasetError(
            f"snapshot {wrong[0] + 1}: energy = {energies[wrong[0]]:.6g} eV; the "
            f"median is {middle:.6g}. Is it in other units?"
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
    middle = int(np.median(moved))
    if middle >= _FEW * dataset.displacements.shape[1]:
        return []
    return [
        f"a snapshot displaces {middle} of {dataset.displacements.shape[1]} atoms: a "
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
            f"snapshots {j + 1} and {i + 1} are the same: where one trains and the "
            "other tests, the test error says too little."
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


def _middle(values: FloatArray) -> float:
    """Return the median, of an even number the larger of the two in the middle."""
    return float(np.sort(values)[len(values) // 2])


def _rms(vectors: FloatArray) -> FloatArray:
    """Return the root mean square of the components of each snapshot."""
    return np.asarray(np.sqrt((vectors**2).mean(axis=(1, 2))))

"""Comparison of the directions of forces and displacements.

In a stable crystal, forces pull atoms back to their sites. The cosine between
``-displacements`` and ``forces`` of a snapshot, as vectors of 3 N components, is
therefore large. It is close to zero if the forces belong to another snapshot, or are
given for atoms in another order or along other axes. It does not depend on units.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import permutations, product

import numpy as np
from numpy.typing import NDArray

from phono3py_mlp_plugin.contracts import Dataset, FloatArray

# Smallest cosine of a snapshot. The smallest value in the host's 27 datasets (NaCl,
# MgO, AlN, ZnTe, Si, C; random, thermal and systematic displacements) is 0.72; in
# Lennard-Jones, Morse and EMT crystals it is 0.82 at 0.1 angstrom and 0.43 at 0.6, a
# sixth of the distance between neighbours. Forces of another snapshot give
# 0 +- 1 / sqrt(3 N).
_LEAST_COSINE = 0.35

# Mean cosine over a dataset below which forces are not related to displacements. Good
# data: at least 0.57.
_UNRELATED = 0.25

# Least increase of the mean cosine by the correction of a mistake: a constant plus a
# multiple of the standard deviation of unrelated forces. Good data: no increase for
# other signs, snapshots and atoms; 0.000 for other axes, 0.06 for 5 snapshots of 2
# atoms (limit 0.18).
_BETTER = 0.1
_BETTER_AXES = 0.05
_CHANCE = 5.0
_CHANCE_AXES = 0.5

# Increase of the cosine from which a general order (or rotation) is preferred to a
# special one.
_SIMPLER = 0.05
_SPECIAL = 0.03

# Least cosine after the correction of a mistake.
_RIGHT = 0.4

# Wrong axes are recognised only if displacements point in all directions: smallest over
# largest singular value of the mean response. Good data: 0.04 (systematic) to 0.99; one
# displaced atom: 0.
_ALL_DIRECTIONS = 0.01

# Largest number of snapshots for which all pairs are compared.
_ALL_PAIRS = 3000

# Displacements shorter than this fraction of the median length are ignored.
_NEGLIGIBLE = 1e-3

# Snapshots whose displacements have a larger cosine than this are not independent.
_ALIKE = 0.5

# If a smaller fraction of the atoms is displaced, displacements are called sparse:
# forces on the other atoms are due to their neighbours only.
_SPARSE = 0.5


@dataclass(frozen=True)
class Mistake:
    """A possible mistake: its text, its remedy, and the mean cosine if corrected."""

    text: str
    remedy: str
    cosine: float


_IN_ORDER = "Put forces and displacements in the same order of snapshots"
_ATOMS_IN_ORDER = "Put the forces in the order of the atoms of the supercell"
_TURN = "Turn the forces to the axes of the supercell"


@dataclass(frozen=True, eq=False)
class Response:
    """Directions of the displacements and forces of snapshots.

    Attributes
    ----------
    displacements, forces : ndarray
        Without net displacement and net force, each snapshot normalised to length 1,
        shape ``(n, N, 3)``.
    snapshots : ndarray
        Indices of the snapshots in the dataset, shape ``(n,)``.
    sparse : bool
        Whether few atoms are displaced in each snapshot.
    """

    displacements: FloatArray
    forces: FloatArray
    snapshots: NDArray[np.intp]
    sparse: bool

    def __len__(self) -> int:
        return len(self.displacements)

    @cached_property
    def cosines(self) -> FloatArray:
        """Cosine of each snapshot, shape ``(n,)``."""
        return np.asarray(-np.einsum("kai,kai->k", self.displacements, self.forces))

    @cached_property
    def mean(self) -> float:
        """Mean cosine."""
        return float(self.cosines.mean())

    @property
    def degrees_of_freedom(self) -> int:
        """Number of independent components of a snapshot."""
        return 3 * int(self.displacements.shape[1]) - 3

    @property
    def chance(self) -> float:
        """Standard deviation of the mean cosine of unrelated forces."""
        return float(1 / np.sqrt(len(self) * self.degrees_of_freedom))

    @cached_property
    def pairs(self) -> FloatArray:
        """Cosines of displacements (rows) and forces (columns), shape ``(n, n)``."""
        n = len(self)
        return np.asarray(
            -self.displacements.reshape(n, -1) @ self.forces.reshape(n, -1).T
        )

    def anharmonicity(self) -> float | None:
        """Return the part of the response that violates reciprocity, 0 to 1.

        A harmonic crystal obeys u1 . F2 = u2 . F1. None if there are too few pairs of
        independent snapshots. At most 0.034 in the host's datasets.
        """
        n = min(len(self), _ALL_PAIRS)
        directions = self.displacements[:n].reshape(n, -1)
        overlaps = np.abs(directions @ directions.T)
        pairs = self.pairs[:n, :n]
        independent = np.triu(overlaps < _ALIKE, 1)
        total = float((pairs[independent] ** 2 + pairs.T[independent] ** 2).sum())
        if independent.sum() < 3 or total <= 0:
            return None
        symmetric = float((pairs[independent] * pairs.T[independent]).sum())
        return min(1.0, max(0.0, 1 - 2 * symmetric / total))


def response_of(dataset: Dataset) -> Response | None:
    """Return the response of a dataset; None if nothing is displaced.

    Mean forces and displacements are subtracted if that increases the cosine, which is
    the case if the structure is not relaxed. The mean of harmonic forces belongs to the
    mean of the displacements.
    """
    plain = _response(dataset, dataset.displacements, dataset.forces)
    if plain is None or len(dataset) < 3:
        return plain
    centred = _response(
        dataset,
        dataset.displacements - dataset.displacements.mean(axis=0),
        dataset.forces - dataset.forces.mean(axis=0),
    )
    if centred is None or centred.mean < plain.mean + 0.05:
        return plain
    return centred


def _response(
    dataset: Dataset, displacements: FloatArray, forces: FloatArray
) -> Response | None:
    moved = displacements - displacements.mean(axis=1, keepdims=True)
    net_free = forces - forces.mean(axis=1, keepdims=True)
    lengths = np.sqrt((moved**2).sum(axis=(1, 2)))
    strengths = np.sqrt((net_free**2).sum(axis=(1, 2)))
    usable = (lengths > _NEGLIGIBLE * np.median(lengths)) & (strengths > 0)
    if dataset.displacements.shape[1] < 2 or not usable.any():
        return None
    displaced = (np.abs(dataset.displacements).max(axis=2) > 0).mean(axis=1)
    return Response(
        moved[usable] / lengths[usable, None, None],
        net_free[usable] / strengths[usable, None, None],
        np.flatnonzero(usable),
        bool(np.median(displaced[usable]) < _SPARSE),
    )


def unrelated(response: Response) -> bool:
    """Return whether forces are not related to displacements."""
    significant = response.chance < _UNRELATED / 2
    return significant and response.mean < min(_UNRELATED, 3 * response.chance + 0.05)


def mistakes_of(response: Response, lattices: dict[str, FloatArray]) -> list[Mistake]:
    """Return the mistakes whose correction makes the forces fit, the best first.

    Parameters
    ----------
    response : Response
    lattices : dict of ndarray
        Lattice vectors (rows) that fractional displacements may refer to, by name.
    """
    candidates = [
        *_of_sign(response),
        *_of_snapshots(response),
        *_of_atoms(response),
        *_of_fractions(response, lattices),
    ]
    least = response.mean + _BETTER + _CHANCE * response.chance
    fitting = [m for m in candidates if m.cosine > max(_RIGHT, least)]
    least = response.mean + _BETTER_AXES + _CHANCE_AXES * response.chance
    fitting += [m for m in _of_axes(response) if m.cosine > max(_RIGHT, least)]
    if not fitting:
        return []
    best = max(m.cosine for m in fitting)
    near = [m for m in fitting if m.cosine > best - 0.02]
    return sorted(near, key=lambda m: -m.cosine)


def exchanged_forces(response: Response) -> dict[int, int]:
    """Return the snapshots that have the forces of another one, and that one.

    Indices count from 0. In good data, the cosine with the displacements of another
    snapshot is larger by at most 0.005.
    """
    if not 2 < len(response) <= _ALL_PAIRS:
        return {}
    pairs = response.pairs.copy()
    np.fill_diagonal(pairs, -1)
    best = pairs.argmax(axis=0)
    fit = pairs.max(axis=0)
    gain = fit - response.cosines
    wrong = fit > max(0.5, 0.7 * float(np.median(response.cosines)))
    if response.sparse:
        # Snapshots share displaced atoms: the cosine of wrong forces is high, too.
        wrong &= gain > 0.12
    else:
        wrong &= (gain > 0.3) & (response.cosines < _LEAST_COSINE)
    snapshots = response.snapshots
    return {int(snapshots[i]): int(snapshots[best[i]]) for i in np.flatnonzero(wrong)}


def snapshots_with_unrelated_forces(response: Response) -> list[int]:
    """Return the indices of snapshots whose forces do not pull the atoms back."""
    limit = _LEAST_COSINE - 1 / np.sqrt(response.degrees_of_freedom)
    limit = min(limit, 0.5 * float(np.median(response.cosines)))
    return [int(i) for i in response.snapshots[response.cosines < limit]]


def _of_sign(response: Response) -> Iterator[Mistake]:
    yield Mistake(
        "forces or displacements with the opposite sign (are they gradients of the "
        "energy?)",
        "Change the sign",
        -response.mean,
    )


def _of_snapshots(response: Response) -> Iterator[Mistake]:
    n = len(response)
    if not 2 < n <= _ALL_PAIRS:
        return
    rows = np.arange(n)
    for shift in range(1, n):
        cosine = float(response.pairs[(rows + shift) % n, rows].mean())
        text = f"each snapshot has the forces of {name_of_shift(shift, n)}"
        yield Mistake(text, _IN_ORDER, cosine)
    reverse = float(response.pairs[rows, rows[::-1]].mean())
    yield Mistake("forces of snapshots in reverse order", _IN_ORDER, reverse)
    holder = _best_order(response.pairs)
    # Expected maximum of n cosines of unrelated forces.
    chance = np.sqrt(2 * np.log(n) / response.degrees_of_freedom)
    cosine = float(response.pairs[rows, holder].mean())
    if cosine > max(0.7, chance + 0.2):
        number = response.snapshots + 1
        named = [
            f"{number[j]} has those of {number[i]}"
            for j, i in sorted(zip(holder, rows, strict=True))
            if i != j
        ]
        yield Mistake(
            f"forces of snapshots in another order ({', '.join(named[:3])}, ...)",
            _IN_ORDER,
            cosine - _SIMPLER,
        )


def name_of_shift(shift: int, n: int) -> str:
    """Return the name of the snapshot ``shift`` places later, of n in a circle."""
    back = shift - n if shift > n // 2 else shift
    if abs(back) == 1:
        return f"the {'following' if back > 0 else 'preceding'} snapshot"
    return f"the snapshot {abs(back)} {'later' if back > 0 else 'earlier'}"


def _of_axes(response: Response) -> Iterator[Mistake]:
    n = len(response)
    mean = -np.einsum("kai,kaj->ij", response.displacements, response.forces) / n
    left, sizes, right = np.linalg.svd(mean)
    if sizes[2] < _ALL_DIRECTIONS * sizes[0]:
        return
    special = float(np.trace(mean))
    for order in permutations(range(3)):
        for signs in product((1, -1), repeat=3):
            if signs != (-1, -1, -1):
                cosine = float((mean[np.arange(3), order] * signs).sum())
                special = max(special, cosine)
                yield Mistake(_axes(order, signs), _TURN, cosine)
    rotation = left @ right
    if np.linalg.det(rotation) > 0 and sizes.sum() > special + _SPECIAL:
        angle = np.degrees(np.arccos(np.clip((np.trace(rotation) - 1) / 2, -1, 1)))
        text = f"forces turned by {angle:.0f} degrees against the displacements"
        yield Mistake(text, _TURN, float(sizes.sum()))


def _best_order(fit: FloatArray) -> NDArray[np.intp]:
    """Return the column assigned to each row such that the sum is the largest."""
    from scipy.optimize import linear_sum_assignment

    return np.asarray(linear_sum_assignment(fit, maximize=True)[1])


def _axes(order: tuple[int, ...], signs: tuple[int, ...]) -> str:
    """Describe forces whose axis i is stored in column ``order[i]``."""
    axes = np.argsort(order)
    held = " ".join(f"{'-' if signs[axis] < 0 else ''}{'xyz'[axis]}" for axis in axes)
    moved = [i for i in range(3) if order[i] != i]
    name = ""
    if min(signs) > 0 and len(moved) == 2:
        name = f"{'xyz'[moved[0]]} and {'xyz'[moved[1]]} exchanged: "
    elif min(signs) > 0 and len(moved) == 3:
        name = "cyclic: "
    return f"forces along other axes ({name}columns x y z hold {held})"


def _of_atoms(response: Response) -> Iterator[Mistake]:
    n, n_atoms, _ = response.displacements.shape
    fit = -np.einsum("kai,kbi->ab", response.displacements, response.forces) / n
    atoms = np.arange(n_atoms)
    for shift in range(1, n_atoms):
        order = (atoms + shift) % n_atoms
        # The forces of atom a are stored at atom a + shift.
        held = n_atoms - shift + 1
        text = f"forces of atoms in another order (atom 1 has those of {held})"
        if 2 * shift == n_atoms:
            text = "forces with the two halves of the atoms exchanged"
        yield Mistake(text, _ATOMS_IN_ORDER, float(fit[atoms, order].sum()))
    orders = {"reverse order": atoms[::-1]}
    for size in range(2, n_atoms):
        if n_atoms % size == 0:
            name = f"another order (by cells of {size} atoms, not by atoms of the cell)"
            orders[name] = atoms.reshape(-1, size).T.ravel()
    for name, order in orders.items():
        cosine = float(fit[atoms, order].sum())
        yield Mistake(f"forces of atoms in {name}", _ATOMS_IN_ORDER, cosine)
    if 3 * n >= n_atoms // 2 and n > 5:
        order = _best_order(fit)
        cosine = float(fit[atoms, order].sum())
        chance = np.sqrt(2 * np.log(n_atoms) / (3 * n))
        moved = np.flatnonzero(order != atoms)
        if len(moved) and cosine > chance + 0.2:
            first = int(order[moved].min())
            text = (
                f"forces of atoms in another order ({len(moved)} of {n_atoms}; atom "
                f"{first + 1} has those of {list(order).index(first) + 1})"
            )
            yield Mistake(text, _ATOMS_IN_ORDER, cosine - _SIMPLER)


def _of_fractions(
    response: Response, lattices: dict[str, FloatArray]
) -> Iterator[Mistake]:
    for name, lattice in lattices.items():
        moved = response.displacements @ lattice
        moved /= np.sqrt((moved**2).sum(axis=(1, 2), keepdims=True))
        cosine = float(-np.einsum("kai,kai->k", moved, response.forces).mean())
        yield Mistake(
            f"displacements as fractions of the {name}",
            "Multiply them by the lattice vectors",
            cosine,
        )

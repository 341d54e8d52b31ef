"""How forces answer to displacements: what any stable crystal has in common.

An atom is pulled back, so that the cosine between ``-displacements`` and ``forces`` of
a snapshot, as vectors of 3 N components, is large; with forces of another snapshot,
of atoms in another order or along other axes it is near zero. It needs no units.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import permutations, product

import numpy as np
from numpy.typing import NDArray

from phono3py_mlp_plugin.contracts import Dataset, FloatArray

# Cosine of a snapshot. Over the host's 27 datasets (NaCl, MgO, AlN, ZnTe, Si, C;
# random, thermal and systematic displacements) the least is 0.72; of Lennard-Jones,
# Morse and EMT crystals 0.82 at 0.1 angstrom and 0.43 at 0.6, a sixth of the distance
# of neighbours. Forces of another snapshot: 0 +- 1 / sqrt(3 N).
_LEAST_COSINE = 0.35

# Mean cosine over a dataset, below which forces have nothing to do with displacements;
# of good ones at least 0.57.
_UNRELATED = 0.25

# By this a mistake, undone, must raise the mean cosine, and by so many times what
# chance does. Good data: never for other signs, snapshots and atoms; 0.000 for other
# axes, 0.06 for 5 snapshots of 2 atoms (limit 0.18).
_BETTER = 0.1
_BETTER_AXES = 0.05
_CHANCE = 5.0
_CHANCE_AXES = 0.5

# By this a general order must be better than a special one, and a general turn.
_SIMPLER = 0.05
_SPECIAL = 0.03

# What the cosine must be once a mistake is undone.
_RIGHT = 0.4

# Axes are told by displacements in all directions: least singular value over the
# largest of the mean response. Good data 0.04 (systematic) to 0.99; one displaced
# atom 0.
_ALL_DIRECTIONS = 0.01

# Snapshots up to which all pairs are compared.
_ALL_PAIRS = 3000

# Displacements over the median length that are none.
_NOTHING = 1e-3

# Snapshots whose displacements are nearer than this cosine are not independent.
_ALIKE = 0.5

# Atoms of which fewer are displaced, in part, leave the others' forces to neighbours.
_SPARSE = 0.5


@dataclass(frozen=True)
class Mistake:
    """What would explain the forces, what to do, and the mean cosine when undone."""

    text: str
    remedy: str
    cosine: float


_IN_ORDER = "Put forces and displacements in the same order of snapshots"
_ATOMS_IN_ORDER = "Put the forces in the order of the atoms of the supercell"
_TURN = "Turn the forces to the axes of the supercell"


@dataclass(frozen=True, eq=False)
class Response:
    """Displacements and forces of snapshots, as directions.

    Attributes
    ----------
    displacements, forces : ndarray
        Net displacement and net force taken out, each snapshot of length 1, shape
        ``(n, N, 3)``.
    snapshots : ndarray
        Their numbers in the dataset, from 0, shape ``(n,)``.
    sparse : bool
        Whether few atoms are displaced at a time.
    """

    displacements: FloatArray
    forces: FloatArray
    snapshots: NDArray[np.intp]
    sparse: bool

    def __len__(self) -> int:
        return len(self.displacements)

    @cached_property
    def cosines(self) -> FloatArray:
        """Of each snapshot, shape ``(n,)``."""
        return np.asarray(-np.einsum("kai,kai->k", self.displacements, self.forces))

    @cached_property
    def mean(self) -> float:
        """Mean cosine."""
        return float(self.cosines.mean())

    @property
    def freedom(self) -> int:
        """Number of independent components of a snapshot."""
        return 3 * int(self.displacements.shape[1]) - 3

    @property
    def chance(self) -> float:
        """Standard deviation of the mean cosine of unrelated forces."""
        return float(1 / np.sqrt(len(self) * self.freedom))

    @cached_property
    def pairs(self) -> FloatArray:
        """Cosines of displacements (rows) and forces (columns), shape ``(n, n)``."""
        n = len(self)
        return np.asarray(
            -self.displacements.reshape(n, -1) @ self.forces.reshape(n, -1).T
        )

    def anharmonicity(self) -> float | None:
        """Return the part of the response that breaks reciprocity, 0 to 1.

        A harmonic crystal obeys u1 . F2 = u2 . F1. None where too few pairs of
        independent snapshots tell. Over the host's datasets at most 0.034.
        """
        some = self.displacements[:_ALL_PAIRS].reshape(min(len(self), _ALL_PAIRS), -1)
        alike = np.abs(some @ some.T)
        one = self.pairs[: len(some), : len(some)]
        chosen = np.triu(alike < _ALIKE, 1)
        total = float((one[chosen] ** 2 + one.T[chosen] ** 2).sum())
        if chosen.sum() < 3 or total <= 0:
            return None
        together = 2 * float((one[chosen] * one.T[chosen]).sum()) / total
        return min(1.0, max(0.0, 1 - together))


def response_of(dataset: Dataset) -> Response | None:
    """Return the response of a dataset; None where nothing is displaced.

    Forces at rest (a structure that is not relaxed) are taken out where that makes the
    forces fit better: of harmonic forces the mean over snapshots goes with the mean of
    the displacements.
    """
    plain = _response(dataset, dataset.displacements, dataset.forces)
    if plain is None or len(dataset) < 3:
        return plain
    middle = _response(
        dataset,
        dataset.displacements - dataset.displacements.mean(axis=0),
        dataset.forces - dataset.forces.mean(axis=0),
    )
    if middle is None or middle.mean < plain.mean + 0.05:
        return plain
    return middle


def _response(
    dataset: Dataset, displacements: FloatArray, forces: FloatArray
) -> Response | None:
    moved = displacements - displacements.mean(axis=1, keepdims=True)
    pulls = forces - forces.mean(axis=1, keepdims=True)
    lengths = np.sqrt((moved**2).sum(axis=(1, 2)))
    strengths = np.sqrt((pulls**2).sum(axis=(1, 2)))
    told = (lengths > _NOTHING * np.median(lengths)) & (strengths > 0)
    if dataset.displacements.shape[1] < 2 or not told.any():
        return None
    displaced = (np.abs(dataset.displacements).max(axis=2) > 0).mean(axis=1)
    return Response(
        moved[told] / lengths[told, None, None],
        pulls[told] / strengths[told, None, None],
        np.flatnonzero(told),
        bool(np.median(displaced[told]) < _SPARSE),
    )


def unrelated(response: Response) -> bool:
    """Return whether forces have nothing to do with displacements."""
    sure = response.chance < _UNRELATED / 2
    return sure and response.mean < min(_UNRELATED, 3 * response.chance + 0.05)


def mistakes_of(response: Response, lattices: dict[str, FloatArray]) -> list[Mistake]:
    """Return the mistakes that, undone, make forces fit, the best first.

    Parameters
    ----------
    response : Response
    lattices : dict of ndarray
        By name: displacements may be fractions of these lattice vectors (rows).
    """
    found = [
        *_of_sign(response),
        *_of_snapshots(response),
        *_of_atoms(response),
        *_of_fractions(response, lattices),
    ]
    least = response.mean + _BETTER + _CHANCE * response.chance
    enough = [m for m in found if m.cosine > max(_RIGHT, least)]
    least = response.mean + _BETTER_AXES + _CHANCE_AXES * response.chance
    enough += [m for m in _of_axes(response) if m.cosine > max(_RIGHT, least)]
    if not enough:
        return []
    best = max(m.cosine for m in enough)
    near = [m for m in enough if m.cosine > best - 0.02]
    return sorted(near, key=lambda m: -m.cosine)


def others_forces(response: Response) -> dict[int, int]:
    """Return snapshots that have the forces of another, by number from 0.

    Of good data, forces fit another's displacements better by at most 0.005.
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
        # Snapshots share displaced atoms: the cosine stays high, another's is higher.
        wrong &= gain > 0.12
    else:
        wrong &= (gain > 0.3) & (response.cosines < _LEAST_COSINE)
    snapshots = response.snapshots
    return {int(snapshots[i]): int(snapshots[best[i]]) for i in np.flatnonzero(wrong)}


def strangers(response: Response) -> list[int]:
    """Return snapshots whose forces do not pull back, by number from 0."""
    limit = _LEAST_COSINE - 1 / np.sqrt(response.freedom)
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
        text = f"each snapshot has the forces of {neighbour(shift, n)}"
        yield Mistake(text, _IN_ORDER, cosine)
    reverse = float(response.pairs[rows, rows[::-1]].mean())
    yield Mistake("forces of snapshots in reverse order", _IN_ORDER, reverse)
    own, holder = rows, _best_order(response.pairs)
    # The best of many by chance.
    chance = np.sqrt(2 * np.log(n) / response.freedom)
    cosine = float(response.pairs[own, holder].mean())
    if cosine > max(0.7, chance + 0.2):
        number = response.snapshots + 1
        named = [
            f"{number[j]} has those of {number[i]}"
            for j, i in sorted(zip(holder, own, strict=True))
            if i != j
        ]
        yield Mistake(
            f"forces of snapshots in another order ({', '.join(named[:3])}, ...)",
            _IN_ORDER,
            cosine - _SIMPLER,
        )


def neighbour(shift: int, n: int) -> str:
    """Return words for the snapshot ``shift`` after another, of n in a circle."""
    back = shift - n if shift > n // 2 else shift
    if abs(back) == 1:
        return f"the {'following' if back > 0 else 'preceding'} snapshot"
    return f"the snapshot {abs(back)} {'later' if back > 0 else 'earlier'}"


def _of_axes(response: Response) -> Iterator[Mistake]:
    n = len(response)
    mean = -np.einsum("kai,kaj->ij", response.displacements, response.forces) / n
    turn, sizes, back = np.linalg.svd(mean)
    if sizes[2] < _ALL_DIRECTIONS * sizes[0]:
        return
    special = float(np.trace(mean))
    for order in permutations(range(3)):
        for signs in product((1, -1), repeat=3):
            if signs != (-1, -1, -1):
                cosine = float((mean[np.arange(3), order] * signs).sum())
                special = max(special, cosine)
                yield Mistake(_axes(order, signs), _TURN, cosine)
    rotation = turn @ back
    if np.linalg.det(rotation) > 0 and sizes.sum() > special + _SPECIAL:
        angle = np.degrees(np.arccos(np.clip((np.trace(rotation) - 1) / 2, -1, 1)))
        text = f"forces turned by {angle:.0f} degrees against the displacements"
        yield Mistake(text, _TURN, float(sizes.sum()))


def _best_order(fit: FloatArray) -> NDArray[np.intp]:
    """Return for each row the column that is its own, the sum being the largest."""
    from scipy.optimize import linear_sum_assignment

    return np.asarray(linear_sum_assignment(fit, maximize=True)[1])


def _axes(order: tuple[int, ...], signs: tuple[int, ...]) -> str:
    """Return words where axis i of the forces is found in column ``order[i]``."""
    held = np.argsort(order)
    found = " ".join(f"{'-' if signs[axis] < 0 else ''}{'xyz'[axis]}" for axis in held)
    moved = [i for i in range(3) if order[i] != i]
    name = ""
    if min(signs) > 0 and len(moved) == 2:
        name = f"{'xyz'[moved[0]]} and {'xyz'[moved[1]]} exchanged: "
    elif min(signs) > 0 and len(moved) == 3:
        name = "cyclic: "
    return f"forces along other axes ({name}columns x y z hold {found})"


def _of_atoms(response: Response) -> Iterator[Mistake]:
    n, n_atoms, _ = response.displacements.shape
    fit = -np.einsum("kai,kbi->ab", response.displacements, response.forces) / n
    atoms = np.arange(n_atoms)
    for shift in range(1, n_atoms):
        order = (atoms + shift) % n_atoms
        # Of atom a they are found at atom a + shift.
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

"""Which atoms the neighbours of a centre are, in vectors of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from phono3py_mlp_plugin.contracts import IntArray
from phono3py_mlp_plugin.polynomial.kernels.basis import Segments, make_segments, pad
from phono3py_mlp_plugin.polynomial.kernels.simd import LANES
from phono3py_mlp_plugin.polynomial.structures.structure import Pairs


@dataclass(frozen=True, eq=False)
class Slots:
    """Neighbouring atoms of some centres; images of one atom share a slot.

    Attributes
    ----------
    segments : Segments
        The neighbours by groups of `LANES` slots: a vector with the first image of
        each slot, one with the second, and so on.
    counts : ndarray
        Slots of a centre and a partner type, shape ``(n_centres, n_types)``.
    start : ndarray
        Where they start in ``atoms``, shape ``(n_centres, n_types)``.
    atoms : ndarray
        The atom of each slot, those with most images first.
    group_first : ndarray
        First group of a centre and a partner type, shape ``(n_centres, n_types)``.
    group_start : ndarray
        Where the neighbours of each group start, and their number at the end.
    """

    segments: Segments
    counts: IntArray
    start: IntArray
    atoms: IntArray
    group_first: IntArray
    group_start: IntArray

    def of_centres(self, low: int, high: int, centres: IntArray) -> SomeSlots:
        """Return the slots of some centres, which are these atoms."""
        counts = self.counts[low:high]
        first = self.start[low, 0]
        members = self.atoms[first : first + counts.sum()]
        atoms, places = np.unique(
            np.concatenate((members, centres[low:high])), return_inverse=True
        )
        return SomeSlots(counts, atoms, places[: len(members)], places[len(members) :])


@dataclass(frozen=True, eq=False)
class SomeSlots:
    """Slots of some centres, and all atoms that they move.

    Attributes
    ----------
    counts : ndarray
        Slots of a centre and a partner type, shape ``(n_centres, n_types)``.
    atoms : ndarray
        In the slots or centres, shape ``(n_atoms,)``.
    members, centres : ndarray
        Places in ``atoms`` of what is in the slots, and of the centres.
    """

    counts: IntArray
    atoms: IntArray
    members: IntArray
    centres: IntArray


def make_slots(pairs: Pairs, n_types: int) -> Slots:
    """Give every neighbouring atom of a centre a slot."""
    n_cells = len(pairs.centres) * n_types
    # A cell is a centre with a partner type.
    cell = pairs.centre * n_types + pairs.partner_type
    is_first = np.ones(len(cell), dtype=bool)
    is_first[1:] = (np.diff(cell) != 0) | (np.diff(pairs.partner) != 0)
    leaders = np.flatnonzero(is_first)
    neighbour = np.cumsum(is_first) - 1
    image = np.arange(len(cell)) - leaders[neighbour]
    owner = cell[leaders]
    bounds = np.searchsorted(owner, np.arange(n_cells + 1))
    counts = np.diff(bounds)
    # A group of slots has as many vectors as its atom with the most images: atoms with
    # as many images share groups.
    n_images = np.diff(leaders, append=len(cell))
    order = np.lexsort((-n_images, owner))
    slot = np.empty(len(owner), dtype=np.int64)
    slot[order] = np.arange(len(owner)) - bounds[owner]
    groups = np.cumsum([0, *(pad(counts) // LANES)])
    group = groups[owner] + slot // LANES
    images = np.zeros(groups[-1], dtype=np.int64)
    np.maximum.at(images, group[neighbour], image + 1)
    group_start = np.cumsum([0, *images]) * LANES
    place = group_start[group[neighbour]] + image * LANES + slot[neighbour] % LANES
    cells = np.arange(len(pairs.centres))[:, None] * n_types + np.arange(n_types + 1)
    shape = (len(pairs.centres), n_types)
    return Slots(
        make_segments(group_start[groups][cells], place, pairs.vectors),
        counts.reshape(shape),
        bounds[:-1].reshape(shape),
        pairs.partner[leaders][order],
        groups[:-1].reshape(shape),
        group_start,
    )

"""Which atoms the neighbours of a centre are, in vectors of them."""

from __future__ import annotations

import numpy as np

from phono3py_mlp_plugin.contracts import IntArray
from phono3py_mlp_plugin.polynomial.kernels.basis import pad
from phono3py_mlp_plugin.polynomial.kernels.records import Slots
from phono3py_mlp_plugin.polynomial.kernels.simd import LANES
from phono3py_mlp_plugin.polynomial.structures.structure import Pairs


def slots_of_range(
    slots: Slots, centres: IntArray, low: int, high: int
) -> tuple[Slots, IntArray, IntArray]:
    """Return the slots of the centres ``low`` to ``high``, their atoms numbered anew.

    Parameters
    ----------
    slots : Slots
    centres : ndarray
        The atoms that all centres are.

    Returns
    -------
    slots : Slots
        ``atoms`` and centres are numbers in the atoms that follow.
    centres : ndarray
        Shape ``(high - low,)``.
    atoms : ndarray
        All that are in a slot, or are centres.
    """
    counts = slots.counts[low:high]
    first = slots.start[low, 0]
    members = slots.atoms[first : first + counts.sum()]
    atoms, places = np.unique(
        np.concatenate((members, centres[low:high])), return_inverse=True
    )
    part = Slots(
        counts,
        slots.start[low:high] - first,
        places[: len(members)],
        slots.group_first[low:high],
        slots.group_start,
    )
    return part, places[len(members) :], atoms


def make_slots(pairs: Pairs, n_types: int) -> tuple[Slots, IntArray, IntArray]:
    """Give every neighbouring atom of a centre a slot.

    Returns
    -------
    slots : Slots
    start : ndarray
        Where the neighbours of each centre and partner type start, as in `Segments`.
    place : ndarray
        Where each pair goes.
    """
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
    slots = Slots(
        counts.reshape(shape),
        bounds[:-1].reshape(shape),
        pairs.partner[leaders][order],
        groups[:-1].reshape(shape),
        group_start,
    )
    return slots, group_start[groups][cells], place

"""Where the neighbours of a centre stand in the columns of the design matrix."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phono3py_mlp_plugin.polynomial.basis import Segments, make_segments, pad
from phono3py_mlp_plugin.polynomial.simd import LANES
from phono3py_mlp_plugin.polynomial.structure import Pairs

IntArray = NDArray[np.int64]

# A slot for every atom of a type, also for those that are no neighbours, is worth it
# from this fraction of neighbours on: a row of the matrix is then added to in one go.
_DENSE = 0.6


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
        The atom of each slot, counted in its own structure, ascending within a
        centre and type.
    group_first : ndarray
        First group of a centre and a partner type, shape ``(n_centres, n_types)``.
    group_start : ndarray
        Where the neighbours of each group start, and their number at the end.
    dense : bool
        All centres have the same slots: every atom of their structure.
    """

    segments: Segments
    counts: IntArray
    start: IntArray
    atoms: IntArray
    group_first: IntArray
    group_start: IntArray
    dense: bool


def make_slots(pairs: Pairs, types: IntArray, atoms: IntArray, n_types: int) -> Slots:
    """Give every neighbouring atom of a centre a slot.

    Parameters
    ----------
    pairs : Pairs
    types : ndarray
        Of the atoms of all structures.
    atoms : ndarray
        First atom of each structure, and their number at the end.
    n_types : int
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
    local = (pairs.partner - atoms[pairs.structures[pairs.centre]])[leaders]

    first, number = _runs(types, atoms, n_types)
    first, number = (x[pairs.structures].reshape(-1) for x in (first, number))
    counts = np.diff(bounds)
    dense = (number > 0) & (counts >= _DENSE * number)
    alike = (pairs.structures == pairs.structures[0]).all()
    slot = np.where(
        dense[owner], local - first[owner], np.arange(len(owner)) - bounds[owner]
    )
    counts = np.where(dense, number, counts)
    start = np.cumsum([0, *counts])
    members = np.arange(start[-1]) - np.repeat(start[:-1] - first, counts)
    members[start[owner] + slot] = local

    # A group of slots has as many vectors as its atom with the most images.
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
        start[:-1].reshape(shape),
        members,
        groups[:-1].reshape(shape),
        group_start,
        bool(alike and dense.all()),
    )


def _runs(types: IntArray, atoms: IntArray, n_types: int) -> tuple[IntArray, IntArray]:
    """Return first atom and number of the atoms of each type, by structure.

    The number is zero where the atoms of a type do not follow each other.
    """
    shape = (len(atoms) - 1, n_types)
    first, number = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    for k in range(shape[0]):
        for t in range(n_types):
            found = np.flatnonzero(types[atoms[k] : atoms[k + 1]] == t)
            if len(found) and found[-1] - found[0] + 1 == len(found):
                first[k, t], number[k, t] = found[0], len(found)
    return first, number

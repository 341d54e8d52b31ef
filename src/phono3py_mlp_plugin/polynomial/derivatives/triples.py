"""Which triples of atoms around a centre are computed, and how often each counts.

Third derivatives may be exchanged, and operations that leave the centre in its place
turn triples into each other. A representative triple starts with the first atom of an
orbit under these operations; the others are of this orbit or a later one. Its second
atom is the first of an orbit under the operations that leave the first atom in its
place, too, and its third atom is of this orbit or a later one. All others are
permutations and images of these.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from phono3py_mlp_plugin.contracts import FloatArray, IntArray
from phono3py_mlp_plugin.polynomial.derivatives.symmetry import SiteSymmetry


@dataclass(frozen=True, eq=False)
class Triples:
    """Representative triples around a centre that start with one atom.

    Atoms are given by their places among the neighbours of the centre.

    Attributes
    ----------
    first : int
        The first atom. The others are this one or come after it.
    second : ndarray
        The second atoms, ascending, shape ``(B,)``.
    weights : ndarray
        For the sum over all permutations and the mean over all operations of the
        crystal: how often each triple counts per primitive cell, zero for triples that
        are not representatives; shape ``(B, C)`` for the C atoms from ``first`` on.
    """

    first: int
    second: IntArray
    weights: FloatArray


def places(symmetry: SiteSymmetry, centre: int) -> IntArray:
    """Return the place of every atom in the order that leaves least work.

    Atoms of an orbit follow each other, the one with the smallest number first. The
    triples of an orbit are those with all later ones: large orbits come first.
    """
    labels = symmetry.orbit_labels(centre)
    sizes = np.bincount(labels, minlength=len(labels))[labels]
    order = np.lexsort((labels, -sizes))
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return place


def representative_triples(
    symmetry: SiteSymmetry, centre: int, neighbours: IntArray
) -> list[Triples]:
    """Return the representative triples of neighbours of a centre.

    Parameters
    ----------
    symmetry : SiteSymmetry
    centre : int
    neighbours : ndarray
        Atoms of each type in the order of `places`, shape ``(M,)``.
    """
    found = []
    labels = symmetry.orbit_labels(centre)[neighbours]
    starts = np.flatnonzero(np.diff(labels, prepend=-1))
    orbit = np.cumsum(np.diff(labels, prepend=-1) != 0) - 1
    sizes = np.bincount(orbit) * symmetry.per_primitive_cell(centre)
    for number, first in enumerate(starts.tolist()):
        inner = symmetry.orbit_labels(centre, int(neighbours[first]))
        _, leader, where, counts = np.unique(
            inner[neighbours[first:]],
            return_index=True,
            return_inverse=True,
            return_counts=True,
        )
        # The first place of the inner orbit of each atom.
        leaders = leader[where]
        second = np.unique(leader)
        members = counts[np.argsort(leader)]
        same_orbit = (orbit[first:] == number).astype(float)
        same = leaders == second[:, None]
        divisor = (1 + same_orbit[second][:, None] + same_orbit) * np.where(same, 2, 1)
        weights = np.where(
            leaders >= second[:, None],
            sizes[number] * members[:, None] / divisor,
            0.0,
        )
        found.append(Triples(first, first + second, weights))
    return found

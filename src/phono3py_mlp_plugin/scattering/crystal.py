"""The crystal: force constants, integer lattice vectors, positions and masses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from phono3py_mlp_plugin.contracts import FloatArray, IntArray
from phono3py_mlp_plugin.scattering.records import RealSpace

# Deviation of lattice vectors from integers, from the accuracy of positions.
_TOLERANCE = 1e-5


class UnsupportedCase(Exception):
    """A case that is not supported, described by the message."""


@dataclass(frozen=True, eq=False)
class Crystal:
    """Third-order force constants between atoms on a lattice.

    Attributes
    ----------
    real_space : RealSpace
    translations : ndarray of int, shape (n_vectors, 3)
        The lattice vector of each shortest vector between atoms.
    positions : ndarray of shape (N_p, 3)
        Fractional coordinates of the atoms of the primitive cell, up to a lattice
        vector.
    masses : ndarray of shape (N_p,)
        In amu.
    """

    real_space: RealSpace
    translations: IntArray
    positions: FloatArray
    masses: FloatArray

    @classmethod
    def of(
        cls,
        fc3: FloatArray,
        used: np.ndarray,
        shortest_vectors: FloatArray,
        multiplicity: IntArray,
        masses: FloatArray,
        p2s: IntArray,
        s2p: IntArray,
        all_shortest: np.ndarray,
        averaged: bool,
    ) -> Crystal:
        """Return the crystal of the arrays of phono3py.

        Parameters
        ----------
        fc3 : ndarray of shape (N_p or N, N, N, 3, 3, 3)
        used : ndarray of int8, shape fc3.shape[:3]
        shortest_vectors : ndarray of shape (n_vectors, 3)
            From atoms of the primitive cell to those of the supercell.
        multiplicity : ndarray of int, shape (N, N_p, 2)
            Number of vectors of a pair, and the index of the first.
        masses : ndarray of shape (N_p,)
        p2s, s2p : ndarray of int, shapes (N_p,) and (N,)
            Indices of the primitive atoms in the supercell, and of the primitive atom
            that is equivalent to each atom of the supercell.
        all_shortest : ndarray of int8, shape (N_p, N, N)
        averaged : bool

        Raises
        ------
        UnsupportedCase
            If atoms are not on the sites of a lattice.
        """
        n_primitive = len(p2s)
        sublattices = np.searchsorted(p2s, s2p, sorter=np.argsort(p2s))
        sublattices = np.argsort(p2s)[sublattices]
        positions = np.array(shortest_vectors[multiplicity[p2s, 0, 1]])
        translations = np.zeros((len(shortest_vectors), 3))
        for j, a in np.ndindex(multiplicity.shape[:2]):
            count, start = multiplicity[j, a]
            translations[start : start + count] = shortest_vectors[
                start : start + count
            ] - (positions[sublattices[j]] - positions[a])
        integers = np.rint(translations)
        if not np.abs(translations - integers).max() < _TOLERANCE:
            raise UnsupportedCase("atoms that are not on the sites of a lattice")
        is_full = fc3.shape[0] == fc3.shape[1]
        real_space = RealSpace(
            np.ascontiguousarray(fc3, dtype=np.float64).reshape(*fc3.shape[:3], 27),
            np.ascontiguousarray(used, dtype=np.int8),
            np.array(p2s if is_full else np.arange(n_primitive), dtype=np.int64),
            np.array(sublattices, dtype=np.int64),
            np.ascontiguousarray(multiplicity, dtype=np.int64),
            np.ascontiguousarray(all_shortest, dtype=np.int8),
            bool(averaged),
        )
        return cls(
            real_space,
            integers.astype(np.int64),
            positions,
            np.array(masses, dtype=np.float64),
        )

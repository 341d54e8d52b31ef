"""Permutations of atoms by the symmetry operations of large supercells.

In supercells of hundreds of atoms, phonopy's search takes longer than scattering: it
compares positions for each of some ten thousand operations, most of which differ by a
lattice translation only.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from phono3py_mlp_plugin.contracts import FloatArray, IntArray
from phono3py_mlp_plugin.host.bindings import original


def compute_all_sg_permutations(
    positions: FloatArray,
    rotations: IntArray,
    translations: FloatArray,
    lattice: FloatArray,
    symprec: float,
    *args: Any,
    **kwargs: Any,
) -> IntArray:
    """Replace phonopy's function of this name.

    phonopy itself finds the permutations of the lattice translations and of one
    operation per rotation; the others are their products.

    Parameters
    ----------
    positions : ndarray of shape (n_atoms, 3)
        Fractional.
    rotations : ndarray of int, shape (n_operations, 3, 3)
    translations : ndarray of shape (n_operations, 3)
    lattice : ndarray of shape (3, 3)
        Basis vectors in columns, in angstrom.
    symprec : float
        In angstrom.

    Returns
    -------
    ndarray of int, shape (n_operations, n_atoms)
        Atom i is moved to the position of atom ``permutations[operation, i]``.
    """
    host = original("phonopy.structure.symmetry:compute_all_sg_permutations")

    def permutations_of(chosen: IntArray) -> IntArray:
        return np.asarray(
            host(
                positions,
                rotations[chosen],
                translations[chosen],
                lattice,
                symprec,
                *args,
                **kwargs,
            )
        )

    _, first, rotation_of = np.unique(
        rotations.reshape(-1, 9), axis=0, return_index=True, return_inverse=True
    )
    pure = np.flatnonzero((rotations == np.eye(3)).all(axis=(1, 2)))
    everything = np.arange(len(rotations))
    if len(pure) == 1 or len(pure) * len(first) != len(rotations):
        return permutations_of(everything)
    shifts = permutations_of(pure)
    permutations = np.empty((len(rotations), len(positions)), dtype=np.int64)
    for number, permutation in enumerate(permutations_of(first)):
        chosen = np.flatnonzero(rotation_of.ravel() == number)
        # Which lattice translation follows the first operation of this rotation.
        rest = translations[chosen] - translations[first[number]]
        rest = rest[:, None] - translations[pure]
        distances = np.linalg.norm((rest - np.rint(rest)) @ lattice.T, axis=2)
        which = distances.argmin(axis=1)
        if not (distances[np.arange(len(chosen)), which] < symprec).all():
            return permutations_of(everything)
        permutations[chosen] = shifts[which][:, permutation]
    return permutations


def collect_unique_rotations(rotations: IntArray) -> IntArray:
    """Replace phonopy's function of this name: rotations in the order of their first.

    Parameters
    ----------
    rotations : ndarray of int, shape (n_operations, 3, 3)

    Returns
    -------
    ndarray of int, shape (n_rotations, 3, 3)
    """
    flat = np.reshape(rotations, (-1, 9))
    _, first = np.unique(flat, axis=0, return_index=True)
    return np.array(rotations, dtype=np.int64)[np.sort(first)]

"""Centres with their neighbours as structures of their own, in which images differ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from phono3py_mlp_plugin.contracts import FloatArray, IntArray
from phono3py_mlp_plugin.polynomial.structures.structure import Pairs

# Components of virials in the order xx, yy, zz, xy, yz, zx.
_ROWS, _COLUMNS = (0, 1, 2, 0, 1, 2), (0, 1, 2, 1, 2, 0)


@dataclass(frozen=True, eq=False)
class Clusters:
    """Centres of one type, each followed by its neighbours.

    Attributes
    ----------
    pairs : Pairs
        The neighbours, with atoms of clusters as partners.
    first_atoms : ndarray
        First atom of each cluster, its centre, and what follows the last, shape
        ``(n_clusters + 1,)``.
    atoms : ndarray
        What each atom of a cluster is in the structure, shape ``(n_atoms,)``.
    vectors : ndarray
        Vectors from the centre of the cluster to its atoms in angstrom, shape
        ``(n_atoms, 3)``.
    """

    pairs: Pairs
    first_atoms: IntArray
    atoms: IntArray
    vectors: FloatArray

    def sums(self, n_atoms: int) -> csr_array:
        """Return the matrix from rows of clusters to rows of the structure.

        Rows are an energy and the forces by direction for each cluster, and an energy,
        forces by direction and virials for the structure of ``n_atoms`` atoms. The
        derivative of the energy by strain is minus the sum of forces times positions.
        """
        cluster = np.repeat(
            np.arange(len(self.first_atoms) - 1), np.diff(self.first_atoms)
        )
        sizes = np.diff(self.first_atoms)
        energies = np.cumsum([0, *(1 + 3 * sizes)])
        within = np.arange(len(self.atoms)) - self.first_atoms[cluster]
        rows = [np.zeros(len(sizes), dtype=np.int64)]
        columns = [energies[:-1]]
        values = [np.ones(len(sizes))]
        places = [
            energies[cluster] + 1 + axis * sizes[cluster] + within for axis in range(3)
        ]
        for axis in range(3):
            rows.append(1 + axis * n_atoms + self.atoms)
            columns.append(places[axis])
            values.append(np.ones(len(self.atoms)))
        for number, (axis, other) in enumerate(zip(_ROWS, _COLUMNS, strict=True)):
            rows.append(np.full(len(self.atoms), 1 + 3 * n_atoms + number))
            columns.append(places[axis])
            values.append(-self.vectors[:, other])
        return csr_array(
            (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))),
            shape=(1 + 3 * n_atoms + 6, energies[-1]),
        )


def clusters(pairs: Pairs, low: int, high: int) -> Clusters:
    """Return the clusters around the centres ``low`` to ``high`` of one structure."""
    chosen = slice(*np.searchsorted(pairs.centre, (low, high)))
    centre = pairs.centre[chosen] - low
    counts = np.bincount(centre, minlength=high - low)
    first_atoms = np.cumsum([0, *(counts + 1)])
    # Each cluster starts with its centre.
    partners = np.arange(len(centre)) + centre + 1
    atoms = np.empty(first_atoms[-1], dtype=np.int64)
    atoms[first_atoms[:-1]] = pairs.centres[low:high]
    atoms[partners] = pairs.partner[chosen]
    vectors = np.zeros((len(atoms), 3))
    vectors[partners] = pairs.vectors[chosen]
    numbers = np.arange(high - low)
    of_clusters = Pairs(
        first_atoms[:-1],
        numbers,
        centre,
        partners,
        pairs.partner_type[chosen],
        pairs.vectors[chosen],
    )
    return Clusters(of_clusters, first_atoms, atoms, vectors)

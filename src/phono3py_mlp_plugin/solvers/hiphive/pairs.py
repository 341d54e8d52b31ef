"""fc2 between all pairs of a supercell, beyond half of its size.

hiPhive maps clusters to a supercell in which no atom interacts with two images of
another one. Its fc2 up to any cutoff exists in a supercell that is large enough, and
what forces of the smaller supercell depend on is its sum over images.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from phonopy.structure.cells import Primitive

    from phono3py_mlp_plugin.contracts import FloatArray

# Difference of distances in the same shell of neighbours (angstrom).
_SHELL = 0.01

# Part of the largest singular value below which fc2 of two sets of parameters have the
# same sum over images. Others were above 1e-2 in all crystals tried.
_DEPENDENT = 1e-6


def reach(primitive: Primitive) -> float:
    """Return the distance of the farthest pair of atoms in the supercell (angstrom)."""
    vectors, multiplicity = primitive.get_smallest_vectors()
    nearest = vectors[multiplicity[:, :, 1]] @ primitive.cell
    return float(np.linalg.norm(nearest, axis=2).max()) + _SHELL


def pair_basis(
    primitive: Primitive, supercell: Any, clusters: Any, cutoff: float
) -> FloatArray:
    """Return a basis of fc2, summed over the images of a supercell.

    Parameters
    ----------
    primitive : Primitive
    supercell : ase.Atoms
        N atoms.
    clusters : hiphive.ClusterSpace
        Of order 2.
    cutoff : float
        Of the clusters, in angstrom.

    Returns
    -------
    ndarray
        Orthonormal and compact, shape ``(P, N_p, N, 3, 3)``.
    """
    from hiphive.force_constant_model import ForceConstantModel

    heights = 1 / np.linalg.norm(supercell.cell.reciprocal(), axis=1)
    repeats = (np.floor(2 * (cutoff + _SHELL) / heights) + 1).astype(int)
    n_atoms, n_images = len(supercell), int(np.prod(repeats))
    model = ForceConstantModel(supercell.repeat(repeats), clusters)
    rows = primitive.p2s_map
    columns = np.zeros((len(rows), 3, n_atoms, 3, clusters.n_dofs))
    for row, atom in enumerate(rows):
        for axis in range(3):
            displacements = np.zeros((n_images, n_atoms, 3))
            displacements[:, atom, axis] = 1.0
            matrix = model.get_fit_matrix(displacements.reshape(-1, 3))
            # Forces are negative fc2; those of all images are the same.
            columns[row, axis] = -matrix[: 3 * n_atoms].reshape(n_atoms, 3, -1)
    shape = (len(rows), n_atoms, 3, 3)
    flat = columns.transpose(0, 2, 1, 3, 4).reshape(-1, clusters.n_dofs)
    basis, values, _ = np.linalg.svd(flat, full_matrices=False)
    independent = values > _DEPENDENT * values[0]
    return np.asarray(basis[:, independent].T.reshape(-1, *shape))


def full_fc2(
    compact: FloatArray, rows: NDArray[np.int64], translations: NDArray[np.int64]
) -> FloatArray:
    """Return fc2 of all atoms by lattice translations.

    Parameters
    ----------
    compact : ndarray
        Shape ``(N_p, N, 3, 3)``.
    rows : ndarray
        Atoms of the first index, shape ``(N_p,)``.
    translations : ndarray
        Atom ``translations[t, i]`` is atom ``i`` moved by translation ``t``, shape
        ``(T, N)``.
    """
    n_atoms = compact.shape[1]
    full = np.zeros((n_atoms, n_atoms, 3, 3))
    for moved in translations:
        full[np.ix_(moved[rows], moved)] = compact
    return full

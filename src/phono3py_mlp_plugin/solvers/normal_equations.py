"""Normal equations of force constants in symfc's basis, for many sets of forces.

Forces are linear in the coefficients c of the basis: ``F = X c`` with X made of
displacements, the compression by lattice translations and the basis itself. X depends
on displacements only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from phono3py_mlp_plugin.contracts import FloatArray

# Bytes of products of displacements, and of rows of X, held at a time.
_BLOCK = 200e6

# Of the Taylor expansion of forces.
_FACTOR = {2: -1.0, 3: -0.5}


def normal_equations(
    basis: Mapping[int, Any],
    p2s_map: NDArray[np.int64],
    displacements: FloatArray,
    force_sets: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Return ``X^T X`` and ``X^T F``, shapes ``(p, p)`` and ``(p, k)``.

    Parameters
    ----------
    basis : mapping
        symfc's basis sets by order, 2 and 3.
    p2s_map : ndarray
        Atoms of symfc's primitive cell. By lattice translations their forces are those
        of all atoms.
    displacements : ndarray
        Shape ``(n, N, 3)``.
    force_sets : ndarray
        Shape ``(k, n, N, 3)``.
    """
    n_atoms = displacements.shape[1]
    translations = next(iter(basis.values())).translation_permutations
    moved = displacements[:, translations].reshape(-1, 3 * n_atoms)
    forces = force_sets[:, :, translations][..., p2s_map, :]
    forces = forces.reshape(len(force_sets), len(moved), -1)
    size = sum(part.blocked_basis_set.shape[1] for part in basis.values())
    matrix = np.zeros((size, size))
    right = np.zeros((size, len(force_sets)))
    operators = {order: _operators(part, order) for order, part in basis.items()}
    for some in _batches(len(moved), n_atoms, basis):
        products = {
            order: _products(moved[some], order) * _FACTOR[order] for order in basis
        }
        for row in range(forces.shape[2]):
            columns = [
                # (sparse^T @ dense^T): scipy has no dense @ sparse without a copy.
                part.blocked_basis_set.T @ (operators[order][row] @ products[order].T)
                for order, part in basis.items()
            ]
            x = np.concatenate(columns)
            matrix += x @ x.T
            right += x @ forces[:, some, row].T
    return matrix, right


def _operators(part: Any, order: int) -> list[sparse.csr_array]:
    """Return, for each row of the primitive cell, (n_compressed, (3N)^(order - 1))."""
    compact = part.compact_compression_matrix.tocoo()
    n_atoms = part.translation_permutations.shape[1]
    n_rows = compact.shape[0] // (3 * (3 * n_atoms) ** (order - 1)) * 3
    atoms_shape = (n_rows // 3, *(n_atoms,) * (order - 1))
    index = np.unravel_index(compact.row, (*atoms_shape, *(3,) * order))
    atoms, axes = index[:order], index[order:]
    row = atoms[0] * 3 + axes[0]
    column = np.zeros_like(row)
    for atom, axis in zip(atoms[1:], axes[1:], strict=True):
        column = column * 3 * n_atoms + atom * 3 + axis
    shape = (compact.shape[1], (3 * n_atoms) ** (order - 1))
    found = []
    for i in range(n_rows):
        own = row == i
        entries = (compact.data[own], (compact.col[own], column[own]))
        found.append(sparse.csr_array(sparse.coo_array(entries, shape=shape)))
    return found


def _products(displacements: FloatArray, order: int) -> FloatArray:
    """Return displacements, or their products in pairs, shape ``(r, (3N)^(o - 1))``."""
    if order == 2:
        return displacements
    pairs = displacements[:, :, None] * displacements[:, None, :]
    return np.asarray(pairs.reshape(len(displacements), -1))


def _batches(n: int, n_atoms: int, basis: Mapping[int, Any]) -> Iterator[slice]:
    compressed = max(
        part.compact_compression_matrix.shape[1] for part in basis.values()
    )
    width = max((3 * n_atoms) ** (max(basis) - 1), compressed)
    step = max(1, int(_BLOCK / (8 * width)))
    for begin in range(0, n, step):
        yield slice(begin, min(begin + step, n))

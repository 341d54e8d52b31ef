"""Normal equations of force constants in the basis of symfc, for many sets of forces.

Forces are linear in the coefficients c of the basis, ``F = X c``. The matrix X is the
product of displacements, the compression by lattice translations, and the basis. It
does not depend on forces.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from phono3py_mlp_plugin.contracts import FloatArray

# Largest block of products of displacements, and of rows of X (bytes).
_BLOCK = 200e6

# Factors of the Taylor expansion of forces.
_FACTOR = {2: -1.0, 3: -0.5}


class NormalEquations:
    """Matrix ``X^T X`` and right-hand sides ``X^T F`` of the normal equations.

    Parameters
    ----------
    basis : mapping
        Basis sets of symfc by order, 2 and 3.
    p2s_map : ndarray
        Atoms of the primitive cell of symfc. Lattice translations map all atoms onto
        these.
    displacements : ndarray
        Shape ``(n, N, 3)``.
    """

    def __init__(
        self,
        basis: Mapping[int, Any],
        p2s_map: NDArray[np.int64],
        displacements: FloatArray,
    ) -> None:
        self._basis = basis
        self._p2s_map = p2s_map
        self._translations = next(iter(basis.values())).translation_permutations
        n_atoms = displacements.shape[1]
        self._moved = displacements[:, self._translations].reshape(-1, 3 * n_atoms)
        self._operators = {
            order: _operators(part, order) for order, part in basis.items()
        }

    def matrix(self) -> FloatArray:
        """Return ``X^T X``, shape ``(p, p)``."""
        size = sum(part.blocked_basis_set.shape[1] for part in self._basis.values())
        matrix = np.zeros((size, size))
        for _, products in self._batches():
            for row in range(3 * len(self._p2s_map)):
                columns = [
                    # (sparse^T @ dense^T): scipy has no dense @ sparse without a copy.
                    part.blocked_basis_set.T
                    @ (self._operators[order][row] @ products[order].T)
                    for order, part in self._basis.items()
                ]
                x = np.concatenate(columns)
                matrix += x @ x.T
        return matrix

    def right(self, force_sets: FloatArray) -> FloatArray:
        """Return ``X^T F``, shape ``(p, k)``, of forces, shape ``(k, n, N, 3)``."""
        forces = force_sets[:, :, self._translations][..., self._p2s_map, :]
        forces = forces.reshape(len(force_sets), len(self._moved), -1)
        sums = dict.fromkeys(self._basis, 0.0)
        for batch, products in self._batches():
            for order, operators in self._operators.items():
                for row, operator in enumerate(operators):
                    sums[order] += operator @ (
                        products[order].T @ forces[:, batch, row].T
                    )
        return np.concatenate(
            [
                part.blocked_basis_set.T @ sums[order]
                for order, part in self._basis.items()
            ]
        )

    def _batches(self) -> Iterator[tuple[slice, dict[int, FloatArray]]]:
        """Yield blocks of rows, and their products of displacements by order."""
        widest = max(
            part.compact_compression_matrix.shape[1] for part in self._basis.values()
        )
        width = max(self._moved.shape[1] ** (max(self._basis) - 1), widest)
        step = max(1, int(_BLOCK / (8 * width)))
        for begin in range(0, len(self._moved), step):
            batch = slice(begin, min(begin + step, len(self._moved)))
            yield (
                batch,
                {
                    order: _products(self._moved[batch], order) * _FACTOR[order]
                    for order in self._basis
                },
            )


def _operators(part: Any, order: int) -> list[sparse.csr_array]:
    """Return the compression matrix of each row of the primitive cell.

    The shape of each matrix is ``(n_compressed, (3N)^(order - 1))``.
    """
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
    operators = []
    for i in range(n_rows):
        of_row = row == i
        entries = (compact.data[of_row], (compact.col[of_row], column[of_row]))
        operators.append(sparse.csr_array(sparse.coo_array(entries, shape=shape)))
    return operators


def _products(displacements: FloatArray, order: int) -> FloatArray:
    """Return displacements or products of pairs, shape ``(r, (3N)^(order - 1))``."""
    if order == 2:
        return displacements
    pairs = displacements[:, :, None] * displacements[:, None, :]
    return np.asarray(pairs.reshape(len(displacements), -1))

"""Normal equations of force constants in the basis of symfc, for many sets of forces.

Forces are linear in the coefficients c of the basis, ``F = X c``. The matrix X is the
product of displacements, the compression by lattice translations, and the basis. It
does not depend on forces.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, sparse

from phono3py_mlp_plugin.contracts import FloatArray

# Largest block of products of displacements, and of rows of X (bytes).
_BLOCK = 200e6

# Rows that `product` computes at a time: a block of them stays in the cache.
_ROWS = 1024

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
        widest = max(
            part.compact_compression_matrix.shape[1] for part in basis.values()
        )
        width = max((3 * n_atoms) ** (max(basis) - 1), widest)
        self._step = max(1, int(_BLOCK / (8 * width)))

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """Orders and their numbers of coefficients, in the order of the columns."""
        return [(o, part.blocked_basis_set.shape[1]) for o, part in self._basis.items()]

    @property
    def n_steps(self) -> int:
        """How often `matrix` calls ``advance``."""
        return -(-len(self._moved) // self._step) * 3 * len(self._p2s_map)

    def matrix(self, advance: Callable[[int], None]) -> FloatArray:
        """Return the upper triangle of ``X^T X``, shape ``(p, p)``.

        Parameters
        ----------
        advance : callable
            Called after each step.
        """
        size = sum(size for _, size in self.sizes)
        matrix = np.zeros((size, size), order="F")
        for _, products in self._batches():
            for row in range(3 * len(self._p2s_map)):
                columns = [
                    # (sparse^T @ dense^T): scipy has no dense @ sparse without a copy.
                    part.blocked_basis_set.T
                    @ (self._operators[order][row] @ products[order].T)
                    for order, part in self._basis.items()
                ]
                x = np.concatenate(columns)
                # In its place: a product of its own would need as much memory again.
                matrix = linalg.blas.dsyrk(
                    1.0, x.T, beta=1.0, c=matrix, trans=1, overwrite_c=True
                )
                advance(1)
        return np.asarray(matrix)

    def product(self, coefficients: FloatArray) -> FloatArray:
        """Return ``X^T X c``, shape ``(p,)``, without X.

        The forces of all supercells on one atom are products with one matrix for each
        order, and so are their derivatives.
        """
        n = self._moved.shape[1]
        ends = np.cumsum([size for _, size in self.sizes])[:-1]
        parts = zip(self._basis.values(), np.split(coefficients, ends), strict=True)
        compressed = [part.blocked_basis_set @ c for part, c in parts]
        sums = [np.zeros(len(c)) for c in compressed]
        for row in range(3 * len(self._p2s_map)):
            operators = [self._operators[order][row] for order in self._basis]
            fc = {
                order: _FACTOR[order] * (operator.T @ c)
                for order, operator, c in zip(
                    self._basis, operators, compressed, strict=True
                )
            }
            back = {order: np.zeros_like(values) for order, values in fc.items()}
            for begin in range(0, len(self._moved), _ROWS):
                u = self._moved[begin : begin + _ROWS]
                forces = u @ fc[2] if 2 in fc else np.zeros(len(u))
                if 3 in fc:
                    forces += ((u @ fc[3].reshape(n, n)) * u).sum(axis=1)
                    back[3] += ((u * forces[:, None]).T @ u).ravel()
                if 2 in fc:
                    back[2] += u.T @ forces
            for order, operator, total in zip(
                self._basis, operators, sums, strict=True
            ):
                total += operator @ (_FACTOR[order] * back[order])
        return np.concatenate(
            [
                part.blocked_basis_set.T @ total
                for part, total in zip(self._basis.values(), sums, strict=True)
            ]
        )

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
        for begin in range(0, len(self._moved), self._step):
            batch = slice(begin, min(begin + self._step, len(self._moved)))
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

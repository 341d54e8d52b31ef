"""Regression problems, with features of supercells and their targets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from phono3py_mlp_plugin.contracts import FloatArray
from phono3py_mlp_plugin.errors import PotentialError
from phono3py_mlp_plugin.polynomial.regression.targets import Targets

BLOCK_BYTES = 110e6
"""Size of the blocks of the design matrix in the primal form."""


class DesignMatrix(Protocol):
    """Features of structures."""

    @property
    def n_features(self) -> int:
        """Number of features."""

    def fill(self, matrix: FloatArray, column: int, supercells: range) -> None:
        """Write X^T of structures to a part of a matrix.

        Parameters
        ----------
        matrix : ndarray
            Shape ``(n_features, n)``. The columns that are written, one for each row
            of the targets, must be zero.
        column : int
            First column that is written.
        supercells : range
        """


@dataclass(frozen=True, eq=False)
class Problem:
    """Features of structures, and the targets that are fitted."""

    design: DesignMatrix
    targets: Targets

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def n_features(self) -> int:
        """Number of columns of X."""
        return self.design.n_features

    def n_rows(self, n: int) -> int:
        """Return the number of rows of X of the first n structures."""
        return int(self.targets.first_rows[n])

    @property
    def block_size(self) -> int:
        """Number of structures of a block.

        A power of two, which is divided evenly by most numbers of threads. It must not
        depend on the number of threads, because sums depend on it.
        """
        column = 8 * self.n_features
        n = max(1, int(BLOCK_BYTES / (column * self.targets.most_rows)))
        return 1 << (n.bit_length() - 1)

    def workspace(self, n: int) -> FloatArray:
        """Return an array for `block` with space for n structures."""
        return np.empty(self.n_features * n * self.targets.most_rows)

    def block(self, workspace: FloatArray, supercells: range) -> FloatArray:
        """Write X^T of structures to the workspace and return it."""
        rows = self.targets.rows(supercells)
        block = workspace[: self.n_features * (rows.stop - rows.start)]
        block = block.reshape(self.n_features, -1)
        block[:] = 0.0
        self.design.fill(block, 0, supercells)
        return block

    def blocks(self, n: int) -> Iterator[tuple[range, FloatArray]]:
        """Yield X^T of the first n structures by blocks, which share one array."""
        step = self.block_size
        workspace = self.workspace(min(step, n))
        for begin in range(0, n, step):
            supercells = range(begin, min(begin + step, n))
            yield supercells, self.block(workspace, supercells)


def check_finite(
    block: FloatArray, structures: range, targets: Targets, kind: str = "supercell"
) -> None:
    """Raise if a block of X^T contains numbers that are not finite.

    Raises
    ------
    PotentialError
    """
    with np.errstate(invalid="ignore"):
        sums = np.ones(len(block)) @ block
    if np.isfinite(sums).all():
        return
    first = targets.first_rows
    row = first[structures.start] + int(np.isfinite(sums).argmin())
    number = int(np.searchsorted(first, row, side="right")) - 1
    if number < targets.n_others:
        name = f"training structure {number + 1}"
    else:
        name = f"{kind} {number + 1 - targets.n_others}"
    raise PotentialError(
        f"{name}: its features are not finite. Check the positions of its atoms."
    )

"""Regression problems, with features of supercells and their targets."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from phono3py_mlp_plugin.contracts import FloatArray
from phono3py_mlp_plugin.errors import PotentialError
from phono3py_mlp_plugin.polynomial.regression.targets import Targets

BLOCK_BYTES = 110e6
"""Size of the blocks of the design matrix in the primal form."""

# Rows of X whose X^T X takes about ten times as long as sending it.
_GROUP_ROWS = 2000


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

    def part(self, supercells: range) -> DesignMatrix:
        """Return the features of some structures."""


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

    @property
    def group_size(self) -> int:
        """Number of structures whose X^T X is computed by one process, in blocks."""
        blocks = _GROUP_ROWS / (self.block_size * self.targets.most_rows)
        return self.block_size * max(1, math.ceil(blocks))

    def part(self, supercells: range) -> Problem:
        """Return the problem of some structures."""
        return Problem(self.design.part(supercells), self.targets.part(supercells))

    def groups(self, supercells: range) -> list[range]:
        """Divide structures into groups, in the same way for any number of workers."""
        return divided(supercells, self.group_size)

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
        workspace = self.workspace(min(self.block_size, n))
        for supercells in divided(range(n), self.block_size):
            yield supercells, self.block(workspace, supercells)


def divided(structures: range, size: int) -> list[range]:
    """Divide structures into ranges of one size, the last of which may be smaller."""
    return [structures[i : i + size] for i in range(0, len(structures), size)]


def row_sums(block: FloatArray) -> FloatArray:
    """Return the sum of each row of X from X^T, which shows whether it is finite."""
    with np.errstate(invalid="ignore"):
        return np.asarray(np.ones(len(block)) @ block)


def check_finite(
    sums: FloatArray, structures: range, targets: Targets, kind: str = "supercell"
) -> None:
    """Raise if rows of X contain numbers that are not finite.

    Parameters
    ----------
    sums : ndarray
        See `row_sums`, those of the structures.
    structures : range
    targets : Targets
    kind : str
        What supercells are called.

    Raises
    ------
    PotentialError
    """
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

"""Sums over groups of structures, which any process may compute.

Structures are divided in one way, and the sums of groups are added in one order: the
result does not depend on who computes a group.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from phono3py_mlp_plugin.contracts import FloatArray
from phono3py_mlp_plugin.polynomial.kernels.gram import add_gram
from phono3py_mlp_plugin.polynomial.regression.problem import Problem, row_sums
from phono3py_mlp_plugin.threads import threads


def add_group(
    array: FloatArray, problem: Problem, active: NDArray[np.intp]
) -> dict[str, FloatArray]:
    """Add X^T X of forces and virials to the upper triangle of an array.

    Parameters
    ----------
    array : ndarray
        In Fortran's order, shape ``(n, n)``.
    problem : Problem
        The structures of the group.
    active : ndarray
        Columns of X, shape ``(n,)``.

    Returns
    -------
    dict
        ``moments``, X^T y, shape ``(n,)``; ``norm``, y^T y, shape ``(1,)``;
        ``energies``, X^T of the energy rows, shape ``(n_features, n_structures)``;
        ``row_sums`` of all rows.
    """
    targets = problem.targets
    energies = np.empty((problem.n_features, len(problem)))
    sums = np.empty(problem.n_rows(len(problem)))
    moments, norm = np.zeros(len(active)), np.zeros(1)
    for structures, block in problem.blocks(len(problem)):
        rows = targets.rows(structures)
        first = targets.first_rows[structures.start : structures.stop]
        energies[:, structures.start : structures.stop] = block[:, first - rows.start]
        sums[rows] = row_sums(block)
        of_block = add_block(array, block, problem, structures, active)
        moments += of_block[0]
        norm += of_block[1]
    return {"moments": moments, "norm": norm, "energies": energies, "row_sums": sums}


def add_block(
    array: FloatArray,
    block: FloatArray,
    problem: Problem,
    structures: range,
    active: NDArray[np.intp],
) -> tuple[FloatArray, FloatArray]:
    """Add X^T X of forces and virials of a block to the upper triangle of an array.

    Parameters
    ----------
    array, active
        See `add_group`.
    block : ndarray
        X^T of the structures.
    problem : Problem
    structures : range

    Returns
    -------
    moments, norm : ndarray
        See `add_group`.
    """
    weights, values = problem.targets.weighted(structures, None)
    add_gram(array, block, active, weights)
    moments = _weighted_sums(block, weights * values)[active]
    return moments, _weighted_sums(values[None], values)


def _weighted_sums(block: FloatArray, weights: FloatArray) -> FloatArray:
    """Return ``block @ weights``; BLAS would add up in an order of its threads."""
    return np.asarray(np.einsum("ij,j->i", block, weights))


def sums_of_group(active: NDArray[np.intp], problem: Problem) -> dict[str, FloatArray]:
    """Return what `add_group` returns, and X^T X as ``packed``, in a worker."""
    array = np.zeros((len(active), len(active)), order="F")
    return {**add_group(array, problem, active), "packed": _packed(array)}


def _packed(array: FloatArray) -> FloatArray:
    """Return the columns of the upper triangle, one after another."""
    return np.concatenate([array[: j + 1, j] for j in range(len(array))])


def add_packed(array: FloatArray, packed: FloatArray) -> None:
    """Add what `sums_of_group` has packed to the upper triangle of an array."""
    first = 0
    for j in range(len(array)):
        array[: j + 1, j] += packed[first : first + j + 1]
        first += j + 1


def features_of_block(_shared: None, problem: Problem) -> dict[str, FloatArray]:
    """Return X^T of all structures as ``features``, in a worker."""
    n = len(problem)
    return {"features": problem.block(problem.workspace(n), range(n))}


def errors_of_block(
    shared: tuple[FloatArray, Sequence[float | None]], problem: Problem
) -> dict[str, FloatArray]:
    """Return sums of squares of weighted errors of fits.

    Parameters
    ----------
    shared : tuple
        Coefficients, shape ``(n_sizes, n_alphas, n_features)``, and the lowest energy
        per atom in the training set of each size.
    problem : Problem
        Structures of the test set.

    Returns
    -------
    dict
        ``squares``, shape ``(n_sizes, n_alphas)``; ``norms``, sums of squares of
        weights, shape ``(n_sizes,)``; ``row_sums`` of all rows.
    """
    coefficients, lowest = shared
    n = len(problem)
    block = problem.block(problem.workspace(n), range(n))
    squares = np.zeros(coefficients.shape[:2])
    norms = np.zeros(len(coefficients))
    # BLAS would add up in an order of its threads.
    with threads(1):
        for k, fitted in enumerate(coefficients):
            weights, values = problem.targets.weighted(range(n), lowest[k])
            residuals = (fitted @ block) * weights - values
            squares[k] = (residuals**2).sum(axis=1)
            norms[k] = (weights**2).sum()
    return {"squares": squares, "norms": norms, "row_sums": row_sums(block)}

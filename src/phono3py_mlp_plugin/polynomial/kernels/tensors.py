"""Contraction of third derivatives of polynomials, and rotation of force constants."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from phono3py_mlp_plugin.contracts import FloatArray, IntArray
from phono3py_mlp_plugin.polynomial.kernels.simd import (
    LANES,
    item,
    kernel,
    load,
    splat,
    store,
)


class TripleTable(NamedTuple):
    """Third derivatives ``d^3 P / da_v da_x da_y``, sparse, with y of one type.

    Attributes
    ----------
    block : ndarray
        ``t n_types + t'`` for v of type t and x of type t' of each pair (v <= x).
    v, x : ndarray
        Numbers of the coefficients among those of their type.
    start : ndarray
        Terms of pair k are ``start[k]`` to ``start[k + 1]``.
    y : ndarray
        Number of the third coefficient of each term among those of its type.
    """

    block: IntArray
    v: IntArray
    x: IntArray
    start: IntArray
    y: IntArray


@kernel
def contract_triples(
    table: TripleTable, values: FloatArray, columns: FloatArray, matrices: FloatArray
) -> None:
    """Add ``sum_y P_vxy b_yw`` to ``matrices``.

    Parameters
    ----------
    table : TripleTable
    values : ndarray
        ``P_vxy`` of each term.
    columns : ndarray
        ``b_yw``, shape ``(n_lm, W)``, w padded to a multiple of `LANES`.
    matrices : ndarray
        Added to: ``(n_types^2, n_lm, n_w, n_lm)`` by block, v, w and x. Of two
        different types only one order is written.
    """
    n_types = round(np.sqrt(matrices.shape[0]))
    n_lm, n_w, width = matrices.shape[1], matrices.shape[2], columns.shape[1]
    flat = matrices.reshape(matrices.size)
    work = np.empty(LANES)
    for pair in range(table.block.shape[0]):
        block, v, x = table.block[pair], table.v[pair], table.x[pair]
        mirrored = v != x and block % (n_types + 1) == 0
        at = (block * n_lm + v) * n_w * n_lm + x
        mirror = (block * n_lm + x) * n_w * n_lm + v
        for first in range(0, width, LANES):
            s = splat(0.0)
            for k in range(table.start[pair], table.start[pair + 1]):
                s = s + splat(item(values, k)) * load(
                    columns, item(table.y, k) * width + first
                )
            store(work, 0, s)
            for lane in range(min(LANES, n_w - first)):
                flat[at + (first + lane) * n_lm] += work[lane]
                if mirrored:
                    flat[mirror + (first + lane) * n_lm] += work[lane]


@kernel
def add_moved_pairs(
    source: FloatArray, moved: IntArray, weight: float, target: FloatArray
) -> None:
    """Add blocks of fc3: ``target[moved[j], moved[k]] += weight source[j, k]``.

    Parameters
    ----------
    source : ndarray
        Derivatives by direction, atom and direction, atom and direction, shape ``(3, M,
        3, M, 3)``.
    moved : ndarray
        Where each atom goes, shape ``(M,)``.
    weight : float
    target : ndarray
        Shape ``(N, N, 3, 3, 3)``.
    """
    n = source.shape[1]
    for j in range(n):
        for k in range(n):
            t = target[moved[j], moved[k]]
            for a in range(3):
                for b in range(3):
                    for c in range(3):
                        t[a, b, c] += weight * source[a, j, b, k, c]


@kernel
def add_rotated_pairs(
    source: FloatArray, moved: IntArray, rotation: FloatArray, target: FloatArray
) -> None:
    """Add rotated blocks of fc3: ``target[moved[j], moved[k]] += R R R source[j, k]``.

    Parameters
    ----------
    source, target : ndarray
        Shape ``(N, N, 3, 3, 3)``.
    moved : ndarray
        Where each atom goes, shape ``(N,)``.
    rotation : ndarray
        Cartesian, shape ``(3, 3)``.
    """
    n = source.shape[0]
    once = np.empty((3, 3, 3))
    twice = np.empty((3, 3, 3))
    for j in range(n):
        for k in range(n):
            s = source[j, k]
            t = target[moved[j], moved[k]]
            for a in range(3):
                for b in range(3):
                    for i in range(3):
                        once[a, b, i] = (
                            rotation[i, 0] * s[a, b, 0]
                            + rotation[i, 1] * s[a, b, 1]
                            + rotation[i, 2] * s[a, b, 2]
                        )
            for a in range(3):
                for b in range(3):
                    for i in range(3):
                        twice[a, i, b] = (
                            rotation[i, 0] * once[a, 0, b]
                            + rotation[i, 1] * once[a, 1, b]
                            + rotation[i, 2] * once[a, 2, b]
                        )
            for a in range(3):
                for b in range(3):
                    for i in range(3):
                        t[i, a, b] += (
                            rotation[i, 0] * twice[0, a, b]
                            + rotation[i, 1] * twice[1, a, b]
                            + rotation[i, 2] * twice[2, a, b]
                        )

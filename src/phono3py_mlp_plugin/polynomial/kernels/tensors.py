"""Contraction of third derivatives of polynomials, sums of force constants."""

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
    table: TripleTable,
    values: FloatArray,
    columns: FloatArray,
    first_type: int,
    matrices: FloatArray,
) -> None:
    """Add ``sum_y P_vxy b_yw`` to ``matrices``.

    Parameters
    ----------
    table : TripleTable
    values : ndarray
        ``P_vxy`` of each term.
    columns : ndarray
        ``b_yw``, shape ``(n_lm, W)``, w padded to a multiple of `LANES`.
    first_type : int
        Blocks of earlier types are left out.
    matrices : ndarray
        Added to: ``(A, n_types^2, 3, n_lm, n_lm)`` by atom and direction of w, block, v
        and x. Of two different types only one order is written.
    """
    n_types = round(np.sqrt(matrices.shape[1]))
    n_w, n_lm, width = 3 * matrices.shape[0], matrices.shape[3], columns.shape[1]
    n_atom, n_direction = matrices[0].size, n_lm * n_lm
    flat = matrices.reshape(matrices.size)
    work = np.empty(2 * LANES)
    # Of each atom and direction.
    offsets = np.empty(n_w, dtype=np.int64)
    for w in range(n_w):
        offsets[w] = (w // 3) * n_atom + (w % 3) * n_direction
    for pair in range(table.block.shape[0]):
        block, v, x = table.block[pair], table.v[pair], table.x[pair]
        if block < first_type * n_types:
            continue
        mirrored = v != x and block % (n_types + 1) == 0
        one = 3 * block * n_direction + v * n_lm + x
        other = 3 * block * n_direction + x * n_lm + v
        # Two vectors at a time, so that values are loaded half as often.
        for first in range(0, width, 2 * LANES):
            s, t = splat(0.0), splat(0.0)
            if first + LANES < width:
                for k in range(table.start[pair], table.start[pair + 1]):
                    value, row = splat(item(values, k)), item(table.y, k) * width
                    s = s + value * load(columns, row + first)
                    t = t + value * load(columns, row + first + LANES)
            else:
                for k in range(table.start[pair], table.start[pair + 1]):
                    value, row = splat(item(values, k)), item(table.y, k) * width
                    s = s + value * load(columns, row + first)
            store(work, 0, s)
            store(work, LANES, t)
            for lane in range(min(2 * LANES, n_w - first)):
                at = offsets[first + lane]
                flat[at + one] += work[lane]
                if mirrored:
                    flat[at + other] += work[lane]


@kernel
def add_weighted(
    part: FloatArray,
    weights: FloatArray,
    moved: IntArray,
    own: IntArray,
    target: FloatArray,
    of_centre: FloatArray,
) -> None:
    """Add third derivatives by three neighbours, and those by the centre.

    The centre moves against all its neighbours: each of the three indices may be its
    own, with the opposite sign.

    Parameters
    ----------
    part : ndarray
        By second atom and direction, the first atom's directions, third atom and
        direction, shape ``(B, 3, 3, C, 3)``.
    weights : ndarray
        Shape ``(B, C)``.
    moved : ndarray
        Where the second atoms, the third atoms and the centre go if the first atom goes
        to its place in the primitive cell, shape ``(B + C + 1,)``.
    own : ndarray
        Where they go if the centre does, shape ``(B + C + 1,)``.
    target, of_centre : ndarray
        Added to: fc3 of the first atom's sublattice and of the centre's, shape
        ``(N, N, 3, 3, 3)``.
    """
    n_b, n_c = weights.shape
    by_third = np.zeros((n_c, 3, 3, 3))
    for b in range(n_b):
        by_second = np.zeros((3, 3, 3))
        for c in range(n_c):
            weight = weights[b, c]
            if weight == 0.0:
                continue
            t = target[moved[b], moved[n_b + c]]
            s = of_centre[own[b], own[n_b + c]]
            for i in range(3):
                for j in range(3):
                    for k in range(3):
                        value = weight * part[b, j, i, c, k]
                        t[i, j, k] += value
                        s[i, j, k] -= value
                        by_second[i, j, k] += value
                        by_third[c, i, j, k] += value
        target[moved[b], moved[-1]] -= by_second
        of_centre[own[b], own[-1]] += by_second
    for c in range(n_c):
        target[moved[-1], moved[n_b + c]] -= by_third[c]
        of_centre[own[-1], own[n_b + c]] += by_third[c]
        target[moved[-1], moved[-1]] += by_third[c]
        of_centre[own[-1], own[-1]] -= by_third[c]


@kernel
def sum_permutations(
    source: FloatArray, rows: IntArray, translations: IntArray
) -> FloatArray:
    """Return the sum of fc3 over the permutations of its indices.

    Parameters
    ----------
    source : ndarray
        The rows of one atom of each sublattice, shape ``(S, N, N, 3, 3, 3)``.
    rows : ndarray
        The row of the sublattice of each atom, and those atoms, shape ``(N + S,)``.
    translations : ndarray
        Where each atom goes if an atom goes to that of its sublattice, shape
        ``(N, N)``.
    """
    n_rows, n = source.shape[:2]
    cyclic = np.empty(source.shape)
    for r in range(n_rows):
        a = rows[n + r]
        for b in range(n):
            of_b, to_b = source[rows[b]], translations[b]
            for c in range(n):
                x = source[r, b, c]
                y = of_b[to_b[c], to_b[a]]
                z = source[rows[c], translations[c, a], translations[c, b]]
                t = cyclic[r, b, c]
                for i in range(3):
                    for j in range(3):
                        for k in range(3):
                            t[i, j, k] = x[i, j, k] + y[j, k, i] + z[k, i, j]
    result = np.empty(source.shape)
    for r in range(n_rows):
        for b in range(n):
            for c in range(n):
                x, y, t = cyclic[r, b, c], cyclic[r, c, b], result[r, b, c]
                for i in range(3):
                    for j in range(3):
                        for k in range(3):
                            t[i, j, k] = x[i, j, k] + y[i, k, j]
    return result


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
    is_translation = (rotation == np.eye(3)).all()
    once = np.empty((3, 3, 3))
    twice = np.empty((3, 3, 3))
    for j in range(n):
        for k in range(n):
            s = source[j, k]
            t = target[moved[j], moved[k]]
            if is_translation:
                for a in range(3):
                    for b in range(3):
                        for i in range(3):
                            t[a, b, i] += s[a, b, i]
                continue
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

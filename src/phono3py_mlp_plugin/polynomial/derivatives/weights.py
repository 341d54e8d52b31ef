"""Derivatives of polynomials of features by these features."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from phono3py_mlp_plugin.contracts import FloatArray, IntArray
from phono3py_mlp_plugin.polynomial.derivatives.centre import Centre


def product_weights(
    centre: Centre, coefficients: FloatArray
) -> tuple[FloatArray, Any, tuple[IntArray, IntArray, IntArray, FloatArray]]:
    """Return the derivatives of polynomials by the features that they are made of.

    Returns
    -------
    first : ndarray
        ``W_k``, shape ``(K,)``.
    second : sparse matrix
        ``W_kl``, shape ``(K, K)``.
    third : tuple of ndarray
        k, l, m and value of the terms of ``W_klm``.
    """
    f = centre.values
    n = len(f)
    first = np.zeros(n)
    one, others, features = centre.tables.quadratic.by_factor
    c = coefficients[features]
    np.add.at(first, one, c * f[others[:, 0]])
    rows, columns, values = [one], [others[:, 0]], [c]
    one, others, features = centre.tables.cubic.by_factor
    c = coefficients[features]
    np.add.at(first, one, c * f[others].prod(axis=1))
    for slot in (0, 1):
        rows.append(one)
        columns.append(others[:, slot])
        values.append(c * f[others[:, 1 - slot]])
    second = sparse.coo_array(
        (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))),
        shape=(n, n),
    ).tocsr()
    third = (
        np.tile(one, 2),
        np.concatenate((others[:, 0], others[:, 1])),
        np.concatenate((others[:, 1], others[:, 0])),
        np.tile(c, 2),
    )
    return first, second, third

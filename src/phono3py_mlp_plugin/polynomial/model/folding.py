"""Coefficients of a potential folded into the tables of its features."""

from __future__ import annotations

import numpy as np

from phono3py_mlp_plugin.contracts import FloatArray
from phono3py_mlp_plugin.polynomial.kernels.records import FoldedTable
from phono3py_mlp_plugin.polynomial.model.tables import CentreTables

FOLDED_ORDER = 3
"""Invariants up to this order are folded: their derivatives are quadratic forms."""


def fold(
    tables: CentreTables, coefficients: FloatArray, n_v: int
) -> tuple[FoldedTable, ...]:
    """Return the folded derivatives of the linear features, one for each order.

    Parameters
    ----------
    tables : CentreTables
    coefficients : ndarray
        Of the features, shape ``(n_features,)``.
    n_v : int
        Number of expansion coefficients of one radial function.
    """
    # Index -1 of a feature that does not exist finds the zero at the end.
    by_pattern = np.append(coefficients, 0.0)[tables.features]
    rows, terms = tables.rows, tables.rows.derivatives
    row = np.repeat(np.arange(len(rows.variables)), np.diff(terms.start))
    order = rows.orders[rows.patterns[row]]
    folded = []
    for p in range(1, FOLDED_ORDER + 1):
        chosen = np.flatnonzero(order == p)
        if not len(chosen):
            continue
        v = rows.variables[row[chosen]]
        # The larger factor first: the one, where there is one, makes a single pair.
        w, x = terms.factors[chosen, 1], terms.factors[chosen, 0]
        sort = np.lexsort((x, w, v))
        v, w, x, chosen = v[sort], w[sort], x[sort], chosen[sort]
        new_pair = np.append(True, (np.diff(v) != 0) | (np.diff(w) != 0))
        new_term = new_pair | np.append(True, np.diff(x) != 0)
        first = np.flatnonzero(new_term)
        weights = by_pattern[:, rows.patterns[row[chosen]]]
        weights *= terms.coefficients[chosen]
        pairs = np.flatnonzero(new_pair)
        folded.append(
            FoldedTable(
                np.searchsorted(v[pairs], np.arange(n_v + 1)),
                w[pairs],
                np.append(np.searchsorted(first, pairs), len(first)),
                x[first],
                np.add.reduceat(weights, first, axis=1),
                1.0 / p,
            )
        )
    return tuple(folded)

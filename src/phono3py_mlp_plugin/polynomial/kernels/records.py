"""What kernels take: records of arrays, which numba knows as named tuples.

All arrays are C-contiguous; those of numbers that vectors are read from are float64 and
padded to `LANES`.
"""

from __future__ import annotations

from typing import NamedTuple

from phono3py_mlp_plugin.contracts import FloatArray, IntArray


class Segments(NamedTuple):
    """Neighbours of some centres by partner type, padded to whole vectors.

    Attributes
    ----------
    start : ndarray
        Those of centre i and type t are ``start[i, t]`` to ``start[i, t + 1]``, shape
        ``(n_centres, n_types + 1)``; all are multiples of `LANES`.
    unit : ndarray
        Unit vectors, shape ``(3, n)``.
    distances : ndarray
        In angstrom, shape ``(n,)``; infinite where there is no neighbour.
    inverse_distances : ndarray
        In 1/angstrom, shape ``(n,)``.
    functions, slopes : ndarray
        Radial functions and their derivatives, shape ``(n_radial, n)``.
    """

    start: IntArray
    unit: FloatArray
    distances: FloatArray
    inverse_distances: FloatArray
    functions: FloatArray
    slopes: FloatArray


class Slots(NamedTuple):
    """Neighbouring atoms of some centres; images of one atom share a slot.

    The neighbours lie by groups of `LANES` slots: a vector with the first image of each
    slot, one with the second, and so on.

    Attributes
    ----------
    counts : ndarray
        Slots of a centre and a partner type, shape ``(n_centres, n_types)``.
    start : ndarray
        Where they start in ``atoms``, shape ``(n_centres, n_types)``.
    atoms : ndarray
        The atom of each slot, those with most images first.
    group_first : ndarray
        First group of a centre and a partner type, shape ``(n_centres, n_types)``.
    group_start : ndarray
        Where the neighbours of each group start, and their number at the end.
    """

    counts: IntArray
    start: IntArray
    atoms: IntArray
    group_first: IntArray
    group_start: IntArray


class DerivativeTable(NamedTuple):
    """Derivatives of patterns by expansion coefficients, as sums of monomials.

    A row is the derivative of one pattern by one coefficient. Rows are sorted by
    partner type, pattern and coefficient.

    Attributes
    ----------
    variables, patterns : ndarray
        Coefficient and pattern of each row, shape ``(n_rows,)``.
    harmonics : ndarray
        ``l^2 + mu`` of the coefficient, shape ``(n_rows,)``.
    shares : ndarray
        1/p of each pattern, p its order: by Euler's theorem a pattern is this share of
        the sum of its derivatives times their coefficients.
    type_rows : ndarray
        First row of each partner type and pattern, and the end of the type's, shape
        ``(n_types, n_padded + 1)``; patterns without rows pad them to `LANES`.
    start : ndarray
        Monomials of row r are ``start[r]`` to ``start[r + 1]``.
    coefficients : ndarray
        Of the monomials, shape ``(n_terms,)``.
    factors : ndarray
        Numbers of coefficients, ``n_v`` for 1, shape ``(n_terms, n_factors)``.
    """

    variables: IntArray
    patterns: IntArray
    harmonics: IntArray
    shares: FloatArray
    type_rows: IntArray
    start: IntArray
    coefficients: FloatArray
    factors: IntArray


class LinearTable(NamedTuple):
    """Linear features of centres of one type.

    Attributes
    ----------
    derivatives : DerivativeTable
        Of their patterns.
    features : ndarray
        Number of each feature by radial function and pattern, -1 where there is none,
        shape ``(n_radial, n_patterns)``.
    multiplied : ndarray
        Place of each feature among those that are multiplied, -1 where it is not.
    """

    derivatives: DerivativeTable
    features: IntArray
    multiplied: IntArray


class ProductTable(NamedTuple):
    """Products of multiplied features.

    Attributes
    ----------
    start : ndarray
        Factors of product k are ``start[k]`` to ``start[k + 1]``, shape ``(n_padded +
        1,)``; products without factors pad them to `LANES`.
    one : ndarray
        Place of each factor among the multiplied features, shape ``(n_factors,)``.
    others : ndarray
        Places of the two other factors, ``n_multiplied`` for 1, shape ``(n_factors,
        2)``.
    features : ndarray
        Number of the feature that each product is, shape ``(n_products,)``.
    """

    start: IntArray
    one: IntArray
    others: IntArray
    features: IntArray


class FoldedTable(NamedTuple):
    """Derivatives ``dE/da_v = sum_w a_w sum_x C_vwx a_x`` of one order.

    Attributes
    ----------
    pair_start : ndarray
        Pairs (v, w) of coefficient v start at ``pair_start[v]``, shape ``(n_v + 1,)``.
    pair_factor : ndarray
        w of each pair.
    term_start : ndarray
        Terms of each pair, and their number at the end.
    term_factor : ndarray
        x of each term.
    weights : ndarray
        C of each term, shape ``(n_radial, n_terms)``.
    share : float
        1/p for order p: by Euler's theorem the energy is this share of the sum of the
        derivatives times their coefficients.
    """

    pair_start: IntArray
    pair_factor: IntArray
    term_start: IntArray
    term_factor: IntArray
    weights: FloatArray
    share: float


class Centres(NamedTuple):
    """Centres of one type and what is computed of each.

    Attributes
    ----------
    atoms : ndarray
        The atoms that they are, shape ``(n_centres,)``.
    energy_columns : ndarray
        Column of the design matrix for the energy of each, shape ``(n_centres,)``.
    coefficients : ndarray
        Expansion coefficients and a one, by blocks of centres, shape ``(n_blocks,
        n_radial, n_v + 1, MATRIX_CENTRES)``.
    values : ndarray
        Multiplied features and a one, shape ``(n_multiplied + 1, n_centres)``.
    """

    atoms: IntArray
    energy_columns: IntArray
    coefficients: FloatArray
    values: FloatArray


class Harmonics(NamedTuple):
    """Spherical harmonics of one vector of neighbours, and what they are made from.

    Attributes
    ----------
    polynomials : ndarray
        Of `legendre`.
    values, gradients : ndarray
        Y and its gradient, flat of ``(n_lm, LANES)`` and ``(n_lm, 3, LANES)``.
    """

    polynomials: FloatArray
    values: FloatArray
    gradients: FloatArray


class Workspace(NamedTuple):
    """Arrays that kernels of the design matrix write intermediate results to.

    Attributes
    ----------
    derivatives : ndarray
        Of patterns by expansion coefficients, shape ``(MATRIX_CENTRES, n)``, n at least
        the number of rows of any partner type.
    harmonics : Harmonics
    jacobian : ndarray
        Minus the derivatives of expansion coefficients by positions of neighbours,
        ``(n_pairs, n_lm, 3, 2, LANES)`` for pairs of groups of slots; its shape is
        ``(n_pairs, n_lm * 6 * LANES)``.
    products : ndarray
        Forces of a vector of features on a pair of groups, shape ``(6 * LANES^2,)``.
    forces : ndarray
        Forces of many features at a time, shape ``(n_atoms, 3, n)``, or of single ones,
        shape ``(n_pairs, n_multiplied, 6 * LANES)``.
    """

    derivatives: FloatArray
    harmonics: Harmonics
    jacobian: FloatArray
    products: FloatArray
    forces: FloatArray


class Target(NamedTuple):
    """Where features are added to.

    Attributes
    ----------
    matrix : ndarray
        The transposed design matrix, shape ``(n_features, n_columns)``.
    force_columns : ndarray
        Columns of the forces on each atom by direction, shape ``(3, n_atoms)``.
    """

    matrix: FloatArray
    force_columns: IntArray


class Owners(NamedTuple):
    """Whose the centres and neighbours of `Segments` are.

    Attributes
    ----------
    centres, structures : ndarray
        Atom and structure of each centre, shape ``(n_centres,)``.
    partners : ndarray
        Atom of each neighbour, shape ``(n,)``.
    """

    centres: IntArray
    structures: IntArray
    partners: IntArray

"""The design matrix: features of the energy and of every force component."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from phono3py_mlp_plugin.contracts import FloatArray
from phono3py_mlp_plugin.polynomial import kernels
from phono3py_mlp_plugin.polynomial.basis import (
    aligned,
    expand,
    normalisation,
    pad,
    radial_functions,
)
from phono3py_mlp_plugin.polynomial.definition import Definition
from phono3py_mlp_plugin.polynomial.kernels import HALF
from phono3py_mlp_plugin.polynomial.slots import make_slots
from phono3py_mlp_plugin.polynomial.structure import (
    Pairs,
    Structure,
    pairs_by_centre_type,
)
from phono3py_mlp_plugin.polynomial.tables import (
    CentreTables,
    Products,
    centre_tables,
)
from phono3py_mlp_plugin.polynomial.threads import map_threads

IntArray = NDArray[np.int64]

# Atoms handled by one task: small structures share blocks of centres.
_ATOMS = 48

# Centres of a block at most.
_CENTRES = 2 * HALF

# Radial functions handled together. In large cells the rows of the matrix that one of
# them adds to fill the cache already.
_TOGETHER = {True: 2, False: 1}

# Products handled in one matrix product.
_PRODUCTS = 2048


class Features:
    """Features of structures under one definition.

    Parameters
    ----------
    definition : Definition
    n_threads : int, optional
        All cores by default; the result does not depend on it.
    """

    def __init__(self, definition: Definition, n_threads: int | None = None) -> None:
        self.definition = definition
        self._n_threads = n_threads
        self._centres = [
            _KernelTables(tables, (definition.parameters.max_l + 1) ** 2)
            for tables in centre_tables(definition)
        ]
        self._rooms: list[_Room] = []
        self._constants = normalisation(definition.parameters.max_l)

    def design_matrix(self, structures: Sequence[Structure]) -> FloatArray:
        """Return the transposed design matrix.

        Parameters
        ----------
        structures : sequence of Structure
            n structures of N atoms each.

        Returns
        -------
        ndarray
            Shape ``(n_features, n (1 + 3 N))``. Columns by structure: the energy, then
            the forces in direction x of all atoms, then y, then z.
        """
        n_rows = sum(1 + 3 * len(s) for s in structures)
        matrix = np.zeros((self.definition.n_features, n_rows))
        self.fill(matrix, 0, structures)
        return matrix

    def fill(
        self, matrix: FloatArray, column: int, structures: Sequence[Structure]
    ) -> None:
        """Write the transposed design matrix to zero columns from ``column`` on.

        The matrix is contiguous.
        """
        first = column + np.cumsum([0, *(1 + 3 * len(s) for s in structures)])
        step = max(1, _ATOMS // max(len(s) for s in structures))
        chunks = [
            (begin, structures[begin : begin + step])
            for begin in range(0, len(structures), step)
        ]
        map_threads(
            lambda chunk: self._fill(matrix, first, *chunk), chunks, self._n_threads
        )

    def _fill(
        self,
        matrix: FloatArray,
        first: IntArray,
        begin: int,
        structures: Sequence[Structure],
    ) -> None:
        parameters = self.definition.parameters
        rows = first[begin : begin + len(structures) + 1]
        by_type = pairs_by_centre_type(
            structures, parameters.n_types, parameters.cutoff
        )
        types = np.concatenate([s.types for s in structures])
        atoms = np.cumsum([0, *(len(s) for s in structures)])
        within = matrix.reshape(-1)[rows[0] :]
        room = self._rooms.pop() if self._rooms else _Room()
        for tables, pairs in zip(self._centres, by_type, strict=True):
            for low in range(0, len(pairs.centres), _CENTRES):
                block = _select(pairs, low, low + _CENTRES)
                self._add_block(
                    within,
                    matrix.shape[1],
                    tables,
                    block,
                    types,
                    atoms,
                    rows - rows[0],
                    room,
                )
        self._rooms.append(room)

    def _add_block(
        self,
        matrix: FloatArray,
        row_length: int,
        tables: _KernelTables,
        pairs: Pairs,
        types: IntArray,
        atoms: IntArray,
        rows: IntArray,
        room: _Room,
    ) -> None:
        """Add the features of a block of centres to the flat matrix of a chunk."""
        parameters = self.definition.parameters
        n_radial = parameters.n_radial
        lanes = -(-len(pairs.centres) // HALF) * HALF
        slots = make_slots(pairs, types, atoms, parameters.n_types)
        segments = slots.segments
        together = _TOGETHER[slots.dense]
        unit = segments.unit.reshape(-1)
        functions, slopes = radial_functions(
            segments.distances, parameters.pair_params, parameters.cutoff
        )
        n_lm = (parameters.max_l + 1) ** 2
        a = room.array("a", n_radial * (parameters.n_types * n_lm + 1) * lanes)
        expand(
            segments.start,
            unit,
            functions.reshape(-1),
            n_radial,
            self._constants,
            0,
            lanes,
            a,
        )
        n_patterns = len(tables.plain.orders)
        energies = room.array("energies", n_radial * n_patterns * lanes).reshape(
            n_radial, n_patterns, lanes
        )
        product_rows = int(rows[-1])
        n_multiplied = len(tables.plain.multiplied)
        products = np.zeros((n_multiplied, lanes, product_rows))
        centre_structures = pairs.structures
        kernels.block_features(
            *tables.arguments,
            lanes,
            a,
            slots.dense,
            together,
            slots.counts,
            slots.start,
            slots.atoms,
            slots.group_first,
            slots.group_start,
            pairs.centres - atoms[centre_structures],
            rows[centre_structures] + 1,
            np.diff(atoms)[centre_structures],
            functions.reshape(-1),
            slopes.reshape(-1),
            unit,
            1.0 / segments.distances,
            self._constants,
            room.array("derivatives", together * len(tables.plain.variables) * lanes),
            room.array(
                "columns",
                together
                * n_lm
                * (lanes if slots.dense else 1)
                * 3
                * pad(slots.counts.max()),
            ),
            room.array("moved", n_patterns * 3 * pad(slots.counts.max())),
            matrix,
            row_length,
            energies.reshape(-1),
            products.reshape(-1),
            product_rows,
        )
        shares = np.zeros((lanes, len(rows) - 1))
        shares[np.arange(len(pairs.centres)), centre_structures] = 1.0
        exist = tables.plain.columns >= 0
        _add_energies(
            matrix,
            row_length,
            tables.plain.columns[exist],
            energies[exist] @ shares,
            rows,
        )
        if n_multiplied:
            n, pattern = tables.plain.multiplied.T
            factors = energies[n, pattern]
            for polynomial in (tables.plain.quadratic, tables.plain.cubic):
                _add_products(
                    matrix, row_length, polynomial, factors, products, shares, rows
                )


class _Room:
    """Arrays to work in, used again: touching new memory costs more than the work."""

    def __init__(self) -> None:
        self._arrays: dict[str, FloatArray] = {}

    def array(self, name: str, size: int) -> FloatArray:
        """Return a flat array that holds what it held before, or zeros."""
        if name not in self._arrays or len(self._arrays[name]) < size:
            self._arrays[name] = aligned(size)
            self._arrays[name][:] = 0.0
        return self._arrays[name][:size]


class _KernelTables:
    """Tables of a centre type in the form and order that the kernel takes them."""

    def __init__(self, tables: CentreTables, n_lm: int) -> None:
        self.plain = tables
        multiplied = np.full(tables.columns.shape, -1, dtype=np.int64)
        multiplied[tuple(tables.multiplied.T)] = np.arange(len(tables.multiplied))
        factors = tables.derivatives.factors
        partner_type = tables.variables // n_lm
        n_types = tables.block_rows.shape[0]
        by_pattern = np.lexsort((tables.variables, tables.patterns))
        key = (tables.patterns * n_types + partner_type)[by_pattern]
        cells = np.arange(len(tables.orders))[:, None] * n_types
        self.arguments = (
            tables.variables,
            tables.patterns,
            1.0 / tables.orders,
            tables.derivatives.start,
            tables.derivatives.coefficients,
            factors.reshape(-1),
            factors.shape[1],
            tables.block_rows,
            by_pattern,
            (tables.variables % n_lm)[by_pattern],
            np.searchsorted(key, cells + np.arange(n_types + 1)),
            tables.columns,
            multiplied,
        )


def _add_energies(
    matrix: FloatArray,
    row_length: int,
    features: IntArray,
    values: FloatArray,
    rows: IntArray,
) -> None:
    """Add values of features, ``(n, n_structures)``, to the energy columns."""
    matrix[features[:, None] * row_length + rows[:-1]] += values


def _add_products(
    matrix: FloatArray,
    row_length: int,
    polynomial: Products,
    factors: FloatArray,
    forces: FloatArray,
    shares: FloatArray,
    rows: IntArray,
) -> None:
    """Add products of features by the product rule.

    Parameters
    ----------
    factors : ndarray
        Values of the multiplied features, ``(n_multiplied, lanes)``.
    forces : ndarray
        Their forces by centre, ``(n_multiplied, lanes, product_rows)``.
    shares : ndarray
        1 where a centre is of a structure, ``(lanes, n_structures)``.
    """
    for low in range(0, len(polynomial.columns), _PRODUCTS):
        some = slice(low, low + _PRODUCTS)
        values = factors[polynomial.factors[some]].prod(axis=1)
        _add_energies(
            matrix, row_length, polynomial.columns[some], values @ shares, rows
        )
    one, others, features = polynomial.by_factor
    first = np.searchsorted(one, np.arange(len(factors) + 1))
    for factor, (begin, end) in enumerate(pairwise(first)):
        for low in range(begin, end, _PRODUCTS):
            some = slice(low, min(low + _PRODUCTS, end))
            weights = factors[others[some]].prod(axis=1)
            moved = weights @ forces[factor]
            kernels.add_rows(moved, features[some], matrix, row_length)


def _select(pairs: Pairs, low: int, high: int) -> Pairs:
    """Return the centres ``low`` to ``high`` with their neighbours."""
    first, last = np.searchsorted(pairs.centre, (low, high))
    return Pairs(
        pairs.centres[low:high],
        pairs.structures[low:high],
        pairs.centre[first:last] - low,
        pairs.partner[first:last],
        pairs.partner_type[first:last],
        pairs.vectors[first:last],
    )


class SupercellFeatures:
    """The design matrix of a dataset, computed where it is asked for.

    Parameters
    ----------
    features : Features
    structures : sequence of Structure
        Of one size.
    """

    def __init__(self, features: Features, structures: Sequence[Structure]) -> None:
        self._features = features
        self._structures = structures

    @property
    def n_features(self) -> int:
        """Number of features."""
        return self._features.definition.n_features

    def fill(self, matrix: FloatArray, column: int, supercells: range) -> None:
        """Write X^T of some supercells to zero columns from ``column`` on."""
        structures = self._structures[supercells.start : supercells.stop]
        self._features.fill(matrix, column, structures)

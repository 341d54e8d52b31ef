"""The design matrix: features of the energy and of every force component."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from phono3py_mlp_plugin.contracts import FloatArray, IntArray
from phono3py_mlp_plugin.polynomial.kernels import features as kernels
from phono3py_mlp_plugin.polynomial.kernels.basis import (
    aligned,
    normalisation,
    pad,
    radial_functions,
)
from phono3py_mlp_plugin.polynomial.kernels.features import BLOCK
from phono3py_mlp_plugin.polynomial.kernels.simd import LANES
from phono3py_mlp_plugin.polynomial.model.feature_list import FeatureList
from phono3py_mlp_plugin.polynomial.model.tables import (
    CentreTables,
    PatternRows,
    Products,
    centre_tables,
)
from phono3py_mlp_plugin.polynomial.structures.slots import Slots, make_slots
from phono3py_mlp_plugin.polynomial.structures.structure import (
    Pairs,
    Structure,
    pairs_by_centre_type,
)
from phono3py_mlp_plugin.polynomial.threads import map_threads

# Atoms handled by one task: small structures share blocks of centres.
_ATOMS = 48

# Products handled together.
_PRODUCTS = 512

# Numbers for a pair of groups of slots, in three directions.
_VECTORS = 3 * 2 * LANES

# Bytes for the forces of single features of the centres whose products are added up
# together: the more centres, the fewer additions to the matrix.
_SINGLE = 8e6


class Features:
    """Features of structures of one list.

    Parameters
    ----------
    feature_list : FeatureList
    n_threads : int, optional
        All cores by default; the result does not depend on it.
    """

    def __init__(self, feature_list: FeatureList, n_threads: int | None = None) -> None:
        self.feature_list = feature_list
        self._n_threads = n_threads
        self._centres = [
            _KernelTables(tables, (feature_list.parameters.max_l + 1) ** 2)
            for tables in centre_tables(feature_list)
        ]
        self._rooms: list[_Room] = []
        self._constants = normalisation(feature_list.parameters.max_l)

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
        matrix = np.zeros((self.feature_list.n_features, n_rows))
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
        parameters = self.feature_list.parameters
        columns = first[begin : begin + len(structures) + 1]
        target = _Target(
            matrix.reshape(-1)[columns[0] :],
            matrix.shape[1],
            columns - columns[0],
            np.cumsum([0, *(len(s) for s in structures)]),
        )
        by_type = pairs_by_centre_type(
            structures, parameters.n_types, parameters.cutoff
        )
        room = self._rooms.pop() if self._rooms else _Room()
        for tables, pairs in zip(self._centres, by_type, strict=True):
            if not len(pairs.centres):
                continue
            centres = self._centres_of(tables, pairs, target, room)
            self._add_linear(tables, centres, target, room)
            if tables.n_multiplied:
                self._add_products(tables, centres, target, room)
        self._rooms.append(room)

    def _centres_of(
        self, tables: _KernelTables, pairs: Pairs, target: _Target, room: _Room
    ) -> _Centres:
        """Prepare what the kernels read of all centres of one type."""
        parameters = self.feature_list.parameters
        slots = make_slots(pairs, parameters.n_types)
        segments = slots.segments
        functions, slopes = radial_functions(
            segments.distances, parameters.pair_params, parameters.cutoff
        )
        n_rows = -(-len(pairs.centres) // BLOCK) * parameters.n_radial
        width = (parameters.n_types * (parameters.max_l + 1) ** 2 + 1) * BLOCK
        values = np.zeros((tables.n_multiplied + 1, len(pairs.centres)))
        values[-1] = 1.0
        return _Centres(
            pairs.centres,
            slots,
            -(-slots.counts // (2 * LANES)),
            (
                slots.counts,
                slots.group_first,
                slots.group_start,
                segments.unit.reshape(-1),
                1.0 / segments.distances,
                functions.reshape(-1),
                slopes.reshape(-1),
            ),
            room.array("a", n_rows * width).reshape(n_rows, width),
            values,
            target.columns[pairs.structures],
        )

    def _add_linear(
        self, tables: _KernelTables, centres: _Centres, target: _Target, room: _Room
    ) -> None:
        n_atoms = int(target.atoms[-1])
        arguments = (
            *tables.all,
            tables.columns,
            tables.multiplied,
            centres.slots.segments.start,
            centres.atoms,
            centres.slots.start,
            centres.slots.atoms,
            *centres.neighbours,
            self._constants,
            centres.energy_columns,
            target.force_columns(np.arange(n_atoms)),
            centres.coefficients,
            room.array("derivatives", _most_rows(tables.all) * BLOCK),
            room.array("columns", centres.most_pairs * self._constants.size * _VECTORS),
            room.array("forces", n_atoms * 3 * pad(tables.columns.shape[1])),
            centres.values,
            target.matrix,
            target.row_length,
        )
        kernels.linear_features(*arguments)

    def _add_products(
        self, tables: _KernelTables, centres: _Centres, target: _Target, room: _Room
    ) -> None:
        size = int(centres.n_pairs.sum(axis=1).max()) * tables.n_multiplied * _VECTORS
        step = max(1, int(_SINGLE / (8 * BLOCK * size))) * BLOCK
        width = tables.multiplied_l + 1
        constants = np.ascontiguousarray(self._constants[:width, :width])
        for low in range(0, len(centres.atoms), step):
            high = min(low + step, len(centres.atoms))
            single = room.array("single", (high - low) * size)
            arguments = (
                *tables.some,
                tables.multiplied,
                tables.chosen,
                tables.n_multiplied,
                low,
                high,
                *centres.neighbours,
                constants,
                centres.coefficients,
                room.array("derivatives", _most_rows(tables.some) * BLOCK),
                room.array("columns", centres.most_pairs * constants.size * _VECTORS),
                single,
            )
            kernels.single_forces(*arguments)
            some = centres.slots.of_centres(low, high, centres.atoms)
            force_columns = target.force_columns(some.atoms)
            values = np.ascontiguousarray(centres.values[:, low:high])
            for products in tables.products:
                n_padded = products[0].shape[1] - 1
                arguments = (
                    *products,
                    tables.n_multiplied,
                    some.counts,
                    some.members,
                    some.centres,
                    centres.energy_columns[low:high],
                    force_columns,
                    values,
                    single,
                    room.array("forces", len(some.atoms) * 3 * n_padded),
                    target.matrix,
                    target.row_length,
                )
                kernels.product_features(*arguments)


@dataclass(frozen=True, eq=False)
class _Centres:
    """All centres of one type in some structures.

    Attributes
    ----------
    atoms : ndarray
        That the centres are.
    slots : Slots
    n_pairs : ndarray
        Pairs of groups of slots of a centre and partner type.
    neighbours : tuple
        Slots and what is known of those in them, as kernels take them.
    coefficients, values : ndarray
        Expansion coefficients and multiplied features, which `linear_features` writes.
    energy_columns : ndarray
        Column of the matrix for the energy of each.
    """

    atoms: IntArray
    slots: Slots
    n_pairs: IntArray
    neighbours: tuple[Any, ...]
    coefficients: FloatArray
    values: FloatArray
    energy_columns: IntArray

    @property
    def most_pairs(self) -> int:
        return int(self.n_pairs.max())


@dataclass(frozen=True, eq=False)
class _Target:
    """The design matrix of some structures.

    Attributes
    ----------
    matrix : ndarray
        Flat X^T, rows ``row_length`` apart.
    columns, atoms : ndarray
        First column and first atom of each structure, and what follows the last.
    """

    matrix: FloatArray
    row_length: int
    columns: IntArray
    atoms: IntArray

    def force_columns(self, atoms: IntArray) -> IntArray:
        """Return the columns of forces on atoms: all x, all y, all z."""
        structure = np.searchsorted(self.atoms, atoms, side="right") - 1
        first = self.columns[structure] + 1 + atoms - self.atoms[structure]
        stride = np.diff(self.atoms)[structure]
        return np.concatenate([first + k * stride for k in range(3)])


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
    """Tables of a centre type in the form that the kernels take them."""

    def __init__(self, tables: CentreTables, n_lm: int) -> None:
        self.columns = tables.columns
        self.all = _arguments(tables.rows, n_lm)
        self.n_multiplied = len(tables.multiplied)
        self.multiplied = np.full(tables.columns.shape, -1, dtype=np.int64)
        self.multiplied[tuple(tables.multiplied.T)] = np.arange(self.n_multiplied)
        self.chosen = np.unique(tables.multiplied[:, 1])
        some = tables.rows.of(self.chosen)
        self.some = _arguments(some, n_lm)
        self.multiplied_l = math.isqrt(max(some.variables % n_lm, default=0))
        self.products = [
            _product_arguments(polynomial, low, self.n_multiplied)
            for polynomial in (tables.quadratic, tables.cubic)
            for low in range(0, len(polynomial.columns), _PRODUCTS)
        ]


def _most_rows(arguments: tuple[Any, ...]) -> int:
    """Return the number of rows of the partner type that has most."""
    type_rows = arguments[-1]
    return int(pad((type_rows[:, -1] - type_rows[:, 0]).max()))


def _arguments(rows: PatternRows, n_lm: int) -> tuple[Any, ...]:
    n_patterns = len(rows.orders)
    padding = ((0, 0), (0, pad(n_patterns) - n_patterns))
    type_rows = np.pad(rows.type_rows, padding, mode="edge")
    factors = rows.derivatives.factors
    return (
        rows.variables,
        rows.patterns,
        1.0 / rows.orders,
        rows.derivatives.start,
        rows.derivatives.coefficients,
        factors.reshape(-1),
        factors.shape[1],
        rows.variables % n_lm,
        type_rows,
    )


def _product_arguments(
    polynomial: Products, low: int, one: int
) -> tuple[IntArray, ...]:
    """Return some products as the kernel takes them; number ``one`` is 1."""
    factors = polynomial.factors[low : low + _PRODUCTS]
    n, order = factors.shape
    others = np.full((n, order, 2), one)
    for slot in range(order):
        others[:, slot, : order - 1] = np.delete(factors, slot, axis=1)
    padding = (0, pad(n) - n)
    rows = np.pad(np.arange(n + 1) * order, padding, mode="edge")
    columns = polynomial.columns[low : low + _PRODUCTS]
    return rows[None], factors.reshape(-1), others.reshape(-1), columns


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
        return self._features.feature_list.n_features

    def fill(self, matrix: FloatArray, column: int, supercells: range) -> None:
        """Write X^T of some supercells to zero columns from ``column`` on."""
        structures = self._structures[supercells.start : supercells.stop]
        self._features.fill(matrix, column, structures)

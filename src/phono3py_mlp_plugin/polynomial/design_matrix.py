"""The design matrix: features of the energy and of every force component."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from phono3py_mlp_plugin.contracts import FloatArray, IntArray
from phono3py_mlp_plugin.polynomial.kernels.basis import (
    aligned,
    make_segments,
    normalisation,
    pad,
)
from phono3py_mlp_plugin.polynomial.kernels.chain_rule import COMPONENTS, PRODUCTS
from phono3py_mlp_plugin.polynomial.kernels.features import (
    linear_features,
    product_features,
    single_forces,
)
from phono3py_mlp_plugin.polynomial.kernels.patterns import MATRIX_CENTRES
from phono3py_mlp_plugin.polynomial.kernels.records import (
    Centres,
    DerivativeTable,
    Harmonics,
    LinearTable,
    ProductTable,
    Segments,
    Slots,
    Target,
    Workspace,
)
from phono3py_mlp_plugin.polynomial.kernels.simd import LANES
from phono3py_mlp_plugin.polynomial.model.feature_list import FeatureList
from phono3py_mlp_plugin.polynomial.model.tables import (
    CentreTables,
    Products,
    centre_tables,
)
from phono3py_mlp_plugin.polynomial.structures.clusters import clusters
from phono3py_mlp_plugin.polynomial.structures.slots import make_slots, slots_of_range
from phono3py_mlp_plugin.polynomial.structures.structure import (
    Pairs,
    Structure,
    pairs_by_centre_type,
)
from phono3py_mlp_plugin.threads import map_threads

# Atoms handled by one task: small structures share blocks of centres.
_ATOMS = 48

# Atoms of clusters handled together, for virials.
_CLUSTER_ATOMS = 400

# Products handled together.
_PRODUCTS = 512

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
        self._tables = [
            _KernelTables(tables, (feature_list.parameters.max_l + 1) ** 2)
            for tables in centre_tables(feature_list)
        ]
        self._buffers: list[_Buffers] = []
        self._constants = normalisation(feature_list.parameters.max_l)

    def __getstate__(self) -> dict[str, object]:
        """Return what is sent to workers, without the arrays to work in."""
        return {**self.__dict__, "_buffers": []}

    def design_matrix(
        self, structures: Sequence[Structure], virials: bool = False
    ) -> FloatArray:
        """Return the transposed design matrix.

        Parameters
        ----------
        structures : sequence of Structure
            n structures of N atoms each.
        virials : bool
            Whether there are columns for virials.

        Returns
        -------
        ndarray
            Shape ``(n_features, n (1 + 3 N))``. Columns by structure: the energy, then
            the forces in direction x of all atoms, then y, then z, and the virials xx,
            yy, zz, xy, yz, zx.
        """
        n_rows = sum(_n_rows(s, virials) for s in structures)
        matrix = np.zeros((self.feature_list.n_features, n_rows))
        self.fill(matrix, 0, structures, [virials] * len(structures))
        return matrix

    def fill(
        self,
        matrix: FloatArray,
        column: int,
        structures: Sequence[Structure],
        virials: Sequence[bool],
    ) -> None:
        """Write the transposed design matrix to zero columns from ``column`` on.

        The matrix is contiguous. ``virials`` tells which structures have columns for
        virials.
        """
        sizes = [_n_rows(*pair) for pair in zip(structures, virials, strict=True)]
        first = column + np.cumsum([0, *sizes])
        step = max(1, _ATOMS // max(len(s) for s in structures))
        chunks: list[range] = []
        for number, has_virials in enumerate(virials):
            if has_virials or not chunks or not _can_join(chunks[-1], virials, step):
                chunks.append(range(number, number))
            chunks[-1] = range(chunks[-1].start, number + 1)

        def fill(chunk: range) -> None:
            part = structures[chunk.start : chunk.stop]
            if virials[chunk.start]:
                self._fill_with_virials(matrix, first[chunk.start], *part)
            else:
                self._fill(matrix, first[chunk.start :], part)

        map_threads(fill, chunks, self._n_threads)

    def _fill(
        self, matrix: FloatArray, first: IntArray, structures: Sequence[Structure]
    ) -> None:
        """Add the features of structures, whose columns start at ``first``."""
        parameters = self.feature_list.parameters
        columns = _Columns(
            matrix,
            first[: len(structures) + 1],
            np.cumsum([0, *(len(s) for s in structures)]),
        )
        by_type = pairs_by_centre_type(
            structures, parameters.n_types, parameters.cutoff
        )
        for tables, pairs in zip(self._tables, by_type, strict=True):
            self._add(tables, pairs, columns)

    def _fill_with_virials(
        self, matrix: FloatArray, first: int, structure: Structure
    ) -> None:
        """Add the features of a structure, with those of its virials.

        Each centre with its neighbours is taken for a structure of its own, in which
        images of an atom are different atoms. Their forces and positions give the
        virial of the centre, and their sums the forces on the atoms.
        """
        parameters = self.feature_list.parameters
        by_type = pairs_by_centre_type(
            [structure], parameters.n_types, parameters.cutoff
        )
        target = matrix[:, first : first + _n_rows(structure, True)]
        for tables, pairs in zip(self._tables, by_type, strict=True):
            step = max(
                1, _CLUSTER_ATOMS * len(pairs.centres) // (len(pairs.centre) + 1)
            )
            for low in range(0, len(pairs.centres), step):
                part = clusters(pairs, low, min(low + step, len(pairs.centres)))
                sizes = np.diff(part.first_atoms)
                columns = np.cumsum([0, *(1 + 3 * sizes)])
                local = np.zeros((len(matrix), columns[-1]))
                self._add(
                    tables, part.pairs, _Columns(local, columns, part.first_atoms)
                )
                target += (part.sums(len(structure)) @ local.T).T

    def _add(self, tables: _KernelTables, pairs: Pairs, columns: _Columns) -> None:
        """Add the features of all centres of one type."""
        if not len(pairs.centres):
            return
        buffers = self._buffers.pop() if self._buffers else _Buffers()
        block = self._block_of(tables, pairs, columns, buffers)
        self._add_linear(tables, block, columns, buffers)
        if tables.n_multiplied:
            self._add_products(tables, block, columns, buffers)
        self._buffers.append(buffers)

    def _block_of(
        self, tables: _KernelTables, pairs: Pairs, columns: _Columns, buffers: _Buffers
    ) -> _Block:
        """Prepare what the kernels read of all centres of one type."""
        parameters = self.feature_list.parameters
        slots, start, place = make_slots(pairs, parameters.n_types)
        segments = make_segments(
            start, place, pairs.vectors, parameters.pair_params, parameters.cutoff
        )
        n_blocks = -(-len(pairs.centres) // MATRIX_CENTRES)
        n_v = parameters.n_types * self._constants.size
        shape = (n_blocks, parameters.n_radial, n_v + 1, MATRIX_CENTRES)
        values = np.zeros((tables.n_multiplied + 1, len(pairs.centres)))
        values[-1] = 1.0
        centres = Centres(
            pairs.centres,
            columns.energies[pairs.structures],
            buffers.array("coefficients", *shape),
            values,
        )
        return _Block(centres, segments, slots, -(-slots.counts // (2 * LANES)))

    def _add_linear(
        self, tables: _KernelTables, block: _Block, columns: _Columns, buffers: _Buffers
    ) -> None:
        derivatives = tables.linear.derivatives
        n_padded = derivatives.type_rows.shape[1] - 1
        n_atoms = int(columns.first_atom[-1])
        work = self._workspace(derivatives, block, self._constants, buffers)
        forces = buffers.array("forces", n_atoms, 3, n_padded)
        linear_features(
            tables.linear,
            block.segments,
            block.slots,
            block.centres,
            self._constants,
            work._replace(forces=forces),
            columns.target(np.arange(n_atoms)),
        )

    def _add_products(
        self, tables: _KernelTables, block: _Block, columns: _Columns, buffers: _Buffers
    ) -> None:
        n_pairs = int(block.n_pairs.sum(axis=1).max())
        size = n_pairs * tables.n_multiplied * COMPONENTS
        step = max(1, int(_SINGLE / (8 * MATRIX_CENTRES * size))) * MATRIX_CENTRES
        width = tables.multiplied_l + 1
        constants = np.ascontiguousarray(self._constants[:width, :width])
        n_centres = len(block.centres.atoms)
        for low in range(0, n_centres, step):
            high = min(low + step, n_centres)
            slots, places, atoms = slots_of_range(
                block.slots, block.centres.atoms, low, high
            )
            centres = Centres(
                places,
                block.centres.energy_columns[low:high],
                block.centres.coefficients[low // MATRIX_CENTRES :],
                np.ascontiguousarray(block.centres.values[:, low:high]),
            )
            shape = ((high - low) * n_pairs, tables.n_multiplied, COMPONENTS)
            work = self._workspace(tables.multiplied, block, constants, buffers)
            single = buffers.array("single", *shape)
            single_forces(
                tables.multiplied,
                tables.places,
                block.segments,
                slots,
                centres.coefficients,
                constants,
                work._replace(forces=single),
            )
            single = single.reshape(len(single), -1)
            target = columns.target(atoms)
            for table in tables.products:
                shape = (len(atoms), 3, len(table.start) - 1)
                work = work._replace(forces=buffers.array("forces", *shape))
                product_features(table, slots, centres, single, work, target)

    def _workspace(
        self,
        table: DerivativeTable,
        block: _Block,
        constants: FloatArray,
        buffers: _Buffers,
    ) -> Workspace:
        """Return arrays for some patterns, with no room for their forces."""
        n_rows = pad(int((table.type_rows[:, -1] - table.type_rows[:, 0]).max()))
        n_pairs = int(block.n_pairs.max())
        return Workspace(
            buffers.array("derivatives", MATRIX_CENTRES, n_rows),
            Harmonics(
                buffers.array("polynomials", (constants.size + len(constants)) * LANES),
                buffers.array("values", constants.size * LANES),
                buffers.array("gradients", constants.size * 3 * LANES),
            ),
            buffers.array("jacobian", n_pairs, constants.size * COMPONENTS),
            buffers.array("products", PRODUCTS),
            buffers.array("forces", 0, 3, 0),
        )


class _Block(NamedTuple):
    """All centres of one type in some structures.

    ``n_pairs`` are the pairs of groups of slots of a centre and partner type.
    """

    centres: Centres
    segments: Segments
    slots: Slots
    n_pairs: IntArray


class _Columns(NamedTuple):
    """Where the features of some structures are added to.

    Attributes
    ----------
    matrix : ndarray
        The transposed design matrix.
    energies, first_atom : ndarray
        First column, that of the energy, and first atom of each structure, and what
        follows the last.
    """

    matrix: FloatArray
    energies: IntArray
    first_atom: IntArray

    def target(self, atoms: IntArray) -> Target:
        """Return what kernels add to: in columns of structures, x, y, z one by one."""
        structure = np.searchsorted(self.first_atom, atoms, side="right") - 1
        first = self.energies[structure] + 1 + atoms - self.first_atom[structure]
        stride = np.diff(self.first_atom)[structure]
        return Target(self.matrix, first + np.arange(3)[:, None] * stride)


class _Buffers:
    """Arrays to work in, used again: touching new memory costs more than the work."""

    def __init__(self) -> None:
        self._arrays: dict[str, FloatArray] = {}

    def array(self, name: str, *shape: int) -> FloatArray:
        """Return an array that holds what it held before, or zeros."""
        size = math.prod(shape)
        if name not in self._arrays or len(self._arrays[name]) < size:
            self._arrays[name] = aligned(size)
            self._arrays[name][:] = 0.0
        return self._arrays[name][:size].reshape(shape)


class _KernelTables:
    """Tables of a centre type in the form that the kernels take them.

    Attributes
    ----------
    linear : LinearTable
        All linear features.
    multiplied : DerivativeTable
        Patterns of the features that are multiplied.
    places : ndarray
        Place among the ``n_multiplied`` of each (n, pattern) of them, -1 where it is
        none.
    multiplied_l : int
        Their highest l.
    products : list of ProductTable
    """

    def __init__(self, tables: CentreTables, n_lm: int) -> None:
        self.n_multiplied = len(tables.multiplied)
        places = np.full(tables.features.shape, -1, dtype=np.int64)
        places[tuple(tables.multiplied.T)] = np.arange(self.n_multiplied)
        self.linear = LinearTable(tables.rows.table(n_lm), tables.features, places)
        chosen = np.unique(tables.multiplied[:, 1])
        self.places = np.ascontiguousarray(places[:, chosen])
        self.multiplied = tables.rows.of(chosen).table(n_lm)
        self.multiplied_l = math.isqrt(max(self.multiplied.harmonics, default=0))
        self.products = [
            _product_table(polynomial, low, self.n_multiplied)
            for polynomial in (tables.quadratic, tables.cubic)
            for low in range(0, len(polynomial.features), _PRODUCTS)
        ]


def _product_table(polynomial: Products, low: int, one: int) -> ProductTable:
    """Return some products as the kernel takes them; number ``one`` is 1."""
    factors = polynomial.factors[low : low + _PRODUCTS]
    n, order = factors.shape
    others = np.full((n, order, 2), one)
    for slot in range(order):
        others[:, slot, : order - 1] = np.delete(factors, slot, axis=1)
    padding = (0, pad(n) - n)
    return ProductTable(
        np.pad(np.arange(n + 1) * order, padding, mode="edge"),
        np.ascontiguousarray(factors).reshape(-1),
        others.reshape(-1, 2),
        polynomial.features[low : low + _PRODUCTS],
    )


class StructureFeatures:
    """The design matrix of structures, computed where it is asked for.

    Parameters
    ----------
    features : Features
    structures : sequence of Structure
    virials : sequence of bool
        Which of them have columns for virials.
    """

    def __init__(
        self,
        features: Features,
        structures: Sequence[Structure],
        virials: Sequence[bool],
    ) -> None:
        self._features = features
        self._structures = structures
        self._virials = virials

    @property
    def n_features(self) -> int:
        """Number of features."""
        return self._features.feature_list.n_features

    def fill(self, matrix: FloatArray, column: int, supercells: range) -> None:
        """Write X^T of some structures to zero columns from ``column`` on."""
        part = slice(supercells.start, supercells.stop)
        self._features.fill(matrix, column, self._structures[part], self._virials[part])

    def part(self, supercells: range) -> StructureFeatures:
        """Return the design matrix of some structures."""
        part = slice(supercells.start, supercells.stop)
        return StructureFeatures(
            self._features, self._structures[part], self._virials[part]
        )


def _n_rows(structure: Structure, virials: bool) -> int:
    return 1 + 3 * len(structure) + (6 if virials else 0)


def _can_join(chunk: range, virials: Sequence[bool], step: int) -> bool:
    """Return whether another structure without virials can be added to a chunk."""
    return len(chunk) < step and not virials[chunk.start]

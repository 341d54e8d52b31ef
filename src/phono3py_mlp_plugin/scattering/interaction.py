"""Interaction strengths and collisions of the triplets of a mesh point."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np

from phono3py_mlp_plugin.contracts import FloatArray, IntArray
from phono3py_mlp_plugin.scattering.collisions import add_up, occupations
from phono3py_mlp_plugin.scattering.crystal import Crystal
from phono3py_mlp_plugin.scattering.folding import fold
from phono3py_mlp_plugin.scattering.fourier import Support, as_real
from phono3py_mlp_plugin.scattering.records import ComplexArray, Phonons, Tetrahedra
from phono3py_mlp_plugin.scattering.strengths import (
    PRODUCT_BANDS,
    contract_by_band,
    contract_by_triplet,
)
from phono3py_mlp_plugin.scattering.weights import (
    average_degenerate,
    gaussian_weights,
    mark_needed,
    tetrahedron_weights,
)

# Maximum memory in bytes of the force constants during their transform.
_MEMORY = 600_000_000

# Memory in bytes of the strengths and weights that a thread computes at a time.
_CHUNK = 30_000_000

# Bytes of a strength with its mark, and of the two weights for each smearing.
_STRENGTH, _WEIGHTS = 9, 16

# Maximum memory in bytes of occupations that are stored for all mesh points.
_TABLE = 100_000_000

# Columns of a matrix product that a thread computes at a time.
_COLUMNS = 20_000

Contract = Callable[[FloatArray, Any], None]
"""Computes the strengths of some triplets and bands that are marked as needed."""

Work = Callable[[IntArray, slice, Contract], None]
"""Called with indices of triplets, a range of bands and a `Contract` for them."""


@dataclass(frozen=True, eq=False)
class Smearing:
    """How delta functions are integrated.

    Attributes
    ----------
    width : float or None
        Standard deviation of a Gaussian in THz; None for tetrahedra.
    cutoff : float
        In units of the width; no cutoff if it is not positive.
    """

    width: float | None = None
    cutoff: float = -1.0


@dataclass(frozen=True, eq=False)
class Triplets:
    """Irreducible triplets of a point, and the bands at this point.

    Attributes
    ----------
    points : ndarray of int, shape (n, 3)
        The first is the same in all.
    weights : ndarray of int, shape (n,)
    bands : ndarray of int, shape (n_bands0,)
    """

    points: IntArray
    weights: IntArray
    bands: IntArray


class Interaction:
    """Phonon-phonon interaction of a crystal on a mesh.

    Parameters
    ----------
    crystal : Crystal
    mesh : ndarray of int, shape (3,)
    q_matrix : ndarray of int, shape (3, 3)
        Wave vectors are ``q_matrix @ (address / mesh)``.
    addresses : ndarray of int, shape (n_q, 3)
    """

    def __init__(
        self,
        crystal: Crystal,
        mesh: IntArray,
        q_matrix: IntArray,
        addresses: IntArray,
    ) -> None:
        self._crystal = crystal
        self._mesh = np.array(mesh, dtype=np.int64)
        self._addresses = np.array(addresses, dtype=np.int64)
        self._support = Support.of(crystal.translations @ q_matrix, self._mesh)
        wave_vectors = (self._addresses / self._mesh) @ np.array(q_matrix).T
        phases = np.exp(2j * np.pi * (wave_vectors @ crystal.positions.T))
        self._table: tuple[tuple[Any, ...], FloatArray] | None = None
        self._factors = np.repeat(phases / np.sqrt(crystal.masses), 3, axis=1)
        # Size of the transformed force constants of one band.
        self._size = (
            int(np.prod(self._support.sizes((0, 1, 2)))) * 9 * len(crystal.masses) ** 2
        )

    def phonons(
        self, frequencies: FloatArray, eigenvectors: ComplexArray, cutoff: float
    ) -> Phonons:
        """Return the record of phonons that the other methods require."""
        return Phonons(
            np.ascontiguousarray(frequencies, dtype=np.float64),
            np.ascontiguousarray(eigenvectors, dtype=np.complex128),
            self._factors,
            float(cutoff),
        )

    def strengths(
        self, needed: Any, triplets: Triplets, phonons: Phonons, threads: Executor
    ) -> FloatArray:
        """Return interaction strengths, with zero for those that are not needed.

        Parameters
        ----------
        needed : ndarray of int8, shape (n_triplets, n_bands0, n_bands, n_bands)
        triplets : Triplets
        phonons : Phonons
        threads : Executor

        Returns
        -------
        ndarray of that shape
            In eV^2/(angstrom^6 amu^3 THz^3).
        """
        strengths = np.zeros(needed.shape)

        def work(chosen: IntArray, bands: slice, contract: Contract) -> None:
            part = np.empty((len(chosen), *strengths[:1, bands].shape[1:]))
            contract(part, needed[chosen, bands])
            strengths[chosen, bands] = part

        self._each_block(triplets, phonons, threads, work, _STRENGTH)
        return strengths

    def collisions(
        self,
        triplets: Triplets,
        phonons: Phonons,
        smearings: Sequence[Smearing],
        temperatures: FloatArray,
        tetrahedra: Tetrahedra,
        threads: Executor,
        first_of_set: IntArray | None = None,
    ) -> FloatArray:
        """Return contributions of triplets to the imaginary part of the self-energy.

        Parameters
        ----------
        triplets : Triplets
        phonons : Phonons
        smearings : sequence of Smearing
        temperatures : ndarray of shape (n_temperatures,)
            In THz.
        tetrahedra : Tetrahedra
        threads : Executor
        first_of_set : ndarray of int, shape (n_q, n_bands), optional
            First band of the degenerate set of each band. Tetrahedron weights are
            averaged over each set.

        Returns
        -------
        ndarray of shape (n_smearings, n_triplets, n_temperatures, n_bands0)
        """
        points, n_bands = triplets.points, phonons.frequencies.shape[1]
        shape = (len(points), len(temperatures), len(triplets.bands))
        collisions = np.zeros((len(smearings), *shape))
        f0 = phonons.frequencies[points[0, 0]][triplets.bands]
        occupied_at = self._occupations(phonons, temperatures)

        def work(chosen: IntArray, bands: slice, contract: Contract) -> None:
            here, at_q0 = points[chosen], f0[bands]
            shape = (len(chosen), len(at_q0), n_bands, n_bands)
            weights = np.empty((len(smearings), 2, *shape))
            needed = np.zeros(shape, dtype=np.int8)
            for smearing, part in zip(smearings, weights, strict=True):
                if smearing.width is None:
                    tetrahedron_weights(part, here, at_q0, phonons, tetrahedra)
                    if first_of_set is not None:
                        average_degenerate(part, here, first_of_set)
                else:
                    width = (smearing.width, smearing.cutoff)
                    gaussian_weights(part, here, at_q0, phonons, width)
                mark_needed(needed, part)
            strengths = np.empty(shape)
            contract(strengths, needed)
            n1, n2 = occupied_at(here[:, 1]), occupied_at(here[:, 2])
            sums = np.empty((len(chosen), len(temperatures), len(at_q0)))
            for s, part in enumerate(weights):
                of_triplets = triplets.weights[chosen]
                add_up(sums, strengths, part, of_triplets, n1, n2, needed)
                collisions[s][chosen, :, bands] = sums

        size = _STRENGTH + _WEIGHTS * len(smearings)
        self._each_block(triplets, phonons, threads, work, size)
        return collisions

    def _occupations(
        self, phonons: Phonons, temperatures: FloatArray
    ) -> Callable[[IntArray], FloatArray]:
        """Return a function of points that returns their occupations.

        Occupations do not depend on q0. They are stored unless they are too large.
        """
        if 8 * phonons.frequencies.size * len(temperatures) > _TABLE:
            return lambda points: occupations(
                phonons.frequencies[points], temperatures, phonons.cutoff
            )
        wanted = (phonons.frequencies, temperatures, np.array(phonons.cutoff))
        stored = self._table
        if stored is None or not all(map(np.array_equal, wanted, stored[0])):
            table = occupations(phonons.frequencies, temperatures, phonons.cutoff)
            stored = tuple(np.array(x) for x in wanted), table
            # Replaced as a whole, because several points may be computed at a time.
            self._table = stored
        table = stored[1]
        return lambda points: table[points]

    def memory(self, n_threads: int) -> int:
        """Return the memory in bytes that the arrays of one mesh point need at most.

        Without the results, whose size is that of phono3py's arrays. Blocks are as
        small as necessary; a single band and atom is the smallest.
        """
        n, n_atoms = self._factors.shape[1], len(self._crystal.masses)
        bands = min(n, self._step())
        of_atom = 48 * self._support.differences.number * n**2
        part = of_atom * max(1, min(n_atoms, _MEMORY // 4 // of_atom))
        contracted = 16 * self._size * bands
        row = contracted // min(self._support.sizes((0, 1, 2)))
        transformed = max(row, min(row * int(max(self._mesh)), _MEMORY // 4))
        spread = n_threads * 2 * 16 * self._size
        rows = n_threads * (row + max(_CHUNK, 50 * bands * n**2))
        in_rows = contracted + transformed + spread + rows
        return int(max(part + 2 * contracted, in_rows))

    def _step(self) -> int:
        """Return the number of bands at q0 that are transformed at a time."""
        return max(1, _MEMORY // 2 // (16 * self._size))

    def _each_block(
        self,
        triplets: Triplets,
        phonons: Phonons,
        threads: Executor,
        work: Work,
        size: int,
    ) -> None:
        """Call ``work`` for all triplets and bands, block by block.

        Blocks and results do not depend on the number of threads. Triplets may have
        different, equivalent points at q0, which have different eigenvectors. ``size``
        is the memory in bytes of what is computed for three bands.
        """
        first = triplets.points[:, 0]
        step = self._step()
        for q0 in np.unique(first):
            chosen = np.flatnonzero(first == q0)
            for start in range(0, len(triplets.bands), step):
                bands = slice(start, min(start + step, len(triplets.bands)))
                self._block(
                    int(q0), chosen, bands, triplets, phonons, threads, work, size
                )

    def _block(
        self,
        q0: int,
        chosen: IntArray,
        bands: slice,
        triplets: Triplets,
        phonons: Phonons,
        threads: Executor,
        work: Work,
        size: int,
    ) -> None:
        """Call ``work`` for some triplets and bands, row by row of the mesh."""
        points = self._addresses[triplets.points[chosen, 1]] % self._mesh
        order = self._support.best_order(points)
        vectors = phonons.eigenvectors[q0].T * phonons.factors[q0]
        folded = self._folded(q0, vectors[triplets.bands[bands]], threads)
        folded = folded.reshape(len(folded) // 2, 2, *folded.shape[1:])
        rows, row_of = np.unique(points[:, order[0]], return_inverse=True)
        row_size = 16 * self._size * len(folded) // self._support.sizes(order)[0]
        for group in _blocks(len(rows), row_size, _MEMORY // 4):
            matrix = self._support.matrix(order[0], rows[group])

            def one_band(band: FloatArray, matrix: FloatArray = matrix) -> FloatArray:
                return self._transform_first(band, matrix, order)

            transformed = np.array(list(threads.map(one_band, folded)))

            def one_row(
                r: int, start: int = group.start, transformed: FloatArray = transformed
            ) -> None:
                here = chosen[row_of == r]

                def some(part: slice, contract: Contract) -> None:
                    work(here[part], bands, contract)

                self._row(
                    transformed[:, r - start],
                    points[row_of == r],
                    order,
                    some,
                    triplets.points[here],
                    triplets.bands[bands],
                    phonons,
                    size,
                )

            list(threads.map(one_row, range(group.start, group.stop)))

    def _folded(self, q0: int, at_q0: ComplexArray, threads: Executor) -> FloatArray:
        """Return F contracted with eigenvectors at q0.

        Returns
        -------
        ndarray of shape (2 n_bands0, n_D, n_bands ** 2)
            Real and imaginary part of each band; components of the third and of the
            second atom.
        """
        differences = self._support.differences
        n_atoms, n = len(self._crystal.masses), self._factors.shape[1]
        n_folded = differences.number
        turns = (self._addresses[q0] * self._support.vectors / self._mesh).sum(axis=1)
        phases = np.exp(2j * np.pi * (turns % 1))
        matrix = as_real(at_q0)
        contracted = np.empty((2 * len(at_q0), n_folded, n, n))
        blocks = list(_blocks(n_atoms, 48 * n_folded * n * n, _MEMORY // 4))
        # One for all blocks, because the first use of memory takes time. The first
        # block is the largest.
        buffer = np.empty(2 * n * n_folded * n * 3 * blocks[0].stop)
        for block in blocks:
            width = 3 * (block.stop - block.start)
            size = 2 * n * n_folded * n * width
            part = buffer[:size].reshape(2, n, n_folded, n, width)

            def one_atom(i: int, block: slice = block, part: FloatArray = part) -> None:
                fold(
                    part,
                    i,
                    (block.start, block.stop),
                    self._crystal.real_space,
                    phases,
                    differences,
                )

            list(threads.map(one_atom, range(n_atoms)))
            columns = part.reshape(2 * n, -1)
            whole = width == n
            product = (
                contracted.reshape(len(matrix), -1)
                if whole
                else np.empty((len(matrix), columns.shape[1]))
            )

            def multiply(
                piece: slice, columns: FloatArray = columns, out: FloatArray = product
            ) -> None:
                np.matmul(matrix, columns[:, piece], out=out[:, piece])

            list(threads.map(multiply, _blocks(columns.shape[1], 1, _COLUMNS)))
            if not whole:
                shape = (len(matrix), n_folded, n, width)
                first = 3 * block.start
                contracted[:, :, :, first : first + width] = product.reshape(shape)
        return contracted.reshape(len(matrix), n_folded, n * n)

    def _transform_first(
        self, folded: FloatArray, matrix: FloatArray, order: tuple[int, ...]
    ) -> FloatArray:
        """Transform the first axis of a band.

        Parameters
        ----------
        folded : ndarray of shape (2, n_D, n_channels)
        matrix : ndarray of shape (2 n_rows, 2 n_D0)
        order : tuple of int
            Order of the axes.

        Returns
        -------
        ndarray of shape (n_rows, 2, n_D1, n_D2, n_channels)
        """
        spread = self._support.spread(folded, order)
        product = matrix @ spread.reshape(matrix.shape[1], -1)
        return np.asarray(product.reshape(len(matrix) // 2, 2, *spread.shape[2:]))

    def _row(
        self,
        transformed: FloatArray,
        points: IntArray,
        order: tuple[int, ...],
        work: Callable[[slice, Contract], None],
        triplets: IntArray,
        bands: IntArray,
        phonons: Phonons,
        size: int,
    ) -> None:
        """Transform the second axis of a row, and call ``work`` for the last one.

        Parameters
        ----------
        transformed : ndarray of shape (n_bands0, 2, n_D1, n_D2, n_bands ** 2)
        """
        columns, column = np.unique(points[:, order[1]], return_inverse=True)
        matrix = self._support.matrix(order[1], columns)
        n_bands0, _, n_second, n_third, n_channels = transformed.shape
        product = np.matmul(
            matrix, transformed.reshape(n_bands0, 2 * n_second, n_third * n_channels)
        ).reshape(n_bands0, len(columns), 2, n_third, n_channels)
        phases = self._support.phases(order[2], points[:, order[2]])
        many = phonons.frequencies.shape[1] >= PRODUCT_BANDS
        contract = contract_by_triplet if many else contract_by_band

        of_triplet = size * n_bands0 * phonons.frequencies.shape[1] ** 2
        for part in _blocks(len(triplets), of_triplet, _CHUNK):

            def strengths(out: FloatArray, needed: Any, part: slice = part) -> None:
                contract(
                    out,
                    needed,
                    product,
                    column[part],
                    phases[part],
                    triplets[part],
                    bands,
                    phonons,
                )

            work(part, strengths)


def _blocks(number: int, size: int, limit: int) -> Iterator[slice]:
    """Yield slices of a range whose total size does not exceed the limit."""
    step = max(1, limit // size)
    for start in range(0, number, step):
        yield slice(start, min(start + step, number))

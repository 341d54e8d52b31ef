"""Energies, forces and virials of a potential, by reverse accumulation.

With the coefficients folded into it, the energy of a centre is one polynomial of its
expansion coefficients for each radial function, and polynomials of multiplied features
on top. Its gradient by the expansion coefficients is computed for blocks of centres;
forces are this gradient times the derivatives of the coefficients by positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from phono3py_mlp_plugin.contracts import FloatArray, IntArray
from phono3py_mlp_plugin.polynomial.kernels.basis import (
    aligned,
    expand,
    make_segments,
    normalisation,
    pad,
)
from phono3py_mlp_plugin.polynomial.kernels.gradient import (
    GRADIENT_CENTRES,
    add_folded,
    add_forces,
    add_product_weights,
    add_weighted_rows,
)
from phono3py_mlp_plugin.polynomial.kernels.patterns import pattern_derivatives
from phono3py_mlp_plugin.polynomial.kernels.records import Owners
from phono3py_mlp_plugin.polynomial.model.feature_list import FeatureList
from phono3py_mlp_plugin.polynomial.model.folding import FOLDED_ORDER, fold
from phono3py_mlp_plugin.polynomial.model.tables import (
    CentreTables,
    centre_tables,
)
from phono3py_mlp_plugin.polynomial.structures.structure import (
    Pairs,
    Structure,
    pairs_by_centre_type,
)
from phono3py_mlp_plugin.threads import map_threads

# Atoms handled by one task: small structures share blocks of centres.
_ATOMS = 128


@dataclass(frozen=True, eq=False)
class Properties:
    """What a potential says of n structures.

    Attributes
    ----------
    energies : ndarray
        In eV, shape ``(n,)``.
    forces : list of ndarray
        In eV/angstrom, shape ``(N, 3)`` each.
    virials : ndarray
        Derivatives of the energies by strain in eV, shape ``(n, 3, 3)``.
    """

    energies: FloatArray
    forces: list[FloatArray]
    virials: FloatArray


class Evaluator:
    """A potential ready to be evaluated.

    Parameters
    ----------
    feature_list : FeatureList
    coefficients : ndarray
        Shape ``(n_features,)``.
    n_threads : int, optional
        All cores by default; the result does not depend on it.
    """

    def __init__(
        self,
        feature_list: FeatureList,
        coefficients: FloatArray,
        n_threads: int | None = None,
    ) -> None:
        self.feature_list = feature_list
        self._parameters = feature_list.parameters
        self._n_threads = n_threads
        self._constants = normalisation(self._parameters.max_l)
        n_types, n_lm = self._parameters.n_types, (self._parameters.max_l + 1) ** 2
        self._centres = [
            _CentreEnergy(tables, coefficients, n_types, n_lm)
            for tables in centre_tables(feature_list)
        ]
        energies = self._parameters.atomic_energies
        self._atomic = np.array(energies or (0.0,) * self._parameters.n_types)

    def evaluate(self, structures: Sequence[Structure]) -> Properties:
        """Return energies, forces and virials."""
        step = max(1, _ATOMS // max(len(s) for s in structures))
        chunks = [
            structures[begin : begin + step]
            for begin in range(0, len(structures), step)
        ]
        parts = map_threads(self._evaluate, chunks, self._n_threads)
        return Properties(
            np.concatenate([part.energies for part in parts]),
            [forces for part in parts for forces in part.forces],
            np.concatenate([part.virials for part in parts]),
        )

    def _evaluate(self, structures: Sequence[Structure]) -> Properties:
        parameters = self._parameters
        first = np.cumsum([0, *(len(s) for s in structures)])
        types = np.concatenate([s.types for s in structures])
        forces = np.zeros((first[-1], 3))
        virials = np.zeros((len(structures), 3, 3))
        energies = np.add.reduceat(self._atomic[types], first[:-1])
        by_type = pairs_by_centre_type(
            structures, parameters.n_types, parameters.cutoff
        )
        for centre, pairs in zip(self._centres, by_type, strict=True):
            if len(pairs.centres):
                self._add(centre, pairs, energies, forces, virials)
        return Properties(energies, np.split(forces, first[1:-1]), virials)

    def _add(
        self,
        centre: _CentreEnergy,
        pairs: Pairs,
        energies: FloatArray,
        forces: FloatArray,
        virials: FloatArray,
    ) -> None:
        """Add the contributions of all centres of one type."""
        parameters = self._parameters
        n_types, n_radial = parameters.n_types, parameters.n_radial
        n_v = n_types * (parameters.max_l + 1) ** 2
        start, place = _places(pairs, n_types)
        segments = make_segments(
            start, place, pairs.vectors, parameters.pair_params, parameters.cutoff
        )
        partners = np.zeros(len(segments.distances), dtype=np.int64)
        partners[place] = pairs.partner
        owners = Owners(pairs.centres, pairs.structures, partners)
        a = aligned(n_radial, n_v + 1, GRADIENT_CENTRES)
        gradient = aligned(n_radial, n_v, GRADIENT_CENTRES)
        for first in range(0, len(pairs.centres), GRADIENT_CENTRES):
            expand(segments, self._constants, first, a)
            by_centre = centre.energies_and_gradient(a, gradient)
            of_block = pairs.structures[first : first + GRADIENT_CENTRES]
            np.add.at(energies, of_block, by_centre[: len(of_block)])
            add_forces(
                segments, owners, first, self._constants, gradient, forces, virials
            )


class _CentreEnergy:
    """The energy of a centre of one type as a function of expansion coefficients."""

    def __init__(
        self,
        tables: CentreTables,
        coefficients: FloatArray,
        n_types: int,
        n_lm: int,
    ) -> None:
        self._folded = fold(tables, coefficients, n_types * n_lm)
        orders = tables.rows.orders
        special = orders > FOLDED_ORDER
        special[tables.multiplied[:, 1]] = True
        self._special = np.flatnonzero(special)
        self._table = tables.rows.of(self._special).table(n_lm)
        linear = np.append(coefficients, 0.0)[tables.features[:, self._special]]
        linear[:, orders[self._special] <= FOLDED_ORDER] = 0.0
        self._linear = linear
        place = np.full(len(orders), -1)
        place[self._special] = np.arange(len(self._special))
        self._multiplied = (
            tables.multiplied[:, 0],
            place[tables.multiplied[:, 1]],
        )
        self._products = []
        for products in (tables.quadratic, tables.cubic):
            one, others, features = products.by_factor
            if len(one):
                self._products.append((one, others, coefficients[features]))

    def energies_and_gradient(self, a: FloatArray, gradient: FloatArray) -> FloatArray:
        """Return the energies of a block of centres, and write their gradient."""
        gradient[:] = 0.0
        energies = aligned(GRADIENT_CENTRES)
        energies[:] = 0.0
        for folded in self._folded:
            add_folded(folded, a, gradient, energies)
        if len(self._special):
            self._add_special(a, gradient, energies)
        return energies

    def _add_special(
        self, a: FloatArray, gradient: FloatArray, energies: FloatArray
    ) -> None:
        """Add multiplied features, and those of high order, from their derivatives."""
        table = self._table
        n_radial, n_rows = len(a), len(table.variables)
        derivatives = aligned(n_radial, n_rows, GRADIENT_CENTRES)
        values = np.zeros((n_radial, len(self._special), GRADIENT_CENTRES))
        for n in range(n_radial):
            pattern_derivatives(table, 0, n_rows, a[n], derivatives[n], values[n])
        weights = np.empty_like(values)
        weights[:] = self._linear[:, :, None]
        energies += (weights * values).sum(axis=(0, 1))
        factors = np.ascontiguousarray(values[self._multiplied])
        for one, others, coefficients in self._products:
            added = np.zeros_like(factors)
            add_product_weights(one, others, coefficients, factors, added)
            energies += (added * factors).sum(axis=0) / (others.shape[1] + 1)
            weights[self._multiplied] += added
        for n in range(n_radial):
            add_weighted_rows(
                table.variables,
                table.patterns,
                derivatives[n],
                weights[n],
                gradient[n],
            )


def _places(pairs: Pairs, n_types: int) -> tuple[IntArray, IntArray]:
    """Return where the neighbours of each centre and type start, and every place."""
    cell = pairs.centre * n_types + pairs.partner_type
    counts = np.bincount(cell, minlength=len(pairs.centres) * n_types)
    first = np.cumsum([0, *counts])
    start = np.cumsum([0, *pad(counts)])
    place = start[cell] + np.arange(len(cell)) - first[cell]
    cells = np.arange(len(pairs.centres))[:, None] * n_types + np.arange(n_types + 1)
    return start[cells], place

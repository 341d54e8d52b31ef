"""The design matrix: linear features of all centres of one type, and their products."""

from __future__ import annotations

import numpy as np

from phono3py_mlp_plugin.contracts import FloatArray, IntArray
from phono3py_mlp_plugin.polynomial.kernels.basis import clear, expand
from phono3py_mlp_plugin.polynomial.kernels.chain_rule import (
    COMPONENTS,
    SparseRows,
    add_chain_rule,
    write_jacobian,
)
from phono3py_mlp_plugin.polynomial.kernels.patterns import (
    MATRIX_CENTRES,
    derivatives_by_centre,
)
from phono3py_mlp_plugin.polynomial.kernels.records import (
    Centres,
    DerivativeTable,
    LinearTable,
    ProductTable,
    Segments,
    Slots,
    Target,
    Workspace,
)
from phono3py_mlp_plugin.polynomial.kernels.simd import (
    LANES,
    inlined,
    inner_kernel,
    item,
    kernel,
    load,
    splat,
    store,
)


@kernel
def linear_features(
    table: LinearTable,
    segments: Segments,
    slots: Slots,
    centres: Centres,
    constants: FloatArray,
    work: Workspace,
    target: Target,
) -> None:
    """Add the linear features of all centres of one type to the design matrix.

    Parameters
    ----------
    centres : Centres
        Written: the coefficients. Added to: the values of multiplied features.
    constants : ndarray
        From `normalisation`.
    work : Workspace
        Overwritten.
    target : Target
        Added to.
    """
    n_radial, n_patterns = table.features.shape
    n_centres, n_types = slots.counts.shape
    energies = np.empty((n_patterns, MATRIX_CENTRES))
    for block in range(centres.coefficients.shape[0]):
        a = centres.coefficients[block]
        expand(segments, constants, block * MATRIX_CENTRES, a)
    for k in range(n_radial):
        clear(work.forces)
        # By partner type: fewer atoms are added to at a time, and stay in the cache.
        for t in range(n_types):
            row_start = table.derivatives.type_rows[t]
            places = table.derivatives.harmonics
            for first in range(0, n_centres, MATRIX_CENTRES):
                a = centres.coefficients[first // MATRIX_CENTRES, k]
                clear(energies)
                derivatives_by_centre(
                    table.derivatives, t, a, work.derivatives, energies
                )
                _add_energies(table, k, energies, first, centres, target.matrix)
                for i in range(first, min(first + MATRIX_CENTRES, n_centres)):
                    if slots.counts[i, t] == 0:
                        continue
                    groups = _groups(slots, i, t)
                    write_jacobian(segments, groups, k, constants, work)
                    add_chain_rule(
                        SparseRows(row_start, places, work.derivatives[i - first]),
                        work.jacobian,
                        _atoms(slots, i, t),
                        centres.atoms[i],
                        work.products,
                        work.forces,
                    )
        _add_forces(table.features[k], work.forces, target)


@kernel
def single_forces(
    table: DerivativeTable,
    places: IntArray,
    segments: Segments,
    slots: Slots,
    coefficients: FloatArray,
    constants: FloatArray,
    work: Workspace,
) -> None:
    """Write the forces of the multiplied features of some centres, one by one.

    Parameters
    ----------
    places : ndarray
        Place among the multiplied features of each (n, pattern), -1 where it is none.
    slots : Slots
        Of the centres.
    coefficients : ndarray
        Of the centres, as in `Centres`.
    constants : ndarray
        From `normalisation`, up to the highest l of the patterns.
    work : Workspace
        Written: forces, one centre and partner type after the other.
    """
    n_radial, n_patterns = places.shape
    n_centres, n_types = slots.counts.shape
    values = np.zeros((n_patterns, MATRIX_CENTRES))
    # Pairs of groups of slots, counted through the centres.
    pairs = np.zeros(n_centres * n_types + 1, dtype=np.int64)
    for i in range(n_centres):
        for t in range(n_types):
            cell = i * n_types + t
            pairs[cell + 1] = pairs[cell] - (-slots.counts[i, t] // (2 * LANES))
    for k in range(n_radial):
        for t in range(n_types):
            for first in range(0, n_centres, MATRIX_CENTRES):
                a = coefficients[first // MATRIX_CENTRES, k]
                derivatives_by_centre(table, t, a, work.derivatives, values)
                for i in range(first, min(first + MATRIX_CENTRES, n_centres)):
                    groups = _groups(slots, i, t)
                    write_jacobian(segments, groups, k, constants, work)
                    cell = i * n_types + t
                    derivatives = work.derivatives[i - first]
                    _write_forces(
                        SparseRows(table.type_rows[t], table.harmonics, derivatives),
                        places[k],
                        work.jacobian,
                        work.forces[pairs[cell] : pairs[cell + 1]],
                    )


@kernel
def product_features(
    table: ProductTable,
    slots: Slots,
    centres: Centres,
    single: FloatArray,
    work: Workspace,
    target: Target,
) -> None:
    """Add products of features of some centres to the design matrix.

    The derivative of a product is a sum over its factors, as that of a pattern is one
    over harmonics: what `add_chain_rule` takes for rows, derivatives and jacobian are
    here factors, the products of the others, and the forces of single features.

    Parameters
    ----------
    slots, centres
        Of the centres; their atoms are numbers among those of the forces.
    single : ndarray
        The forces that `single_forces` writes.
    work : Workspace
        Overwritten: products and forces.
    target : Target
        Added to.
    """
    start, one, others, features = table.start, table.one, table.others, table.features
    values = centres.values
    n_centres, n_types = slots.counts.shape
    weights = np.empty(one.shape[0])
    clear(work.forces)
    pair = np.int64(0)
    for i in range(n_centres):
        for row in range(weights.shape[0]):
            first_other = values[item(others, 2 * row), i]
            weights[row] = first_other * values[item(others, 2 * row + 1), i]
        column = centres.energy_columns[i]
        for k in range(features.shape[0]):
            row = start[k]
            target.matrix[features[k], column] += (
                weights[row] * values[item(one, row), i]
            )
        for t in range(n_types):
            add_chain_rule(
                SparseRows(start, one, weights),
                single[pair:],
                _atoms(slots, i, t),
                centres.atoms[i],
                work.products,
                work.forces,
            )
            pair += -(-slots.counts[i, t] // (2 * LANES))
    _add_forces(features, work.forces, target)


@inlined
def _atoms(slots: Slots, i: int, t: int) -> IntArray:
    """Return the atoms in the slots of a centre and partner type."""
    first = slots.start[i, t]
    return slots.atoms[first : first + slots.counts[i, t]]


@inlined
def _groups(slots: Slots, i: int, t: int) -> IntArray:
    """Return where the groups of slots of a centre and partner type start."""
    first = slots.group_first[i, t]
    n_groups = -(-slots.counts[i, t] // LANES)
    return slots.group_start[first : first + n_groups + 1]


@inner_kernel
def _add_energies(
    table: LinearTable,
    k: int,
    energies: FloatArray,
    first: int,
    centres: Centres,
    matrix: FloatArray,
) -> None:
    """Add the patterns of a block of centres to the features of their structures."""
    features, multiplied = table.features[k], table.multiplied[k]
    last = min(first + MATRIX_CENTRES, centres.atoms.shape[0])
    for pattern in range(features.shape[0]):
        if features[pattern] < 0:
            continue
        for i in range(first, last):
            energy = energies[pattern, i - first]
            matrix[features[pattern], centres.energy_columns[i]] += energy
            if multiplied[pattern] >= 0:
                centres.values[multiplied[pattern], i] += energy


@inner_kernel
def _add_forces(features: IntArray, forces: FloatArray, target: Target) -> None:
    """Add forces of patterns or products to the design matrix.

    Parameters
    ----------
    features : ndarray
        The feature that each is, -1 where there is none.
    forces : ndarray
        Shape ``(n_atoms, 3, n_padded)``.
    """
    matrix, force_columns = target.matrix, target.force_columns
    n_padded = forces.shape[2]
    for low in range(0, features.shape[0], LANES):
        high = min(low + LANES, features.shape[0])
        for direction in range(3):
            for atom in range(forces.shape[0]):
                column = force_columns[direction, atom]
                at = (3 * atom + direction) * n_padded
                for k in range(low, high):
                    if features[k] >= 0:
                        matrix[features[k], column] += item(forces, at + k)


@inner_kernel
def _write_forces(
    rows: SparseRows, places: IntArray, jacobian: FloatArray, forces: FloatArray
) -> None:
    """Write the forces of the multiplied features of one centre, type and n.

    Parameters
    ----------
    places : ndarray
        Place of each pattern among the multiplied features.
    forces : ndarray
        Written: ``(n_pairs, n_multiplied, 6 LANES)``.
    """
    start, harmonics, derivatives = rows
    shift = start[0]
    n_pairs, n_multiplied, _ = forces.shape
    for pair in range(n_pairs):
        for pattern in range(places.shape[0]):
            if places[pattern] < 0:
                continue
            to = (pair * n_multiplied + places[pattern]) * COMPONENTS
            for vector in range(0, COMPONENTS, LANES):
                s = splat(0.0)
                for row in range(start[pattern], start[pattern + 1]):
                    at = pair * jacobian.shape[1]
                    at += item(harmonics, row) * COMPONENTS + vector
                    s = s + splat(item(derivatives, row - shift)) * load(jacobian, at)
                store(forces, to + vector, s)

"""Forces from derivatives by expansion coefficients and those by positions.

What is computed for a centre and partner type is a product of two matrices, ``-dF/da``
and ``da/dr``, the first of them sparse: rows of derivatives by coefficients, each
with the number of its harmonic.
"""

from __future__ import annotations

from typing import NamedTuple

from phono3py_mlp_plugin.contracts import FloatArray, IntArray
from phono3py_mlp_plugin.polynomial.kernels.basis import harmonics_and_gradients
from phono3py_mlp_plugin.polynomial.kernels.records import Segments, Workspace
from phono3py_mlp_plugin.polynomial.kernels.simd import (
    LANES,
    inlined,
    inner_kernel,
    item,
    load,
    prefetch,
    splat,
    store,
    transpose,
)

COMPONENTS = 3 * 2 * LANES
"""Numbers for a pair of groups of slots, in three directions."""

# Numbers of a direction and group of slots for a vector of features.
_SQUARE = LANES * LANES

PRODUCTS = 6 * _SQUARE
"""Numbers for a vector of features and a pair of groups, in three directions."""


class SparseRows(NamedTuple):
    """Derivatives of features of one centre by what the jacobian is of.

    Attributes
    ----------
    start : ndarray
        Rows of feature k start at ``start[k]``, shape ``(n_padded + 1,)``.
    places : ndarray
        Place of each row in the jacobian.
    values : ndarray
        The derivatives: first that of row ``start[0]``.
    """

    start: IntArray
    places: IntArray
    values: FloatArray


@inner_kernel
def write_jacobian(
    segments: Segments,
    group_start: IntArray,
    k: int,
    constants: FloatArray,
    work: Workspace,
) -> None:
    """Write minus the derivatives of a centre's coefficients by neighbours' positions.

    Parameters
    ----------
    group_start : ndarray
        Where the neighbours of some groups of slots start, and where the last ones end:
        a vector of them for every image.
    k : int
        Which radial function.
    constants : ndarray
        From `normalisation`.
    work : Workspace
        Written: the jacobian. Overwritten: the harmonics.
    """
    unit, functions, slopes = segments.unit, segments.functions, segments.slopes
    values, gradients = work.harmonics.values, work.harmonics.gradients
    jacobian = work.jacobian
    n = unit.shape[1]
    n_lm = constants.shape[0] ** 2
    zero = splat(0.0)
    for group in range(group_start.shape[0] - 1):
        low, high = group_start[group], group_start[group + 1]
        to = (group // 2 * n_lm * 6 + group % 2) * LANES
        for p in range(low, high, LANES):
            harmonics_and_gradients(segments, p, constants, work.harmonics)
            x = load(unit, p)
            y = load(unit, n + p)
            z = load(unit, 2 * n + p)
            f = zero - load(functions, k * n + p)
            slope = zero - load(slopes, k * n + p)
            for lm in range(n_lm):
                value = slope * load(values, lm * LANES)
                gradient = 3 * lm * LANES
                jx = value * x + f * load(gradients, gradient)
                jy = value * y + f * load(gradients, gradient + LANES)
                jz = value * z + f * load(gradients, gradient + 2 * LANES)
                at = to + lm * COMPONENTS
                if p > low:
                    jx = jx + load(jacobian, at)
                    jy = jy + load(jacobian, at + 2 * LANES)
                    jz = jz + load(jacobian, at + 4 * LANES)
                store(jacobian, at, jx)
                store(jacobian, at + 2 * LANES, jy)
                store(jacobian, at + 4 * LANES, jz)


@inlined
def _multiply_two_groups(
    start: IntArray,
    places: IntArray,
    values: FloatArray,
    k: int,
    jacobian: FloatArray,
    pair: int,
    products: FloatArray,
    to: int,
) -> None:
    """Write the forces of feature k on the atoms in two groups of slots."""
    x0 = splat(0.0)
    x1 = splat(0.0)
    y0 = splat(0.0)
    y1 = splat(0.0)
    z0 = splat(0.0)
    z1 = splat(0.0)
    shift = start[0]
    for row in range(start[k], start[k + 1]):
        d = splat(item(values, row - shift))
        at = pair + item(places, row) * COMPONENTS
        x0 = x0 + d * load(jacobian, at)
        x1 = x1 + d * load(jacobian, at + LANES)
        y0 = y0 + d * load(jacobian, at + 2 * LANES)
        y1 = y1 + d * load(jacobian, at + 3 * LANES)
        z0 = z0 + d * load(jacobian, at + 4 * LANES)
        z1 = z1 + d * load(jacobian, at + 5 * LANES)
    store(products, to, x0)
    store(products, to + _SQUARE, x1)
    store(products, to + 2 * _SQUARE, y0)
    store(products, to + 3 * _SQUARE, y1)
    store(products, to + 4 * _SQUARE, z0)
    store(products, to + 5 * _SQUARE, z1)


@inlined
def _multiply_one_group(
    start: IntArray,
    places: IntArray,
    values: FloatArray,
    k: int,
    jacobian: FloatArray,
    pair: int,
    products: FloatArray,
    to: int,
) -> None:
    """Write the forces of feature k on the atoms in one group of slots."""
    x = splat(0.0)
    y = splat(0.0)
    z = splat(0.0)
    shift = start[0]
    for row in range(start[k], start[k + 1]):
        d = splat(item(values, row - shift))
        at = pair + item(places, row) * COMPONENTS
        x = x + d * load(jacobian, at)
        y = y + d * load(jacobian, at + 2 * LANES)
        z = z + d * load(jacobian, at + 4 * LANES)
    store(products, to, x)
    store(products, to + 2 * _SQUARE, y)
    store(products, to + 4 * _SQUARE, z)


@inlined
def _add_to_atoms(
    products: FloatArray,
    atoms: IntArray,
    slot: int,
    centre: int,
    forces: FloatArray,
    feature: int,
) -> None:
    """Add the forces of a vector of features to atoms in slots and to their centre."""
    n_slots = atoms.shape[0]
    n_padded = forces.shape[2]
    for direction in range(3):
        own = centre * 3 * n_padded + direction * n_padded + feature
        sum_of_forces = splat(0.0)
        for first in range(slot, min(slot + 2 * LANES, n_slots), LANES):
            at = (2 * direction + (first - slot) // LANES) * _SQUARE
            # Now features are in the lanes, and slots follow each other.
            transpose(products, at, products, at)
            for s in range(first, min(first + LANES, n_slots)):
                force = load(products, at + (s - first) * LANES)
                to = item(atoms, s) * 3 * n_padded
                to += direction * n_padded + feature
                store(forces, to, load(forces, to) + force)
                sum_of_forces = sum_of_forces + force
        store(forces, own, load(forces, own) - sum_of_forces)


@inlined
def _prefetch(atoms: IntArray, slot: int, forces: FloatArray, feature: int) -> None:
    """Ask for what will be added to: it is far away, and here when it is needed."""
    n_padded = forces.shape[2]
    for s in range(slot, min(slot + 2 * LANES, atoms.shape[0])):
        to = item(atoms, s) * 3 * n_padded + feature
        prefetch(forces, to)
        prefetch(forces, to + n_padded)
        prefetch(forces, to + 2 * n_padded)


@inner_kernel
def add_chain_rule(
    rows: SparseRows,
    jacobian: FloatArray,
    atoms: IntArray,
    centre: int,
    products: FloatArray,
    forces: FloatArray,
) -> None:
    """Add the forces of all features of one centre on neighbours of one type.

    Parameters
    ----------
    jacobian : ndarray
        A row for each pair of groups of slots.
    atoms : ndarray
        The atoms in the slots.
    centre : int
        The atom that the centre is.
    products : ndarray
        Overwritten: `PRODUCTS` numbers.
    forces : ndarray
        Added to: ``(n_atoms, 3, n_padded)``.
    """
    # Taken out of the record here: within the loops that would cost time.
    start, places, values = rows
    n_slots = atoms.shape[0]
    for slot in range(0, n_slots, 2 * LANES):
        pair = slot // (2 * LANES) * jacobian.shape[1]
        two = n_slots - slot > LANES
        for low in range(0, forces.shape[2], LANES):
            if start[low] == start[low + LANES]:
                continue
            _prefetch(atoms, slot, forces, low)
            for k in range(low, low + LANES):
                to = (k - low) * LANES
                if two:
                    _multiply_two_groups(
                        start, places, values, k, jacobian, pair, products, to
                    )
                else:
                    _multiply_one_group(
                        start, places, values, k, jacobian, pair, products, to
                    )
            _add_to_atoms(products, atoms, slot, centre, forces, low)

"""Derivatives of the sums over neighbours by the positions of atoms, to third order.

``a_nlm = sum_j f_n(r) Y_lm(u)`` with r the distance and u the direction of neighbour j.
With ``(1/r d/dr)^k (f r^-l) = r^(-l-2k) F_k`` and the solid harmonics ``r^l Y_lm``,
whose derivatives are solid harmonics of l - 1, derivatives follow from the product
rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import factorial

import numpy as np

from phono3py_mlp_plugin.contracts import FloatArray, IntArray
from phono3py_mlp_plugin.polynomial.kernels.basis import normalisation


@dataclass(frozen=True, eq=False)
class Expansion:
    """The sums over the neighbours of a centre, and their derivatives.

    Attributes
    ----------
    centre : int
        The atom in the centre.
    values : ndarray
        The sums, shape ``(n_radial, n_types n_lm)``.
    atoms : tuple of ndarray
        The neighbouring atoms of each type but the centre itself, shape ``(M_t,)``.
    first : tuple of ndarray
        Derivatives of the sums over a type by the positions of its atoms, shape
        ``(n_radial, n_lm, M_t, 3)``.
    second, third : tuple of ndarray
        By two and three coordinates of the same atom, shapes ``(n_radial, n_lm, M_t, 3,
        3)`` and ``(n_radial, n_lm, M_t, 3, 3, 3)``.
    """

    centre: int
    values: FloatArray
    atoms: tuple[IntArray, ...]
    first: tuple[FloatArray, ...]
    second: tuple[FloatArray, ...]
    third: tuple[FloatArray, ...]

    @property
    def neighbours(self) -> IntArray:
        """All neighbouring atoms, type by type."""
        return np.concatenate(self.atoms)


class Basis:
    """Radial functions and harmonics of a model.

    Parameters
    ----------
    pair_params : sequence of (float, float)
    cutoff : float
        In angstrom.
    max_l : int
    """

    def __init__(
        self, pair_params: Sequence[tuple[float, float]], cutoff: float, max_l: int
    ) -> None:
        self._pair_params = pair_params
        self._cutoff = cutoff
        self._max_l = max_l
        self._constants = normalisation(max_l)
        self._l = np.concatenate([np.full(2 * l + 1, l) for l in range(max_l + 1)])
        self._gradients = harmonic_gradients(max_l)

    @property
    def n_lm(self) -> int:
        """Number of harmonics."""
        return len(self._l)

    def expand(
        self,
        centre: int,
        partners: IntArray,
        types: IntArray,
        vectors: FloatArray,
        places: IntArray,
        n_types: int,
        order: int,
    ) -> Expansion:
        """Return the sums of one centre and their derivatives.

        Parameters
        ----------
        centre : int
        partners, types : ndarray
            Atom and type of each neighbour, shape ``(n,)``.
        vectors : ndarray
            From the centre to each neighbour in angstrom, shape ``(n, 3)``.
        places : ndarray
            Atoms of a type are ordered by their places here, shape ``(N,)``.
        n_types : int
        order : int
            2 or 3: the third derivatives are left out with 2.
        """
        values, atoms = [], []
        derivatives: list[tuple[FloatArray, ...]] = []
        for t in range(n_types):
            here = types == t
            of_type = self._derivatives(vectors[here], order)
            values.append(of_type[0].sum(axis=-1))
            # Images of the centre move with it.
            moved = partners[here] != centre
            moving = partners[here][moved]
            _, at, place = np.unique(
                places[moving], return_index=True, return_inverse=True
            )
            atoms.append(moving[at])
            derivatives.append(
                tuple(_by_atom(d[..., moved], place, len(at)) for d in of_type[1:])
            )
        first, second, *third = zip(*derivatives, strict=True)
        return Expansion(
            centre,
            np.concatenate(values, axis=1),
            tuple(atoms),
            first,
            second,
            third[0] if third else (),
        )

    def _derivatives(self, vectors: FloatArray, order: int) -> list[FloatArray]:
        """Return ``f_n Y_lm`` and derivatives, ``(n_radial, n_lm, [3, ...] n)``."""
        r = np.sqrt((vectors**2).sum(axis=1))
        u = vectors.T / r
        radial = self._radial(r)[:, :, self._l]
        y = [self._harmonics(u)]
        for _ in range(order):
            y.append(np.einsum("ikl,l...n->k...in", self._gradients, y[-1]))
        delta = np.eye(3)[:, :, None]
        uu = u[:, None] * u
        # The parts that F_0, F_1, ... are multiplied by.
        parts = [
            [y[0]],
            [y[1], y[0][:, None] * u],
            [
                y[2],
                _symmetric_sum(y[1][:, :, None] * u) + y[0][:, None, None] * delta,
                y[0][:, None, None] * uu,
            ],
        ]
        if order == 3:
            spread = y[0][:, None, None, None] * u
            parts.append(
                [
                    y[3],
                    _cyclic_sum(y[2][:, :, :, None] * u)
                    + _cyclic_sum(delta[:, :, None] * y[1][:, None, None]),
                    _cyclic_sum(y[1][:, None, None] * uu[:, :, None])
                    + _cyclic_sum(delta[:, :, None] * spread),
                    uu[:, :, None] * spread,
                ]
            )
        results = []
        for k, terms in enumerate(parts):
            scale = r**-k
            total = 0.0
            for factor, term in zip(radial, terms, strict=False):
                weight = factor * scale
                shape = (*weight.shape[:2], *(1,) * k, len(r))
                total = total + weight.reshape(shape) * term
            results.append(np.asarray(total))
        return results

    def _radial(self, r: FloatArray) -> FloatArray:
        """Return ``F_k``, shape ``(4, n_radial, max_l + 1, n)``."""
        l = np.arange(self._max_l + 1)[:, None]
        rows = []
        for beta, r0 in self._pair_params:
            f, f1, f2, f3 = radial_derivatives(r, beta, r0, self._cutoff)
            p0, p1, p2, p3 = f, r * f1, r**2 * f2, r**3 * f3
            rows.append(
                [
                    p0 + 0.0 * l,
                    p1 - l * p0,
                    p2 - (2 * l + 1) * p1 + l * (l + 2) * p0,
                    p3
                    - 3 * (l + 1) * p2
                    + 3 * (l**2 + 3 * l + 1) * p1
                    - l * (l + 2) * (l + 4) * p0,
                ]
            )
        return np.array(rows).swapaxes(0, 1)

    def _harmonics(self, u: FloatArray) -> FloatArray:
        """Return the harmonics of unit vectors, ``(n_lm, n)``; see `kernels.basis`."""
        max_l, constants = self._max_l, self._constants
        values = np.empty((self.n_lm, u.shape[1]))
        phase = np.ones(u.shape[1], dtype=np.complex128)
        diagonal = 1.0
        for m in range(max_l + 1):
            lower, q = np.zeros(u.shape[1]), np.full(u.shape[1], diagonal)
            for l in range(m, max_l + 1):
                part = constants[l, m] * q * phase
                at = l * l + max(2 * m - 1, 0)
                values[at] = part.real
                if m > 0:
                    values[at + 1] = part.imag
                up = ((2 * l + 1) * u[2] * q - (l + m) * lower) / (l + 1 - m)
                lower, q = q, up
            phase = phase * (u[0] + 1j * u[1])
            diagonal *= 2 * m + 1
        return values


def radial_derivatives(
    r: FloatArray, beta: float, r0: float, cutoff: float
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return ``exp(-beta (r - r0)^2) (cos(pi r / cutoff) + 1) / 2`` and derivatives.

    Parameters
    ----------
    r : ndarray
        Distances up to the cutoff, in angstrom.
    beta, r0, cutoff : float
    """
    x, k = r - r0, np.pi / cutoff
    g = np.exp(-beta * x**2)
    g1 = -2 * beta * x * g
    g2 = -2 * beta * (g + x * g1)
    g3 = -2 * beta * (2 * g1 + x * g2)
    cosine, sine = np.cos(k * r), np.sin(k * r)
    c, c1, c2, c3 = (
        0.5 * (cosine + 1.0),
        -0.5 * k * sine,
        -0.5 * k**2 * cosine,
        0.5 * k**3 * sine,
    )
    return (
        g * c,
        g1 * c + g * c1,
        g2 * c + 2 * g1 * c1 + g * c2,
        g3 * c + 3 * g2 * c1 + 3 * g1 * c2 + g * c3,
    )


def harmonic_gradients(max_l: int) -> FloatArray:
    r"""Return the matrices of the derivatives of solid harmonics.

    With :math:`R_{lm} = r^l Y_{lm} / (K_{lm} (l + m)!)` of the complex harmonics,
    :math:`\partial_z R_{lm} = R_{l-1,m}`, :math:`(\partial_x - i \partial_y) R_{lm} =
    R_{l-1,m-1}` and :math:`(\partial_x + i \partial_y) R_{lm} = -R_{l-1,m+1}`.

    Returns
    -------
    ndarray
        ``E[i]`` with ``d/dx_i S = E[i] S`` for the vector S of all real solid
        harmonics, shape ``(3, n_lm, n_lm)``.
    """
    constants = normalisation(max_l)
    gradients = np.zeros((3, (max_l + 1) ** 2, (max_l + 1) ** 2))

    def size(l: int, m: int) -> float:
        return float(constants[l, m]) * factorial(l + m)

    def add(axis: int, row: int, l: int, m: int, sine: bool, value: float) -> None:
        """Add a multiple of R_lm, its real part or its imaginary one."""
        if m <= l and not (m == 0 and sine):
            column = l * l + max(2 * m - 1, 0) + sine
            gradients[axis, row, column] += value / size(l, m)

    for l in range(1, max_l + 1):
        for m in range(l + 1):
            scale, row = size(l, m), l * l + max(2 * m - 1, 0)
            for sine in (False, True)[: 1 + (m > 0)]:
                at = row + sine
                add(2, at, l - 1, m, sine, scale)
                if m == 0:
                    add(0, at, l - 1, 1, False, -scale)
                    add(1, at, l - 1, 1, True, -scale)
                    continue
                # d/dy R = i/2 (R_m+1 + R_m-1): parts are exchanged.
                other = 0.5 * scale * (1 if sine else -1)
                add(0, at, l - 1, m - 1, sine, 0.5 * scale)
                add(0, at, l - 1, m + 1, sine, -0.5 * scale)
                add(1, at, l - 1, m - 1, not sine, other)
                add(1, at, l - 1, m + 1, not sine, other)
    return gradients


def _by_atom(derivatives: FloatArray, place: IntArray, n_atoms: int) -> FloatArray:
    """Add up the images of each atom; atoms come after the harmonics."""
    if n_atoms == 0:
        summed = derivatives[..., :0]
    else:
        order = np.argsort(place, kind="stable")
        first = np.searchsorted(place[order], np.arange(n_atoms))
        summed = np.add.reduceat(derivatives[..., order], first, axis=-1)
    return np.ascontiguousarray(np.moveaxis(summed, -1, 2))


def _symmetric_sum(tensor: FloatArray) -> FloatArray:
    """Return the tensor ``(n_lm, 3, 3, n)`` plus its transpose."""
    return tensor + tensor.swapaxes(1, 2)


def _cyclic_sum(tensor: FloatArray) -> FloatArray:
    """Return the sum over cyclic permutations of the axes of ``(n_lm, 3, 3, 3, n)``."""
    return tensor + tensor.transpose(0, 2, 3, 1, 4) + tensor.transpose(0, 3, 1, 2, 4)

"""Sums of third-order force constants over pairs with the same difference vector.

For a triplet of wave vectors q0 + q1 + q2 = G, the phase of a pair of atoms depends
only on the difference D of their lattice vectors,

    Phi_ijk(q1) = exp[2 pi i (q0 tau_i + q1 tau_j + q2 tau_k)]
                  sum_D F_ijk(D) exp(2 pi i q1 D) ,

because q2 = G - q0 - q1 and G is an integer vector. This module computes F for a point
q0, with D modulo the mesh, because equivalent D have equal phases at all mesh points.
"""

from __future__ import annotations

import numpy as np

from phono3py_mlp_plugin.compilation import inlined, inner_kernel, kernel
from phono3py_mlp_plugin.contracts import FloatArray, IntArray
from phono3py_mlp_plugin.scattering.records import ComplexArray, Differences, RealSpace


@kernel
def fold(
    folded: FloatArray,
    i: int,
    block: tuple[int, int],
    real_space: RealSpace,
    phases: ComplexArray,
    differences: Differences,
) -> None:
    """Compute F for one first atom and a block of second atoms.

    Parameters
    ----------
    folded : ndarray of shape (2, 3 N_p, n_D, 3 N_p, 3 n_j)
        Written. Axes: real and imaginary part, components of the first atom,
        differences, components of the third atom, components of the second atom.
    i : int
        The first atom.
    block : tuple of int
        Range of the second atoms: first, and last plus one.
    real_space : RealSpace
    phases : ndarray of complex, shape (n_vectors,)
        exp(2 pi i q0 T) of the lattice vectors.
    differences : Differences
    """
    n_atoms = real_space.rows.shape[0]
    shape = (differences.number, block[1] - block[0], n_atoms, 27)
    real, imag = np.zeros(shape), np.zeros(shape)
    _first_leg(real, imag, i, block, real_space, phases, differences)
    if real_space.averaged:
        _second_leg(real, imag, i, block, real_space, phases, differences)
        _third_leg(real, imag, i, block, real_space, phases, differences)
    for d in range(differences.number):
        for k in range(n_atoms):
            for n in range(3):
                for j in range(block[1] - block[0]):
                    for el in range(3):
                        for m in range(3):
                            c = 9 * el + 3 * m + n
                            row, place = 3 * i + el, (3 * k + n, 3 * j + m)
                            folded[0, row, d, place[0], place[1]] = real[d, j, k, c]
                            folded[1, row, d, place[0], place[1]] = imag[d, j, k, c]


@inner_kernel
def _first_leg(
    real: FloatArray,
    imag: FloatArray,
    i: int,
    block: tuple[int, int],
    real_space: RealSpace,
    phases: ComplexArray,
    differences: Differences,
) -> None:
    """Add the triplets of atoms with the first one at the origin."""
    row, fc3 = real_space.rows[i], real_space.fc3
    vectors, sublattices = real_space.vectors, real_space.sublattices
    n = sublattices.shape[0]
    for atom1 in range(n):
        j = sublattices[atom1]
        if j < block[0] or j >= block[1]:
            continue
        n1, start1 = vectors[atom1, i, 0], vectors[atom1, i, 1]
        for atom2 in range(n):
            if real_space.used[row, atom1, atom2] == 0:
                continue
            k = sublattices[atom2]
            n2, start2 = vectors[atom2, i, 0], vectors[atom2, i, 1]
            weight = 1.0 / (n1 * n2)
            if real_space.averaged and not real_space.all_shortest[i, atom1, atom2]:
                weight /= 3
            for v in differences.vectors[start2 : start2 + n2]:
                re, im = weight * phases[v].real, -weight * phases[v].imag
                for u in differences.vectors[start1 : start1 + n1]:
                    d = differences.places[u, v]
                    for c in range(27):
                        x = fc3[row, atom1, atom2, c]
                        real[d, j - block[0], k, c] += re * x
                        imag[d, j - block[0], k, c] += im * x


@inner_kernel
def _second_leg(
    real: FloatArray,
    imag: FloatArray,
    i: int,
    block: tuple[int, int],
    real_space: RealSpace,
    phases: ComplexArray,
    differences: Differences,
) -> None:
    """Add the triplets of atoms with the second one at the origin."""
    vectors, sublattices = real_space.vectors, real_space.sublattices
    n = sublattices.shape[0]
    sums = np.empty((2, n, 27))
    for j in range(block[0], block[1]):
        row = real_space.rows[j]
        sums[:] = 0.0
        for atom0 in range(n):
            if sublattices[atom0] != i:
                continue
            p = _mean_phase(phases, differences.vectors, vectors[atom0, j])
            for atom2 in range(n):
                if (
                    real_space.used[row, atom0, atom2]
                    and not real_space.all_shortest[j, atom0, atom2]
                ):
                    for c in range(27):
                        x = real_space.fc3[row, atom0, atom2, c]
                        sums[0, atom2, c] += p.real * x
                        sums[1, atom2, c] += p.imag * x
        for atom2 in range(n):
            k = sublattices[atom2]
            n2, start2 = vectors[atom2, j, 0], vectors[atom2, j, 1]
            for v in differences.vectors[start2 : start2 + n2]:
                d = differences.places[differences.origin, v]
                re, im = phases[v].real / (3 * n2), -phases[v].imag / (3 * n2)
                for el in range(3):
                    for m in range(3):
                        for o in range(3):
                            a = sums[0, atom2, 9 * m + 3 * el + o]
                            b = sums[1, atom2, 9 * m + 3 * el + o]
                            c = 9 * el + 3 * m + o
                            real[d, j - block[0], k, c] += re * a - im * b
                            imag[d, j - block[0], k, c] += im * a + re * b


@inner_kernel
def _third_leg(
    real: FloatArray,
    imag: FloatArray,
    i: int,
    block: tuple[int, int],
    real_space: RealSpace,
    phases: ComplexArray,
    differences: Differences,
) -> None:
    """Add the triplets of atoms with the third one at the origin."""
    vectors, sublattices = real_space.vectors, real_space.sublattices
    n = sublattices.shape[0]
    sums = np.empty((2, 27))
    for k in range(real_space.rows.shape[0]):
        row = real_space.rows[k]
        for atom1 in range(n):
            j = sublattices[atom1]
            if j < block[0] or j >= block[1]:
                continue
            sums[:] = 0.0
            for atom0 in range(n):
                if (
                    sublattices[atom0] != i
                    or not real_space.used[row, atom1, atom0]
                    or real_space.all_shortest[k, atom1, atom0]
                ):
                    continue
                p = _mean_phase(phases, differences.vectors, vectors[atom0, k])
                for c in range(27):
                    x = real_space.fc3[row, atom1, atom0, c]
                    sums[0, c] += p.real * x
                    sums[1, c] += p.imag * x
            n1, start1 = vectors[atom1, k, 0], vectors[atom1, k, 1]
            for u in differences.vectors[start1 : start1 + n1]:
                d = differences.places[u, differences.origin]
                for el in range(3):
                    for m in range(3):
                        for o in range(3):
                            c = 9 * el + 3 * m + o
                            from_c = 9 * o + 3 * m + el
                            real[d, j - block[0], k, c] += sums[0, from_c] / (3 * n1)
                            imag[d, j - block[0], k, c] += sums[1, from_c] / (3 * n1)


@inlined
def _mean_phase(phases: ComplexArray, which: IntArray, vector: IntArray) -> complex:
    """Return the mean of exp(2 pi i q0 T) over vectors of the same length."""
    total = 0j
    for u in range(vector[1], vector[1] + vector[0]):
        total += phases[which[u]]
    return complex(total / vector[0])

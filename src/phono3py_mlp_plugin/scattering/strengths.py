"""Interaction strengths: transform of the last axis, contraction with eigenvectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from phono3py_mlp_plugin.compilation import inner_kernel, kernel
from phono3py_mlp_plugin.contracts import FloatArray, IntArray
from phono3py_mlp_plugin.scattering.records import ComplexArray, Phonons

# From this number of bands on, matrix products are faster although they compute bands
# that are not needed.
PRODUCT_BANDS = 12


@kernel
def contract_by_band(
    strengths: FloatArray,
    needed: Any,
    columns: FloatArray,
    column: IntArray,
    phases: ComplexArray,
    triplets: IntArray,
    bands: IntArray,
    phonons: Phonons,
) -> None:
    """Compute the interaction strengths that are needed, band by band.

    Parameters
    ----------
    strengths : ndarray of shape (n_triplets, n_bands0, n_bands, n_bands)
        In eV^2/(angstrom^6 amu^3 THz^3).
    needed : ndarray of int8, of that shape
    columns : ndarray of shape (n_bands0, n_columns, 2, n_D, n_bands ** 2)
        Contracted with the eigenvectors at q0 and transformed in two axes: real and
        imaginary part, components of the third and of the second atom.
    column : ndarray of int, shape (n_triplets,)
    phases : ndarray of complex, shape (n_triplets, n_D)
        Of the last axis.
    triplets : ndarray of int, shape (n_triplets, 3)
    bands : ndarray of int, shape (n_bands0,)
        Bands at q0.
    phonons : Phonons
    """
    n = phonons.frequencies.shape[1]
    at_q1, at_q2, rows = np.empty((2, n, n)), np.empty((2, n, n)), np.empty((2, n))
    sums, dressed = np.empty((2, n)), np.empty((2, n * n))
    for t in range(triplets.shape[0]):
        _dress(at_q1, triplets[t, 1], phonons)
        _dress(at_q2, triplets[t, 2], phonons)
        f0 = phonons.frequencies[triplets[t, 0]]
        f1 = phonons.frequencies[triplets[t, 1]]
        f2 = phonons.frequencies[triplets[t, 2]]
        for b in range(bands.shape[0]):
            strengths[t, b] = 0.0
            if not f0[bands[b]] > phonons.cutoff or not np.any(needed[t, b]):
                continue
            _transform(dressed, columns[b, column[t]], phases[t])
            for k in range(n):
                if not f2[k] > phonons.cutoff or not np.any(needed[t, b, :, k]):
                    continue
                _sum_third(rows, dressed, at_q2, k)
                _sum_second(sums, rows, at_q1)
                for j in range(n):
                    if needed[t, b, j, k] and f1[j] > phonons.cutoff:
                        square = sums[0, j] * sums[0, j] + sums[1, j] * sums[1, j]
                        strengths[t, b, j, k] = square / (f0[bands[b]] * f1[j] * f2[k])


@kernel
def contract_by_triplet(
    strengths: FloatArray,
    needed: Any,
    columns: FloatArray,
    column: IntArray,
    phases: ComplexArray,
    triplets: IntArray,
    bands: IntArray,
    phonons: Phonons,
) -> None:
    """Compute all bands of a triplet by two matrix products; see `contract_by_band`."""
    n, n_bands0 = phonons.frequencies.shape[1], bands.shape[0]
    vectors = np.empty((2, 2, n, n))
    dressed = np.empty((2, n * n))
    third = np.empty((n, n_bands0 * n), np.complex128)
    before, after = np.empty_like(third), np.empty((n * n_bands0, n), np.complex128)
    for t in range(triplets.shape[0]):
        for b in range(n_bands0):
            _transform(dressed, columns[b, column[t]], phases[t])
            for o in range(n):
                for m in range(n):
                    c = n * o + m
                    before[o, b * n + m] = complex(dressed[0, c], dressed[1, c])
        _dress(vectors[0], triplets[t, 1], phonons)
        _dress(vectors[1], triplets[t, 2], phonons)
        at_q1 = vectors[0, 0] + 1j * vectors[0, 1]
        at_q2 = vectors[1, 0] + 1j * vectors[1, 1]
        np.dot(at_q2.T, before, third)
        np.dot(third.reshape(n * n_bands0, n), at_q1, after)
        f0 = phonons.frequencies[triplets[t, 0]]
        f1 = phonons.frequencies[triplets[t, 1]]
        f2 = phonons.frequencies[triplets[t, 2]]
        for b in range(n_bands0):
            for j in range(n):
                for k in range(n):
                    strengths[t, b, j, k] = 0.0
                    lowest = min(f0[bands[b]], f1[j], f2[k])
                    if needed[t, b, j, k] and lowest > phonons.cutoff:
                        value = after[k * n_bands0 + b, j]
                        square = value.real * value.real + value.imag * value.imag
                        strengths[t, b, j, k] = square / (f0[bands[b]] * f1[j] * f2[k])


@inner_kernel
def _dress(vectors: FloatArray, q: int, phonons: Phonons) -> None:
    """Multiply the eigenvectors at a point by phases and masses."""
    n = vectors.shape[1]
    for c in range(n):
        factor = phonons.factors[q, c]
        for band in range(n):
            value = phonons.eigenvectors[q, c, band] * factor
            vectors[0, c, band] = value.real
            vectors[1, c, band] = value.imag


@inner_kernel
def _transform(dressed: FloatArray, column: FloatArray, phases: ComplexArray) -> None:
    """Transform the last axis to one point."""
    dressed[:] = 0.0
    real, imag = dressed[0], dressed[1]
    for d in range(column.shape[1]):
        re, im = phases[d].real, phases[d].imag
        x, y = column[0, d], column[1, d]
        for c in range(real.shape[0]):
            real[c] += re * x[c] - im * y[c]
            imag[c] += im * x[c] + re * y[c]


@inner_kernel
def _sum_third(
    rows: FloatArray, dressed: FloatArray, at_q2: FloatArray, k: int
) -> None:
    """Contract the components of the third atom with band ``k`` at q2."""
    n = rows.shape[1]
    rows[:] = 0.0
    real, imag = rows[0], rows[1]
    for o in range(n):
        re, im = at_q2[0, o, k], at_q2[1, o, k]
        x, y = dressed[0, n * o : n * (o + 1)], dressed[1, n * o : n * (o + 1)]
        for m in range(n):
            real[m] += re * x[m] - im * y[m]
            imag[m] += im * x[m] + re * y[m]


@inner_kernel
def _sum_second(sums: FloatArray, rows: FloatArray, at_q1: FloatArray) -> None:
    """Contract the components of the second atom with all bands at q1."""
    n = rows.shape[1]
    sums[:] = 0.0
    real, imag = sums[0], sums[1]
    for m in range(n):
        re, im = rows[0, m], rows[1, m]
        x, y = at_q1[0, m], at_q1[1, m]
        for j in range(n):
            real[j] += re * x[j] - im * y[j]
            imag[j] += im * x[j] + re * y[j]

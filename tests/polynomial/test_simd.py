"""Vectors compute what numbers do; kernels work where nothing can be written."""

import subprocess
import sys

import numpy as np

from phono3py_mlp_plugin.polynomial.kernels.simd import (
    LANES,
    item,
    kernel,
    load,
    splat,
    store,
    total,
    transpose,
)


@kernel
def _polynomial(x, y, out):
    sums = 0.0
    for k in range(0, x.shape[0], LANES):
        a = load(x, k)
        b = load(y, k)
        value = 2.0 * a * b - (a + b) * 0.5 + splat(item(x, 1))
        store(out, k, value)
        sums += total(value)
    return sums


def test_vectors_compute_what_numbers_do():
    x, y = np.random.default_rng(1).normal(size=(2, 5 * LANES))
    out = np.empty_like(x)
    sums = _polynomial(x, y, out)
    expected = 2 * x * y - (x + y) / 2 + x[1]
    # A fused product and sum rounds once instead of twice.
    np.testing.assert_allclose(out, expected, rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(sums, expected.sum(), rtol=1e-13)


@kernel
def _transposed(source, target):
    transpose(source, LANES, target, 0)


def test_transpose():
    source = np.arange(LANES * (LANES + 1), dtype=float)
    target = np.empty(LANES * LANES)
    _transposed(source, target)
    expected = source[LANES:].reshape(LANES, LANES).T
    np.testing.assert_array_equal(target.reshape(LANES, LANES), expected)
    _transposed(source, source)
    np.testing.assert_array_equal(source[: LANES * LANES], target)


def test_kernels_compile_where_no_cache_can_be_kept():
    program = (
        "import numba.core.caching as caching;"
        "caching.CacheImpl._locator_classes = [];"
        "from phono3py_mlp_plugin.polynomial.kernels import gradient;"
        "print(type(gradient.add_folded._cache).__name__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "NullCache"

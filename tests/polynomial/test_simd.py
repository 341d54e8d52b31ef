"""Vectors compute what numbers do; kernels work where nothing can be written."""

import importlib.metadata
import subprocess
import sys

import llvmlite.binding
import llvmlite.ir
import numba
import numba.core.base
import numba.core.options
import numba.extending
import numpy as np
import pytest

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


def test_kernels_compile_where_no_cache_can_be_kept(monkeypatch):
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "0")
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


# The oldest and the newest version of numba with which the tests of this folder have
# been run.
TRIED = ("0.60.0", "0.68.1")


def test_the_oldest_numba_that_may_be_installed_is_one_that_was_tried():
    requirements = importlib.metadata.requires("phono3py-mlp-plugin") or []
    bounds = [line for line in requirements if line.startswith("numba")]
    assert bounds == [f"numba>={TRIED[0].removesuffix('.0')}"]


@pytest.mark.parametrize(
    ("owner", "names"),
    [
        (numba.config, ["DISABLE_JIT"]),
        (
            numba.extending,
            ["intrinsic", "lower_builtin", "models", "register_model", "type_callable"],
        ),
        (numba.extending.models, ["PrimitiveModel"]),
        (numba.core.types, ["Type", "float64", "intp", "void"]),
        (numba.core.base.BaseContext, ["get_dummy_value", "make_array"]),
        (
            numba.core.options.DefaultOptions,
            ["error_model", "forceinline", "nogil", "no_cfunc_wrapper", "nopython"],
        ),
        (numba.core.options.DefaultOptions, ["no_cpython_wrapper"]),
        (llvmlite.ir.IRBuilder, ["bitcast", "call", "gep", "load", "store"]),
        (llvmlite.ir.IRBuilder, ["fadd", "fmul", "fsub", "mul", "udiv", "urem"]),
        (llvmlite.ir.IRBuilder, ["extract_element", "insert_element"]),
        (llvmlite.ir.IRBuilder, ["shuffle_vector", "phi", "icmp_signed"]),
        (llvmlite.ir.IRBuilder, ["append_basic_block", "branch", "cbranch"]),
        (llvmlite.ir.IRBuilder, ["position_at_end"]),
        (llvmlite.ir.Type, ["as_pointer"]),
        (llvmlite.binding, ["get_host_cpu_features"]),
    ],
)
def test_numba_has_the_inner_parts_that_vectors_are_made_with(owner, names):
    """Versions between and beyond those of `TRIED` may not: this says which is gone."""
    missing = [name for name in names if not hasattr(owner, name)]
    assert not missing, f"numba {numba.__version__}: {owner.__name__} lacks {missing}"

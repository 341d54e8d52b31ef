"""Sums of products of rows are those of numpy; what is below the diagonal stays."""

import subprocess
import sys

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from phono3py_mlp_plugin.polynomial.kernels.gram import add_gram


def integers(*shape):
    """Numbers whose sums of products are exact, in whatever order they are added."""
    return np.random.default_rng(7).integers(-9, 10, size=shape).astype(float)


@pytest.mark.parametrize("n_columns", [1, 383, 800])
@pytest.mark.parametrize(
    "n", [1, 7, 24, 241, 500, pytest.param(4000, marks=pytest.mark.slow)]
)
def test_products_of_some_rows(n, n_columns):
    matrix, weights = integers(n + 40, n_columns), integers(n_columns)
    rows = np.sort(np.random.default_rng(n).permutation(n + 40)[:n])
    array = np.asfortranarray(integers(n, n))
    array[np.tril_indices(n, -1)] = np.nan
    expected = np.triu((matrix[rows] * weights**2) @ matrix[rows].T + array)
    add_gram(array, matrix, rows, weights)
    np.testing.assert_array_equal(np.triu(array), expected)
    assert np.isnan(array[np.tril_indices(n, -1)]).all()


@pytest.mark.parametrize("layout", ["Fortran", "strided"])
def test_however_a_matrix_lies_in_memory(layout):
    matrix = integers(50, 400)
    if layout == "Fortran":
        seen = np.asfortranarray(matrix)
    else:
        seen = integers(50, 1000)[:, 300:700]
        seen[:] = matrix
    array = np.zeros((50, 50), order="F")
    add_gram(array, seen, np.arange(50), np.ones(400))
    np.testing.assert_array_equal(array, np.triu(matrix @ matrix.T))


def test_no_rows_and_no_columns():
    add_gram(np.zeros((0, 0), order="F"), np.ones((3, 4)), np.arange(0), np.ones(4))
    array = np.ones((3, 3), order="F")
    add_gram(array, np.ones((3, 0)), np.arange(3), np.ones(0))
    np.testing.assert_array_equal(array, np.ones((3, 3)))


def test_threads_do_not_matter():
    matrix = np.random.default_rng(3).normal(size=(700, 900))
    found = []
    for n_threads in (1, 2, 3):
        array = np.zeros((700, 700), order="F")
        with threadpool_limits(n_threads):
            add_gram(array, matrix, np.arange(700), np.ones(900))
        found.append(array)
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])
    np.testing.assert_allclose(found[0], np.triu(matrix @ matrix.T), rtol=0, atol=1e-11)


@pytest.mark.parametrize("shape", [(3, 8), (1, 6)])
def test_tiles_of_both_shapes(shape, tmp_path, monkeypatch):
    """Of processors with vectors of 512 bits and with shorter ones, on either."""
    program = f"""
import numpy as np
from phono3py_mlp_plugin.polynomial.kernels import vector_shape
found = vector_shape.TILE_VECTORS, vector_shape.TILE_COLUMNS
assert found in ((3, 8), (1, 6))
vector_shape.TILE_VECTORS, vector_shape.TILE_COLUMNS = {shape}
from phono3py_mlp_plugin.polynomial.kernels.gram import add_gram
for n in (1, 6, 23, 250):
    matrix = np.random.default_rng(n).integers(-9, 10, size=(n, 390)).astype(float)
    array = np.zeros((n, n), order="F")
    add_gram(array, matrix, np.arange(n), np.ones(390))
    np.testing.assert_array_equal(array, np.triu(matrix @ matrix.T))
"""
    # What is compiled so must not be found by others.
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    subprocess.run([sys.executable, "-c", program], check=True, timeout=300)

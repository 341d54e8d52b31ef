"""Kernels that are not compiled compute the same, and check every offset."""

import os
import subprocess
import sys

import numpy as np
import pytest

from phono3py_mlp_plugin.polynomial.design_matrix import Features
from phono3py_mlp_plugin.polynomial.evaluator import Evaluator
from phono3py_mlp_plugin.polynomial.kernels import interpreted
from phono3py_mlp_plugin.polynomial.kernels.gram import add_gram
from phono3py_mlp_plugin.polynomial.kernels.vector_shape import LANES
from phono3py_mlp_plugin.polynomial.model.feature_list import list_features
from polynomial.models import Case, coefficients_of

# All kinds of features: linear and folded, of higher orders, products of two and three.
CASE = Case(2, 4, 3, 3, (2, 1), n_gaussians=1, cell="single", cutoff=4.2)


def computed(case: Case) -> dict[str, np.ndarray]:
    """Everything that kernels compute of a model on three small cells."""
    feature_list, structures = list_features(case.parameters()), case.structures()
    matrix = Features(feature_list, 1).design_matrix(structures)
    coefficients = coefficients_of(feature_list, matrix)
    properties = Evaluator(feature_list, coefficients, 1).evaluate(structures)
    gram = np.zeros((30, 30), order="F")
    add_gram(gram, matrix, np.arange(30), np.ones(matrix.shape[1]))
    return {
        "features": matrix,
        "energies": properties.energies,
        "forces": np.concatenate(properties.forces),
        "virials": properties.virials,
        "gram": gram,
    }


def test_kernels_compute_the_same_without_compilation(tmp_path):
    """With warnings as errors: nothing that is not a number is computed on the way."""
    path = tmp_path / "interpreted.npz"
    program = (
        "import sys; import numpy as np; import numba;"
        "assert numba.config.DISABLE_JIT;"
        "from polynomial.test_interpreted import CASE, computed;"
        "np.savez(sys.argv[1], **computed(CASE))"
    )
    search = os.pathsep.join([entry for entry in sys.path if entry])
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": search}
    command = [sys.executable, "-W", "error", "-c", program, str(path)]
    subprocess.run(command, env=environment, check=True, timeout=300)
    compiled = computed(CASE)
    with np.load(path) as file:
        assert set(file) == set(compiled)
        for name, expected in compiled.items():
            # Fused products and sums round once instead of twice.
            atol = 1e-12 * np.abs(expected).max()
            np.testing.assert_allclose(file[name], expected, rtol=0, atol=atol)


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [
        (interpreted.load, ()),
        (interpreted.store, (interpreted.splat(1.0),)),
        (interpreted.transpose, (np.zeros(LANES**2), 0)),
    ],
)
@pytest.mark.parametrize("at", [-1, 1, LANES**2, -LANES])
def test_an_offset_beyond_the_array_is_refused(operation, arguments, at):
    array = np.zeros((LANES, LANES))
    operation(array, 0, *arguments)
    n = LANES**2 if operation is interpreted.transpose else LANES
    with pytest.raises(IndexError, match="reach beyond an array of 64"):
        operation(array, at if at < 0 else LANES**2 - n + at, *arguments)


@pytest.mark.parametrize("operation", [interpreted.item, interpreted.prefetch])
@pytest.mark.parametrize("at", [-1, 5])
def test_a_number_beyond_the_array_is_refused(operation, at):
    operation(np.zeros(5), 4)
    with pytest.raises(IndexError, match="1 numbers from place"):
        operation(np.zeros(5), at)


def test_a_tile_beyond_the_panels_or_the_target_is_refused():
    panels, target = np.ones(4 * 3 * LANES), np.zeros((3 * LANES, 8))
    interpreted.add_products(panels, 3, 0, 0, target, 0, 3 * LANES)
    assert target.sum() > 0
    with pytest.raises(IndexError):
        interpreted.add_products(panels, 3, 4 * LANES, 0, target, 0, 3 * LANES)
    with pytest.raises(IndexError):
        interpreted.add_products(panels, 3, 0, 0, target, 3 * LANES * 8, 3 * LANES)


def test_an_array_with_gaps_is_refused():
    """Compiled kernels would read what lies between."""
    with pytest.raises(ValueError, match="not contiguous"):
        interpreted.load(np.zeros((LANES, 2))[:, 0], 0)

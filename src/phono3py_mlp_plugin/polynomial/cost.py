"""What a training costs on this machine, measured on samples."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from phono3py_mlp_plugin.contracts import Dataset, TrainingCost
from phono3py_mlp_plugin.polynomial.design_matrix import Features
from phono3py_mlp_plugin.polynomial.memory import peak_memory
from phono3py_mlp_plugin.polynomial.model.feature_list import list_features
from phono3py_mlp_plugin.polynomial.model.invariants import Table, invariants
from phono3py_mlp_plugin.polynomial.model.parameters import ModelParameters
from phono3py_mlp_plugin.polynomial.regression.forecast import (
    forecast,
    memory_of_arrays,
    memory_of_block,
    operations,
)
from phono3py_mlp_plugin.polynomial.regression.options import RidgeOptions
from phono3py_mlp_plugin.polynomial.structures.structure import structures_of

# Edge of the matrices whose product is measured.
_MEASURED = 1500


def measure(
    parameters: ModelParameters,
    training: Dataset,
    test: Dataset,
    options: RidgeOptions,
    members: int,
    table: Table = invariants,
) -> TrainingCost:
    """Measure on this machine what a training costs.

    The features of one supercell are computed, and a product of matrices.

    Parameters
    ----------
    parameters, training, options, table
        See `forecast`.
    test : Dataset
    members : int
        Number of potentials of the ensemble, zero if there is none.
    """
    needs = forecast(parameters, training, options, table)
    start = time.perf_counter()
    features = Features(list_features(parameters, table))
    listing = time.perf_counter() - start
    structures = structures_of(training.select([0]).supercells(), parameters.elements)
    # The first call compiles.
    features.design_matrix(structures)
    row = 1 + 3 * len(training.supercell)
    per_row = _seconds_of(lambda: features.design_matrix(structures)) / row
    unknowns, others = needs.n_features, needs.n_rows
    if needs.form == "dual":
        unknowns, others = others, unknowns
    matrix = np.ones((_MEASURED, _MEASURED))
    rate = 2.0 * _MEASURED**3 / _seconds_of(lambda: matrix @ matrix)
    shared = (needs.n_rows + len(test) * row) * per_row
    serial = listing + operations(unknowns, others, len(options.alphas)) / rate
    if needs.form == "primal":
        sums = float(unknowns) ** 2 * others / rate
        shared, serial = shared + sums, serial - sums
    second = 0.0
    if members:
        # Features are computed again for the errors of supercells that are left out.
        serial += needs.n_rows * per_row + 2.0 * float(unknowns) ** 2 * others / rate
        # A second block, for these errors.
        second = memory_of_block(needs.n_features, needs.n_rows, row)
    # A cell of another size has more or fewer atoms within the cutoff of a centre: the
    # number of rows is a fair measure.
    memory = memory_of_arrays(needs.form, needs.n_features, needs.n_rows, row)
    # By now, kernels and libraries are loaded.
    return TrainingCost(shared, serial, peak_memory() + memory + second)


def _seconds_of(function: Callable[[], object]) -> float:
    """Return the shortest time of three calls."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)

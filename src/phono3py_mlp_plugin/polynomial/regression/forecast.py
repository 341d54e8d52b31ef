"""Estimate of the cost of a training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from phono3py_mlp_plugin.contracts import Dataset, FloatArray
from phono3py_mlp_plugin.errors import ResourceError
from phono3py_mlp_plugin.polynomial.memory import available_memory
from phono3py_mlp_plugin.polynomial.model.feature_list import count_features
from phono3py_mlp_plugin.polynomial.model.invariants import Table, invariants
from phono3py_mlp_plugin.polynomial.model.parameters import ModelParameters
from phono3py_mlp_plugin.polynomial.regression.options import RidgeOptions
from phono3py_mlp_plugin.polynomial.regression.path import is_primal_smaller
from phono3py_mlp_plugin.polynomial.regression.problem import BLOCK_BYTES
from phono3py_mlp_plugin.polynomial.structures.neighbours import check_cutoff
from phono3py_mlp_plugin.threads import default_threads

FormName: TypeAlias = Literal["primal", "dual"]

# Memory of the interpreter and its libraries, of arrays of the kernels, and of the
# allocator.
_PROCESS = 0.45e9

# Operations per second and core on two machines of 2023 and 2024, for a rough estimate.
_MATRIX_PRODUCTS = 40e9
_FEATURES = 16e9
_START = 3.0  # seconds

# Operations for a feature, a coordinate and a centre.
_OPERATIONS = 15


@dataclass(frozen=True)
class Forecast:
    """Expected size, memory and time of a training.

    Attributes
    ----------
    n_features, n_rows : int
        Size of the problem. There is one row for each energy, and component of a force
        or stress.
    form : {"primal", "dual"}
        Whether the unknowns are the coefficients, or one multiplier for each row.
    memory : float
        Peak memory of the process in bytes.
    seconds : float
        Rough estimate of the time.
    """

    n_features: int
    n_rows: int
    form: FormName
    memory: float
    seconds: float


def forecast(
    parameters: ModelParameters,
    training: Dataset,
    options: RidgeOptions,
    table: Table = invariants,
) -> Forecast:
    """Select the form of the regression and estimate its cost.

    The faster form is selected if the memory is sufficient, otherwise the other one.

    Parameters
    ----------
    parameters : ModelParameters
    training : Dataset
    options : RidgeOptions
    table : callable
        Table of invariants.

    Raises
    ------
    PotentialError
        If an atom has no neighbours within the cutoff, or too many.
    ResourceError
        If the memory is sufficient for neither form.
    """
    cells = [training.supercell, *(other.cell for other in training.structures)]
    for cell in cells:
        check_cutoff(cell.cell, cell.positions, parameters.cutoff)
    memory = available_memory() if options.memory is None else options.memory
    n_features = count_features(parameters, table)
    sizes = _sizes(training)
    n_rows = int(sizes.sum())
    needed = _memory(n_features, n_rows, int(sizes.max()))
    forms: Sequence[FormName] = ("dual", "primal")
    if is_primal_smaller(n_features, n_rows):
        forms = ("primal", "dual")
    form = next((name for name in forms if needed[name] <= memory), None)
    if form is None:
        least = min(needed.values())
        raise ResourceError(
            f"memory: training {n_features:,} features on {len(training)} supercells "
            f"of {len(training.supercell)} atoms takes {least / 1e9:.1f} GB; "
            f"{memory / 1e9:.1f} GB may be taken. Use a smaller model "
            "('preset = compact'), fewer supercells, or more memory."
        )
    unknowns, others = n_features, n_rows
    if form == "dual":
        unknowns, others = others, unknowns
    seconds = _seconds(unknowns, others, len(options.alphas))
    # In supercells for fc3, all atoms are within the cutoff of all centres.
    work = _OPERATIONS * n_features * float((sizes**2 / 3).sum())
    seconds += work / (_FEATURES * default_threads())
    return Forecast(n_features, n_rows, form, needed[form], seconds)


def _sizes(training: Dataset) -> FloatArray:
    """Return the number of rows of each structure."""
    atoms = [len(other.cell) for other in training.structures]
    atoms += [len(training.supercell)] * len(training)
    return 1.0 + 3.0 * np.array(atoms)


def _memory(n_features: int, n_rows: int, row: int) -> dict[FormName, float]:
    """Return the largest memory of the process in bytes for each form."""
    primal = memory_of_arrays("primal", n_features, n_rows, row)
    return {
        # A second block, for the errors of supercells that are left out.
        "primal": _PROCESS + primal + memory_of_block(n_features, n_rows, row),
        "dual": _PROCESS + memory_of_arrays("dual", n_features, n_rows, row),
    }


def memory_of_arrays(form: FormName, n_features: int, n_rows: int, row: int) -> float:
    """Return the memory of the arrays of a regression in bytes.

    Parameters
    ----------
    form : {"primal", "dual"}
    n_features, n_rows : int
        Size of the problem.
    row : int
        Largest number of rows of a structure.
    """
    if form == "dual":
        return 8.0 * (n_features * n_rows + 2 * n_rows**2)
    return 8.0 * n_features**2 + memory_of_block(n_features, n_rows, row)


def memory_of_block(n_features: int, n_rows: int, row: int) -> float:
    """Return the memory of a block of the design matrix in bytes.

    Parameters
    ----------
    n_features, n_rows, row : int
        See `memory_of_arrays`.
    """
    size = 8.0 * n_features * row
    return min(size * max(1, BLOCK_BYTES // size), 8.0 * n_features * n_rows)


def _seconds(unknowns: int, others: int, n_penalties: int) -> float:
    """Return a rough estimate of the time of the start and of the linear algebra."""
    products = operations(unknowns, others, n_penalties)
    return _START + products / (_MATRIX_PRODUCTS * default_threads())


def operations(unknowns: int, others: int, n_penalties: int) -> float:
    """Return the number of operations of the linear algebra.

    Parameters
    ----------
    unknowns, others : int
        Numbers of coefficients and rows, or of rows and coefficients in the dual form.
    n_penalties : int
    """
    # One factor is used for several penalties: two cost as much as a factorisation.
    return float(unknowns) ** 2 * others + n_penalties * float(unknowns) ** 3 / 6

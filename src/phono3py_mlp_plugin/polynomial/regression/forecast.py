"""What a training will take, told before it begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from phono3py_mlp_plugin.errors import ResourceError
from phono3py_mlp_plugin.polynomial.model.feature_list import count_features
from phono3py_mlp_plugin.polynomial.model.invariants import Table, invariants
from phono3py_mlp_plugin.polynomial.model.parameters import ModelParameters
from phono3py_mlp_plugin.polynomial.regression.ridge import smaller_form
from phono3py_mlp_plugin.polynomial.regression.targets import BLOCK
from phono3py_mlp_plugin.polynomial.threads import default_threads

Form = Literal["primal", "dual"]

# The interpreter with its libraries, the kernels' room, and what the allocator holds.
_PROCESS = 0.45e9

# Rates that two machines of 2023 and 2024 reach per core, for a rough time.
_MATRIX_PRODUCTS = 40e9
_FEATURES = 16e9
_START = 3.0  # seconds

# Operations for a feature, a coordinate and a centre.
_OPERATIONS = 15


@dataclass(frozen=True)
class Forecast:
    """What a training takes.

    Attributes
    ----------
    n_features, n_rows : int
        Size of the problem; one row for each energy and force component.
    form : {"primal", "dual"}
        Unknowns are the coefficients, or one multiplier for each row.
    memory : float
        Peak of the process in bytes.
    seconds : float
        Rough time.
    """

    n_features: int
    n_rows: int
    form: Form
    memory: float
    seconds: float


def forecast(
    parameters: ModelParameters,
    n_supercells: int,
    n_atoms: int,
    n_penalties: int,
    memory: float,
    table: Table = invariants,
) -> Forecast:
    """Choose the form of the regression and tell what it takes.

    The faster form is taken where it fits, else the other one.

    Parameters
    ----------
    parameters : ModelParameters
    n_supercells, n_atoms : int
        Of the training set.
    n_penalties : int
    memory : float
        Bytes that may be taken.
    table : callable
        Of the invariants.

    Raises
    ------
    ResourceError
        Neither form fits.
    """
    n_features = count_features(parameters, table)
    row = 1 + 3 * n_atoms
    n_rows = n_supercells * row
    block = 8.0 * n_features * row * max(1, BLOCK // (8 * n_features * row))
    need = {
        "primal": _PROCESS + 8.0 * n_features**2 + 2 * block,
        "dual": _PROCESS + 8.0 * (n_features * n_rows + 2 * n_rows**2),
    }
    forms: Sequence[Form] = ("dual", "primal")
    if smaller_form(n_features, row)(n_supercells):
        forms = ("primal", "dual")
    for form in forms:
        if need[form] <= memory:
            break
    else:
        form = min(forms, key=lambda name: need[name])
        raise ResourceError(
            f"memory: training {n_features:,} features on {n_supercells} supercells of "
            f"{n_atoms} atoms takes {need[form] / 1e9:.1f} GB; "
            f"{memory / 1e9:.1f} GB may be taken. Use a smaller model "
            "('preset = compact'), fewer supercells, or more memory."
        )
    unknowns = n_features if form == "primal" else n_rows
    other = n_rows if form == "primal" else n_features
    # Penalties share factors: two take about as long as one factorisation.
    products = float(unknowns) ** 2 * other + n_penalties * float(unknowns) ** 3 / 6
    threads = default_threads()
    seconds = _START + products / (_MATRIX_PRODUCTS * threads)
    # All centres see all atoms in the cells that supercells for fc3 are.
    work = _OPERATIONS * n_features * float(n_rows) * n_atoms
    seconds += work / (_FEATURES * threads)
    return Forecast(n_features, n_rows, form, need[form], seconds)

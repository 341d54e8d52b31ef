"""Errors on each supercell of the fit to all other ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from phono3py_mlp_plugin.contracts import FloatArray
from phono3py_mlp_plugin.polynomial.regression.training_rows import TrainingRows


@dataclass(frozen=True, eq=False)
class LeaveOneOut:
    """Errors on each structure of the fit to all other ones, with unchanged scales.

    Attributes
    ----------
    energies : ndarray
        Errors of supercells in eV, shape ``(n,)``. NaN if there are no energies.
    forces : ndarray
        Errors of supercells in eV/angstrom by direction, shape ``(n, 3, N)``.
    weighted_rmse : float
        See `RidgePath`.
    noise : float
        Root mean square of the weighted errors of rows with non-zero weight.
    changes : ndarray or None
        Coefficients of the fit without a structure minus those of the fit to all, shape
        ``(n_structures, n_features)``. None if they were not requested.
    """

    energies: FloatArray
    forces: FloatArray
    weighted_rmse: float
    noise: float
    changes: FloatArray | None


def leave_one_out(
    residuals: FloatArray, rows: TrainingRows, changes: FloatArray | None
) -> LeaveOneOut:
    """Return errors from the weighted residuals (target minus fit) of rows left out."""
    targets, weights = rows.targets, rows.weights
    own = targets.rows(range(targets.n_others, rows.n))
    with np.errstate(invalid="ignore", divide="ignore"):
        errors = (-residuals[own] / weights[own]).reshape(-1, targets.n_rows)
    if rows.lowest is None or targets.energies is None:
        errors[:, 0] = np.nan
    return LeaveOneOut(
        energies=errors[:, 0],
        forces=errors[:, 1:].reshape(-1, 3, targets.n_atoms),
        weighted_rmse=float(np.linalg.norm(residuals) / np.linalg.norm(weights)),
        noise=float(np.linalg.norm(residuals) / np.sqrt(np.count_nonzero(weights))),
        changes=changes,
    )

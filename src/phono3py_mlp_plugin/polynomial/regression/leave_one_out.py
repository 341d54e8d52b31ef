"""Errors on each supercell of the fit to all others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from phono3py_mlp_plugin.contracts import FloatArray
from phono3py_mlp_plugin.polynomial.regression.training_rows import TrainingRows


@dataclass(frozen=True, eq=False)
class LeaveOneOut:
    """Errors on each supercell of the fit to all others, scales kept.

    Attributes
    ----------
    energies : ndarray
        Errors in eV, shape ``(n,)``; NaN without energies.
    forces : ndarray
        Errors in eV/angstrom, by direction: shape ``(n, 3, N)``.
    weighted_rmse : float
        As in `RidgePath`.
    noise : float
        Root mean square of the weighted errors of the rows that are fitted.
    changes : ndarray or None
        Coefficients without a supercell minus those with all, shape ``(n,
        n_features)``, where they were asked for.
    """

    energies: FloatArray
    forces: FloatArray
    weighted_rmse: float
    noise: float
    changes: FloatArray | None


def leave_one_out(
    residuals: FloatArray, rows: TrainingRows, changes: FloatArray | None
) -> LeaveOneOut:
    """Return the record of weighted residuals, target minus fit, of rows left out."""
    targets, weights = rows.targets, rows.weights
    with np.errstate(invalid="ignore", divide="ignore"):
        errors = (-residuals / weights).reshape(rows.n, targets.n_rows)
    if rows.lowest is None:
        errors[:, 0] = np.nan
    return LeaveOneOut(
        energies=errors[:, 0],
        forces=errors[:, 1:].reshape(rows.n, 3, targets.n_atoms),
        weighted_rmse=float(np.linalg.norm(residuals) / np.linalg.norm(weights)),
        noise=float(np.linalg.norm(residuals) / np.sqrt(np.count_nonzero(weights))),
        changes=changes,
    )

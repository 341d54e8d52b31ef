"""Thermal conductivity of an ensemble of potentials, and its error bar."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np

from phono3py_mlp_plugin.contracts import (
    FloatArray,
    ForceConstants,
    NestedFit,
    Progress,
)
from phono3py_mlp_plugin.uncertainty import ErrorBar, error_bar, norm_scatter
from phono3py_mlp_plugin.workflow.bands import (
    PhononsAt,
    frequencies_of,
    high_symmetry_points,
    phonons_with_errors,
)
from phono3py_mlp_plugin.workflow.force_constants import ForceConstantsOf
from phono3py_mlp_plugin.workflow.physics import is_imaginary

if TYPE_CHECKING:
    from phono3py import Phono3py

Kappa: TypeAlias = Callable[[int, ForceConstants], FloatArray]
"""Thermal conductivity of force constants in W/m-K, shape ``(n_temperatures, 6)``.

The first argument is the index of the potential: 0 is the fit, followed by the members
of the ensemble and the fits with other penalties.
"""


Mesh: TypeAlias = tuple[float, ...]
"""Three mesh numbers, or one length."""


class Transport(Protocol):
    """Calculation of the thermal conductivity of one crystal with fixed settings.

    Attributes
    ----------
    temperatures : ndarray
        In K.
    mesh : tuple of float or None
        Mesh of the run; None if it is given by a matrix.
    settings : mapping
        All settings that affect kappa, except force constants and mesh.
    """

    temperatures: FloatArray
    mesh: Mesh | None
    settings: Mapping[str, Any]

    def kappa(
        self, force_constants: ForceConstants, mesh: Sequence[float] | None = None
    ) -> FloatArray:
        """Return kappa in W/m-K, xx yy zz yz xz xy, shape ``(n_temperatures, 6)``.

        Parameters
        ----------
        force_constants : dict
            fc2 and fc3, with the orders 2 and 3 as keys.
        mesh : sequence of float, optional
            Three numbers, or one length. By default, the mesh of the run.
        """

    def mesh_density(self, mesh: Mesh) -> float:
        """Return the number of points of a mesh along an axis, the mean of all axes."""


@dataclass(frozen=True, eq=False)
class EnsembleResult:
    """Kappa of a fit and of its ensemble of potentials.

    Attributes
    ----------
    size : int
        Number of training supercells.
    reference : ndarray
        Kappa of the fit in W/m-K, xx yy zz yz xz xy, shape ``(n_temperatures, 6)``.
    members, alternatives : ndarray
        Kappa of the members of the ensemble and of fits with other penalties, shape
        ``(k, n_temperatures, 6)``.
    fc2_error, fc3_error : float
        Scatter of force constants over the ensemble, relative to their norm.
    phonons : list of PhononsAt
        Phonons at high-symmetry points.
    n_imaginary : int
        Number of potentials of the ensemble with imaginary modes at these points.
    """

    size: int
    reference: FloatArray
    members: FloatArray
    alternatives: FloatArray
    fc2_error: float
    fc3_error: float
    phonons: list[PhononsAt]
    n_imaginary: int

    def error_bar(self, temperature: int, component: int) -> ErrorBar:
        """Return the error bar of a component of kappa at a temperature."""
        return error_bar(
            self.reference[temperature][component],
            self.members[:, temperature, component],
            self.alternatives[:, temperature, component],
            self.size,
        )


def run_ensemble(
    crystal: Phono3py,
    fit: NestedFit,
    force_constants: ForceConstantsOf,
    kappas: Sequence[Kappa],
    progress: Progress,
    task: str,
) -> list[EnsembleResult]:
    """Return kappa of a fit and of its ensemble, computed in one or several ways.

    Parameters
    ----------
    crystal : Phono3py
        Provides cells and Born charges.
    fit : NestedFit
    force_constants : ForceConstantsOf
    kappas : sequence of callable
        Functions that compute kappa; see `Kappa`.
    progress : Progress
    task : str
        Name of the task shown by the progress display.

    Returns
    -------
    list of EnsembleResult
        One for each of ``kappas``.
    """
    potentials = [fit.trained.potential, *fit.members, *fit.alternatives]
    n_members = len(fit.members)
    runs: list[list[FloatArray]] = [[] for _ in kappas]
    first: ForceConstants | None = None
    fc2: list[FloatArray] = []
    # One set at a time, because fc3 of a large supercell needs much memory.
    fc3_scatter: list[float] = []
    solutions = force_constants.solve(potentials, progress)
    with progress(task, len(potentials) * len(kappas)) as advance:
        for index, fcs in enumerate(solutions):
            first = first or {3: fcs[3].copy()}
            fc2.append(fcs[2].copy())
            if 0 < index <= n_members:
                fc3_scatter.append(norm_scatter(first[3], [fcs[3]]))
            for run, kappa in zip(runs, kappas, strict=True):
                run.append(kappa(index, fcs))
                advance(1)
    fc2_error = norm_scatter(fc2[0], fc2[1 : 1 + n_members])
    fc3_error = float(np.sqrt(np.mean(np.square(fc3_scatter))))
    phonons, n_imaginary = _phonons(crystal, fc2, n_members, fit.size)
    return [
        EnsembleResult(
            fit.size,
            run[0],
            np.array(run[1 : 1 + n_members]),
            np.array(run[1 + n_members :]).reshape(-1, *run[0].shape),
            fc2_error,
            fc3_error,
            phonons,
            n_imaginary,
        )
        for run in runs
    ]


def _phonons(
    crystal: Phono3py, fc2: Sequence[FloatArray], n_members: int, size: int
) -> tuple[list[PhononsAt], int]:
    """Return phonons with error bars, and how many members have imaginary modes."""
    points = high_symmetry_points(crystal.primitive)
    frequencies = frequencies_of(crystal, fc2, points)
    members = frequencies[1 : 1 + n_members]
    n_imaginary = sum(is_imaginary(float(member.min())) for member in members)
    return phonons_with_errors(points, frequencies, n_members, size), n_imaginary

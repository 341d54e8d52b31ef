"""Thermal conductivity of an ensemble of potentials, and its error bar."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np

from phono3py_mlp_plugin.contracts import (
    FloatArray,
    ForceConstants,
    NestedFit,
    Potential,
    Progress,
)
from phono3py_mlp_plugin.errors import ParameterError
from phono3py_mlp_plugin.uncertainty import (
    ErrorBar,
    NormScatter,
    error_bar,
    model_bar,
)
from phono3py_mlp_plugin.workflow.bands import (
    PhononsAt,
    frequencies_of,
    high_symmetry_points,
    phonons_with_errors,
)
from phono3py_mlp_plugin.workflow.force_constants import ForceConstantsOf, Keep
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
class EnsembleOfPotentials:
    """Potentials among which kappa scatters.

    Attributes
    ----------
    potential : Potential
        The potential whose kappa gets the error bar.
    members, alternatives : sequence of Potential
        Drawn around it, and fits with other penalties; or other models, without
        alternatives.
    n : int
        Number of training supercells, or of models, `potential` included.
    names : tuple of str
        Names of all models; empty if members are drawn around a fit.
    keep : callable or None
        Returns the storage of parts of the evaluation of a model, by its index.
    """

    potential: Potential
    members: Sequence[Potential]
    alternatives: Sequence[Potential]
    n: int
    names: tuple[str, ...] = ()
    keep: Keep | None = None

    @classmethod
    def of_fit(cls, fit: NestedFit) -> EnsembleOfPotentials:
        """Return the ensemble of a fit."""
        return cls(fit.trained.potential, fit.members, fit.alternatives, fit.size)

    @classmethod
    def of_models(
        cls, models: Mapping[str, Potential], keep: Keep | None = None
    ) -> EnsembleOfPotentials:
        """Return an ensemble of models that do not depend on each other, by name.

        The first one gets the error bar.

        Raises
        ------
        ParameterError
            If there are fewer than two.
        """
        if len(models) < 2:
            raise ParameterError(
                f"models = {len(models)}; expected 2 or more. Give different models."
            )
        first, *others = models.values()
        return cls(first, others, (), len(models), tuple(models), keep)

    def kept(self, start: int) -> Keep | None:
        """Return `keep` for the models from an index on."""
        keep = self.keep
        if keep is None:
            return None
        return lambda index, cells: keep(start + index, cells)


@dataclass(frozen=True, eq=False)
class EnsembleResult:
    """Kappa of a fit and of its ensemble of potentials.

    Attributes
    ----------
    size : int
        Number of training supercells, or of models.
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
    names : tuple of str
        Names of the models, that of the reference first; empty if the ensemble was
        drawn around a fit.
    """

    size: int
    reference: FloatArray
    members: FloatArray
    alternatives: FloatArray
    fc2_error: float
    fc3_error: float
    phonons: list[PhononsAt]
    n_imaginary: int
    names: tuple[str, ...] = ()

    def kappa_of_models(self) -> FloatArray:
        """Return kappa of the reference and of all members, in one array."""
        return np.concatenate([self.reference[None], self.members])

    def error_bar(self, temperature: int, component: int) -> ErrorBar:
        """Return the error bar of a component of kappa at a temperature."""
        if self.names:
            return model_bar(self.kappa_of_models()[:, temperature, component])
        return error_bar(
            self.reference[temperature][component],
            self.members[:, temperature, component],
            self.alternatives[:, temperature, component],
            self.size,
        )


def run_ensemble(
    crystal: Phono3py,
    ensemble: EnsembleOfPotentials,
    force_constants: ForceConstantsOf,
    kappas: Sequence[Kappa],
    progress: Progress,
    task: str,
    known: ForceConstants | None = None,
) -> list[EnsembleResult]:
    """Return kappa of a fit and of its ensemble, computed in one or several ways.

    Parameters
    ----------
    crystal : Phono3py
        Provides cells and Born charges.
    ensemble : EnsembleOfPotentials
    force_constants : ForceConstantsOf
    kappas : sequence of callable
        Functions that compute kappa; see `Kappa`.
    progress : Progress
    task : str
        Name of the task shown by the progress display.
    known : dict, optional
        Force constants of the first potential from the same displacements, if they are
        known already.

    Returns
    -------
    list of EnsembleResult
        One for each of ``kappas``.
    """
    n_members = len(ensemble.members)
    of_models = bool(ensemble.names)
    runs: list[list[FloatArray]] = [[] for _ in kappas]
    fc2: list[FloatArray] = []
    # One set at a time, because fc3 of a large supercell needs much memory.
    fc3: NormScatter | None = None
    total = 1 + n_members + len(ensemble.alternatives)
    with progress(task, total * len(kappas)) as advance:
        for index, fcs in enumerate(
            _solutions(ensemble, force_constants, progress, known)
        ):
            fc2.append(fcs[2].copy())
            if fc3 is None:
                fc3 = NormScatter(fcs[3], of_models=of_models)
            elif index <= n_members:
                fc3.add(fcs[3])
            for run, kappa in zip(runs, kappas, strict=True):
                run.append(kappa(index, fcs))
                advance(1)
    assert fc3 is not None
    return [_result(crystal, ensemble, run, fc2, fc3) for run in runs]


def _solutions(
    ensemble: EnsembleOfPotentials,
    force_constants: ForceConstantsOf,
    progress: Progress,
    known: ForceConstants | None,
) -> Iterator[ForceConstants]:
    """Return the force constants of all potentials, one after another."""
    potentials = [ensemble.potential, *ensemble.members, *ensemble.alternatives]
    start = 0 if known is None else 1
    others = force_constants.solve(
        potentials[start:], progress, ensemble.names[start:], ensemble.kept(start)
    )
    return itertools.chain([] if known is None else [known], others)


def _result(
    crystal: Phono3py,
    ensemble: EnsembleOfPotentials,
    run: Sequence[FloatArray],
    fc2: Sequence[FloatArray],
    fc3: NormScatter,
) -> EnsembleResult:
    """Return the result of one way of computing kappa."""
    n_members = len(ensemble.members)
    scatter = NormScatter(fc2[0], of_models=bool(ensemble.names))
    for one in fc2[1 : 1 + n_members]:
        scatter.add(one)
    phonons, n_imaginary = _phonons(crystal, fc2, ensemble)
    return EnsembleResult(
        ensemble.n,
        run[0],
        np.array(run[1 : 1 + n_members]),
        np.array(run[1 + n_members :]).reshape(-1, *run[0].shape),
        scatter.relative,
        fc3.relative,
        phonons,
        n_imaginary,
        ensemble.names,
    )


def _phonons(
    crystal: Phono3py, fc2: Sequence[FloatArray], ensemble: EnsembleOfPotentials
) -> tuple[list[PhononsAt], int]:
    """Return phonons with error bars, and how many members have imaginary modes."""
    n_members = len(ensemble.members)
    points = high_symmetry_points(crystal.primitive)
    frequencies = frequencies_of(crystal, fc2, points)
    members = frequencies[1 : 1 + n_members]
    n_imaginary = sum(is_imaginary(float(member.min())) for member in members)
    phonons = phonons_with_errors(
        points, frequencies, n_members, ensemble.n, of_models=bool(ensemble.names)
    )
    return phonons, n_imaginary

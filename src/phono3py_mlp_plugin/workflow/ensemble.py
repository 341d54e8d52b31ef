"""Thermal conductivity of an ensemble of potentials, and its error bar."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
from phono3py_mlp_plugin.files import fingerprint
from phono3py_mlp_plugin.parallel import SERIAL, Arrays, Chunk, Distribution, Stage
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
from phono3py_mlp_plugin.workflow.force_constants import ForceConstantsOf
from phono3py_mlp_plugin.workflow.physics import is_imaginary
from phono3py_mlp_plugin.workflow.potential_source import PotentialSource

if TYPE_CHECKING:
    from phono3py import Phono3py

KAPPA = "kappa"
"""Name of the stage, by which finished chunks are filed."""

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
    sources : sequence of PotentialSource or None
        Where models come from, if their evaluations are kept on disk.
    """

    potential: Potential
    members: Sequence[Potential]
    alternatives: Sequence[Potential]
    n: int
    names: tuple[str, ...] = ()
    sources: Sequence[PotentialSource | None] = ()

    @classmethod
    def of_fit(cls, fit: NestedFit) -> EnsembleOfPotentials:
        """Return the ensemble of a fit."""
        return cls(fit.trained.potential, fit.members, fit.alternatives, fit.size)

    @classmethod
    def of_models(
        cls,
        models: Mapping[str, Potential],
        sources: Sequence[PotentialSource | None] = (),
    ) -> EnsembleOfPotentials:
        """Return an ensemble of models that do not depend on each other, by name.

        The first one gets the error bar.

        Raises
        ------
        ParameterError
            If there are fewer than two, or one of them occurs twice.
        """
        if len(models) < 2:
            raise ParameterError(
                f"models = {len(models)}; expected 2 or more. Give different models."
            )
        different = {id(model) for model in models.values()}
        if len(different) < len(models):
            raise ParameterError(
                f"models = {', '.join(map(str, models))}: {len(different)} of them "
                "differ; expected that all do, because their scatter is the error. "
                "Give different models."
            )
        first, *others = models.values()
        return cls(first, others, (), len(models), tuple(models), sources)


@dataclass(frozen=True, eq=False)
class EnsembleResult:
    """Kappa of a fit and of its ensemble of potentials.

    Attributes
    ----------
    size : int
        Number of training supercells, or of models.
    of_fit, reference : ndarray
        Kappa of the fit in W/m-K, xx yy zz yz xz xy, shape ``(n_temperatures, 6)``, on
        its own mesh and on that of the ensemble.
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
    of_fit: FloatArray
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

    def error_bars(self, temperatures: Sequence[float]) -> list[list[ErrorBar]]:
        """Return the error bars of xx, yy and zz at each temperature, none at 0 K."""
        return [
            [self.error_bar(t, c) for c in range(3)] if temperature > 0 else []
            for t, temperature in enumerate(temperatures)
        ]

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
    transport: Transport,
    meshes: Sequence[EnsembleMeshes],
    progress: Progress,
    task: str,
    distribution: Distribution = SERIAL,
    known: ForceConstants | None = None,
) -> list[EnsembleResult]:
    """Return kappa of a fit and of its ensemble, on one or several meshes.

    Parameters
    ----------
    crystal : Phono3py
        Provides cells and Born charges.
    ensemble : EnsembleOfPotentials
    force_constants : ForceConstantsOf
    transport : Transport
    meshes : sequence of EnsembleMeshes
    progress : Progress
    task : str
        Name of the task shown by the progress display.
    distribution : Distribution
        Where kappa of single potentials is computed, and kept.
    known : dict, optional
        Force constants of the first potential from the same displacements, if they are
        known already.

    Returns
    -------
    list of EnsembleResult
        One for each of ``meshes``.
    """
    n_members = len(ensemble.members)
    members = _Members(
        meshes,
        n_members,
        copies=distribution.is_distributed,
        of_models=bool(ensemble.names),
    )
    solutions = _solutions(ensemble, force_constants, progress, distribution, known)
    stage = Stage(KAPPA, _kappa_chunk, transport, _content(crystal, transport))
    n_potentials = 1 + n_members + len(ensemble.alternatives)
    total = n_potentials * len(meshes) + sum(m.differ for m in meshes)
    with progress(task, total) as advance:
        results = distribution.compute(stage, members.chunks(solutions))
        kappas = []
        for result in results:
            kappas.append(result["kappa"])
            advance(1)
    return _results(crystal, ensemble, members, kappas)


def _results(
    crystal: Phono3py,
    ensemble: EnsembleOfPotentials,
    members: _Members,
    kappas: Sequence[FloatArray],
) -> list[EnsembleResult]:
    """Return the results from kappa of all chunks."""
    n_members = len(ensemble.members)
    phonons, n_imaginary = _phonons(crystal, members.fc2, ensemble)
    return [
        EnsembleResult(
            ensemble.n,
            kappas[places[0]],
            kappas[places[1]],
            np.array([kappas[k] for k in places[2 : 2 + n_members]]),
            np.array([kappas[k] for k in places[2 + n_members :]]).reshape(
                -1, *kappas[places[1]].shape
            ),
            *members.errors(),
            phonons,
            n_imaginary,
            ensemble.names,
        )
        for places in members.places
    ]


def _solutions(
    ensemble: EnsembleOfPotentials,
    force_constants: ForceConstantsOf,
    progress: Progress,
    distribution: Distribution,
    known: ForceConstants | None,
) -> Iterator[ForceConstants]:
    """Return the force constants of all potentials, one after another."""
    potentials = [ensemble.potential, *ensemble.members, *ensemble.alternatives]
    start = 0 if known is None else 1
    others = force_constants.solve(
        potentials[start:],
        progress,
        distribution,
        ensemble.names[start:],
        ensemble.sources[start:],
    )
    return itertools.chain([] if known is None else [known], others)


@dataclass(frozen=True)
class EnsembleMeshes:
    """Meshes of one result: three numbers, one length, or None for that of the run.

    Attributes
    ----------
    of_fit, of_ensemble : tuple of float or None
    """

    of_fit: Mesh | None
    of_ensemble: Mesh | None

    @property
    def differ(self) -> bool:
        """Whether kappa of the fit is computed twice."""
        return self.of_fit != self.of_ensemble


class _Members:
    """Chunks of the potentials of an ensemble, and what is kept of each.

    One set of force constants at a time, because fc3 of a large supercell needs much
    memory.

    Attributes
    ----------
    fc2 : list of ndarray
    places : list of list of int
        For each of the meshes, which chunks are kappa of the fit on its own mesh, and
        of all potentials on that of the ensemble.
    """

    def __init__(
        self,
        meshes: Sequence[EnsembleMeshes],
        n_members: int,
        *,
        copies: bool,
        of_models: bool,
    ) -> None:
        self._meshes = meshes
        self._n_members = n_members
        self._copies = copies
        self._of_models = of_models
        self._fc3: NormScatter | None = None
        self.fc2: list[FloatArray] = []
        self.places: list[list[int]] = [[] for _ in meshes]
        self._number = 0

    def chunks(self, solutions: Iterable[ForceConstants]) -> Iterator[Chunk]:
        """Yield chunks of all potentials."""
        for index, found in enumerate(solutions):
            # A solver may reuse its arrays before a worker has got them.
            fcs = {k: v.copy() for k, v in found.items()} if self._copies else found
            self.fc2.append(fcs[2].copy())
            if self._fc3 is None:
                self._fc3 = NormScatter(fcs[3], of_models=self._of_models)
            elif index <= self._n_members:
                self._fc3.add(fcs[3])
            for meshes, places in zip(self._meshes, self.places, strict=True):
                if index == 0:
                    places.append(self._number)
                    if meshes.differ:
                        yield self._chunk(index, fcs, meshes.of_fit)
                places.append(self._number)
                yield self._chunk(index, fcs, meshes.of_ensemble)

    def _chunk(self, index: int, fcs: ForceConstants, mesh: Mesh | None) -> Chunk:
        self._number += 1
        content = {"fc2": fcs[2], "fc3": fcs[3], "mesh": mesh}
        size = fcs[2].nbytes + fcs[3].nbytes
        return Chunk(f"kappa of potential {index + 1}", (fcs, mesh), content, size)

    def errors(self) -> tuple[float, float]:
        """Return the relative scatter of fc2 and fc3 over the ensemble."""
        assert self._fc3 is not None
        fc2 = NormScatter(self.fc2[0], of_models=self._of_models)
        for one in self.fc2[1 : 1 + self._n_members]:
            fc2.add(one)
        return fc2.relative, self._fc3.relative


def _kappa_chunk(
    transport: Transport, arguments: tuple[ForceConstants, Mesh | None]
) -> Arrays:
    """Return kappa of one potential."""
    return {"kappa": transport.kappa(*arguments)}


def _content(crystal: Phono3py, transport: Transport) -> str:
    """Return the fingerprint of what determines kappa of given force constants."""
    nac = crystal.nac_params
    return fingerprint(
        {
            "settings": transport.settings,
            "temperatures": transport.temperatures,
            "mesh": transport.mesh,
            "lattice": crystal.supercell.cell,
            "positions": crystal.supercell.scaled_positions,
            "symbols": list(crystal.supercell.symbols),
            "masses": crystal.supercell.masses,
            "supercell": crystal.supercell_matrix,
            "primitive": crystal.primitive_matrix,
            "phonon_supercell": crystal.phonon_supercell_matrix,
            "nac": None if nac is None else dict(nac),
        }
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

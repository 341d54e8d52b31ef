"""Contents of a report."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from phono3py_mlp_plugin.contracts import Dataset, Evaluation, FloatArray
from phono3py_mlp_plugin.convergence import Point
from phono3py_mlp_plugin.files import KappaFile, Provenance
from phono3py_mlp_plugin.uncertainty import ErrorBar, ErrorBudget, room_temperature
from phono3py_mlp_plugin.workflow import Check, PathSegment, Split

# Errors of snapshots larger than the median by this number of standard deviations,
# estimated from the median absolute deviation, are outliers.
_OUTLIER = 5.0
_MAD = 1.4826


@dataclass(frozen=True, eq=False)
class Snapshots:
    """Forces and energies of first principles and of the potential, by snapshot.

    Attributes
    ----------
    forces, predicted_forces : ndarray
        In eV/angstrom, shape ``(n, N, 3)``.
    energies, predicted_energies : ndarray or None
        In eV per atom, relative to their means, shape ``(n,)``.
    training, test : ndarray
        Indices of the snapshots of the two sets; empty if they are unknown.
    """

    forces: FloatArray
    predicted_forces: FloatArray
    energies: FloatArray | None
    predicted_energies: FloatArray | None
    training: NDArray[np.intp]
    test: NDArray[np.intp]

    @classmethod
    def of(cls, dataset: Dataset, evaluation: Evaluation, split: Split) -> Snapshots:
        """Return a dataset, what a potential makes of it, and how it was split."""
        energies = predicted = None
        if dataset.energies is not None:
            n_atoms = len(dataset.supercell)
            energies = dataset.energies / n_atoms
            predicted = evaluation.energies / n_atoms - energies.mean()
            energies = energies - energies.mean()
        return cls(
            dataset.forces,
            evaluation.forces,
            energies,
            predicted,
            split.training,
            split.test,
        )

    def force_errors(self) -> FloatArray:
        """Return the rms error of the forces of each snapshot, shape ``(n,)``."""
        square = (self.predicted_forces - self.forces) ** 2
        return np.asarray(np.sqrt(square.mean(axis=(1, 2))))

    def outliers(self) -> list[int]:
        """Return the indices of snapshots with unusually large errors."""
        errors = self.force_errors()
        median = np.median(errors)
        scale = _MAD * np.median(np.abs(errors - median))
        return np.flatnonzero(errors > median + _OUTLIER * scale).tolist()


@dataclass(frozen=True, eq=False)
class Bands:
    """Phonons along the band path, and their density of states.

    Attributes
    ----------
    path : list of PathSegment
    distances : list of ndarray
        Distances along each segment (1/angstrom).
    frequencies : dict
        Frequencies in THz by their source ("force constants", "first principles"),
        arrays of shape ``(n_points, n_bands)``, one for each segment.
    dos : dict
        Frequencies (THz) and densities of states (1/THz) by their source.
    remark : str
        Explanation of the comparison if it is limited; otherwise empty.
    """

    path: list[PathSegment]
    distances: list[FloatArray]
    frequencies: dict[str, list[FloatArray]]
    dos: dict[str, tuple[FloatArray, FloatArray]]
    remark: str = ""


@dataclass(frozen=True, eq=False)
class Contents:
    """Results found in a folder, and the reasons why others are missing.

    Attributes
    ----------
    formula : str
    n_atoms : int
        Number of atoms in the supercell.
    provenance : Provenance or None
    snapshots : Snapshots or None
    points : list of Point
        Points of the convergence study.
    tolerance : float or None
        Accepted relative change of kappa in that study.
    bands : Bands or None
    kappa : KappaFile or None
    bars : dict
        Error bars of xx, yy and zz by temperature.
    models : tuple of str
        Models whose scatter the error bars are; empty if they are of a training.
    budget : tuple or None
        All contributions to the error of kappa, and of which kappa.
    checks : list of Check
    facts : list of tuple
        Names and values that describe the origin of the results.
    missing : dict
        Reasons why sections are empty, and how to fill them, by name of the section.
    """

    formula: str
    n_atoms: int
    provenance: Provenance | None = None
    snapshots: Snapshots | None = None
    points: list[Point] = field(default_factory=list)
    tolerance: float | None = None
    bands: Bands | None = None
    kappa: KappaFile | None = None
    bars: dict[float, list[ErrorBar]] = field(default_factory=dict)
    models: tuple[str, ...] = ()
    budget: tuple[ErrorBudget, str] | None = None
    checks: list[Check] = field(default_factory=list)
    facts: list[tuple[str, str]] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)

    def directions(self) -> list[int]:
        """Return the directions whose values of kappa are distinct."""
        distinct: list[int] = []
        if self.kappa is not None:
            values = self.kappa.kappa
            for c in range(3):
                if not any(
                    np.allclose(values[:, c], values[:, d], rtol=1e-4) for d in distinct
                ):
                    distinct.append(c)
        return distinct

    def room_temperature(self) -> int:
        """Return the index of the temperature that is closest to 300 K."""
        assert self.kappa is not None
        return room_temperature(self.kappa.temperatures)

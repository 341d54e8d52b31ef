"""What a report tells, as plain records."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from phono3py_mlp_plugin.contracts import FloatArray
from phono3py_mlp_plugin.convergence import Point
from phono3py_mlp_plugin.files import KappaFile, Provenance
from phono3py_mlp_plugin.uncertainty import ErrorBar
from phono3py_mlp_plugin.workflow import Check, PathSegment

# Median absolute deviations, in units of a standard deviation, beyond which an error of
# a snapshot is an outlier.
_OUTLIER = 5.0
_MAD = 1.4826


@dataclass(frozen=True, eq=False)
class Snapshots:
    """First principles and potential, supercell by supercell.

    Attributes
    ----------
    forces, predicted_forces : ndarray
        In eV/angstrom, shape ``(n, N, 3)``.
    energies, predicted_energies : ndarray or None
        In eV per atom, relative to their means, shape ``(n,)``.
    training, test : ndarray
        Indices of snapshots of the two sets; of neither where the potential does not
        say.
    """

    forces: FloatArray
    predicted_forces: FloatArray
    energies: FloatArray | None
    predicted_energies: FloatArray | None
    training: NDArray[np.intp]
    test: NDArray[np.intp]

    def force_errors(self) -> FloatArray:
        """Return root mean square errors of forces (eV/angstrom), shape ``(n,)``."""
        square = (self.predicted_forces - self.forces) ** 2
        return np.asarray(np.sqrt(square.mean(axis=(1, 2))))

    def outliers(self) -> list[int]:
        """Return indices of snapshots whose error is out of line."""
        errors = self.force_errors()
        middle = np.median(errors)
        scale = _MAD * np.median(np.abs(errors - middle))
        return np.flatnonzero(errors > middle + _OUTLIER * scale).tolist()


@dataclass(frozen=True, eq=False)
class Bands:
    """Phonons along the band path, and their density of states.

    Attributes
    ----------
    path : list of PathSegment
    distances : list of ndarray
        Along each segment (1/angstrom).
    frequencies : dict
        In THz by what they are from ("force constants", "first principles"): arrays of
        shape ``(n_points, n_bands)``, one for each segment.
    dos : dict
        Frequencies (THz) and densities (1/THz) by what they are from.
    remark : str
        On what is compared, where it is not as usual.
    """

    path: list[PathSegment]
    distances: list[FloatArray]
    frequencies: dict[str, list[FloatArray]]
    dos: dict[str, tuple[FloatArray, FloatArray]]
    remark: str = ""


@dataclass(frozen=True, eq=False)
class Contents:
    """All that was found in a folder; what is missing is told by section.

    Attributes
    ----------
    formula : str
    n_atoms : int
        Of the supercell.
    provenance : Provenance or None
    snapshots : Snapshots or None
    points : list of Point
        Of the convergence study.
    bands : Bands or None
    kappa : KappaFile or None
    bars : dict
        Error bars of xx, yy and zz by temperature.
    checks : list of Check
    facts : list of tuple
        What everything was made from: a name and a value.
    missing : dict
        Why a section is empty and what fills it, by the section's name.
    """

    formula: str
    n_atoms: int
    provenance: Provenance | None = None
    snapshots: Snapshots | None = None
    points: list[Point] = field(default_factory=list)
    bands: Bands | None = None
    kappa: KappaFile | None = None
    bars: dict[float, list[ErrorBar]] = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)
    facts: list[tuple[str, str]] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)

    def directions(self) -> list[int]:
        """Return the directions whose kappa is not that of an earlier one."""
        found: list[int] = []
        if self.kappa is not None:
            values = self.kappa.kappa
            for c in range(3):
                if not any(
                    np.allclose(values[:, c], values[:, d], rtol=1e-4) for d in found
                ):
                    found.append(c)
        return found

    def room_temperature(self) -> int:
        """Return the index of the temperature of kappa that is nearest to 300 K."""
        assert self.kappa is not None
        return int(np.abs(self.kappa.temperatures - 300.0).argmin())

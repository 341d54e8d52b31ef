"""Error budget of kappa: what its error consists of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import stdtrit

from phono3py_mlp_plugin.contracts import FloatArray

# Kappa of a mesh of n^3 points differs from that of an infinite one in proportion to
# n^-2, as integrals over linear interpolations do.
_EXPONENT = 2.0

# Half width of a 68 % interval over the standard error of a straight line through
# three points: Student's distribution with one degree of freedom.
_QUANTILE = float(stdtrit(1, 0.84))


@dataclass(frozen=True)
class Contribution:
    """One contribution to the error of kappa.

    Attributes
    ----------
    name : str
    relative : tuple of tuple of float
        Half width of the 68 % interval relative to kappa, for xx, yy and zz at each
        temperature. Infinite if kappa could not be computed.
    origin : str
        How it was obtained.
    remedy : str
        How it becomes smaller.
    """

    name: str
    relative: tuple[tuple[float, ...], ...]
    origin: str
    remedy: str = ""

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Contribution:
        """Return the contribution from a record of ``dataclasses.asdict``.

        Raises
        ------
        KeyError, TypeError, ValueError
            If the record is not one.
        """
        relative = tuple(tuple(map(float, row)) for row in record["relative"])
        if not all(value >= 0 for row in relative for value in row):
            raise ValueError("a contribution is negative or not a number")
        texts = record["name"], record["origin"], record.get("remedy", "")
        name, origin, remedy = map(str, texts)
        return cls(name, relative, origin, remedy)


@dataclass(frozen=True)
class ErrorBudget:
    """All contributions to the error of kappa that can be estimated.

    Attributes
    ----------
    temperatures : tuple of float
        In K.
    contributions : tuple of Contribution
    missing : tuple of str
        Contributions that could not be estimated, with the reason.
    """

    temperatures: tuple[float, ...]
    contributions: tuple[Contribution, ...]
    missing: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        shape = (len(self.temperatures), 3)
        for one in self.contributions:
            if np.shape(one.relative) != shape:
                raise ValueError(f"{one.name} has shape {np.shape(one.relative)}")

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> ErrorBudget:
        """Return the budget from a record of ``dataclasses.asdict``.

        Raises
        ------
        KeyError, TypeError, ValueError
            If the record is not one.
        """
        return cls(
            tuple(map(float, record["temperatures"])),
            tuple(map(Contribution.from_record, record["contributions"])),
            tuple(map(str, record["missing"])),
        )

    def of(self, name: str) -> Contribution | None:
        """Return the contribution with this name, or None."""
        return next((one for one in self.contributions if one.name == name), None)

    @property
    def room_temperature(self) -> int:
        """Index of the temperature that is closest to 300 K."""
        return room_temperature(self.temperatures)

    def total(self, temperature: int = 0) -> FloatArray:
        """Return the sum in quadrature, for xx, yy and zz at a temperature."""
        parts = [one.relative[temperature] for one in self.contributions]
        return np.asarray(np.linalg.norm(np.array(parts).reshape(-1, 3), axis=0))


def room_temperature(temperatures: Sequence[float] | FloatArray) -> int:
    """Return the index of the temperature (K) that is closest to 300 K.

    Examples
    --------
    >>> room_temperature([0.0, 290.0, 320.0])
    1
    """
    return int(np.abs(np.asarray(temperatures) - 300.0).argmin())


def relative_change(kappa: FloatArray, reference: FloatArray) -> FloatArray:
    """Return ``ln kappa - ln reference``, infinite where one of them is not positive.

    Examples
    --------
    >>> relative_change(np.array([10.1, -1.0]), np.array([10.0, 10.0])).round(3)
    array([0.01,  inf])
    """
    valid = np.isfinite(kappa) & np.isfinite(reference)
    valid &= (kappa > 0) & (reference > 0)
    change = np.full(np.shape(kappa), np.inf)
    change[valid] = np.log(kappa[valid] / reference[valid])
    return change


@dataclass(frozen=True, eq=False)
class MeshLimit:
    """Kappa extrapolated to an infinite mesh.

    Attributes
    ----------
    change : ndarray
        Logarithm of extrapolated kappa over kappa of the finest mesh.
    scatter : ndarray
        Standard error of the extrapolation.
    slope : ndarray
        Derivative of ln kappa with respect to (density of mesh points)^-2.
    """

    change: FloatArray
    scatter: FloatArray
    slope: FloatArray

    @property
    def deviation(self) -> FloatArray:
        """Half width of the 68 % interval around kappa of the finest mesh.

        The change is not applied to kappa: it counts as an error. The scatter is
        that of a straight line through few points, multiplied by the quantile of
        Student's distribution with one degree of freedom.
        """
        return np.hypot(self.change, _QUANTILE * self.scatter)

    def density_for(self, tolerance: float, temperature: int = 0) -> float:
        """Return the density of mesh points with which the change is a tolerance.

        That of the steepest component at a temperature, the first index of kappa.
        """
        steepest = float(np.abs(self.slope[temperature]).max())
        return float((steepest / tolerance) ** (1 / _EXPONENT))


def extrapolate_mesh(
    densities: Sequence[float], kappas: Sequence[FloatArray]
) -> MeshLimit:
    """Extrapolate kappa to an infinite mesh (L. F. Richardson).

    A straight line in n^-2 is fitted to ln kappa by least squares.

    Parameters
    ----------
    densities : sequence of float
        Numbers of mesh points n along an axis, or proportional to them, of three or
        more meshes. The finest one is the last.
    kappas : sequence of ndarray
        Kappa of each mesh, any shape.

    Examples
    --------
    >>> kappas = [np.array([8 * np.exp(2 / n**2)]) for n in (5, 7, 9)]
    >>> limit = extrapolate_mesh([5, 7, 9], kappas)
    >>> bool(np.isclose(limit.change[0], -2 / 9**2))
    True
    """
    x = np.array(densities, dtype=float) ** -_EXPONENT
    logs = np.array([relative_change(kappa, kappas[-1]) for kappa in kappas])
    shape = logs.shape[1:]
    design = np.stack([np.ones_like(x), x], axis=1)
    inverse = np.linalg.inv(design.T @ design)
    with np.errstate(invalid="ignore"):
        intercept, slope = inverse @ design.T @ logs.reshape(len(x), -1)
        residuals = logs.reshape(len(x), -1) - design @ np.array([intercept, slope])
        variance = (residuals**2).sum(axis=0) / (len(x) - 2)
    scatter = np.sqrt(variance * inverse[0, 0])
    values = [
        np.where(np.isfinite(value), value, np.inf).reshape(shape)
        for value in (intercept, scatter, slope)
    ]
    return MeshLimit(*values)

"""Results for one variant, order and number of supercells of a study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from phono3py_mlp_plugin.contracts import (
    FloatArray,
)
from phono3py_mlp_plugin.uncertainty import (
    ErrorBar,
    ErrorBudget,
    error_bar,
)
from phono3py_mlp_plugin.workflow import (
    PhononsAt,
    is_imaginary,
)


@dataclass(frozen=True)
class Point:
    """Kappa of one variant, order and number of supercells.

    Attributes
    ----------
    key : str
        Fingerprint of everything that affects the results.
    label : str
    order : int
        Index of the order of the training supercells; 0 is that of the dataset.
    size : int
    temperatures : list of float
        In K.
    kappa : list
        In W/m-K, ``[temperature][xx yy zz yz xz xy]``.
    members, alternatives : list
        Kappa of the members of the ensemble and of fits with other penalties,
        ``[k][temperature][component]``.
    reference : list
        Kappa of the fit, computed with the settings of the ensemble.
    rmse_test, left_out : float
        Errors of forces (eV/angstrom) on the test set and on supercells left out.
    alpha : float or None
    smallest_alpha : float or None
        The smallest of the ridge penalties that were tried, if there were several.
    n_features : int
    fc2_error, fc3_error : float
        Scatter of force constants over the ensemble, relative to their norm.
    phonons : list of PhononsAt
        Phonons at high-symmetry points.
    fall : float
        Exponent with which the scatter of kappa over the ensemble decreases; see
        `ErrorBar`.
    n_imaginary : int
        Number of potentials of the ensemble with imaginary modes at these points.
    budget : ErrorBudget or None
        All contributions to the error of kappa, for the last size of a study.
    rms_force : float or None
        Root mean square of the forces of the dataset in eV/angstrom; None in points of
        earlier versions.
    anharmonicity : float or None
        Anharmonic part of the forces of the dataset; see `Response.anharmonicity`.
    mesh : list of float or None
        Mesh of kappa, three numbers or one length; None if it is given by a matrix, and
        in points of earlier versions.
    """

    key: str
    label: str
    order: int
    size: int
    temperatures: list[float]
    kappa: list[list[float]]
    members: list[list[list[float]]]
    alternatives: list[list[list[float]]]
    reference: list[list[float]]
    rmse_test: float
    left_out: float
    alpha: float | None
    n_features: int
    fc2_error: float
    fc3_error: float
    phonons: list[PhononsAt]
    fall: float = 0.5
    n_imaginary: int = 0
    budget: ErrorBudget | None = None
    rms_force: float | None = None
    anharmonicity: float | None = None
    smallest_alpha: float | None = None
    mesh: list[float] | None = None

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Point | None:
        """Return the point from a record of ``dataclasses.asdict``.

        None if the record is not a valid point.
        """
        try:
            phonons = [PhononsAt(**one) for one in record["phonons"]]
            budget = record.get("budget")
            if budget is not None:
                budget = ErrorBudget.from_record(budget)
            point = cls(**{**record, "phonons": phonons, "budget": budget})
            # Raises if numbers are missing. Errors may be infinite: kappa of a member
            # of the ensemble may have failed.
            point.largest_error()
            return point if point._is_valid() else None
        except (KeyError, TypeError, ValueError, IndexError):
            return None

    def _is_valid(self) -> bool:
        """Return whether shapes are consistent and numbers finite."""
        numbers = [self.order, self.size, self.rmse_test, self.left_out, self.fall]
        numbers += [self.fc2_error, self.fc3_error, self.alpha or 0.0, self.n_features]
        numbers += [self.rms_force or 1.0, self.anharmonicity or 0.0]
        numbers += [self.smallest_alpha or 0.0]
        numbers += self.mesh or []
        for phonon in self.phonons:
            numbers += [*phonon.frequencies, *phonon.errors]
        shape = np.array(self.kappa, dtype="double").shape
        return (
            shape == (len(self.temperatures), 6)
            and np.array(self.reference, dtype="double").shape == shape
            and bool(np.isfinite([*numbers, *self.temperatures]).all())
            and isinstance(self.label, str)
            and len(self.phonons) > 0
        )

    def error_bar(self, temperature: int = 0, component: int = 0) -> ErrorBar:
        """Return the error bar of a component of kappa at a temperature."""
        members, alternatives = (
            np.array(runs, dtype="double").reshape(-1, *np.shape(self.reference))[
                :, temperature, component
            ]
            for runs in (self.members, self.alternatives)
        )
        return error_bar(
            self.reference[temperature][component],
            members,
            alternatives,
            self.size,
            self.fall,
        )

    def error_bars(self) -> list[list[ErrorBar]]:
        """Return the error bars of xx, yy and zz at each temperature."""
        temperatures = range(len(self.kappa))
        return [[self.error_bar(t, c) for c in range(3)] for t in temperatures]

    def scatter(self) -> float:
        """Return the relative scatter of kappa over the draws, mean of directions."""
        return float(np.mean([self.error_bar(0, c).sampling for c in range(3)]))

    def diagonal(self, temperature: int = 0) -> FloatArray:
        """Return kappa in the three directions."""
        return np.array(self.kappa[temperature][:3])

    def imaginary_mode(self) -> str | None:
        """Describe the lowest mode at the high-symmetry points if it is imaginary."""
        # Python's min may ignore values that are not numbers.
        lowest = np.array([point.frequencies for point in self.phonons]).min(axis=1)
        index = int(lowest.argmin())
        if not is_imaginary(lowest[index]):
            return None
        return f"{lowest[index]:.3f} THz at {self.phonons[index].label}"

    @property
    def unexplained(self) -> float | None:
        """Error of forces of left-out supercells relative to the rms force."""
        return self.left_out / self.rms_force if self.rms_force else None

    def largest_error(self) -> float:
        """Return the largest relative error (68 %) over directions and temperatures."""
        return max(bar.relative() for row in self.error_bars() for bar in row)

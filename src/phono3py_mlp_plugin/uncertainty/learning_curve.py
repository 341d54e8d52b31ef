"""How an error falls with the number of supercells, and how many it takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# Of the scatter of jackknife draws: that of means, and what a few points can tell.
_FALLS = (0.5, 1.0)

# Slowest and fastest fall that is believed: independent data give 1/2.
_EXPONENTS = (0.25, 1.0)


def fall_of_scatter(sizes: Sequence[int], scatters: Sequence[float]) -> float:
    """Return the exponent a of ``scatter ~ n^-a``, kept between 1/2 and 1.

    Examples
    --------
    >>> round(fall_of_scatter([5, 10, 20], [0.04, 0.02, 0.01]), 3)
    1.0
    >>> fall_of_scatter([5], [0.04])
    0.5
    """
    curve = LearningCurve.fit(sizes, scatters)
    return _FALLS[0] if curve is None else float(np.clip(curve.exponent, *_FALLS))


@dataclass(frozen=True)
class LearningCurve:
    """``error = scale n^-exponent``.

    Examples
    --------
    >>> curve = LearningCurve.fit([5, 10, 20], [0.02, 0.0141, 0.01])
    >>> round(curve.exponent, 1), curve.needed(0.005)
    (0.5, 80)
    """

    scale: float
    exponent: float

    @classmethod
    def fit(cls, sizes: Sequence[int], errors: Sequence[float]) -> LearningCurve | None:
        """Fit sizes and errors; None where fewer than two are positive and finite.

        The exponent is kept between 1/4 and 1, so that a few noisy points do not
        promise what cannot be.
        """
        points = [
            (n, e) for n, e in zip(sizes, errors, strict=True) if 0 < e < float("inf")
        ]
        if len(points) < 2:
            return None
        logs = np.log(np.array(points, dtype="double"))
        slope = float(np.polyfit(logs[:, 0], logs[:, 1], 1)[0])
        exponent = float(np.clip(-slope, *_EXPONENTS))
        level = float(np.mean(logs[:, 1] + exponent * logs[:, 0]))
        return cls(float(np.exp(level)), exponent)

    def error(self, n: int) -> float:
        """Return the error expected of n supercells."""
        return float(self.scale * n**-self.exponent)

    def needed(self, error: float) -> int:
        """Return the number of supercells at which this error is expected."""
        return int(np.ceil((self.scale / error) ** (1 / self.exponent) - 1e-6))

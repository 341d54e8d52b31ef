"""Decrease of errors with the number of supercells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# Range of the exponent of the scatter of jackknife draws. The lower limit is the
# exponent of means; a few points do not justify one larger than the upper limit.
_SCATTER_EXPONENTS = (0.5, 1.0)

# Range of the exponent of errors. Independent data have 1/2.
_EXPONENTS = (0.25, 1.0)


def scatter_exponent(sizes: Sequence[int], scatters: Sequence[float]) -> float:
    """Return the exponent a of ``scatter ~ n^-a``, limited to 1/2 to 1.

    Examples
    --------
    >>> round(scatter_exponent([5, 10, 20], [0.04, 0.02, 0.01]), 3)
    1.0
    >>> scatter_exponent([5], [0.04])
    0.5
    """
    curve = LearningCurve.fit(sizes, scatters)
    if curve is None:
        return _SCATTER_EXPONENTS[0]
    return float(np.clip(curve.exponent, *_SCATTER_EXPONENTS))


@dataclass(frozen=True)
class LearningCurve:
    """Power law ``error = scale n^-exponent``.

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
        """Fit sizes and errors; None without errors at two sizes.

        Errors that are not positive and finite are left out.

        The exponent is limited to 1/4 to 1, so that a few noisy points do not lead to
        an unrealistic extrapolation.
        """
        points = [
            (n, e) for n, e in zip(sizes, errors, strict=True) if 0 < e < float("inf")
        ]
        if len({n for n, _ in points}) < 2:
            return None
        logs = np.log(np.array(points, dtype="double"))
        slope = float(np.polyfit(logs[:, 0], logs[:, 1], 1)[0])
        exponent = float(np.clip(-slope, *_EXPONENTS))
        level = float(np.mean(logs[:, 1] + exponent * logs[:, 0]))
        return cls(float(np.exp(level)), exponent)

    def error(self, n: int) -> float:
        """Return the error expected for n supercells."""
        return float(self.scale * n**-self.exponent)

    def needed(self, error: float) -> int:
        """Return the number of supercells at which this error is expected."""
        return int(np.ceil((self.scale / error) ** (1 / self.exponent) - 1e-6))

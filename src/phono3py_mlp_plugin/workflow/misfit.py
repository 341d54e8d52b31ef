"""What a trained potential leaves unexplained of the forces.

The error bar of kappa is that of the choice of supercells. It does not include terms
that the model does not have, which show in the forces of supercells that were left out.
"""

from __future__ import annotations

from dataclasses import dataclass

# Anharmonic part of the forces from which displacements are called too large. At most
# 0.034 in the host's datasets.
_TOO_ANHARMONIC = 0.1

# Error of ln kappa over the unexplained part of the forces, a rule of thumb.
_KAPPA_PER_FORCE = 10.0


@dataclass(frozen=True)
class Misfit:
    """Part of the forces that a model leaves unexplained.

    Attributes
    ----------
    unexplained : float
        Error of the forces of supercells left out, relative to the rms force.
    anharmonicity : float or None
        Anharmonic part of the forces; see `Response.anharmonicity`.
    """

    unexplained: float
    anharmonicity: float | None = None

    @property
    def error(self) -> float:
        """Order of magnitude of the relative error of kappa that may result."""
        return _KAPPA_PER_FORCE * self.unexplained

    @property
    def is_too_anharmonic(self) -> bool:
        """Whether the displacements are too large, rather than the model too small."""
        return self.anharmonicity is not None and self.anharmonicity > _TOO_ANHARMONIC

    def __str__(self) -> str:
        text = (
            f"the potential leaves {100 * self.unexplained:.2g} % of the forces of "
            "other supercells unexplained, so that kappa may be wrong by "
            f"{100 * self.error:.0f} % or so, which the error bar does not include. "
        )
        if self.is_too_anharmonic:
            assert self.anharmonicity is not None
            return text + (
                f"{100 * self.anharmonicity:.0f} % of the response is anharmonic: the "
                "displacements are too large for this crystal. Use smaller ones."
            )
        return text + (
            "Compare with another model (--over preset=default,compact or --over "
            "cutoff=A,B): if it leaves as much, the forces are noisy; otherwise use "
            "the better one."
        )

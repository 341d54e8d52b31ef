"""What a trained potential leaves unexplained of the forces.

The error bar of kappa is that of the choice of supercells. It does not include terms
that the model does not have, which show in the forces of supercells that were left out,
as noise does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from phono3py_mlp_plugin.contracts import Dataset, NestedFit, RidgePenalty
from phono3py_mlp_plugin.uncertainty import ErrorBar
from phono3py_mlp_plugin.workflow.response import response_of

# Anharmonic part of the forces from which displacements are called too large. At most
# 0.034 in the host's datasets; in model crystals 0.002 to 0.01 at 0.03 angstrom, and
# 0.06 to 0.2 at 0.2.
_TOO_ANHARMONIC = 0.05

# Error of ln kappa due to the model, relative to what single supercells change it by,
# which is the error bar of n of them times the square root of n. In the crystals of
# benchmarks/zoo with 40 supercells, 0.05 to 0.9 in all but one (2.2: a triclinic
# crystal of which 4 % of the forces are unexplained).
_SHARE = 0.5

# Error on training supercells over that on others above which more supercells hardly
# help. It is small as long as there are too few equations for the coefficients.
_FITTED = 0.7

# Smallest error of kappa that is mentioned for a single fit.
_NOTABLE = 0.02

# Penalty below which kappa is not biased: the smallest one of the remedy, and rounding.
_SMALL = 2e-8


@dataclass(frozen=True)
class Misfit:
    """Part of the forces that a model leaves unexplained.

    Attributes
    ----------
    unexplained : float
        Error of the forces of supercells left out, relative to the rms force.
    error : float
        Order of magnitude of the relative error of kappa that may result.
    anharmonicity : float or None
        Anharmonic part of the forces; see `Response.anharmonicity`.
    """

    unexplained: float
    error: float
    anharmonicity: float | None = None

    @classmethod
    def of(
        cls, unexplained: float, bars: Sequence[ErrorBar], anharmonicity: float | None
    ) -> Misfit:
        """Return the misfit of a fit whose kappa has these error bars.

        See `model_error`.
        """
        error = max(map(model_error, bars), default=0.0)
        return cls(unexplained, error, anharmonicity)

    @property
    def is_too_anharmonic(self) -> bool:
        """Whether the displacements are too large, rather than the model too small."""
        return self.anharmonicity is not None and self.anharmonicity > _TOO_ANHARMONIC

    def __str__(self) -> str:
        text = (
            f"the potential leaves {100 * self.unexplained:.2g} % of the forces of "
            "other supercells unexplained. If this is not noise, kappa may be wrong by "
            f"about {float(f'{100 * self.error:.1g}'):g} %, which the error bar does "
            "not include. "
        )
        if self.is_too_anharmonic:
            assert self.anharmonicity is not None
            return text + (
                f"{100 * self.anharmonicity:.0f} % of the response is anharmonic: the "
                "displacements are too large for this crystal. Use smaller ones."
            )
        return text + (
            "Compare with another model (--over preset=default,compact or --over "
            "cutoff=A,B), and use the one that leaves less."
        )


def model_error(bar: ErrorBar) -> float:
    """Return the order of magnitude of the relative error of kappa due to the model.

    Fits to single supercells would differ because each has other terms of what the
    model does not describe. The error bar is smaller by the square root of their
    number, the error of the model is not.

    Examples
    --------
    >>> round(model_error(ErrorBar(0.003, 0.004, 16)), 3)
    0.01
    """
    return float(_SHARE * bar.total * np.sqrt(bar.n))


def smallest_penalty(penalties: Sequence[RidgePenalty]) -> float | None:
    """Return the smallest penalty that did not fail; None if it was the only one."""
    alphas = [p.alpha for p in penalties if p.rmse_test is not None]
    return min(alphas) if len(alphas) > 1 else None


def penalty_note(alpha: float | None, smallest: float | None) -> str | None:
    """Return a note if the smallest ridge penalty that was tried is the best.

    Smaller ones reduce the test error further, and a bias of kappa that the ensemble
    does not show: by 0.4 to 0.8 % for silicon in benchmarks/zoo, without noise.

    Parameters
    ----------
    alpha : float or None
        The selected penalty.
    smallest : float or None
        The smallest one of several.
    """
    if alpha is None or smallest is None or alpha > smallest or alpha < _SMALL:
        return None
    return (
        f"the smallest ridge penalty that was tried, {alpha:.0e}, is the best: kappa "
        "may be biased. Add 'reg_alpha_params = -8 1 10' to --mlp-params."
    )


def misfit_of(
    fit: NestedFit, dataset: Dataset, bars: Sequence[ErrorBar]
) -> Misfit | None:
    """Return what a fit leaves unexplained if more supercells would not explain it.

    None if they would, or if kappa is hardly affected.

    Parameters
    ----------
    fit : NestedFit
    dataset : Dataset
        The supercells of training and test.
    bars : sequence of ErrorBar
        Of kappa in each direction.
    """
    chosen = [p for p in fit.trained.penalties if p.alpha == fit.trained.alpha]
    if not chosen or not chosen[0].rmse_test or chosen[0].rmse_training is None:
        return None
    if not chosen[0].rmse_training > _FITTED * chosen[0].rmse_test:
        return None
    rms_force = float(np.sqrt(np.mean(dataset.forces**2)))
    if not rms_force > 0:
        return None
    response = response_of(dataset)
    misfit = Misfit.of(
        fit.left_out / rms_force,
        bars,
        None if response is None else response.anharmonicity(),
    )
    return misfit if _NOTABLE < misfit.error < np.inf else None

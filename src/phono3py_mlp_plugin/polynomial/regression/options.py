"""Options of the ridge regression."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RidgeOptions:
    """Options of the ridge regression.

    Attributes
    ----------
    alphas : tuple of float
        Penalties, one of which is selected by the test set.
    energy_weight, force_weight : float
        Factors on the weights. With zero, energies or forces are not fitted.
    memory : float or None
        Memory that may be used in bytes. By default, all free memory.
    save_all : bool
        Whether the potentials of all penalties are saved.
    """

    alphas: tuple[float, ...]
    energy_weight: float = 1.0
    force_weight: float = 1.0
    memory: float | None = None
    save_all: bool = False

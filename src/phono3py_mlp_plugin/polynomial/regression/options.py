"""How the coefficients of a potential are fitted."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RidgeOptions:
    """How the coefficients of a potential are fitted.

    Attributes
    ----------
    alphas : tuple of float
        Penalties to try; the test set chooses one.
    energy_weight, force_weight : float
        Factors on the weights; zero leaves a kind out.
    memory : float or None
        Bytes that may be taken; by default what is free.
    save_all : bool
        Whether the potential, where it is saved, writes those of all penalties too.
    """

    alphas: tuple[float, ...]
    energy_weight: float = 1.0
    force_weight: float = 1.0
    memory: float | None = None
    save_all: bool = False

"""What a study of convergence varies, and how far it goes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from phono3py_mlp_plugin.contracts import (
    Ensemble,
)
from phono3py_mlp_plugin.errors import ParameterError
from phono3py_mlp_plugin.workflow import (
    CalculatorSpec,
    DisplacementOptions,
    ForceConstantsRequest,
)


@dataclass(frozen=True)
class Variant:
    """One way to compute kappa; what is varied besides the supercells.

    Attributes
    ----------
    label : str
        "mesh = 9", or nothing.
    request : CalculatorSpec
        Force calculator and its parameters.
    displacements : DisplacementOptions
    force_constants : ForceConstantsRequest
    mesh : tuple of float or None
        Three numbers, or one length; None: that of the run.
    """

    label: str
    request: CalculatorSpec
    displacements: DisplacementOptions
    force_constants: ForceConstantsRequest
    mesh: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Study:
    """What is to be found out.

    Attributes
    ----------
    variants : tuple of Variant
    sizes : tuple of int
        Numbers of training supercells, ascending.
    ntest : int
        Number of test supercells: the last ones of the dataset.
    orders : int
        Number of orders of the training supercells: that of the dataset, then random
        ones.
    ensemble : Ensemble
    tolerance : float
        Relative change of kappa that is accepted.
    agree : int
        Number of sizes in a row that must agree.
    ensemble_mesh : tuple of float or None
        What potentials of the ensemble are run on; None: the mesh of the run.
    allow_poor_fit : bool
        Go on although the error of the largest size is of the size of the forces.
    allow_imaginary : bool
        Go on although the largest size has imaginary modes.
    """

    variants: tuple[Variant, ...]
    sizes: tuple[int, ...]
    ntest: int
    orders: int = 1
    ensemble: Ensemble = field(default_factory=Ensemble)
    tolerance: float = 0.02
    agree: int = 2
    ensemble_mesh: tuple[float, ...] | None = None
    allow_poor_fit: bool = False
    allow_imaginary: bool = False

    def __post_init__(self) -> None:
        if list(self.sizes) != sorted(set(self.sizes)) or self.sizes[0] < 2:
            raise ParameterError(
                f"sizes = {' '.join(map(str, self.sizes))}; expected ascending numbers "
                "of training supercells, from 2."
            )


def check_study(study: Study, n: int) -> None:
    """Refuse more supercells than there are.

    Raises
    ------
    ParameterError
    """
    if max(study.sizes) + study.ntest > n:
        raise ParameterError(
            f"sizes up to {max(study.sizes)} and {study.ntest} for testing; the "
            f"dataset has {n} supercells. Lower one of them."
        )


def with_value(variant: Variant, name: str, text: str) -> Variant:
    """Return the variant with another mesh, amplitude, cutoff-fc3 or parameter.

    Raises
    ------
    ParameterError
        The name or the value is none.
    """
    label = f"{name} = {text}"
    number = _number(text, label)
    if name == "mesh":
        return replace(variant, label=label, mesh=(number,) * 3)
    if name == "amplitude":
        displacements = replace(variant.displacements, amplitude=number)
        return replace(variant, label=label, displacements=displacements)
    if name == "cutoff-fc3":
        given = variant.force_constants
        fc3 = replace(given.fc3, cutoff={**given.fc3.cutoff, 3: number})
        return replace(variant, label=label, force_constants=replace(given, fc3=fc3))
    raise ParameterError(
        f"--over {label}: expected mesh, amplitude, cutoff-fc3 or a parameter of the "
        "potential."
    )


def _number(text: str, label: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if not 0 < value < np.inf:
        raise ParameterError(f"--over {label}: expected a positive number.")
    return value

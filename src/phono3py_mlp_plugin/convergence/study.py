"""Settings of a study of convergence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from phono3py_mlp_plugin.contracts import (
    Ensemble,
)
from phono3py_mlp_plugin.errors import ParameterError
from phono3py_mlp_plugin.workflow import (
    CalculatorSpec,
    DisplacementOptions,
    ForceConstantsRequest,
    request_calculator,
    with_memory,
)


@dataclass(frozen=True)
class Variant:
    """One set of parameters to compute kappa with.

    Attributes
    ----------
    label : str
        Description, e.g. "mesh = 9"; may be empty.
    request : CalculatorSpec
        Force calculator and its parameters.
    displacements : DisplacementOptions
    force_constants : ForceConstantsRequest
    mesh : tuple of float or None
        Three numbers, or one length. None means the mesh of the run.
    """

    label: str
    request: CalculatorSpec
    displacements: DisplacementOptions
    force_constants: ForceConstantsRequest
    mesh: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Study:
    """Variants, sizes and criteria of a study of convergence.

    Attributes
    ----------
    variants : tuple of Variant
    sizes : tuple of int
        Numbers of training supercells in ascending order.
    ntest : int
        Number of test supercells, which are the last ones of the dataset.
    orders : int
        Number of orders of the training supercells. The first is that of the dataset,
        the others are random.
    ensemble : Ensemble
    tolerance : float
        Relative change of kappa that is accepted.
    agree : int
        Number of sizes in a row that must agree.
    ensemble_mesh : tuple of float or None
        Mesh used for the potentials of the ensemble. None means the mesh of the run.
    allow_poor_fit : bool
        Whether to continue if the error of the largest size is comparable to the
        forces.
    allow_imaginary : bool
        Whether to continue if the largest size has imaginary modes.
    with_budget : bool
        Whether the last size gets an error budget.
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
    with_budget: bool = True

    def __post_init__(self) -> None:
        if list(self.sizes) != sorted(set(self.sizes)) or self.sizes[0] < 2:
            raise ParameterError(
                f"sizes = {' '.join(map(str, self.sizes))}; expected ascending numbers "
                "of training supercells, from 2."
            )


# Default test set: one fifth of the dataset, with this maximum size.
_TEST = 5
_LARGEST_TEST = 20

_SMALLEST_SIZE = 5


def default_test_size(n: int) -> int:
    """Return the number of test supercells of n."""
    return max(1, min(_LARGEST_TEST, n // _TEST))


def default_sizes(largest: int) -> tuple[int, ...]:
    """Return numbers of training supercells that are doubled up to the largest.

    Examples
    --------
    >>> default_sizes(80)
    (5, 10, 20, 40, 80)
    """
    sizes = []
    size = _SMALLEST_SIZE
    while size < largest:
        sizes.append(size)
        size *= 2
    return (*sizes, largest)


# What can be varied only if force constants come from displacements.
OF_DISPLACEMENTS = ("amplitude", "cutoff-fc3")


def check_study(study: Study, n: int) -> None:
    """Raise if a study needs more supercells than there are.

    Raises
    ------
    ParameterError
    """
    if max(study.sizes) + study.ntest > n:
        raise ParameterError(
            f"sizes up to {max(study.sizes)} and {study.ntest} for testing; the "
            f"dataset has {n} supercells. Lower one of them."
        )


def variants_over(
    variant: Variant,
    name: str,
    values: Sequence[Any],
    options: str | Mapping[str, Any] | None,
    memory: float | None = None,
) -> tuple[Variant, ...]:
    """Return a variant for each value of what a study varies.

    Parameters
    ----------
    variant : Variant
    name : str
        mesh, amplitude, cutoff-fc3 or a parameter of the potential.
    values : sequence
    options : str or mapping, optional
        The other parameters of the potential.
    memory : float, optional
        Limit of memory in GB.

    Raises
    ------
    ParameterError
        If the name is unknown, or a value is invalid or occurs twice.
    """
    if len({str(value) for value in values}) < len(values):
        raise ParameterError(
            f"--over {name} = {','.join(map(str, values))}: a value is given twice. "
            "Give different ones."
        )
    if name not in {item.name for item in fields(variant.request.options)}:
        return tuple(with_value(variant, name, str(value)) for value in values)
    calculator = variant.request.calculator.name

    def request(value: Any) -> CalculatorSpec:
        given: str | Mapping[str, Any]
        if isinstance(options, Mapping):
            given = {**options, name: value}
        else:
            given = f"{options}, " if options else ""
            given += f"{name} = {value}"
        return with_memory(request_calculator(calculator, given, "--over"), memory)

    return tuple(
        replace(variant, label=f"{name} = {value}", request=request(value))
        for value in values
    )


def with_value(variant: Variant, name: str, text: str) -> Variant:
    """Return the variant with another mesh, amplitude, cutoff-fc3 or parameter.

    Raises
    ------
    ParameterError
        If the name is unknown or the value is invalid.
    """
    label = f"{name} = {text}"
    if name in OF_DISPLACEMENTS and variant.force_constants.takes_potential:
        solver = variant.force_constants.fc3.solver.name
        raise ParameterError(
            f"--over {label}: --fc-calculator {solver} has none. Leave one of them out."
        )
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

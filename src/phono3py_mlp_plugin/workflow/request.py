"""What the user asked of plugins, checked before any work is done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

import numpy as np

from phono3py_mlp_plugin.contracts import ForceCalculator, ForceConstantsSolver
from phono3py_mlp_plugin.errors import ParameterError
from phono3py_mlp_plugin.options import parse_options, split_items
from phono3py_mlp_plugin.plugins import registry
from phono3py_mlp_plugin.workflow.dataset import Split, split_dataset


@dataclass(frozen=True)
class SplitOptions:
    """How many snapshots train and test, and which."""

    ntrain: int | None = None
    ntest: int | None = None
    split: Literal["head-tail", "shuffled"] = "head-tail"
    seed: int | None = None

    def __post_init__(self) -> None:
        if self.seed is not None and self.split != "shuffled":
            raise ParameterError(f"seed = {self.seed}: is for 'split = shuffled'.")
        if self.seed is not None and self.seed < 0:
            raise ParameterError(f"seed = {self.seed}; expected 0 or more.")
        if self.seed is None and self.split == "shuffled":
            object.__setattr__(self, "seed", 0)


@dataclass(frozen=True)
class Request:
    """A force calculator with its options, and how to split the dataset."""

    calculator: ForceCalculator
    options: Any
    split: SplitOptions = field(default_factory=SplitOptions)

    def divide(self, n: int, test_size: float = 0.1) -> Split:
        """Return which of n snapshots train and test; see `split_dataset`."""
        wanted = self.split
        return split_dataset(n, wanted.ntrain, wanted.ntest, test_size, wanted.seed)


@dataclass(frozen=True)
class SolverRequest:
    """A force-constants solver with its options and cutoffs (angstrom) by order."""

    solver: ForceConstantsSolver
    options: Any
    cutoff: Mapping[int, float] = field(default_factory=dict)


def request_calculator(
    name: str, options: str | Mapping[str, Any] | None = None, where: str = "options"
) -> Request:
    """Return the calculator of this name with its options.

    ``ntrain``, ``ntest``, ``split`` and ``seed`` among the options say how the dataset
    is split.

    Raises
    ------
    PluginNotFound
        No usable calculator has this name.
    ParameterError
        An option is unknown or out of range.
    """
    calculator = registry().force_calculator(name)
    values = _by_name(options, where)
    names = [item.name for item in fields(SplitOptions)]
    given = {name: values.pop(name) for name in names if name in values}
    if given and calculator.train is None:
        raise ParameterError(
            f"{where}: {next(iter(given))!r} is for calculators that are trained; "
            f"{name!r} is not."
        )
    split = parse_options(given, SplitOptions, where)
    record: Any = parse_options(values, calculator.options, where)
    return Request(calculator, record, split)


def with_memory(request: Request, memory: float | None) -> Request:
    """Return the request with a limit of memory in GB, where one is given.

    Raises
    ------
    ParameterError
        It is not positive, or given twice, or the calculator takes none.
    """
    if memory is None:
        return request
    name = request.calculator.name
    if not hasattr(request.options, "memory"):
        raise ParameterError(
            f"--memory: force calculator {name!r} takes no limit of memory."
        )
    if request.options.memory is not None:
        raise ParameterError("--memory and the parameter 'memory': give one.")
    try:
        return replace(request, options=replace(request.options, memory=memory))
    except ParameterError as error:
        raise ParameterError(f"--memory: {error}") from None


def request_solver(
    name: str,
    options: str | Mapping[str, Any] | None = None,
    order: int = 3,
    where: str = "--fc-calculator-options",
) -> SolverRequest:
    """Return the solver of this name with its options.

    ``cutoff`` among the options (angstrom) is for the given order.

    Raises
    ------
    PluginNotFound, ParameterError
        As `request_calculator`.
    """
    solver = registry().force_constants_solver(name)
    values = _by_name(options, where)
    cutoff: dict[int, float] = {}
    if "cutoff" in values:
        text = values.pop("cutoff")
        try:
            cutoff[order] = float(text)
        except (TypeError, ValueError):
            cutoff[order] = np.nan
        if not 0 < cutoff[order] < np.inf:
            raise ParameterError(
                f"{where}: cutoff = {text}; expected a length in angstrom, positive."
            )
    return SolverRequest(solver, parse_options(values, solver.options, where), cutoff)


def _by_name(options: str | Mapping[str, Any] | None, where: str) -> dict[str, Any]:
    if options is None:
        return {}
    if isinstance(options, str):
        return dict(split_items(options, where))
    return {key: value for key, value in options.items() if value is not None}

"""What the user asked of plugins, checked before any work is done."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from phono3py_mlp_plugin.contracts import ForceCalculator, ForceConstantsSolver
from phono3py_mlp_plugin.errors import ParameterError
from phono3py_mlp_plugin.files import check_named, content_of
from phono3py_mlp_plugin.options import parse_options, split_items
from phono3py_mlp_plugin.plugins import registry
from phono3py_mlp_plugin.workflow.dataset import Split, split_dataset

FINITE_DIFFERENCES = "traditional"
"""Name of the solver of systematic displacements, the host's default."""


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
class CalculatorSpec:
    """A force calculator with its options, and how to split the dataset."""

    calculator: ForceCalculator
    options: Any
    split: SplitOptions = field(default_factory=SplitOptions)

    def divide(self, n: int, test_size: float = 0.1) -> Split:
        """Return which of n snapshots train and test; see `split_dataset`."""
        wanted = self.split
        return split_dataset(n, wanted.ntrain, wanted.ntest, test_size, wanted.seed)


@dataclass(frozen=True)
class SolverSpec:
    """A force-constants solver with its options and cutoffs (angstrom) by order."""

    solver: ForceConstantsSolver
    options: Any
    cutoff: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ForceConstantsRequest:
    """How forces become fc2 and fc3.

    Attributes
    ----------
    fc2, fc3 : SolverSpec
        That of fc2 is used where fc2 has a supercell of its own (dim-fc2), or where it
        is another solver than that of fc3.
    is_compact_fc : bool
        The first atom runs over the primitive cell only.
    symmetrize : bool
        Finite differences are symmetrised afterwards, as the host does.
    use_symfc_projector : bool
        By the projector of symfc.
    cutoff_fc3 : float or None
        Distance (angstrom) beyond which elements of fc3 are set to zero.
    """

    fc2: SolverSpec
    fc3: SolverSpec
    is_compact_fc: bool = True
    symmetrize: bool = True
    use_symfc_projector: bool = False
    cutoff_fc3: float | None = None

    def of(self, order: int) -> SolverSpec:
        """Return the solver of an order."""
        return self.fc3 if order == 3 else self.fc2

    @property
    def separate_fc2(self) -> bool:
        """Whether fc2 comes from a solver of its own."""
        return self.fc2.solver.name != self.fc3.solver.name


def describe_force_constants(request: ForceConstantsRequest) -> dict[str, Any]:
    """Return all that decides the force constants of given forces, for fingerprints."""
    solvers = {
        f"fc{order}": {
            "name": request.of(order).solver.name,
            "options": content_of(request.of(order).options),
            "cutoff": dict(request.of(order).cutoff),
        }
        for order in (2, 3)
    }
    return {
        **solvers,
        "symmetrize": request.symmetrize,
        "use_symfc_projector": request.use_symfc_projector,
        "cutoff_fc3": request.cutoff_fc3,
    }


def request_calculator(
    name: str, options: str | Mapping[str, Any] | None = None, where: str = "options"
) -> CalculatorSpec:
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
    check_named(record)
    return CalculatorSpec(calculator, record, split)


def with_memory(spec: CalculatorSpec, memory: float | None) -> CalculatorSpec:
    """Return the spec with a limit of memory in GB, where one is given.

    Raises
    ------
    ParameterError
        It is not positive, or given twice, or the calculator takes none.
    """
    if memory is None:
        return spec
    name = spec.calculator.name
    if not hasattr(spec.options, "memory"):
        raise ParameterError(
            f"--memory: force calculator {name!r} takes no limit of memory."
        )
    if spec.options.memory is not None:
        raise ParameterError("--memory and the parameter 'memory': give one.")
    try:
        return replace(spec, options=replace(spec.options, memory=memory))
    except ParameterError as error:
        raise ParameterError(f"--memory: {error}") from None


def request_solver(
    name: str,
    options: str | Mapping[str, Any] | None = None,
    order: int = 3,
    where: str = "--fc-calculator-options",
) -> SolverSpec:
    """Return the solver of this name with its options.

    ``cutoff`` among the options (angstrom) is for the given order.

    Raises
    ------
    PluginNotFound, ParameterError
        As `request_calculator`.
    """
    solver = registry().force_constants_solver(name.lower())
    values = _by_name(options, where)
    cutoff = _cutoff(values.pop("cutoff", None), solver.name, order, where)
    record: Any = parse_options(values, solver.options, where, ("cutoff",))
    check_named(record)
    return SolverSpec(solver, record, cutoff)


def _cutoff(text: Any, solver: str, order: int, where: str) -> dict[int, float]:
    """Return the cutoff of an order; ALM is given one for each, -1 for none."""
    if text is None:
        return {}
    words = str(text).split()
    orders = (2, 3) if solver == "alm" and len(words) == 2 else (order,)
    try:
        lengths = dict(zip(orders, map(float, words), strict=True))
    except ValueError:
        lengths = {order: math.nan}
    if len(orders) == 2:
        lengths = {k: length for k, length in lengths.items() if length != -1}
    if not all(0 < length < math.inf for length in lengths.values()):
        raise ParameterError(
            f"{where}: cutoff = {text}; expected a length in angstrom, positive."
        )
    return lengths


def request_force_constants(
    names: str | None,
    options: str | Mapping[str, Any] | None = None,
    cutoff_pair: float | None = None,
    where: str = "--fc-calculator-options",
) -> ForceConstantsRequest:
    """Return the solvers of fc2 and fc3.

    Parameters
    ----------
    names : str or None
        In the host's notation: a name, or "fc2|fc3" with one or both of them. Where
        there is none: finite differences.
    options : str or mapping, optional
        Those of the solvers; a text may be "fc2|fc3" too. ``cutoff`` is a distance in
        angstrom.
    cutoff_pair : float, optional
        Cutoff (angstrom) of fc3 where its options have none.
    where : str
        Named in error messages.

    Raises
    ------
    PluginNotFound, ParameterError
        As `request_calculator`.
    """
    found = {}
    for order in (2, 3):
        name = _part(names, order) or FINITE_DIFFERENCES
        text = _part(options, order) if isinstance(options, str) else options
        found[order] = request_solver(name, text, order, where)
    if cutoff_pair is not None and 3 not in found[3].cutoff:
        found[3] = replace(found[3], cutoff={3: cutoff_pair})
    return ForceConstantsRequest(fc2=found[2], fc3=found[3])


def _part(text: str | None, order: int) -> str | None:
    """Return what the notation "fc2|fc3" holds for an order; None where nothing."""
    if text is None:
        return None
    parts = text.split("|")
    if len(parts) > 2:
        raise ParameterError(f'"{text}": expected "fc2|fc3" with at most one "|".')
    return parts[order - 2 if len(parts) > 1 else 0].strip() or None


def _by_name(options: str | Mapping[str, Any] | None, where: str) -> dict[str, Any]:
    if options is None:
        return {}
    if isinstance(options, str):
        return dict(split_items(options, where))
    return {key: value for key, value in options.items() if value is not None}

"""The requested plugins and their options, checked before any calculation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from phono3py_mlp_plugin.contracts import ForceCalculator, ForceConstantsSolver
from phono3py_mlp_plugin.errors import ParameterError
from phono3py_mlp_plugin.files import check_named, content_of, read_options
from phono3py_mlp_plugin.option_text import split_outside
from phono3py_mlp_plugin.options import DEFAULT, KEYWORDS, parse_options
from phono3py_mlp_plugin.plugins import registry
from phono3py_mlp_plugin.workflow.dataset import Split, split_dataset

FINITE_DIFFERENCES = "traditional"
"""Name of the solver for systematic displacements, the default of phono3py."""


@dataclass(frozen=True)
class SplitOptions:
    """Numbers of snapshots for training and testing, and how they are selected."""

    ntrain: int | None = field(
        default=None,
        metadata={"help": "number of training supercells; by default the rest"},
    )
    ntest: int | None = field(
        default=None,
        metadata={
            "help": "number of test supercells; by default the rest, or one tenth if "
            "ntrain is not given either"
        },
    )
    split: Literal["head-tail", "shuffled"] = field(
        default="head-tail",
        metadata={
            "help": "head-tail: the first supercells are for training, the last for "
            "testing; shuffled: both are drawn at random"
        },
    )
    seed: int | None = field(
        default=None,
        metadata={
            "help": "seed of the shuffled split; for the same seed and ntest, test "
            "sets are the same and training sets are nested",
            DEFAULT: 0,
        },
    )

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
        """Return the training and test sets of n snapshots; see `split_dataset`."""
        options = self.split
        return split_dataset(n, options.ntrain, options.ntest, test_size, options.seed)


@dataclass(frozen=True)
class SolverSpec:
    """A force-constants solver with its options and cutoffs (angstrom) by order."""

    solver: ForceConstantsSolver
    options: Any
    cutoff: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ForceConstantsRequest:
    """Solvers and settings for fc2 and fc3.

    Attributes
    ----------
    fc2, fc3 : SolverSpec
        The solver of fc2 is used if fc2 has a separate supercell (dim-fc2), or if it
        differs from the solver of fc3.
    is_compact_fc : bool
        Whether the first atom runs over the primitive cell only.
    symmetrize : bool
        Whether force constants from finite differences are symmetrised, as in phono3py.
    use_symfc_projector : bool
        Whether they are symmetrised by the projector of symfc.
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
        """Return the solver for an order of force constants."""
        return self.fc3 if order == 3 else self.fc2

    @property
    def takes_potential(self) -> bool:
        """Whether fc3 is computed from the potential, without displacements."""
        return self.fc3.solver.differentiate is not None

    @property
    def separate_fc2(self) -> bool:
        """Whether fc2 and fc3 have different solvers."""
        return self.fc2.solver.name != self.fc3.solver.name


def describe_force_constants(request: ForceConstantsRequest) -> dict[str, Any]:
    """Return all settings that affect force constants, for fingerprints."""
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
    """Return the calculator with this name, and its options.

    The options ``ntrain``, ``ntest``, ``split`` and ``seed`` define how the dataset is
    split.

    Raises
    ------
    PluginNotFound
        If no usable calculator has this name.
    ParameterError
        If an option is unknown or out of range.
    """
    calculator = registry().force_calculator(name)
    values = _by_name(options, where, calculator.options)
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
    """Return the spec with a memory limit in GB; without a limit, return it unchanged.

    Raises
    ------
    ParameterError
        If the limit is not positive, is given twice, or is not supported by the
        calculator.
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
    """Return the solver with this name, and its options.

    The option ``cutoff`` (angstrom) applies to the given order.

    Raises
    ------
    PluginNotFound, ParameterError
        See `request_calculator`.
    """
    solver = registry().force_constants_solver(name.lower())
    values = _by_name(options, where, solver.options)
    cutoff = _cutoff(values.pop("cutoff", None), solver.name, order, where)
    record: Any = parse_options(values, solver.options, where, ("cutoff",))
    check_named(record)
    return SolverSpec(solver, record, cutoff)


def _cutoff(text: Any, solver: str, order: int, where: str) -> dict[int, float]:
    """Return cutoffs by order; ALM accepts one for each order, where -1 means none."""
    if text is None:
        return {}
    words = (
        [str(item) for item in text]
        if isinstance(text, list | tuple)
        else str(text).strip("[]").replace(",", " ").split()
    )
    orders = (2, 3) if solver == "alm" and len(words) == 2 else (order,)
    try:
        lengths = dict(zip(orders, map(float, words), strict=True))
    except ValueError:
        lengths = {order: math.nan}
    if len(orders) == 2:
        lengths = {k: length for k, length in lengths.items() if length != -1}
    if not all(0 < length < math.inf for length in lengths.values()):
        raise ParameterError(
            f"{where}: cutoff = {text}; expected a length in angstrom, above 0."
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
        Names in the notation of phono3py: one name, or "fc2|fc3" with one or both of
        them. By default, finite differences.
    options : str or mapping, optional
        Options of the solvers; a string may have the form "fc2|fc3", too. ``cutoff`` is
        a distance in angstrom.
    cutoff_pair : float, optional
        Cutoff (angstrom) of fc3 if its options do not have one.
    where : str
        Source of the options, used in error messages.

    Raises
    ------
    PluginNotFound, ParameterError
        See `request_calculator`.
    """
    solvers = {}
    for order in (2, 3):
        name = _part_of_order(names, order) or FINITE_DIFFERENCES
        text = _part_of_order(options, order) if isinstance(options, str) else options
        solvers[order] = request_solver(name, text, order, where)
    if cutoff_pair is not None and 3 not in solvers[3].cutoff:
        solvers[3] = replace(solvers[3], cutoff={3: cutoff_pair})
    return ForceConstantsRequest(fc2=solvers[2], fc3=solvers[3])


def _part_of_order(text: str | None, order: int) -> str | None:
    """Return the part of a string "fc2|fc3" for an order, or None if it is empty."""
    if text is None:
        return None
    parts = split_outside(text, "|", "options of solvers")
    if len(parts) > 2:
        raise ParameterError(f'"{text}": expected "fc2|fc3" with at most one "|".')
    return parts[order - 2 if len(parts) > 1 else 0].strip() or None


def _by_name(
    options: str | Mapping[str, Any] | None, where: str, record: type
) -> dict[str, Any]:
    """Return options by name; None stands for the default of a field."""
    if options is None:
        return {}
    if isinstance(options, str):
        return read_options(options, where)
    items = fields(record)
    if any(KEYWORDS in item.metadata for item in items):
        return dict(options)
    return {key: value for key, value in options.items() if value is not None}

"""The host's force-constants calculators, any registered solver among them.

The three names that the host knows keep the host's own code, so that results stay
bit-identical; every other name is a plugin's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from phonopy.interface.fc_calculator import FCSolver, fc_calculator_names

from phono3py_mlp_plugin import plugins
from phono3py_mlp_plugin.contracts import ForceConstants, ForceConstantsProblem
from phono3py_mlp_plugin.errors import ParameterError, PluginNotFound, SolverError
from phono3py_mlp_plugin.host.bindings import original
from phono3py_mlp_plugin.options import parse_options, split_items
from phono3py_mlp_plugin.solvers.symfc import check_number_of_equations
from phono3py_mlp_plugin.workflow import request_solver

_MODULE = "phono3py.interface.fc_calculator"


class PluginFCSolver:
    """What the host asks for its force constants."""

    def __init__(self, force_constants: ForceConstants) -> None:
        self.force_constants = force_constants


def set_fc_solver(self: FCSolver, fc_calculator_name: str) -> Any:
    """Stand for ``FCSolver._set_fc_solver``."""
    if fc_calculator_name in fc_calculator_names:
        host = original("phonopy.interface.fc_calculator:FCSolver._set_fc_solver")
        try:
            solver = host(self, fc_calculator_name)
        except AssertionError as error:
            if fc_calculator_name != "symfc":
                raise
            # Nothing is left free by symmetry and sum rules: symfc does not expect it.
            raise SolverError(
                f"symfc: a supercell of {len(self._supercell)} atoms leaves no force "
                "constant free. Use a larger supercell."
            ) from error
        if fc_calculator_name == "symfc" and self._dataset and self._orders:
            _, forces = self._get_displacements_and_forces()
            if forces is not None:
                check_number_of_equations(solver.basis_set, forces, self._orders)
        return solver
    orders = tuple(self._orders or (2,))
    request = request_solver(fc_calculator_name, self._options, max(orders))
    return PluginFCSolver(
        plugins.solve(request.solver, _problem(self, request, orders))
    )


def _problem(self: FCSolver, request: Any, orders: tuple[int, ...]) -> Any:
    if self._dataset is None or self._primitive is None or self._symmetry is None:
        raise SolverError(
            f"{request.solver.name}: dataset, primitive cell and symmetry are needed."
        )
    displacements, forces = self._get_displacements_and_forces()
    if forces is None:
        raise SolverError(f"{request.solver.name}: the dataset has no forces.")
    return ForceConstantsProblem(
        supercell=self._supercell,
        primitive=self._primitive,
        symmetry=self._symmetry,
        displacements=displacements,
        forces=forces,
        orders=orders,
        is_compact_fc=self._is_compact_fc,
        cutoff=request.cutoff,
        dataset=self._dataset if isinstance(self._dataset, Mapping) else {},
        options=request.options,
        log_level=self._log_level,
    )


def extract_fc2_fc3_calculators(fc_calculator: str | None, order: int) -> str | None:
    """Stand for the host's function: the name for one order, or None."""
    if fc_calculator is None:
        return None
    parts = fc_calculator.split("|")
    name = parts[order - 2 if len(parts) > 1 else 0].strip()
    return _known(name) if name else None


def get_fc_calculator_params(
    fc_calculator: str | None,
    fc_calculator_options: str | None,
    cutoff_pair_distance: float | None,
    log_level: int = 0,
) -> tuple[str | None, str | None]:
    """Stand for the host's function; an unknown name is an error."""
    names = check_names(fc_calculator)
    if all(name in fc_calculator_names for name in names):
        host = original(f"{_MODULE}:get_fc_calculator_params")
        return host(  # type: ignore[no-any-return]
            fc_calculator, fc_calculator_options, cutoff_pair_distance, log_level
        )
    # The pair cutoff reaches a plugin through the options of fc3, where the host's
    # compute_force_constants_from_datasets appends it.
    return fc_calculator, fc_calculator_options


def check_names(fc_calculator: str | None) -> list[str]:
    """Return the solver names in the host's ``fc2|fc3`` notation.

    Raises
    ------
    PluginNotFound
        A name is not registered, or its solver cannot be used.
    """
    parts = [] if fc_calculator is None else fc_calculator.split("|")
    return [_known(part.strip()) for part in parts if part.strip()]


@dataclass(frozen=True)
class _SymfcOptions:
    """What the host's own symfc takes."""

    cutoff: float | None = None
    memsize: float | None = None
    use_mkl: bool = False

    def __post_init__(self) -> None:
        for name in ("cutoff", "memsize"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ParameterError(f"{name} = {value}; expected a positive number.")


def check_options(fc_calculator: str | None, fc_calculator_options: str | None) -> None:
    """Refuse options that the solver of fc2 or of fc3 would not know.

    Raises
    ------
    ParameterError
        An option is unknown, malformed or out of range.
    """
    if fc_calculator_options is None:
        return
    texts = fc_calculator_options.split("|")
    for order in (2, 3):
        text = texts[order - 2 if len(texts) > 1 else 0]
        name = extract_fc2_fc3_calculators(fc_calculator, order)
        where = "--fc-calculator-options"
        if name in (None, "traditional", "symfc"):
            # Without a solver the host reads the cutoff of fc3 as that of symfc.
            parse_options(split_items(text, where), _SymfcOptions, where)
        elif name != "alm":
            request_solver(name, text, order)


def _known(name: str) -> str:
    lower = name.lower()
    if lower in fc_calculator_names:
        return lower
    try:
        return plugins.registry().force_constants_solver(name).name
    except PluginNotFound as error:
        raise PluginNotFound(f"--fc-calculator: {error}") from None

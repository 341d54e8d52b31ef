"""Calculators of ASE, given as ``module:name`` on the command line.

A calculator is code. It is imported only if the user names it, never because of the
contents of a data file.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from phono3py_mlp_plugin.calculators.ase.names import (
    find_object,
    make_calculator,
    modules_of_folder,
)
from phono3py_mlp_plugin.calculators.ase.potential import AsePotential
from phono3py_mlp_plugin.contracts import ForceCalculator
from phono3py_mlp_plugin.errors import ParameterError
from phono3py_mlp_plugin.hookspecs import hookimpl
from phono3py_mlp_plugin.options import KEYWORDS

__all__ = ["AseOptions", "AsePotential", "load"]


@dataclass(frozen=True)
class AseOptions:
    """Class, function or object of the calculator, and its keyword arguments."""

    calculator: str = field(
        default="",
        metadata={"help": "module:name, e.g. ase.calculators.emt:EMT"},
    )
    keywords: dict[str, Any] = field(
        default_factory=dict,
        metadata={"help": "any other key is an argument of it", KEYWORDS: True},
    )


def load(path: Path | None, options: AseOptions) -> AsePotential:
    """Import the class, function or object, and create the calculator.

    Raises
    ------
    ParameterError
        If the name is not ``module:name``, the import fails, or an option is unknown.
    """
    if path is not None:
        raise ParameterError(
            f"--mlp-file = {path}; the ase calculator reads no file of its own. Give "
            "the file to the class, e.g. 'calculator = module:Class, model = FILE'."
        )
    with modules_of_folder():
        found = find_object(options.calculator)
        calculator = make_calculator(options.calculator, found, options.keywords)
    return AsePotential(calculator, context=modules_of_folder)


@hookimpl
def phono3py_mlp_force_calculators() -> Iterable[ForceCalculator]:
    """Register the calculator ase."""
    yield ForceCalculator(
        name="ase",
        summary="any ASE calculator: 'calculator = module:name, key = value'",
        load=load,
        options=AseOptions,
        unavailable_reason=_unavailable_reason,
        citation="A. Hjorth Larsen et al., J. Phys.: Condens. Matter 29, 273002 (2017)",
    )


def _unavailable_reason() -> str | None:
    if importlib.util.find_spec("ase") is None:
        return "ase is not installed. Install it by 'pip install ase'."
    return None

"""The requested potential, or several models of a force calculator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phono3py_mlp_plugin.errors import ParameterError, PotentialError
from phono3py_mlp_plugin.files import potential_files
from phono3py_mlp_plugin.host.arguments import CommandOptions
from phono3py_mlp_plugin.host.mlp import DEFAULT_CALCULATOR
from phono3py_mlp_plugin.workflow import (
    CalculatorSpec,
    request_calculator,
    with_memory,
)


@dataclass(frozen=True)
class RequestedModel:
    """A potential that the user asks for.

    Attributes
    ----------
    name : str
        Its file or its options, by which it differs from others.
    calculator : CalculatorSpec
    file : Path or None
        Potential file given by the user.
    """

    name: str
    calculator: CalculatorSpec
    file: Path | None


def requested_models(settings: Any, options: CommandOptions) -> list[RequestedModel]:
    """Return the potential of a run, followed by other models of the same calculator.

    Either files or options may be given several times.

    Raises
    ------
    ParameterError, PluginNotFound, PotentialError
        If options contradict each other, or a file does not exist.
    """
    files = options.mlp_file or []
    texts = options.force_calculator_options or []
    if len(files) > 1 and len(texts) > 1:
        raise ParameterError(
            f"--mlp-file is given {len(files)} times and --force-calculator-options "
            f"{len(texts)} times; expected one of them once. Give models by their "
            "files, or by their options."
        )
    calculators = requested_calculators(settings, options)
    if len(texts) > 1 and calculators[0].calculator.train is not None:
        raise ParameterError(
            "several --force-calculator-options: are for models that are not trained. "
            "Train one after another, and give their files by --mlp-file."
        )
    paths = _potential_files(calculators[0], files)
    if len(paths) > 1:
        return [
            RequestedModel(name, calculators[0], path)
            for name, path in zip(files, paths, strict=True)
        ]
    path = next(iter(paths), None)
    names = texts if len(texts) > 1 else [""]
    return [
        RequestedModel(name, calculator, path)
        for name, calculator in zip(names, calculators, strict=True)
    ]


def requested_calculators(
    settings: Any, options: CommandOptions
) -> list[CalculatorSpec]:
    """Return the force calculator with each of the options that are given."""
    name = options.force_calculator or DEFAULT_CALCULATOR
    if settings.use_pypolymlp and name != DEFAULT_CALCULATOR:
        raise ParameterError(f"--pypolymlp and --force-calculator {name}: give one.")
    if settings.mlp_params and options.force_calculator_options:
        raise ParameterError(
            "--mlp-params and --force-calculator-options mean the same: give one."
        )
    where = "--mlp-params" if settings.mlp_params else "--force-calculator-options"
    texts: Sequence[str | Mapping[str, Any] | None] = (
        [settings.mlp_params]
        if settings.mlp_params
        else options.force_calculator_options or [None]
    )
    return [
        with_memory(request_calculator(name, text, where), options.memory)
        for text in texts
    ]


def _potential_files(calculator: CalculatorSpec, names: Sequence[str]) -> list[Path]:
    """Return the potential files given by the user, each of which must exist once.

    Raises
    ------
    ParameterError, PotentialError
    """
    files = [Path(name) for name in names]
    for number, file in enumerate(files):
        if not potential_files(file):
            is_model = file.is_dir() and hasattr(calculator.options, "model")
            remedy = f" as a file; give the folder by 'model = {file}'"
            raise PotentialError(
                f'--mlp-file: "{file}" is not found{remedy if is_model else ""}.'
            )
        if file.resolve() in [other.resolve() for other in files[:number]]:
            raise ParameterError(
                f"--mlp-file = {file}: is given twice; expected different models. "
                "Leave one out."
            )
    return files

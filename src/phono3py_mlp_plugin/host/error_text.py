"""Text of the error bars and the error budget of a run."""

from __future__ import annotations

import math

from phono3py_mlp_plugin.contracts import FloatArray
from phono3py_mlp_plugin.uncertainty import ErrorBar, ErrorBudget, room_temperature
from phono3py_mlp_plugin.workflow import (
    EnsembleResult,
    budget_lines,
    force_constant_errors_text,
    most_uncertain_frequency,
)

_DIRECTIONS = ("xx", "yy", "zz")


def bars_lines(
    result: EnsembleResult,
    kappa: FloatArray,
    temperatures: FloatArray,
    bars: list[list[ErrorBar]],
) -> list[str]:
    """Return the summary of the error bars, with values at room temperature."""
    t = room_temperature(temperatures)
    lines = [_origin(result)]
    # There are none if 0 K is the only temperature.
    for direction, value, bar in zip(_DIRECTIONS, kappa[t], bars[t], strict=False):
        lines.append(
            f"  kappa_{direction}({temperatures[t]:g} K) = {value:.3f} +- "
            f"{bar.half_width(value):.3f} W/m-K"
        )
    if result.names:
        lines += _models(result, t)
    if result.n_imaginary:
        remedy = "Leave them out." if result.names else "Use more supercells."
        lines.append(
            f"  look  {result.n_imaginary} of {len(result.members)} "
            f"{'other models' if result.names else 'potentials'} have imaginary "
            "modes: their kappa is meaningless and the error bars are unreliable. "
            f"{remedy}"
        )
    errors = force_constant_errors_text(result.fc2_error, result.fc3_error)
    lines.append(f"  relative uncertainty of force constants: {errors}")
    if result.fc2_error:
        phonon = most_uncertain_frequency(result.phonons)
        lines.append(f"  most uncertain phonon: {phonon}")
    return lines


def _origin(result: EnsembleResult) -> str:
    """Return what the error bars are."""
    if result.names:
        return (
            f"Kappa of {result.names[0]}, and the scatter of {len(result.names)} "
            "models as 68 % intervals. It is neither their error against first "
            "principles nor that of a training:"
        )
    return (
        f"From {len(result.members)} jackknife potentials of {result.size} training "
        f"supercells and {len(result.alternatives)} with other ridge penalties; 68 % "
        "intervals for the choice of supercells and penalty, not for the model error:"
    )


def _models(result: EnsembleResult, t: int) -> list[str]:
    """Return kappa of each model at a temperature."""
    width = max(map(len, result.names))
    return [
        f"  {name:<{width}}  " + " ".join(f"{value:.3f}" for value in kappa[t, :3])
        for name, kappa in zip(result.names, result.kappa_of_models(), strict=True)
    ]


def budget_in_lines(budget: ErrorBudget, kappa: FloatArray) -> list[str]:
    """Return the error budget, and kappa with the total error."""
    t = budget.room_temperature
    temperature = f"{budget.temperatures[t]:g} K"
    values = (
        f"{value:.3f} +- {total * value if total < math.inf else total:.3f} "
        f"({direction})"
        for direction, value, total in zip(
            _DIRECTIONS, kappa[t, :3], budget.total(t), strict=True
        )
    )
    return [
        f"Error budget of kappa at {temperature} in percent (68 % intervals):",
        *(f"  {line}" for line in budget_lines(budget)),
        f"Kappa at {temperature} with all of these: {', '.join(values)} W/m-K",
    ]

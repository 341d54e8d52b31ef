"""``phono3py_mlp_uncertainty.json``: error bars of the kappa of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from phono3py_mlp_plugin.contracts import FloatArray
from phono3py_mlp_plugin.files.plain_json import INVALID_CONTENT, read_json, write_json

UNCERTAINTY_FILE = "phono3py_mlp_uncertainty.json"


def write_uncertainty(
    path: Path,
    kappa: FloatArray,
    temperatures: FloatArray,
    bars: Sequence[Sequence[Any]] = (),
    ensemble: Mapping[str, Any] | None = None,
    budget: Any = None,
) -> None:
    """Write kappa with relative standard deviations for each temperature.

    Parameters
    ----------
    path : Path
    kappa : ndarray
        In W/m-K, shape ``(n_temperatures, 6)``.
    temperatures : ndarray
        In K.
    bars : sequence
        Records of `ErrorBar` for xx, yy and zz at each temperature; empty at 0 K.
    ensemble : mapping, optional
        Other results of the ensemble.
    budget : ErrorBudget, optional
        All contributions to the error of kappa.
    """
    rows = bars or [()] * len(temperatures)
    content = {
        "temperatures": [
            {
                "temperature": float(temperature),
                "kappa": kappa[t].tolist(),
                **({"bars": [asdict(bar) for bar in rows[t]]} if rows[t] else {}),
            }
            for t, temperature in enumerate(temperatures)
        ],
        **(ensemble or {}),
        **({} if budget is None else {"budget": asdict(budget)}),
    }
    write_json(path, content)


def read_values(path: Path) -> list[tuple[float, list[float]]]:
    """Return temperatures (K) and kappa (W/m-K, six components) of the run.

    Empty if there are none. For errors see `read_json`.
    """
    content = read_json(path)
    if content is None:
        return []
    try:
        return [
            (float(one["temperature"]), [float(value) for value in one["kappa"]])
            for one in content["temperatures"]
        ]
    except INVALID_CONTENT:
        return []


def read_models(path: Path) -> tuple[str, ...]:
    """Return the names of the models whose scatter is the error bar, if it is.

    For errors see `read_json`.
    """
    content = read_json(path)
    models = None if content is None else content.get("models")
    try:
        return tuple(str(one["name"]) for one in models or ())
    except INVALID_CONTENT:
        return ()


def read_uncertainty(path: Path) -> list[dict[str, Any]]:
    """Return records of temperatures with error bars, or an empty list.

    Each record has ``temperature`` (K), ``kappa`` (W/m-K, six components) and ``bars``,
    a record of `ErrorBar` for each direction. For errors see `read_json`.
    """
    content = read_json(path)
    if content is None:
        return []
    try:
        return [_bars_at(one) for one in content["temperatures"] if "bars" in one]
    except INVALID_CONTENT:
        return []


def read_budget(path: Path) -> dict[str, Any] | None:
    """Return the record of the error budget, or None. For errors see `read_json`."""
    content = read_json(path)
    budget = None if content is None else content.get("budget")
    return budget if isinstance(budget, dict) else None


def _bars_at(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record of one temperature with converted types."""
    return {
        "temperature": float(record["temperature"]),
        "kappa": [float(value) for value in record["kappa"]],
        "bars": [
            {
                "sampling": float(bar["sampling"]),
                "penalty": float(bar["penalty"]),
                "n": int(bar["n"]),
            }
            for bar in record["bars"]
        ],
    }

"""``phono3py_mlp_convergence.json``: finished points, kept one by one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from phono3py_mlp_plugin.contracts import FloatArray
from phono3py_mlp_plugin.files.atomic import UNREADABLE, replacing
from phono3py_mlp_plugin.files.members import count_finished_members

CONVERGENCE_FILE = "phono3py_mlp_convergence.json"
UNCERTAINTY_FILE = "phono3py_mlp_uncertainty.json"

_FORMAT_VERSION = 1

# What a file raises that is damaged, of another format, or nested without end.
_NOT_OURS = (
    *UNREADABLE,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    RecursionError,
)

_HEAD = {
    "format_version": _FORMAT_VERSION,
    "units": {"kappa": "W/m-K", "components": "xx yy zz yz xz xy"},
}


def read_convergence(path: Path) -> list[dict[str, Any]]:
    """Return the points of an earlier run; none where the file is not one."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format_version"] != _FORMAT_VERSION:
            return []
        return [dict(point) for point in content["points"]]
    except _NOT_OURS:
        return []


def write_convergence(
    path: Path, points: Sequence[Mapping[str, Any]], verdicts: Mapping[str, Any]
) -> None:
    """Write points and verdicts; whole or not at all."""
    content = {
        **_HEAD,
        "verdicts": dict(verdicts),
        "points": [dict(point) for point in points],
    }
    _write(path, content)


def write_uncertainty(
    path: Path,
    kappa: FloatArray,
    temperatures: FloatArray,
    bars: Sequence[Sequence[Any]],
    fc2_error: float,
    fc3_error: float,
    phonons: Sequence[Any],
) -> None:
    """Write kappa with relative standard deviations by temperature.

    Parameters
    ----------
    path : Path
    kappa : ndarray
        In W/m-K, shape ``(n_temperatures, 6)``.
    temperatures : ndarray
        In K.
    bars : sequence
        For each temperature records for xx, yy and zz; none at 0 K.
    fc2_error, fc3_error : float
        Relative to the norm of the force constants.
    phonons : sequence
        Records of high-symmetry points.
    """
    content = {
        **_HEAD,
        "relative_standard_deviation": "sampling of supercells, choice of the penalty",
        "temperatures": [
            {
                "temperature": float(temperature),
                "kappa": kappa[t].tolist(),
                **({"bars": [asdict(bar) for bar in bars[t]]} if bars[t] else {}),
            }
            for t, temperature in enumerate(temperatures)
        ],
        "fc2_error": fc2_error,
        "fc3_error": fc3_error,
        "phonons": [asdict(point) for point in phonons],
    }
    _write(path, content)


def read_uncertainty(path: Path) -> list[dict[str, Any]]:
    """Return records of temperatures with error bars; none where there is no such file.

    Each has ``temperature`` (K), ``kappa`` (W/m-K, six components) and ``bars``, a
    record of `ErrorBar` for each direction.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format_version"] != _FORMAT_VERSION:
            return []
        return [_bars_at(one) for one in content["temperatures"] if "bars" in one]
    except _NOT_OURS:
        return []


def _bars_at(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return one temperature's record with numbers for numbers."""
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


def _write(path: Path, content: Mapping[str, Any]) -> None:
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def kept_of_study(folder: Path) -> str:
    """Return what a folder keeps of a study that was stopped, in words.

    Examples
    --------
    >>> import tempfile
    >>> kept_of_study(Path(tempfile.mkdtemp()))
    'No point is finished yet'
    """
    points = len(read_convergence(folder / CONVERGENCE_FILE))
    members = count_finished_members(folder)
    words = []
    if points:
        words.append(f"{points} point{'s' if points > 1 else ''}")
    if members:
        words.append(
            f"{members} member{'s' if members > 1 else ''} of unfinished points"
        )
    if not words:
        return "No point is finished yet"
    plural = points + members > 1
    return f"{' and '.join(words)} {'are' if plural else 'is'} kept"

"""``phono3py_mlp_convergence.json``: finished points, kept one by one."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from phono3py_mlp_plugin.contracts import FloatArray
from phono3py_mlp_plugin.errors import UnusableFile
from phono3py_mlp_plugin.files.atomic import replacing
from phono3py_mlp_plugin.files.members import count_finished_members
from phono3py_mlp_plugin.files.regular import UNREADABLE, open_text

CONVERGENCE_FILE = "phono3py_mlp_convergence.json"
UNCERTAINTY_FILE = "phono3py_mlp_uncertainty.json"

_FORMAT_VERSION = 1

# Bytes; numbers of Python take ten times as much.
_LARGEST = 200_000_000

# The decoder crashes the process at some ten thousand levels; ours have eight.
_MOST_LEVELS = 50
_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]')

# What is raised on a file that is another's.
_NOT_OURS = (ValueError, KeyError, TypeError, AttributeError, RecursionError)

_HEAD = {
    "format_version": _FORMAT_VERSION,
    "units": {"kappa": "W/m-K", "components": "xx yy zz yz xz xy"},
}


def read_convergence(path: Path) -> list[dict[str, Any]]:
    """Return the points of an earlier run; none where the file is not one.

    Raises
    ------
    UnusableFile
        It is no regular file, or too large to be read.
    """
    try:
        content = _read(path)
        if content["format_version"] != _FORMAT_VERSION:
            return []
        return [dict(point) for point in content["points"]]
    except UnusableFile:
        raise
    except (*UNREADABLE, *_NOT_OURS):
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
    record of `ErrorBar` for each direction. Raises as `read_convergence`.
    """
    try:
        content = _read(path)
        if content["format_version"] != _FORMAT_VERSION:
            return []
        return [_bars_at(one) for one in content["temperatures"] if "bars" in one]
    except UnusableFile:
        raise
    except (*UNREADABLE, *_NOT_OURS):
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


def _read(path: Path) -> Any:
    with open_text(path, _LARGEST) as file:
        text = file.read()
    level = 0
    for found in _BRACKETS.finditer(text):
        level += {"[": 1, "{": 1, "]": -1, "}": -1}.get(found.group(), 0)
        if level > _MOST_LEVELS:
            raise ValueError("nested too deeply")
    return json.loads(text)


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

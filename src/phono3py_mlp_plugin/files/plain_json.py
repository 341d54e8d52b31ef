"""JSON files of this package, with a size limit and atomic writing."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from phono3py_mlp_plugin.errors import UnusableFile
from phono3py_mlp_plugin.files.atomic import replacing
from phono3py_mlp_plugin.files.regular import UNREADABLE, open_text

_FORMAT_VERSION = 1

# Bytes; the parsed content takes ten times as much memory.
_LARGEST = 200_000_000

# The decoder crashes at some ten thousand levels; files of this package have eight.
_MOST_LEVELS = 50
_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]')

# Errors raised for a file that was not written by this package.
INVALID_CONTENT = (ValueError, KeyError, TypeError, AttributeError, RecursionError)

_HEAD = {
    "format_version": _FORMAT_VERSION,
    "units": {"kappa": "W/m-K", "components": "xx yy zz yz xz xy"},
}


def read_json(path: Path) -> dict[str, Any] | None:
    """Return the content of a file of `write_json`, None for other files.

    Raises
    ------
    UnusableFile
        If the path is not a regular file, or the file is too large.
    """
    try:
        content = _read(path)
        return dict(content) if content["format_version"] == _FORMAT_VERSION else None
    except UnusableFile:
        raise
    except (*UNREADABLE, *INVALID_CONTENT):
        return None


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a file with version and units atomically."""
    text = json.dumps({**_HEAD, **content}, indent=1)
    with replacing(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def _read(path: Path) -> Any:
    with open_text(path, _LARGEST) as file:
        text = file.read()
    level = 0
    for match in _BRACKETS.finditer(text):
        level += {"[": 1, "{": 1, "]": -1, "}": -1}.get(match.group(), 0)
        if level > _MOST_LEVELS:
            raise ValueError("nested too deeply")
    return json.loads(text)

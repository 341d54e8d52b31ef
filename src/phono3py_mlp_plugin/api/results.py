"""What the results of all functions have in common: text, tables and plain numbers."""

from __future__ import annotations

import dataclasses
import html
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Row = Sequence[str]


class Result:
    """A result that is shown as text in terminals and as a table in notebooks.

    Derived classes say what is shown.
    """

    def to_dict(self) -> dict[str, Any]:
        """Return all numbers as plain types, which can be written as JSON.

        Arrays are nested lists. Numbers that are infinite or undefined are None.
        """
        raise NotImplementedError

    def _title(self) -> str:
        """Return one line that says what the result is."""
        raise NotImplementedError

    def _table(self) -> Sequence[Row]:
        """Return the header and the rows of a table."""
        return ()

    def _notes(self) -> Sequence[str]:
        """Return sentences that follow the table."""
        return ()

    def __repr__(self) -> str:
        return "\n".join([self._title(), *_aligned(self._table()), *self._notes()])

    def _repr_html_(self) -> str:
        """Return the table of a notebook."""
        parts = [f"<p><b>{html.escape(self._title())}</b></p>"]
        table = list(self._table())
        if table:
            parts.append(_html_table(table))
        parts += [f"<p>{html.escape(note)}</p>" for note in self._notes()]
        return "\n".join(parts)


def plain(value: Any) -> Any:
    """Return a value with plain types, as JSON has them.

    Examples
    --------
    >>> plain({300.0: np.array([1.0, np.inf]), "mesh": (1, 2)})
    {'300.0': [1.0, None], 'mesh': [1, 2]}
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        return {f.name: plain(getattr(value, f.name)) for f in fields}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Path):
        return str(value)
    return value


def _aligned(rows: Sequence[Row]) -> list[str]:
    """Return the lines of a table; the first column is text, the others are numbers."""
    if not rows:
        return []
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  "
        + "  ".join(
            cell.ljust(width) if k == 0 else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _html_table(rows: Sequence[Row]) -> str:
    head, *body = rows

    def line(row: Row, tag: str) -> str:
        cells = "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in row)
        return f"<tr>{cells}</tr>"

    lines = [line(head, "th"), *(line(row, "td") for row in body)]
    return "<table>\n" + "\n".join(lines) + "\n</table>"

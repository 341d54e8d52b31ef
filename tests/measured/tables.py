"""Tables of the documentation that tests write and compare.

A test measures a row. With ``--write-tables`` the row replaces that in the file,
without it the two are compared. Rows that an environment cannot measure are kept.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs" / "tables"
HEAD = "<!-- Written by 'make tables' -->"
UNMEASURED = "not measured"


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes
    ----------
    name : str
    factor : float
        Numbers agree if their ratio is at most this; 1 for words, which are the same,
        and infinity for what differs between machines, such as versions.
    floor : float
        Numbers below this agree with each other.
    """

    name: str
    factor: float = 1.0
    floor: float = 0.0

    def agrees(self, one: str, other: str) -> bool:
        """Return whether two cells are the same result."""
        if one == other or math.isinf(self.factor):
            return True
        if self.factor == 1.0:
            return False
        try:
            low, high = sorted(max(abs(float(x)), self.floor) for x in (one, other))
        except ValueError:
            return False
        return high <= self.factor * low


@dataclass(frozen=True)
class Table:
    """A table whose first columns name its rows.

    Attributes
    ----------
    name : str
        Of its file.
    columns : tuple of Column
    rows : tuple of tuple of str
        First cells of all rows, in their order.
    """

    name: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]

    @property
    def path(self) -> Path:
        """The file."""
        return DOCS / f"{self.name}.md"

    def read(self) -> dict[tuple[str, ...], list[str]]:
        """Return the cells of the rows in the file by their first cells."""
        if not self.path.exists():
            return {}
        lines = [x for x in self.path.read_text().splitlines() if x.startswith("|")]
        rows = [[cell.strip() for cell in x.strip("|").split("|")] for x in lines]
        n = len(self.rows[0])
        return {tuple(row[:n]): row for row in rows[2:]}

    def fill(self) -> None:
        """Write rows that were not measured yet as such."""
        n = len(self.rows[0])
        for key in self.rows:
            if key not in self.read():
                self.write([*key, *[UNMEASURED] * (len(self.columns) - n)])

    def header(self) -> list[str]:
        """Return the first lines of the file."""
        names = " | ".join(column.name for column in self.columns)
        return [HEAD, "", f"| {names} |", "|" + "---|" * len(self.columns)]

    def write(self, cells: Sequence[str]) -> None:
        """Write or replace a row."""
        n = len(self.rows[0])
        found = self.read() | {tuple(cells[:n]): list(cells)}
        lines = [f"| {' | '.join(found[key])} |" for key in self.rows if key in found]
        self.path.parent.mkdir(exist_ok=True)
        self.path.write_text("\n".join([*self.header(), *lines, ""]))

    def check(self, cells: Sequence[str]) -> None:
        """Compare a row that was measured with that of the file."""
        known = self.read()[tuple(cells[: len(self.rows[0])])]
        if UNMEASURED in known:
            pytest.skip(f"{' '.join(cells[:2])}: not in {self.path.name} yet")
        for column, one, other in zip(self.columns, cells, known, strict=True):
            assert column.agrees(one, other), (
                f"{' '.join(cells[:2])}: {column.name} = {one}, in {self.path.name} "
                f"{other}. Write it anew by 'make tables', or find what has changed."
            )

    def check_rows(self) -> None:
        """The file has the rows and columns of the code."""
        assert list(self.read()) == list(self.rows)
        assert self.path.read_text().splitlines()[:4] == self.header()


def small(value: float, least: float = 1e-12) -> str:
    """Return a difference as text; what is below the least is rounding."""
    assert value == value
    return f"below {least:.0e}" if value < least else f"{value:.1e}"

"""What a test does with the row that it has measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from filelock import FileLock

from measured.tables import Table


@pytest.fixture
def take(request: pytest.FixtureRequest) -> Callable[[Table, Sequence[str]], None]:
    """Compare a row with the table in the documentation, or write it there."""

    def take_row(table: Table, cells: Sequence[str]) -> None:
        if request.config.getoption("--write-tables"):
            with FileLock(f"{table.path}.lock"):
                table.write(cells)
        table.check(cells)

    return take_row

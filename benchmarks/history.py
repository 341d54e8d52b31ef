"""Keep and show how many times faster the package was than its alternative.

    python benchmarks/history.py [NAME ...]

Each benchmark adds one entry to ``benchmarks/results/history.json`` for each ratio that
it measures: the time of the alternative divided by that of this package, both in the
same run on real data, with date, version, processor and number of cores. Entries are
never changed. Printed are those of the named benchmarks, by default of all.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

HISTORY = Path(__file__).resolve().parent / "results" / "history.json"
PACKAGE = "phono3py-mlp-plugin"


@dataclass(frozen=True)
class Entry:
    """One ratio that was measured."""

    name: str
    against: str
    ratio: float
    date: str
    version: str
    processor: str
    vectors: str
    cores: int

    @classmethod
    def of(
        cls, name: str, against: str, ratio: float, machine: Mapping[str, Any]
    ) -> Entry:
        """Return an entry with what `engine.machine` tells of a machine."""
        return cls(
            name=name,
            against=f"{against} {machine['versions'].get(against, '')}".strip(),
            ratio=round(ratio, 3),
            date=machine["date"],
            version=machine["versions"][PACKAGE],
            processor=machine["processor"],
            vectors=machine.get("vectors", ""),
            cores=machine["cores"],
        )


def read(path: Path = HISTORY) -> list[Entry]:
    """Return all entries, the oldest first."""
    if not path.is_file():
        return []
    return [Entry(**entry) for entry in json.loads(path.read_text(encoding="utf-8"))]


def add(entry: Entry, path: Path = HISTORY) -> None:
    """Append an entry, unless it is there already."""
    entries = read(path)
    if entry in entries:
        return
    lines = ",\n".join(json.dumps(asdict(each)) for each in [*entries, entry])
    temporary = path.with_suffix(".part")
    temporary.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    temporary.replace(path)


def table(entries: Sequence[Entry]) -> list[str]:
    """Return the lines of a table, a benchmark after the other, each by date."""
    rows = [("benchmark", "against", "times faster", "date", "version", "processor")]
    for entry in sorted(entries, key=lambda e: (e.name, e.date)):
        machine = f"{entry.processor}, {entry.cores} cores {entry.vectors}".rstrip()
        rows.append(
            (
                *(entry.name, entry.against, f"{entry.ratio:.1f}"),
                *(entry.date, entry.version, machine),
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in rows
    ]


def main(arguments: Sequence[str] | None = None, path: Path = HISTORY) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME")
    names = parser.parse_args(arguments).names
    entries = read(path)
    known = {entry.name for entry in entries}
    if unknown := sorted(set(names) - known):
        raise SystemExit(
            f"ERROR: {path.name}: no entry of {', '.join(unknown)}; expected "
            f"{', '.join(sorted(known))}."
        )
    for line in table([e for e in entries if not names or e.name in names]):
        print(line)


if __name__ == "__main__":
    main()

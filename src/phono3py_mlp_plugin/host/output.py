"""What the host's commands show of our steps: lines, tables, progress."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

from phono3py_mlp_plugin.contracts import Progress, no_progress
from phono3py_mlp_plugin.files import Provenance

# Plain lines of progress come no more often than this (seconds).
_INTERVAL = 5.0


def progress(log_level: int) -> Progress:
    """Return a bar for a terminal, lines for a pipe, nothing for a quiet run."""
    if not log_level:
        return no_progress
    return _bar if sys.stdout.isatty() else _lines


@contextlib.contextmanager
def _bar(task: str, total: int | None) -> Iterator[Callable[[int], None]]:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    sys.stdout.flush()
    with Progress(*columns, transient=True) as bar:
        identifier = bar.add_task(task, total=total)
        yield lambda done: bar.advance(identifier, done)


@contextlib.contextmanager
def _lines(task: str, total: int | None) -> Iterator[Callable[[int], None]]:
    count = 0
    start = last = time.monotonic()
    out_of = "" if total is None else f"/{total}"

    def advance(done: int) -> None:
        nonlocal count, last
        count += done
        now = time.monotonic()
        if now - last >= _INTERVAL:
            last = now
            # stderr-like immediacy without leaving the log that is piped to a file
            print(
                f"  {task}: {count}{out_of} ({now - start:.0f} s)",
                file=_stdout,
                flush=True,
            )

    # A plugin's training may redirect sys.stdout meanwhile; the log is the first one.
    _stdout = sys.stdout
    yield advance


def error_table(provenance: Provenance) -> list[str]:
    """Return the lines of the error table of a potential."""
    rows = [
        f"{'':10}{'supercells':>12}{'energy (meV/atom)':>20}{'force (eV/angstrom)':>22}"
    ]
    sizes = {"training": provenance.n_training, "test": provenance.n_test}
    for name, rmse in provenance.rmse.items():
        energy = rmse["energy"]
        shown = "-" if energy is None else f"{1000 * energy:.5f}"
        rows.append(f"{name:10}{sizes[name]:>12}{shown:>20}{rmse['force']:>22.6f}")
    return ["Root-mean-square errors:", *("  " + row for row in rows)]


def ridge_lines(provenance: Provenance) -> list[str]:
    """Return the lines that tell which ridge penalties were tried."""
    if not provenance.penalties:
        return []
    lines = ["Ridge penalties (weighted RMSE of training and test set):"]
    for penalty in provenance.penalties:
        alpha = penalty["alpha"]
        if penalty["rmse_test"] is None:
            result = "failed (X^T X + alpha I is singular)"
        else:
            result = f"{penalty['rmse_training']:.6f} {penalty['rmse_test']:.6f}"
        chosen = "  <- chosen" if alpha == provenance.alpha else ""
        lines.append(f"  alpha = {alpha:.3e}: {result}{chosen}")
    return lines


def show(lines: list[str], log_level: int) -> None:
    """Print lines unless the run is quiet."""
    if log_level:
        print("\n".join(lines), flush=True)

"""Output of the commands: lines, tables, progress."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from phono3py_mlp_plugin.contracts import Dataset, Progress, no_progress
from phono3py_mlp_plugin.files import Provenance, other_parts, potential_files
from phono3py_mlp_plugin.wording import counted, decimals, duration
from phono3py_mlp_plugin.workflow import (
    HEALTH_FILE,
    CalculatorSpec,
    ObtainedPotential,
    PotentialHealth,
    PotentialPlan,
    Split,
    engine_of,
    penalty_note,
    smallest_penalty,
    unused_parameters,
)

# eV/angstrom^3 in GPa.
_GPA = 160.2176634

# Minimum time between two lines of progress (seconds).
_INTERVAL = 5.0


def progress(log_level: int) -> Progress:
    """Return a progress bar for a terminal, progress lines otherwise."""
    if not log_level:
        return no_progress
    return _Bars() if sys.stdout.isatty() else _lines


class _Bars:
    """Progress bars; one of a step within another is a line of the same display."""

    def __init__(self) -> None:
        self._display: Any = None

    @contextlib.contextmanager
    def __call__(self, task: str, total: int | None) -> Iterator[Callable[[int], None]]:
        if self._display is None:
            sys.stdout.flush()
            with _display() as self._display:
                try:
                    with self(task, total) as advance:
                        yield advance
                finally:
                    self._display = None
            return
        display = self._display
        identifier = display.add_task(task, total=total)
        try:
            yield lambda done: display.advance(identifier, done)
        finally:
            display.remove_task(identifier)


def _display() -> Any:
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
    return Progress(*columns, transient=True)


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
            # Flush, so that the line appears at once if the log is piped to a file.
            print(
                f"  {task}: {count}{out_of} ({now - start:.0f} s)",
                file=_stdout,
                flush=True,
            )

    # A plugin may redirect sys.stdout during the training; keep the original one.
    _stdout = sys.stdout
    if total is None:
        print(f"  {task}...", file=_stdout, flush=True)
    yield advance


def error_table(provenance: Provenance) -> list[str]:
    """Return the lines of the error table of a potential."""
    rows = [
        f"{'':10}{'supercells':>12}{'energy (meV/atom)':>20}{'force (eV/angstrom)':>22}"
    ]
    sizes = {
        "training": provenance.n_training,
        "test": provenance.n_test,
        "structures": provenance.n_structures,
    }
    for name, rmse in provenance.rmse.items():
        energy = rmse["energy"]
        shown = "-" if energy is None else decimals(1000 * energy, 5)
        assert rmse["force"] is not None
        force = decimals(rmse["force"], 6)
        rows.append(f"{name:10}{sizes[name]:>12}{shown:>20}{force:>22}")
    lines = ["Root-mean-square errors:", *("  " + row for row in rows)]
    stress = provenance.rmse.get("structures", {}).get("stress")
    if stress is not None:
        lines.append(f"  stress of structures: {stress * _GPA:.4f} GPa")
    return lines


def ridge_lines(provenance: Provenance) -> list[str]:
    """Return the lines about the ridge penalties that were tried."""
    if not provenance.penalties:
        return []
    lines = ["Ridge penalties (weighted RMSE of training and test set):"]
    for penalty in provenance.penalties:
        alpha = penalty["alpha"]
        training, test = penalty["rmse_training"], penalty["rmse_test"]
        if training is None or test is None:
            result = "failed (X^T X + alpha I is singular)"
        else:
            result = f"{decimals(training, 6)} {decimals(test, 6)}"
        chosen = "  <- chosen" if alpha == provenance.alpha else ""
        lines.append(f"  alpha = {alpha:.3e}: {result}{chosen}")
    note = penalty_note(provenance.alpha, smallest_penalty(provenance.ridge_path()))
    return lines if note is None else [*lines, f"Note: {note}"]


def plan_lines(
    plan: PotentialPlan, spec: CalculatorSpec, dataset: Dataset | None
) -> list[str]:
    """Return the lines to print before a potential is trained or read."""
    lines = [f"Note: {note}" for note in plan.notes]
    if plan.reason:
        lines.append(plan.reason)
    if plan.split is None:
        unused = [] if plan.reason else unused_parameters(spec)
        if unused:
            lines.append(
                f"Nothing is trained: {', '.join(unused)} given, and not used."
            )
        return lines
    assert dataset is not None
    if dataset.energies is None:
        lines.append("Note: the dataset has no energies: trained on forces alone.")
    parameters = dataclasses.asdict(spec.options)
    return [
        *lines,
        "Parameters:",
        *(f"  {name}: {value}" for name, value in parameters.items()),
        _split_line(dataset, plan.split),
    ]


def potential_lines(
    plan: PotentialPlan, obtained: ObtainedPotential, dataset: Dataset | None
) -> list[str]:
    """Return the lines to print after a potential was trained or read."""
    lines = []
    if not plan.trains and plan.path is not None and not plan.reason:
        lines += _reading_lines(plan.path)
    if obtained.backup is not None:
        lines.append(f'The old potential is kept as "{obtained.backup}".')
    engine = engine_of(obtained.potential)
    if engine:
        lines.append(f"Engine: {engine}.")
    if obtained.provenance is not None:
        lines += ridge_lines(obtained.provenance) + error_table(obtained.provenance)
    if obtained.difference is not None:
        assert dataset is not None
        lines.append(
            "Nothing is trained in this run. Forces differ from those of the dataset "
            f"({counted(len(dataset), 'supercell')}) by "
            f"{decimals(obtained.difference, 6)} eV/angstrom (rms)."
        )
    if obtained.fit is not None and not obtained.fit.passed:
        lines.append(str(obtained.fit))
    if plan.trains:
        lines.append(f'The potential was written into "{plan.path}".')
    return lines


def health_lines(health: PotentialHealth, known: bool) -> list[str]:
    """Return the lines about the examination of a potential.

    Parameters
    ----------
    health : PotentialHealth
    known : bool
        Whether it was read from a file.
    """
    source = (
        f"as examined before, {HEALTH_FILE}"
        if known
        else f"examined in {duration(health.seconds)}"
    )
    return [
        f"Potential ({source}):",
        *(f"  {check}" for check in health.checks()),
    ]


def noise_lines(
    health: PotentialHealth, amplitude: float, *, systematic: bool
) -> list[str]:
    """Return the lines about noise at the displacements of a run (angstrom)."""
    checks = health.amplitude_checks(amplitude, systematic=systematic)
    return [f"  {check}" for check in checks]


def _split_line(dataset: Dataset, split: Split) -> str:
    training, test = (
        (f"{split}", "the rest") if split.shuffled else ("the first", "the last")
    )
    return (
        f"Training on {counted(len(split.training), 'supercell')} ({training}), "
        f"testing on {len(split.test)} ({test}) of {len(dataset)}..."
    )


def _reading_lines(path: Path) -> list[str]:
    """Return the lines about the files read, and about unused files beside them."""
    parts = " + ".join(f'"{part}"' for part in potential_files(path))
    remark = " (this format is obsolete)" if ".pmlp" in path.name else ""
    if not path.is_file():
        remark += ", the parts of a hybrid model"
    lines = [f"The potential was read from {parts}{remark}."]
    others = ", ".join(part.name for part in other_parts(path))
    if others:
        verb = "is" if "," not in others else "are"
        lines.append(
            f"Note: {others} {verb} not used. If they are parts of one hybrid "
            f"model, give --mlp-file {path.with_suffix('')} to use all."
        )
    return lines


def show(lines: list[str], log_level: int) -> None:
    """Print lines unless the run is quiet."""
    if log_level and lines:
        print("\n".join(lines), flush=True)

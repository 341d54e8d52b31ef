"""Kappa of many crystals of a list, and one table of it."""

from __future__ import annotations

import csv
import io
import os
import shlex
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from phono3py_mlp_plugin import workflow
from phono3py_mlp_plugin.api.results import Result, Row, plain
from phono3py_mlp_plugin.contracts import Progress, no_progress
from phono3py_mlp_plugin.errors import (
    DatasetError,
    FolderInUse,
    ParameterError,
    one_line,
)
from phono3py_mlp_plugin.files import (
    FolderLock,
    PlainLoader,
    open_text,
    read_json,
    write_json,
    write_whole,
)
from phono3py_mlp_plugin.option_text import option_loader
from phono3py_mlp_plugin.programs import program
from phono3py_mlp_plugin.threads import default_threads
from phono3py_mlp_plugin.wording import duration
from phono3py_mlp_plugin.workflow import CampaignTask, CrystalResult

LOG = "run.log"
"""Output of the commands, in the folder of each crystal."""

# Held by the run that starts the commands; these lock their folder themselves.
_LOCK = ".phono3py-mlp-campaign.lock"

_REPORT = "phono3py_mlp_report.html"
_TABLES = (".html", ".csv", ".json")
_HEADER = (
    "crystal",
    "formula",
    "status",
    "T (K)",
    "kappa xx, yy, zz (W/m-K)",
    "+- (68 %)",
    "to check",
    "time (s)",
)


@dataclass(frozen=True, eq=False, repr=False)
class Campaign(Result):
    """Kappa of the crystals of a list.

    Attributes
    ----------
    file : Path
        The list.
    crystals : tuple of CrystalResult
        In the order of the list.
    """

    file: Path
    crystals: tuple[CrystalResult, ...]

    @property
    def page(self) -> Path:
        """The page that leads to the reports of all crystals."""
        return self.file.with_suffix(".html")

    @property
    def done(self) -> int:
        """Number of crystals that are computed."""
        return sum(one.status == "done" for one in self.crystals)

    @property
    def failed(self) -> list[str]:
        """Names of crystals whose commands failed."""
        return [one.name for one in self.crystals if one.status == "failed"]

    def to_dict(self) -> dict[str, Any]:
        """Return the results of all crystals, as in the file of JSON."""
        return {"crystals": [plain(one) for one in self.crystals]}

    def save(self) -> None:
        """Write the tables beside the list: .html, .csv and .json."""
        from phono3py_mlp_plugin.reports import Link, make_index

        rows = [_row(one) for one in self.crystals]
        folder = self.file.parent
        page = make_index(
            f"Kappa of {self.file.stem}",
            [f"{self._title()}."],
            [_HEADER, *(_linked(row, folder, Link) for row in rows)],
        )
        text = io.StringIO()
        csv.writer(text).writerows([_HEADER, *rows])
        # The file of JSON comes first: it tells that the others are those of a list.
        write_json(self.file.with_suffix(".json"), self.to_dict())
        write_whole(
            {
                self.page: page,
                self.file.with_suffix(".csv"): text.getvalue().encode(),
            }
        )

    def _title(self) -> str:
        return f"{self.done} of {len(self.crystals)} crystals are computed"

    def _table(self) -> Sequence[Row]:
        return [_HEADER, *map(_row, self.crystals)]

    def _notes(self) -> Sequence[str]:
        return [f"The page is {self.page}."]


def campaign(
    file: str | Path, *, jobs: int = 1, progress: Progress = no_progress
) -> Campaign:
    """Compute kappa of all crystals of a list by the commands of the documentation.

    Each is computed in a folder of its name beside the list. Crystals that are finished
    are not computed again. A crystal that fails does not stop the others.

    Parameters
    ----------
    file : str or Path
        The list, as of ``phono3py-mlp campaign``.
    jobs : int, optional
        Number of crystals at a time, which share the cores.
    progress : Progress, optional
        Reports the progress.

    Returns
    -------
    Campaign
        What each crystal gave. The tables are written beside the list.

    Raises
    ------
    DatasetError, ParameterError
        If the list is not understood, or a file that it names is missing.
    """
    if file is None:
        raise ParameterError("file = None; expected the name of a list. Give one.")
    workflow.check_arguments(file=file, jobs=jobs, progress=progress)
    runs = CampaignRuns(Path(file), jobs)
    with progress("Crystals", len(runs.tasks)) as advance:
        runs.run(range(len(runs.tasks)), done=lambda: advance(1))
    result = runs.result()
    result.save()
    return result


def _show_nothing(line: str) -> None:
    """Drop a line."""


def _read(path: Path) -> list[CampaignTask]:
    if path.is_dir():
        raise DatasetError(f'"{path}" is a folder; expected a list. Name its file.')
    if not path.is_file():
        raise DatasetError(f'"{path}" is not found. Check the name.')
    if path.suffix.lower() in _TABLES:
        raise ParameterError(
            f'"{path}": expected a list whose name does not end in {path.suffix}, as '
            "that of a table which is written. Rename it to .yaml."
        )
    try:
        with open_text(path) as file:
            content = yaml.load(file, Loader=option_loader(PlainLoader))  # noqa: S506
    except yaml.YAMLError as error:
        problem = " ".join(str(error).split())
        raise DatasetError(f"{path}: not YAML ({problem}).") from error
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path}: not text ({one_line(error)}).") from error
    return workflow.read_tasks(content, path.absolute().parent, str(path))


def _check_tables(path: Path) -> None:
    """Raise if a table would replace a file that is none."""
    found = [table for s in _TABLES if (table := path.with_suffix(s)).exists()]
    content = read_json(path.with_suffix(".json")) if found else None
    if found and "crystals" not in (content or {}):
        raise DatasetError(
            f'"{found[0]}": exists and is no table of a campaign, which would replace '
            "it. Move it away, or rename the list."
        )


def _check_names(path: Path, folder: Path, tasks: Sequence[CampaignTask]) -> None:
    """Raise if there cannot be a folder of the name of a crystal."""
    tables = [path.with_suffix(suffix).name for suffix in _TABLES]
    for task in tasks:
        place = folder / task.name
        if task.name in tables or (place.exists() and not place.is_dir()):
            raise ParameterError(
                f"{path}: crystal {task.name!r}; expected the name of a folder, and it "
                "is that of a file. Give the crystal another name."
            )


class CampaignRuns:
    """Runs of the commands of the crystals of a list, several at a time.

    Parameters
    ----------
    path : Path
        The list.
    jobs : int
    show : callable
        Shows a line on a crystal.

    Attributes
    ----------
    tasks : list of CampaignTask

    Raises
    ------
    DatasetError, ParameterError
        If the list is not understood.
    """

    def __init__(
        self, path: Path, jobs: int, show: Callable[[str], None] = _show_nothing
    ) -> None:
        if jobs < 1:
            raise ParameterError(f"jobs = {jobs}; expected 1 or more. Give another.")
        self._path = path
        self._folder = path.absolute().parent
        self.tasks = _read(path)
        _check_tables(path)
        _check_names(path, self._folder, self.tasks)
        self._jobs = jobs
        self._print = show
        self._processes: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def run(
        self, numbers: Sequence[int], done: Callable[[], None] = lambda: None
    ) -> list[str]:
        """Compute crystals; return the names of those that failed.

        Parameters
        ----------
        numbers : sequence of int
            Positions of the crystals in the list.
        done : callable
            Called when a crystal is done.
        """
        pool = ThreadPoolExecutor(self._jobs)
        try:
            results = []
            for result in pool.map(self._one, numbers):
                results.append(result)
                done()
        except BaseException:
            with self._lock:
                self._stopped = True
                running = list(self._processes)
            for process in running:
                process.terminate()
            raise
        finally:
            pool.shutdown(cancel_futures=True)
        return [result.name for result in results if result.status != "done"]

    def result(self) -> Campaign:
        """Return what all crystals have given so far."""
        found = [
            workflow.read_result(task, self._folder / task.name) for task in self.tasks
        ]
        return Campaign(self._path, tuple(found))

    def _one(self, number: int) -> CrystalResult:
        task = self.tasks[number]
        folder = self._folder / task.name
        head = f"[{number + 1}/{len(self.tasks)}] {task.name}"
        if workflow.is_finished(task, folder):
            self._show(f"{head}: computed before")
            return workflow.read_result(task, folder)
        folder.mkdir(exist_ok=True)
        try:
            lock = FolderLock(folder, name=_LOCK)
        except FolderInUse as error:
            # Its files are those of the other run, which are left as they are.
            self._show(f"{head}: failed: {error}")
            return CrystalResult(task.name, "failed", error=str(error))
        try:
            return self._compute(task, folder, head)
        finally:
            lock.release()

    def _compute(self, task: CampaignTask, folder: Path, head: str) -> CrystalResult:
        """Run the commands of a crystal and keep what they gave."""
        self._show(f"{head}: started")
        start = time.monotonic()
        error = self._run_commands(task, folder)
        seconds = time.monotonic() - start
        if error is None:
            result = workflow.result_of_report(task, folder, seconds)
        else:
            result = CrystalResult(task.name, "failed", seconds, error)
        if not self._stopped:
            workflow.write_result(result, task, folder)
            self._show(f"{head}: {_described(result)}")
        return result

    def _run_commands(self, task: CampaignTask, folder: Path) -> str | None:
        """Run the commands of a crystal; return the error of the one that failed."""
        environment = {**os.environ}
        # Crystals share the cores, unless the user has divided them.
        share = str(max(1, default_threads() // self._jobs))
        for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
            environment.setdefault(name, share)
        with (folder / LOG).open("wb") as log:
            for command in task.commands:
                log.write(f"$ {shlex.join(command)}\n".encode())
                log.flush()
                with self._lock:
                    if self._stopped:
                        return "stopped"
                    process = subprocess.Popen(
                        [*program(command[0]), *command[1:]],
                        cwd=folder,
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=subprocess.STDOUT,
                        env=environment,
                    )
                    self._processes.add(process)
                code = process.wait()
                with self._lock:
                    self._processes.discard(process)
                if code != 0:
                    return _last_error(folder / LOG, code)
        return None

    def _show(self, line: str) -> None:
        with self._lock:
            self._print(line)


def _last_error(log: Path, code: int) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    errors = [line for line in lines if line.startswith("ERROR:")]
    if not errors:
        return f"exit code {code}"
    return errors[-1].removeprefix("ERROR:").strip()


def _described(result: CrystalResult) -> str:
    if result.status != "done":
        return f"failed: {result.error}"
    line = f"kappa = {_values(result.kappa)} W/m-K at {result.temperature:g} K"
    if result.errors:
        line += f", +- {_values(result.errors)}"
    if result.to_check:
        line += f", {result.to_check} to check"
    return f"{line} ({duration(result.seconds)})"


def _values(values: Sequence[float]) -> str:
    return ", ".join(f"{value:#.4g}".removesuffix(".") for value in values)


def _row(result: CrystalResult) -> tuple[str, ...]:
    return (
        result.name,
        result.formula,
        f"{result.status}: {result.error}" if result.error else result.status,
        "" if result.temperature is None else f"{result.temperature:g}",
        _values(result.kappa),
        _values(result.errors),
        str(result.to_check) if result.status == "done" else "",
        f"{result.seconds:.0f}" if result.seconds else "",
    )


def _linked(row: tuple[str, ...], folder: Path, link: Any) -> tuple[Any, ...]:
    """Return a row whose first cell leads to the report, or to the log."""
    name, *others = row
    for file in (_REPORT, LOG):
        if (folder / name / file).is_file():
            return (link(name, f"{name}/{file}"), *others)
    return row

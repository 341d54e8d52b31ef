"""``phono3py-mlp campaign``: kappa of many crystals, one table."""

from __future__ import annotations

import argparse
import csv
import io
import os
import shlex
import subprocess
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

from phono3py_mlp_plugin.cli.parser import example
from phono3py_mlp_plugin.cli.programs import program
from phono3py_mlp_plugin.errors import DatasetError, ParameterError
from phono3py_mlp_plugin.files import (
    PlainLoader,
    open_text,
    replacing,
    write_json,
)
from phono3py_mlp_plugin.option_text import option_loader
from phono3py_mlp_plugin.parallel import Part
from phono3py_mlp_plugin.threads import default_threads
from phono3py_mlp_plugin.wording import duration
from phono3py_mlp_plugin.workflow import (
    Result,
    Task,
    is_finished,
    read_result,
    read_tasks,
    result_of_report,
    write_result,
)

_LOG = "run.log"
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


def add_campaign(commands: Any) -> None:
    """Add ``campaign`` to the commands."""
    parser = commands.add_parser(
        "campaign",
        help="kappa of many crystals, in one table",
        description="Compute kappa of all crystals of a list, each in a folder of its "
        "name by the commands of the documentation. Finished crystals are not computed "
        "again. The results are in a page (.html) that leads to the reports, and in "
        "the files .csv and .json of the name of the list.",
        epilog=example(
            "phono3py-mlp campaign salts.yaml --jobs 4",
            "",
            "salts.yaml:",
            "  options: {mesh: 19 19 19, ts: 300}",
            "  crystals:",
            "    NaCl: {dataset: nacl/phono3py_params.yaml}",
            "    KCl: {cell: KCl.vasp, dim: 2 2 2, force-calculator: mace}",
        ),
    )
    parser.add_argument("list", metavar="LIST.yaml", type=Path, help="the crystals")
    parser.add_argument(
        "--jobs",
        type=int,
        default=1,
        metavar="N",
        help="number of crystals at a time, which share the cores (default: 1)",
    )
    parser.add_argument(
        "--part",
        metavar="i/N",
        help="every N-th crystal, from the i-th on, for job arrays",
    )
    parser.set_defaults(run=_campaign)


def _campaign(args: argparse.Namespace) -> int:
    tasks = _read(args.list)
    part = Part.parse("1/1" if args.part is None else args.part)
    if args.jobs < 1:
        raise ParameterError(f"--jobs = {args.jobs}; expected 1 or more.")
    folder = args.list.absolute().parent
    _check_names(args.list, folder, tasks)
    runs = _Runs(folder, tasks, args.jobs)
    failed = runs.run([k for k in range(len(tasks)) if part.has(k)])
    _write_tables(args.list, folder, tasks)
    if failed:
        raise DatasetError(
            f"{args.list}: {len(failed)} of {len(tasks)} crystals failed: "
            f"{', '.join(failed)}. Their {_LOG} tells why. The same command tries "
            "again."
        )
    return 0


def _read(path: Path) -> list[Task]:
    try:
        with open_text(path) as file:
            content = yaml.load(file, Loader=option_loader(PlainLoader))  # noqa: S506
    except yaml.YAMLError as error:
        problem = " ".join(str(error).split())
        raise DatasetError(f"{path}: not YAML ({problem}).") from error
    return read_tasks(content, path.absolute().parent, str(path))


def _check_names(path: Path, folder: Path, tasks: Sequence[Task]) -> None:
    """Raise if there cannot be a folder of the name of a crystal."""
    tables = [path.with_suffix(suffix).name for suffix in _TABLES]
    for task in tasks:
        place = folder / task.name
        if task.name in tables or (place.exists() and not place.is_dir()):
            raise ParameterError(
                f"{path}: crystal {task.name!r}; expected the name of a folder, and it "
                "is that of a file. Give the crystal another name."
            )


class _Runs:
    """Runs of the commands of crystals, several at a time.

    Parameters
    ----------
    folder : Path
    tasks : list of Task
    jobs : int
    """

    def __init__(self, folder: Path, tasks: Sequence[Task], jobs: int) -> None:
        self._folder = folder
        self._tasks = tasks
        self._jobs = jobs
        self._processes: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def run(self, numbers: Sequence[int]) -> list[str]:
        """Compute crystals; return the names of those that failed."""
        pool = ThreadPoolExecutor(self._jobs)
        try:
            results = list(pool.map(self._one, numbers))
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

    def _one(self, number: int) -> Result:
        task = self._tasks[number]
        folder = self._folder / task.name
        head = f"[{number + 1}/{len(self._tasks)}] {task.name}"
        if is_finished(task, folder):
            self._show(f"{head}: computed before")
            return read_result(task, folder)
        folder.mkdir(exist_ok=True)
        self._show(f"{head}: started")
        start = time.monotonic()
        error = self._run_commands(task, folder)
        seconds = time.monotonic() - start
        if error is None:
            result = result_of_report(task, folder, seconds)
        else:
            result = Result(task.name, "failed", seconds, error)
        if not self._stopped:
            write_result(result, task, folder)
            self._show(f"{head}: {_described(result)}")
        return result

    def _run_commands(self, task: Task, folder: Path) -> str | None:
        """Run the commands of a crystal; return the error of the one that failed."""
        environment = {**os.environ}
        # Crystals share the cores, unless the user has divided them.
        share = str(max(1, default_threads() // self._jobs))
        for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
            environment.setdefault(name, share)
        with (folder / _LOG).open("wb") as log:
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
                    return _last_error(folder / _LOG, code)
        return None

    def _show(self, line: str) -> None:
        with self._lock:
            print(line, flush=True)


def _last_error(log: Path, code: int) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    errors = [line for line in lines if line.startswith("ERROR:")]
    if not errors:
        return f"exit code {code}"
    return errors[-1].removeprefix("ERROR:").strip()


def _described(result: Result) -> str:
    if result.status != "done":
        return f"failed: {result.error}"
    line = f"kappa = {_values(result.kappa)} W/m-K at {result.temperature:g} K"
    if result.errors:
        line += f", +- {_values(result.errors)}"
    if result.to_check:
        line += f", {result.to_check} to check"
    return f"{line} ({duration(result.seconds)})"


def _values(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.4g}" for value in values)


def _write_tables(path: Path, folder: Path, tasks: Sequence[Task]) -> None:
    """Write the page, the CSV file and the JSON file of all crystals."""
    from phono3py_mlp_plugin.reports import Link, make_index

    results = [read_result(task, folder / task.name) for task in tasks]
    rows = [_row(result) for result in results]
    done = sum(result.status == "done" for result in results)
    page = make_index(
        f"Kappa of {path.stem}",
        [f"{done} of {len(results)} crystals are computed."],
        [_HEADER, *(_linked(row, folder, Link) for row in rows)],
    )
    text = io.StringIO()
    csv.writer(text).writerows([_HEADER, *rows])
    with replacing(path.with_suffix(".html")) as temporary:
        temporary.write_bytes(page)
    with replacing(path.with_suffix(".csv")) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8")
    content = {"crystals": [vars(result) for result in results]}
    write_json(path.with_suffix(".json"), content)
    print(f'{done} of {len(results)} crystals: "{path.with_suffix(".html")}"')


def _row(result: Result) -> tuple[str, ...]:
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
    for file in (_REPORT, _LOG):
        if (folder / name / file).is_file():
            return (link(name, f"{name}/{file}"), *others)
    return row

"""Executors: processes of this machine, dask, SLURM and others by executorlib."""

from __future__ import annotations

import inspect
import multiprocessing
import os
import re
import signal
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from phono3py_mlp_plugin.errors import (
    ParameterError,
    PluginNotFound,
    WorkerError,
    did_you_mean,
    one_line,
)
from phono3py_mlp_plugin.files import read_options_file
from phono3py_mlp_plugin.parallel.chunks import (
    Chunk,
    Outcome,
    Stage,
    message,
    run_chunk,
    run_here,
)

_KINDS = "dask=tcp://HOST:PORT, dask=FILE (scheduler file) or slurm=FILE.yaml"

# Chunks that wait in an executor of others, whose number of workers is not known.
_WAITING = 4000

_UNGUARDED = (
    "Or does the script start them when it is imported? Put it below if __name__ == "
    "'__main__'. "
)

# Executors of executorlib by the name in the YAML file.
_EXECUTORLIB = {
    "slurm-cluster": "SlurmClusterExecutor",
    "slurm-job": "SlurmJobExecutor",
    "flux-cluster": "FluxClusterExecutor",
    "flux-job": "FluxJobExecutor",
    "local": "SingleNodeExecutor",
}


class Workers:
    """Where chunks are computed; by default in this process.

    Attributes
    ----------
    n_waiting : int
        Number of chunks that are given away at a time.
    can_restart : bool
        Whether new workers can be started after some were lost.
    are_elsewhere : bool
        Whether anything is sent to them.
    hint : str
        What may have ended them, apart from a lack of memory; a sentence and a space.
    """

    n_waiting = 1
    can_restart = False
    are_elsewhere = False
    hint = ""

    def submit(
        self, stage: Stage, chunk: Chunk, shared_file: Path | None
    ) -> Future[Outcome]:
        """Start a chunk; see `message` for the arguments."""
        del shared_file
        future: Future[Outcome] = Future()
        future.set_result(run_here(stage, chunk))
        return future

    def restart(self) -> None:
        """Start new workers after some were lost."""

    def close(self, *, at_once: bool = False) -> None:
        """End workers that were started; ``at_once`` without waiting for chunks."""


class _ExecutorWorkers(Workers):
    """Workers of an executor that somebody else has made and ends."""

    n_waiting = _WAITING
    are_elsewhere = True

    def __init__(self, executor: Executor, end: Callable[[], object] | None) -> None:
        self._executor = executor
        self._end = end

    def submit(
        self, stage: Stage, chunk: Chunk, shared_file: Path | None
    ) -> Future[Outcome]:
        sent = message(stage, chunk, shared_file, None)
        try:
            with warnings.catch_warnings():
                # dask notes that arguments are large.
                warnings.simplefilter("ignore", UserWarning)
                return self._executor.submit(run_chunk, sent)
        except RuntimeError as error:
            raise WorkerError(
                f"executor: {one_line(error)}; expected one that takes work. Start a "
                "new one, then run the same again."
            ) from error

    def close(self, *, at_once: bool = False) -> None:
        del at_once
        if self._end is not None:
            end, self._end = self._end, None
            end()


class ProcessWorkers(Workers):
    """Processes of this machine, of one thread each.

    Parameters
    ----------
    number : int
    hint : str
        See `Workers`.
    """

    can_restart = True
    are_elsewhere = True

    def __init__(self, number: int, hint: str = "") -> None:
        self._number = number
        self.hint = hint
        # One for each process to work on, and one that is ready for it.
        self.n_waiting = 2 * number
        self._pool: ProcessPoolExecutor | None = None

    def submit(
        self, stage: Stage, chunk: Chunk, shared_file: Path | None
    ) -> Future[Outcome]:
        """Start a chunk, and the processes if they do not run."""
        if self._pool is None:
            self._pool = self._start()
        sent = message(stage, chunk, shared_file, 1)
        return self._pool.submit(run_chunk, sent)

    def _start(self) -> ProcessPoolExecutor:
        # Processes that are forked from this one would lack its threads.
        methods = multiprocessing.get_all_start_methods()
        context: Any = multiprocessing.get_context(
            "forkserver" if "forkserver" in methods else "spawn"
        )
        if hasattr(context, "set_forkserver_preload"):
            # Imported once, so that all workers start at once.
            context.set_forkserver_preload(["phono3py", "phono3py_mlp_plugin.workflow"])
        return ProcessPoolExecutor(
            self._number, mp_context=context, initializer=_start_worker
        )

    def processes(self) -> list[int]:
        """Return the numbers of the running processes."""
        return [process.pid for process in self._running()]

    def _running(self) -> list[Any]:
        # There is no public way to end processes that are busy.
        return list((getattr(self._pool, "_processes", None) or {}).values())

    def restart(self) -> None:
        """End the processes that are left; new ones are started when needed."""
        self.close(at_once=True)

    def close(self, *, at_once: bool = False) -> None:
        """End the processes."""
        if at_once:
            for process in self._running():
                process.kill()
        pool, self._pool = self._pool, None
        if pool is None:
            return
        pool.shutdown(wait=True, cancel_futures=True)


def _start_worker() -> None:
    """Let a worker end with the process that uses it, and not by Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def end_with_parent() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()


def workers_of(executor: Executor | int | None) -> Workers:
    """Return the workers of an executor, of a number of processes, or of none.

    Raises
    ------
    ParameterError
        If it is neither.
    """
    if executor is None:
        return Workers()
    if isinstance(executor, Executor):
        return _ExecutorWorkers(executor, None)
    if isinstance(executor, int) and not isinstance(executor, bool) and executor > 0:
        return ProcessWorkers(executor, _UNGUARDED)
    if callable(getattr(executor, "submit", None)):
        # Those of executorlib and others that are not derived from the class.
        return _ExecutorWorkers(cast("Executor", executor), None)
    raise ParameterError(
        f"executor = {executor!r}; expected a concurrent.futures.Executor or a "
        "positive number of processes."
    )


@dataclass(frozen=True)
class ExecutorSpec:
    """The options ``--jobs`` and ``--executor``.

    Attributes
    ----------
    jobs : int or None
    kind, value : str
        Of ``kind=value``, both empty without ``--executor``.
    """

    jobs: int | None = None
    kind: str = ""
    value: str = ""

    @classmethod
    def parse(cls, jobs: int | None, text: str | None) -> ExecutorSpec:
        """Return the options after checking them, without starting anything.

        Raises
        ------
        ParameterError
            If a value is not possible, or a file is missing.
        PluginNotFound
            If the package is not installed.
        """
        if jobs is not None and jobs < 1:
            raise ParameterError(f"--jobs = {jobs}; expected 1 or more processes.")
        if text is None:
            return cls(jobs)
        if jobs is not None:
            raise ParameterError(
                f"--jobs = {jobs} and --executor = {text}: both say where to compute. "
                "Give one."
            )
        kind, equals, value = text.partition("=")
        if kind not in ("dask", "slurm") or not equals or not value.strip():
            raise ParameterError(
                f"--executor = {text}; expected {_KINDS}."
                f"{did_you_mean(kind, ('dask', 'slurm'))}"
            )
        spec = cls(None, kind, value.strip())
        spec._check(text)
        return spec

    def _check(self, text: str) -> None:
        package = {"dask": "distributed", "slurm": "executorlib"}[self.kind]
        if not _is_installed(package):
            raise PluginNotFound(
                f"--executor = {text}: {package} is not installed. Install it by 'pip "
                f'install "phono3py-mlp-plugin[{self.extra}]"\'.'
            )
        if self.kind == "slurm":
            _executorlib_options(Path(self.value), text)
        elif "://" in self.value:
            if not re.fullmatch(r"\w+://[^\s/]+:\d+/?", self.value):
                raise ParameterError(
                    f"--executor = {text}; expected dask=tcp://HOST:PORT."
                )
        elif not Path(self.value).is_file():
            raise ParameterError(
                f"--executor = {text}: {self.value} is not found; expected the "
                "scheduler file that 'dask scheduler --scheduler-file FILE' writes, or "
                "tcp://HOST:PORT."
            )

    @property
    def extra(self) -> str:
        """Extra of this package with what is needed."""
        return {"dask": "dask", "slurm": "executorlib"}.get(self.kind, "")

    def start(self) -> Workers:
        """Connect to the executor, or prepare processes.

        Raises
        ------
        WorkerError
            If it cannot be reached.
        """
        if self.kind == "dask":
            return _dask(self.value)
        if self.kind == "slurm":
            return _executorlib(Path(self.value))
        # One process of its own would only be slower.
        return Workers() if self.jobs in (None, 1) else ProcessWorkers(int(self.jobs))


def _is_installed(package: str) -> bool:
    import importlib.util

    return importlib.util.find_spec(package) is not None


def _dask(place: str) -> Workers:
    from distributed import Client

    where = f"--executor = dask={place}"
    given = {"address": place} if "://" in place else {"scheduler_file": place}
    try:
        client = Client(**given, timeout="10s", set_as_default=False)
    except (OSError, TimeoutError, ValueError, KeyError) as error:
        raise WorkerError(
            f"{where}: no scheduler answers there ({one_line(error)}); expected a "
            "running one. Start it by 'dask scheduler', and workers by 'dask worker'."
        ) from error
    return _ExecutorWorkers(client.get_executor(), client.close)


def _executorlib_options(path: Path, text: str) -> tuple[str, dict[str, Any]]:
    """Return the class of executorlib and its arguments, from a YAML file.

    Raises
    ------
    ParameterError
        If the file cannot be used.
    """
    import executorlib

    where = f"--executor = {text}"
    options = read_options_file(str(path), where)
    given = {key: str(v) if isinstance(v, str) else v for key, v in options.items()}
    name = str(given.pop("executor", "slurm-cluster"))
    if name not in _EXECUTORLIB:
        raise ParameterError(
            f"{where}: executor = {name}; expected one of {', '.join(_EXECUTORLIB)}."
            f"{did_you_mean(name, _EXECUTORLIB)}"
        )
    known = inspect.signature(getattr(executorlib, _EXECUTORLIB[name])).parameters
    for key in given:
        if key not in known:
            raise ParameterError(
                f"{where}: {key} = {given[key]}; expected an argument of executorlib's "
                f"{_EXECUTORLIB[name]}.{did_you_mean(key, known)}"
            )
    return _EXECUTORLIB[name], given


def _executorlib(path: Path) -> Workers:
    import executorlib

    name, options = _executorlib_options(path, f"slurm={path}")
    try:
        executor = getattr(executorlib, name)(**options)
    except Exception as error:
        raise WorkerError(
            f"--executor = slurm={path}: {name} of executorlib does not start "
            f"({one_line(error)}). Check the file."
        ) from error
    return _ExecutorWorkers(executor, lambda: executor.shutdown(wait=True))

"""Chunks of work, and what a worker does with one.

A chunk is a call of a function of arrays. Its result depends on the arguments alone, so
that it does not matter who computes it, or how often.
"""

from __future__ import annotations

import functools
import hashlib
import os
import pickle
import socket
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

from threadpoolctl import threadpool_limits

from phono3py_mlp_plugin.contracts import FloatArray
from phono3py_mlp_plugin.errors import MLPError, WorkerError, one_line
from phono3py_mlp_plugin.files import fingerprint, versions_of

Arrays: TypeAlias = dict[str, FloatArray]
"""The result of a chunk."""

ChunkFunction: TypeAlias = Callable[[Any, Any], Arrays]
"""``function(shared, arguments)``, a function of a module."""

PACKAGES = (
    "phono3py-mlp-plugin",
    "phono3py",
    "phonopy",
    "symfc",
    "numpy",
    "scipy",
    "numba",
)
"""Distributions that must have the same version at all workers."""

SMALL = 100_000
"""Shared arguments up to this size (bytes) are sent with each chunk."""

# Shared arguments that a worker keeps: those of the current and of earlier stages.
_KEPT = 4


@dataclass(frozen=True, eq=False)
class Chunk:
    """A piece of work of a stage.

    Attributes
    ----------
    label : str
        What it is in messages, such as "supercells 17-32".
    arguments : object
        Second argument of the function of the stage. It is sent to workers.
    content : mapping
        What determines the result, in addition to the content of the stage.
    size : int
        Of the arguments in bytes, if it is large.
    """

    label: str
    arguments: Any
    content: Mapping[str, Any]
    size: int = 0


@dataclass(frozen=True, eq=False)
class Stage:
    """Chunks that one function computes.

    Attributes
    ----------
    name : str
        One word, by which finished chunks are filed.
    function : callable
        ``function(shared, arguments)`` returns arrays of floats.
    shared : object
        First argument of the function, the same for all chunks.
    content : str or None
        Fingerprint of all that determines the results, except what the chunks contain.
        Finished chunks are not kept on disk without it.
    packages : tuple of str
        Further distributions that must have the same version at all workers.
    """

    name: str
    function: ChunkFunction
    shared: Any
    content: str | None = None
    packages: tuple[str, ...] = ()

    @cached_property
    def versions(self) -> dict[str, str]:
        """Versions of all distributions that matter."""
        return versions_of([*PACKAGES, *self.packages])

    @cached_property
    def pickled(self) -> tuple[str, bytes]:
        """Key and pickled form of the shared argument.

        Raises
        ------
        WorkerError
            If it cannot be sent to workers.
        """
        data = pickled(self.shared, self.name)
        return hashlib.sha256(data).hexdigest(), data

    def key(self, chunk: Chunk) -> str | None:
        """Return the name of a chunk by its content, None if it is not known."""
        if self.content is None:
            return None
        return fingerprint(
            {
                "function": f"{self.function.__module__}:{self.function.__qualname__}",
                "stage": self.content,
                "chunk": chunk.content,
                "versions": self.versions,
            }
        )


def pickled(value: Any, what: str) -> bytes:
    """Return the pickled form of what is sent to workers.

    Raises
    ------
    WorkerError
        If it has none.
    """
    try:
        return pickle.dumps(value)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        failure: Exception = error
    try:
        # Executors of other packages install it; it knows functions of scripts.
        import cloudpickle
    except ImportError:
        pass
    else:
        try:
            return bytes(cloudpickle.dumps(value))
        except Exception as error:
            failure = error
    raise WorkerError(
        f"{what}: cannot be sent to workers ({one_line(failure)}). Leave out --jobs "
        "and --executor, or name the potential by --force-calculator, so that workers "
        "load it themselves."
    ) from failure


@dataclass(frozen=True, eq=False)
class Message:
    """A chunk as it is sent to a worker.

    Attributes
    ----------
    versions : dict
        Versions of distributions that the worker must have.
    shared_key : str
    shared : bytes or None
    shared_file : Path or None
        File with it, if it is not sent.
    work : bytes
        Function and arguments.
    n_threads : int or None
        Threads of the worker; None: the number that it was started with, or one.
    sender : tuple
        Machine and process that sends it.
    """

    versions: Mapping[str, str]
    shared_key: str
    shared: bytes | None
    shared_file: Path | None
    work: bytes
    n_threads: int | None
    sender: tuple[str, int]


@dataclass(frozen=True, eq=False)
class Done:
    """A finished chunk."""

    arrays: Arrays


@dataclass(frozen=True, eq=False)
class Failed:
    """A chunk whose function raised an error."""

    error: Exception


@dataclass(frozen=True)
class Needed:
    """The worker cannot read the file of the shared argument."""


@dataclass(frozen=True)
class Refused:
    """The worker cannot be used, and the reason."""

    reason: str


Outcome: TypeAlias = Done | Failed | Needed | Refused


def message(
    stage: Stage, chunk: Chunk, shared_file: Path | None, n_threads: int | None
) -> Message:
    """Return what is sent to a worker.

    Parameters
    ----------
    stage : Stage
    chunk : Chunk
    shared_file : Path or None
        File of the shared argument, which is sent without.
    n_threads : int or None
        See `Message`.
    """
    key, shared = stage.pickled
    work = pickled((stage.function, chunk.arguments), chunk.label)
    return Message(
        stage.versions,
        key,
        shared if shared_file is None else None,
        shared_file,
        work,
        n_threads,
        _this_process(),
    )


@dataclass
class _Process:
    """What a worker process remembers between chunks."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    shared: OrderedDict[str, Any] = field(default_factory=OrderedDict)
    is_limited: bool = False


_process = _Process()


def run_chunk(sent: Message) -> Outcome:
    """Compute a chunk in a worker.

    Errors are returned, not raised: an exception of the executor is always a worker
    that was lost. One chunk at a time is computed in a process, because a potential may
    change the state of the process.
    """
    reason = _different_version(tuple(sent.versions.items()))
    if reason is not None:
        return Refused(reason)
    with _process.lock:
        if sent.sender != _this_process():
            _limit_threads(sent.n_threads)
        try:
            if sent.shared_key not in _process.shared:
                data = _shared_of(sent)
                if data is None:
                    return Needed()
                # It comes from the driver, or is what the driver has named by content.
                _process.shared[sent.shared_key] = pickle.loads(data)  # noqa: S301
                while len(_process.shared) > _KEPT:
                    _process.shared.popitem(last=False)
            function, arguments = pickle.loads(sent.work)  # noqa: S301
            return Done(function(_process.shared[sent.shared_key], arguments))
        except Exception as error:
            return Failed(_portable(error))


def _shared_of(sent: Message) -> bytes | None:
    """Return the pickled shared argument, None if the worker has no such file."""
    if sent.shared is not None or sent.shared_file is None:
        return sent.shared
    try:
        data = sent.shared_file.read_bytes()
    except OSError:
        return None
    return data if hashlib.sha256(data).hexdigest() == sent.shared_key else None


def run_here(stage: Stage, chunk: Chunk) -> Outcome:
    """Compute a chunk in this process, without sending anything."""
    try:
        return Done(stage.function(stage.shared, chunk.arguments))
    except Exception as error:
        return Failed(error)


def _this_process() -> tuple[str, int]:
    return socket.gethostname(), os.getpid()


@functools.cache
def _different_version(versions: tuple[tuple[str, str], ...]) -> str | None:
    """Return which distribution has another version here, or None.

    Looking for them takes as long as a small chunk.
    """
    here = versions_of(name for name, _ in versions)
    for name, expected in versions:
        found = here.get(name, "none")
        if found != expected:
            return (
                f"worker on {socket.gethostname()}: {name} = {found}; expected "
                f"{expected}, as in the process that sends the work. Give both the "
                "same environment"
            )
    return None


def _limit_threads(n_threads: int | None) -> None:
    """Limit the threads of this process, once."""
    if _process.is_limited:
        return
    _process.is_limited = True
    number = n_threads or int(os.environ.get("OMP_NUM_THREADS") or 1)
    for name in ("OMP", "RAYON", "NUMBA"):
        # For libraries that are loaded later.
        os.environ[f"{name}_NUM_THREADS"] = str(number)
    threadpool_limits(number)


def _portable(error: Exception) -> Exception:
    """Return an error that can be sent back; others become text."""
    if isinstance(error, MLPError | OSError | MemoryError):
        try:
            copy = pickle.loads(pickle.dumps(error))  # noqa: S301
        except Exception:
            copy = None
        if isinstance(copy, Exception):
            return copy
    return WorkerError(
        f"worker on {socket.gethostname()}: {type(error).__name__}: {one_line(error)}"
    )

"""Commands in children of a warm interpreter: what a process does, without its start.

Importing the host and this package takes seconds, forking a process that has done so a
quarter of one. `ForkServer` starts this file as a process of its own, which imports,
loads the engine's kernels, and then forks a child for each command. The child leaves
the server's loop and runs the installed script as the program that it is: how it ends
(exit code, uncaught exceptions, what is registered with `atexit`, open files) is left
to the interpreter.

A child shares with its server what is settled when an interpreter starts: the seed of
hashes, and what libraries read from the environment while they are imported. A command
for which that was changed gets a process of its own.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import types
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SCRIPTS = Path(sys.executable).parent

AVAILABLE = sys.platform.startswith("linux")
"""Whether commands are forked: elsewhere libraries of the system do not survive it."""

# Read by interpreter or libraries when they start, not when they are used.
_READ_AT_START = (
    *("PYTHON", "LD_", "LC_", "LANG", "TZ", "COVERAGE_"),
    *("OMP_", "OPENBLAS_", "MKL_", "BLIS_", "RAYON_", "NUMBA_", "KMP_", "GOMP_"),
    *("HDF5_", "MPL", "XDG_", "HOME"),
)

_MODULES = (
    "phono3py.scripts.phono3py",
    "phono3py.scripts.phono3py_init",
    "phono3py.scripts.phono3py_load",
    "phono3py.cui.phono3py_script",
    "symfc",
    "matplotlib.figure",
    "rich.console",
    "rich.table",
    "scipy.linalg",
    "scipy.optimize",
    "scipy.stats",
)
_MODULES_WITH_PLUGIN = (
    "phono3py_mlp_plugin.cli",
    "phono3py_mlp_plugin.host.command",
    "phono3py_mlp_plugin.host.mlp",
    "phono3py_mlp_plugin.host.run",
    "phono3py_mlp_plugin.reports",
)
_PLAIN = "import sys, plain; sys.exit(plain._command(sys.argv[0]).load()())"


class ForkServer:
    """Run commands of this environment in children of one warm interpreter.

    Parameters
    ----------
    plain : bool
        Where the plugin is hidden from the host, as in ``host/plain.py``.
    environment : mapping, optional
        Environment of the server and its commands; by default that of this process.
    """

    def __init__(
        self, *, plain: bool = False, environment: Mapping[str, str] | None = None
    ) -> None:
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._lock = threading.Lock()
        self._environment = _settled(os.environ)
        self._given = environment
        command = [sys.executable, __file__, str(theirs.fileno())]
        with theirs:
            self._process = subprocess.Popen(
                [*command, *(["plain"] if plain else [])],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=[theirs.fileno()],
                env=environment,
                start_new_session=True,
            )

    def serves(self) -> bool:
        """Return whether a command started now would find what it expects."""
        return self._environment == _settled(os.environ)

    def run(
        self,
        words: Sequence[str],
        cwd: Path,
        timeout: float,
        more: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Do as `subprocess.run` does with captured text.

        Parameters
        ----------
        words, cwd, timeout
            As of `subprocess.run`.
        more : mapping, optional
            Variables of the environment of this command.

        Raises
        ------
        subprocess.TimeoutExpired
            All processes of the command are killed then.
        """
        request = {
            "words": [str(word) for word in words],
            "cwd": str(cwd),
            "environment": dict(self._given or os.environ) | dict(more or {}),
        }
        with self._lock:
            output = [os.pipe(), os.pipe()]
            socket.send_fds(
                self._channel, [json.dumps(request).encode()], [w for _, w in output]
            )
            for _, write in output:
                os.close(write)
            child = self._answer()
            end = time.monotonic() + timeout
            try:
                found = _read([read for read, _ in output], end)
                # Closing its output is not yet the end of a command.
                self._channel.settimeout(max(0.001, end - time.monotonic()))
                code = self._answer()
            except BaseException as error:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child, signal.SIGKILL)
                self._channel.settimeout(None)
                self._answer()
                if isinstance(error, TimeoutError):
                    raise subprocess.TimeoutExpired(list(words), timeout) from None
                raise
            finally:
                self._channel.settimeout(None)
                for read, _ in output:
                    os.close(read)
        out, err = (_text(content) for content in found)
        return subprocess.CompletedProcess(list(words), code, out, err)

    def close(self) -> None:
        """End the server, and what it runs."""
        self._channel.close()
        self._process.communicate(timeout=60)

    def _answer(self) -> int:
        answer = self._channel.recv(64)
        if not answer:
            _, error = self._process.communicate()
            raise RuntimeError(f"The fork server has ended: {error.decode()}")
        return int(answer)


def _settled(environment: Mapping[str, str]) -> dict[str, str]:
    return {k: v for k, v in environment.items() if k.startswith(_READ_AT_START)}


def _read(pipes: Sequence[int], end: float) -> list[bytes]:
    """Read all pipes to their ends; raises TimeoutError where time ends first."""
    parts: dict[int, list[bytes]] = {pipe: [] for pipe in pipes}
    poller = select.poll()
    for pipe in pipes:
        poller.register(pipe, select.POLLIN)
    left = len(pipes)
    while left:
        ready = poller.poll(max(0.0, end - time.monotonic()) * 1000)
        if not ready:
            raise TimeoutError
        for pipe, _ in ready:
            content = os.read(pipe, 1 << 16)
            if content:
                parts[pipe].append(content)
            else:
                poller.unregister(pipe)
                left -= 1
    return [b"".join(parts[pipe]) for pipe in pipes]


def _text(content: bytes) -> str:
    """Return bytes as subprocess does in text mode: decoded, lines ended by \\n."""
    return io.TextIOWrapper(io.BytesIO(content), encoding=None).read()


def _import(*, plain: bool) -> None:
    """Import what commands use; nothing of the host is run, and no threads stay."""
    if plain:
        sys.path.insert(0, str(HERE / "host"))
        importlib.import_module("plain")
    # It is optional, and its tests are skipped where it is missing.
    with contextlib.suppress(ModuleNotFoundError):
        importlib.import_module("pypolymlp.mlp_dev.pypolymlp")
    for name in _MODULES if plain else (*_MODULES, *_MODULES_WITH_PLUGIN):
        importlib.import_module(name)
    if not plain:
        _load_kernels()
    gc.collect()
    gc.freeze()


def _load_kernels() -> None:
    """Train the small model on a crystal of eight atoms, and ask it for forces."""
    from phono3py_mlp_plugin.calculators.pypolymlp import native
    from phono3py_mlp_plugin.calculators.pypolymlp.options import PypolymlpOptions
    from phono3py_mlp_plugin.contracts import no_progress
    from phono3py_mlp_plugin.reference import nacl_dataset

    _, data = nacl_dataset(30, repeats=1)
    options = PypolymlpOptions(
        cutoff=5.0, gtinv_maxl=(2, 2), gaussian_params2=(0.0, 4.0, 4)
    )
    training, test = data.select(range(20)), data.select(range(20, 30))
    trained = native.train(training, test, options, no_progress)
    trained.potential.evaluate(test.supercells())


def _serve(channel: socket.socket) -> dict[str, Any]:
    """Fork a child for each request; return in the child. Ends with the client."""
    while True:
        message, pipes, _, _ = socket.recv_fds(channel, 1 << 20, 2)
        if not message:
            sys.exit(0)
        with warnings.catch_warnings():
            # The only threads are those of BLAS, which looks after forks itself.
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            os.setpgid(0, 0)
            channel.close()
            request: dict[str, Any] = json.loads(message)
            _take_place(request, pipes)
            return request
        for pipe in pipes:
            os.close(pipe)
        with contextlib.suppress(PermissionError, ProcessLookupError):
            # Whoever is first: it must be a group before the client is told.
            os.setpgid(child, child)
        channel.send(str(child).encode())
        channel.send(str(_wait(child, channel)).encode())


def _wait(child: int, channel: socket.socket) -> int:
    """Return the exit code of a child; it is killed where the client is gone."""
    ended = os.pidfd_open(child)
    poller = select.poll()
    poller.register(ended, select.POLLIN)
    poller.register(channel, select.POLLIN)
    # While a command runs the client says nothing: what is heard is its end.
    if any(place == channel.fileno() for place, _ in poller.poll()):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
    os.close(ended)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def _take_place(request: Mapping[str, Any], pipes: Sequence[int]) -> None:
    """Make this child what the command's process would be."""
    for number, pipe in zip((1, 2), pipes, strict=True):
        os.dup2(pipe, number)
        os.close(pipe)
    _open_streams()
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["cwd"])
    sys.argv[:] = request["words"]
    # Python's own generator reseeds itself after a fork, numpy's does not.
    sys.modules["numpy"].random.seed()


def _open_streams() -> None:
    """Open standard output and error anew: those of the server know no pipes."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        old = getattr(sys, name)
        raw = io.FileIO(number, "wb", closefd=False)
        new = io.TextIOWrapper(
            raw if isinstance(old.buffer, io.RawIOBase) else io.BufferedWriter(raw),
            encoding=old.encoding,
            errors=old.errors,
            line_buffering=old.line_buffering,
            write_through=old.write_through,
        )
        setattr(sys, name, new)
        setattr(sys, f"__{name}__", new)


def _main() -> tuple[types.CodeType, dict[str, Any]]:
    """Serve; return in each child what it has to execute."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    plain = sys.argv[2:] == ["plain"]
    sys.path[0] = str(SCRIPTS)
    _import(plain=plain)
    request = _serve(channel)
    main = types.ModuleType("__main__")
    # The server's own module must outlive its name.
    sys.modules["fork_server"] = sys.modules["__main__"]
    sys.modules["__main__"] = main
    if plain:
        return compile(_PLAIN, str(HERE / "host" / "plain.py"), "exec"), vars(main)
    main.__file__ = request["words"][0]
    source = Path(main.__file__).read_bytes()
    return compile(source, main.__file__, "exec"), vars(main)


if __name__ == "__main__":
    # Here, and not in a function: the interpreter ends as after any program.
    exec(*_main())

"""Standard output and standard error that handle closed and full files."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from types import TracebackType
from typing import Any

from phono3py_mlp_plugin.errors import MLPError, describe_os_error
from phono3py_mlp_plugin.operating_system import BROKEN_PIPE

# Number of characters to keep, in which phono3py prints the reason of a failure.
_N_KEPT = 4000


class OutputLost(MLPError):
    """Standard output cannot be written to."""


class Stream:
    """A standard stream that keeps its last lines and records write errors.

    Other code cannot close it. After the first failure all further text is discarded,
    so that no second error occurs during exit.

    Parameters
    ----------
    stream : text file
    descriptor : int
    is_result : bool
        Whether a failure stops the run (standard output, not standard error).

    Attributes
    ----------
    failure : OSError or None
    """

    def __init__(self, stream: Any, descriptor: int, *, is_result: bool) -> None:
        self._stream = stream
        self._descriptor = descriptor
        self._is_result = is_result
        self._printed = ""
        self.failure: OSError | None = None

    @property
    def printed(self) -> str:
        """The last lines that were written."""
        return self._printed

    def write(self, text: str) -> int:
        """Write text."""
        self._printed = (self._printed + text)[-_N_KEPT:]
        self._attempt(self._stream.write, text)
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Flush the buffer."""
        self._attempt(self._stream.flush)

    def close(self) -> None:
        """Flush the buffer; the underlying stream stays open."""
        self.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _attempt(self, method: Any, *args: str) -> None:
        if self.failure is not None:
            return
        try:
            method(*args)
        except OSError as error:
            self._give_up(error)
        except ValueError:
            # The underlying file was closed.
            self._give_up(OSError(errno.EBADF, os.strerror(errno.EBADF)))

    def _give_up(self, error: OSError) -> None:
        self.failure = error
        # Discard the buffer, which the interpreter would flush at exit.
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, self._descriptor)
        os.close(nowhere)
        if self._is_result:
            error.filename = "standard output"
            raise OutputLost(describe_os_error(error)) from error


@contextlib.contextmanager
def guarded_streams() -> Iterator[Stream]:
    """Replace standard output and standard error by `Stream`; yield the former.

    Closed descriptors are opened on the null device. Otherwise a library would write
    into the next file that is opened.
    """
    _open_descriptors()
    before = sys.stdout, sys.stderr
    output = _stream(sys.stdout, 1)
    sys.stdout, sys.stderr = output, _stream(sys.stderr, 2)
    try:
        yield output
    finally:
        sys.stdout, sys.stderr = before


def guard_streams() -> None:
    """Replace standard output and standard error by `Stream` permanently.

    This is for output of a command before its arguments are parsed.
    """
    _open_descriptors()
    sys.stdout, sys.stderr = _stream(sys.stdout, 1), _stream(sys.stderr, 2)
    sys.excepthook = _report_lost_output


def _report_lost_output(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    """Report that output cannot be written, unless its pipe was closed."""
    if not isinstance(error, OutputLost):
        sys.__excepthook__(kind, error, traceback)
    elif isinstance(error.__cause__, BrokenPipeError):
        os._exit(BROKEN_PIPE)
    else:
        print(f"ERROR: {error}", file=sys.stderr)


def _open_descriptors() -> None:
    """Open the null device for closed standard descriptors."""
    descriptor = os.open(os.devnull, os.O_RDWR)
    while descriptor <= 2:
        os.set_inheritable(descriptor, True)
        descriptor = os.open(os.devnull, os.O_RDWR)
    os.close(descriptor)


def _stream(stream: Any, descriptor: int) -> Stream:
    if isinstance(stream, Stream):
        return stream
    if stream is None or stream.closed:
        stream = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    elif hasattr(stream, "reconfigure"):
        # A character that the terminal cannot show must not stop a run.
        stream.reconfigure(errors="backslashreplace")
    return Stream(stream, descriptor, is_result=descriptor == 1)

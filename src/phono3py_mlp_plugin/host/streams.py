"""Standard output and standard error that may be closed, full, or read by nobody."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
from collections.abc import Iterator
from types import TracebackType
from typing import Any

from phono3py_mlp_plugin.errors import MLPError, describe_os_error

# Of what was printed last: the reason for which the host gives up is there.
_KEPT = 4000


class OutputLost(MLPError):
    """Standard output cannot be written to."""


class Stream:
    """A standard stream that remembers its end, and whether it could be written.

    Code of others cannot close it. What cannot be written is dropped after the first
    failure, so that nothing fails once more on the way out.

    Parameters
    ----------
    stream : text file
    descriptor : int
    is_result : bool
        Whether a failure stops the run: of output, not of messages.

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
        self._printed = (self._printed + text)[-_KEPT:]
        self._attempt(self._stream.write, text)
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Write what is buffered."""
        self._attempt(self._stream.flush)

    def close(self) -> None:
        """Write what is buffered; the stream stays open, it is not the caller's."""
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
            # The file itself has been closed.
            self._give_up(OSError(errno.EBADF, os.strerror(errno.EBADF)))

    def _give_up(self, error: OSError) -> None:
        self.failure = error
        # What is still buffered goes nowhere when the interpreter ends.
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, self._descriptor)
        os.close(nowhere)
        if self._is_result:
            error.filename = "standard output"
            raise OutputLost(describe_os_error(error)) from error


@contextlib.contextmanager
def guarded_streams() -> Iterator[Stream]:
    """Let standard output and standard error be `Stream`; yield the former.

    Descriptors that are closed lead nowhere: a library would write into the next file
    that is opened.
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
    """Let standard output and standard error be `Stream` for good.

    For what a command prints before it has parsed its arguments.
    """
    _open_descriptors()
    sys.stdout, sys.stderr = _stream(sys.stdout, 1), _stream(sys.stderr, 2)
    sys.excepthook = _tell


def _tell(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    """Tell that output is lost; nobody is told whose output nobody reads."""
    if not isinstance(error, OutputLost):
        sys.__excepthook__(kind, error, traceback)
    elif isinstance(error.__cause__, BrokenPipeError):
        os._exit(128 + signal.SIGPIPE)
    else:
        print(f"ERROR: {error}", file=sys.stderr)


def _open_descriptors() -> None:
    """Open the null device for those of the first three that are closed."""
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
        # A name that the terminal cannot show must not stop a run.
        stream.reconfigure(errors="backslashreplace")
    return Stream(stream, descriptor, is_result=descriptor == 1)

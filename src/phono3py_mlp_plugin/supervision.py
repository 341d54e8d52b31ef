"""Running a command in a child process that is supervised by its parent.

While compiled code runs, the interpreter does not handle signals; a large factorisation
can take minutes. Therefore the process that the user started only waits, and a child
process does the work. A signal is passed to the child, which can then clean up its
files, and which is killed after a grace period. Unfinished files are removed.

The exit code of a process is not sufficient to detect success, because any library can
end the process. The child therefore sends its exit code through a pipe at the end of
the command. Without this byte the run has failed, whatever its exit code is.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import mmap
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import NoReturn

GRACE = 1.0
"""Time in seconds after a signal before the child process is killed."""

# Maximum delay (seconds) for signals that arrive while the parent is not waiting.
_INTERVAL = 0.2

_PR_SET_PDEATHSIG = 1

# The available signals depend on the system.
_BY_NAME = signal.Signals.__members__

# Signals that do not end a process by default, that cannot be caught, or that Python
# ignores and replaces by an OSError.
_NOT_ENDING = {
    number
    for name, number in _BY_NAME.items()
    if name in {"SIGKILL", "SIGSTOP", "SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGCONT"}
    or name in {"SIGCHLD", "SIGURG", "SIGWINCH", "SIGINFO", "SIGPIPE", "SIGXFSZ"}
}

# Signals for faults in the process itself: they would be raised again after returning
# from a handler.
_FAULTS = {
    number
    for name, number in _BY_NAME.items()
    if name in {"SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGABRT", "SIGTRAP", "SIGSYS"}
}

_ACTIVITY_LENGTH = 1024

# The child's end of the pipe, and memory shared by both processes. They are set only in
# the child process of `supervise`.
_exit_code_pipe: int | None = None
_activity: mmap.mmap | None = None


class Stopped(KeyboardInterrupt):
    """Exception for a signal that ends this process.

    Attributes
    ----------
    number : int
        Number of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal_name(number))
        self.number = number


def signal_name(number: int) -> str:
    """Return the name of a signal.

    Examples
    --------
    >>> signal_name(15)
    'SIGTERM'
    """
    with contextlib.suppress(ValueError):
        return signal.Signals(number).name
    return f"signal {number}"


_KEPT = "What is finished is kept"


def stop_message(number: int, kept: str = "") -> str:
    """Return the message for a run that was stopped by a signal.

    Parameters
    ----------
    number : int
        Number of the signal.
    kept : str
        What is kept, if known in detail: "3 points are kept".
    """
    return f"Stopped by {signal_name(number)}. {kept or _KEPT}: run the same again."


def supervise(
    clean_up: Callable[[int], None],
    report: Callable[[str], None],
    kept: Callable[[], str] = lambda: "",
) -> None:
    """Continue in a child process, while the calling process waits for its end.

    The calling process exits with the exit code of the child, or after a signal with
    128 plus its number (130 for SIGINT, 143 for SIGTERM). Ignored signals stay ignored,
    as required by ``nohup``. On systems where a process cannot safely be forked, this
    process continues and handles signals itself.

    Parameters
    ----------
    clean_up : callable
        Called with the number of the child process if it did not finish by itself.
    report : callable
        Called with one line if the child process did not finish by itself.
    kept : callable
        Returns what is kept of a stopped run, see `stop_message`.
    """
    numbers = _ending_signals()
    if not sys.platform.startswith("linux"):
        _raise_at(numbers - _FAULTS)
        return
    _flush()
    parent = os.getpid()
    # If SIGCHLD is ignored, the kernel does not keep the exit code of a child.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    waited = {*numbers, signal.SIGCHLD}
    signal.pthread_sigmask(signal.SIG_BLOCK, waited)
    # Threads of BLAS do not block signals; if one gets a signal, the handler is called.
    noticed: list[int] = []
    for number in numbers - _FAULTS:
        signal.signal(number, lambda number, frame: noticed.append(number))
    reading, writing = os.pipe()
    note = mmap.mmap(-1, _ACTIVITY_LENGTH)
    with warnings.catch_warnings():
        # The only other threads are those of BLAS, which handles forks itself.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child:
        os.close(writing)
        supervisor = _Supervisor(child, numbers, noticed, reading, note)
        supervisor.until_end(clean_up, report, kept)
    os.close(reading)
    end_with_parent(parent, signal.SIGKILL)
    global _exit_code_pipe, _activity
    _exit_code_pipe, _activity = writing, note
    _raise_at(numbers - _FAULTS)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, waited)


def raise_at_signals() -> None:
    """Raise `Stopped` in this process at the first signal that would end it."""
    _raise_at(_ending_signals() - _FAULTS)


def end_with_parent(parent: int, number: int) -> None:
    """Request a signal of the kernel for this process when its parent has ended.

    Only Linux can do this. The request is kept when the process starts another program,
    and is not passed on to its children.

    Parameters
    ----------
    parent : int
        Number of the parent process. If it has ended already, this process ends.
    number : int
        Number of the signal.
    """
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        os._exit(1)


def run_step(command: Sequence[str]) -> tuple[int, str | None]:
    """Run a supervised command as one step of this one.

    A signal that reaches this process is passed to the step, which then ends as it does
    alone and tells so.

    Parameters
    ----------
    command : sequence of str
        Program and arguments.

    Returns
    -------
    int
        The exit code; 128 plus its number if a signal ended the step.
    str or None
        A line to print if the step was ended before it could tell so.
    """
    number = None
    with _blocked_signals():
        # The step has them blocked from its first moment until it handles them.
        process = subprocess.Popen(command)
    try:
        code = process.wait()
    except KeyboardInterrupt as stop:
        number = stop.number if isinstance(stop, Stopped) else int(signal.SIGINT)
        # On Windows, the console has told the step already.
        if sys.platform != "win32":
            process.send_signal(number)
        code = process.wait()
    if code >= 0:
        # A step that has just finished is not followed by another one.
        return (code or 128 + number, None) if number is not None else (code, None)
    if number is not None:
        return 128 + number, stop_message(number)
    return 128 - code, f"ERROR: a step was ended by {signal_name(-code)} from outside."


@contextlib.contextmanager
def _blocked_signals() -> Iterator[None]:
    if not sys.platform.startswith("linux"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ending_signals() - _FAULTS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def send_exit_code(code: int) -> bool:
    """Send the exit code of the finished command to the parent process.

    Returns
    -------
    bool
        Whether this process is supervised.
    """
    global _exit_code_pipe
    if _exit_code_pipe is None:
        return False
    descriptor, _exit_code_pipe = _exit_code_pipe, None
    with contextlib.suppress(OSError):
        os.write(descriptor, bytes([code % 256]))
        os.close(descriptor)
    return True


@contextlib.contextmanager
def current_activity(what: str) -> Iterator[None]:
    """Record the current activity, which is reported if the process ends in it."""
    if _activity is None:
        yield
        return
    before = _activity[:]
    try:
        _activity[:] = what.encode()[:_ACTIVITY_LENGTH].ljust(_ACTIVITY_LENGTH, b"\0")
        yield
    finally:
        _activity[:] = before


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        # A stream is None if its descriptor was closed at start.
        if stream is not None:
            stream.flush()


def _ending_signals() -> set[int]:
    """Return the numbers of signals that end this process."""
    numbers = set()
    for number in signal.valid_signals() - _NOT_ENDING:
        handler = signal.getsignal(number)
        if handler is not signal.SIG_IGN:
            numbers.add(int(number))
    return numbers


def _raise_at(numbers: set[int]) -> None:
    """Raise `Stopped` at the first of these signals, and ignore later ones."""

    def leave(number: int, frame: FrameType | None) -> NoReturn:
        del frame
        for other in numbers:
            signal.signal(other, signal.SIG_IGN)
        raise Stopped(number)

    for number in numbers:
        signal.signal(number, leave)


class _Supervisor:
    """The waiting parent process, with the state of its child."""

    def __init__(
        self,
        child: int,
        numbers: set[int],
        noticed: list[int],
        reading: int,
        note: mmap.mmap,
    ) -> None:
        self._child = child
        self._numbers = numbers
        self._noticed = noticed
        self._reading = reading
        self._activity = note
        self._passed_signal: int | None = None

    def until_end(
        self,
        clean_up: Callable[[int], None],
        report: Callable[[str], None],
        kept: Callable[[], str],
    ) -> NoReturn:
        """Wait for the child, pass signals on, and exit with its exit code."""
        code = os.waitstatus_to_exitcode(self._wait())
        sent = self._sent_exit_code()
        if sent is None or sent != code:
            clean_up(self._child)
        code, line = self._outcome(code, sent, kept)
        # The exit code must be right even if the message cannot be printed.
        with contextlib.suppress(OSError, ValueError):
            if line is not None:
                report(line)
            _flush()
        os._exit(code)

    def _wait(self) -> int:
        if sys.platform != "linux":
            raise NotImplementedError
        deadline = float("inf")
        while True:
            info = signal.sigtimedwait({*self._numbers, signal.SIGCHLD}, _INTERVAL)
            ended, status = os.waitpid(self._child, os.WNOHANG)
            if ended:
                return status
            if info is not None and info.si_signo != signal.SIGCHLD:
                self._noticed.append(info.si_signo)
            if self._noticed and self._passed_signal is None:
                self._passed_signal = self._noticed[0]
                deadline = time.monotonic() + GRACE
                os.kill(self._child, self._passed_signal)
            if time.monotonic() > deadline:
                os.kill(self._child, signal.SIGKILL)
                return os.waitpid(self._child, 0)[1]

    def _sent_exit_code(self) -> int | None:
        """Return the exit code that the command sent, None without one."""
        if sys.platform != "linux":
            raise NotImplementedError
        # Processes started by the child may keep the other end open.
        os.set_blocking(self._reading, False)
        try:
            sent = os.read(self._reading, 1)
        except OSError as error:
            if error.errno != errno.EAGAIN:
                raise
            return None
        return sent[0] if sent else None

    def _outcome(
        self, code: int, sent: int | None, kept: Callable[[], str]
    ) -> tuple[int, str | None]:
        """Return the final exit code, and the message to print."""
        number = self._passed_signal
        if (
            sent is not None
            and number is None
            and sent > 128
            and self._is_handled(sent)
        ):
            # The signal reached the child but not this process.
            number = sent - 128
        if number is not None and sent != 0:
            return 128 + number, stop_message(number, kept())
        if sent is not None:
            return sent, None
        place = self._activity[:].rstrip(b"\0").decode(errors="replace")
        where = f" ({place})" if place else ""
        if code < 0:
            name = signal_name(-code)
            memory = " Was the memory exhausted?" if name == "SIGKILL" else ""
            return (
                128 - code,
                f"ERROR: the run was ended by {name} from outside.{memory}{where}"
                if -code not in _FAULTS
                else f"ERROR: the run crashed by {name}.{where}",
            )
        return code or 1, (
            f"ERROR: the process ended with exit code {code} before the run was "
            f"finished. A plugin or library has ended it.{where}"
        )

    def _is_handled(self, word: int) -> bool:
        return word - 128 in self._numbers

"""A run in a process of its own, watched by one that always answers signals.

Compiled code keeps the interpreter from noticing a signal, for minutes in a large
factorisation. The process that the user started therefore only waits; the work is done
in its child. A signal goes to the child first, so that it can put its files in order,
and ends it soon in any case. What it left unfinished is removed.

An exit code alone says nothing: any library may end the process. The child therefore
sends one byte, its exit code, when the command itself comes to its end. Without that
byte the run has failed, whatever its exit code is.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import mmap
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from types import FrameType
from typing import NoReturn

GRACE = 1.0
"""Seconds a run has, once a signal came, to leave by itself."""

# A signal that comes while the watching process is not waiting is noticed after this.
_TICK = 0.2

_PR_SET_PDEATHSIG = 1

# Not every system has all of them.
_BY_NAME = signal.Signals.__members__

# These do not end a process by default, or cannot be caught, or are ignored by Python,
# which gets an OSError in their place.
_NOT_ENDING = {
    number
    for name, number in _BY_NAME.items()
    if name in {"SIGKILL", "SIGSTOP", "SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGCONT"}
    or name in {"SIGCHLD", "SIGURG", "SIGWINCH", "SIGINFO", "SIGPIPE", "SIGXFSZ"}
}

# Raised by the processor or the C library where the fault is: returning from a handler
# would raise them again.
_FAULTS = {
    number
    for name, number in _BY_NAME.items()
    if name in {"SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGABRT", "SIGTRAP", "SIGSYS"}
}

_NOTE_LENGTH = 1024

# The child's end of the pipe, and memory that both processes see. Set in the child of
# `supervise` alone.
_word: int | None = None
_note: mmap.mmap | None = None


class Stopped(KeyboardInterrupt):
    """A signal asked this process to end.

    Attributes
    ----------
    number : int
        Of the signal.
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


def stopped(number: int, kept: str = "") -> str:
    """Return the line for a run that a signal has stopped.

    Parameters
    ----------
    number : int
        Of the signal.
    kept : str
        What is kept, where more can be said: "3 points are kept".
    """
    return f"Stopped by {signal_name(number)}. {kept or _KEPT}: run the same again."


def supervise(
    clean_up: Callable[[int], None],
    tell: Callable[[str], None],
    kept: Callable[[], str] = lambda: "",
) -> None:
    """Return in a child process; the calling process waits for it and ends with it.

    The exit code is the child's; after a signal 128 plus its number (130 for SIGINT,
    143 for SIGTERM). Signals that were ignored before stay so, as ``nohup`` wants it.
    On systems where a process cannot safely be forked, this process goes on and
    answers signals itself, as soon as the interpreter notices them.

    Parameters
    ----------
    clean_up : callable
        Told the child's process number when it is gone and did not leave by itself.
    tell : callable
        Told one line where the child did not end by itself.
    kept : callable
        Asked what is kept where a signal has stopped the run, see `stopped`.
    """
    numbers = _ending_signals()
    if not sys.platform.startswith("linux"):
        _leave_at(numbers - _FAULTS)
        return
    _flush()
    parent = os.getpid()
    # Where it is ignored, the kernel forgets how a child ended.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    waited = {*numbers, signal.SIGCHLD}
    signal.pthread_sigmask(signal.SIG_BLOCK, waited)
    # Threads of BLAS do not block signals: they reach the handler if one takes them.
    noticed: list[int] = []
    for number in numbers - _FAULTS:
        signal.signal(number, lambda number, frame: noticed.append(number))
    reading, writing = os.pipe()
    note = mmap.mmap(-1, _NOTE_LENGTH)
    with warnings.catch_warnings():
        # The only other threads are those of BLAS, which looks after forks itself.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child:
        os.close(writing)
        watch = _Watch(child, numbers, noticed, reading, note)
        watch.until_end(clean_up, tell, kept)
    os.close(reading)
    _end_with(parent)
    global _word, _note
    _word, _note = writing, note
    _leave_at(numbers - _FAULTS)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, waited)


def end_with(code: int) -> bool:
    """Send word that the command itself has come to its end, with this exit code.

    Returns
    -------
    bool
        Whether this process is watched.
    """
    global _word
    if _word is None:
        return False
    descriptor, _word = _word, None
    with contextlib.suppress(OSError):
        os.write(descriptor, bytes([code % 256]))
        os.close(descriptor)
    return True


@contextlib.contextmanager
def noted(what: str) -> Iterator[None]:
    """Let the watching process know what is done, in case the process ends there."""
    if _note is None:
        yield
        return
    before = _note[:]
    try:
        _note[:] = what.encode()[:_NOTE_LENGTH].ljust(_NOTE_LENGTH, b"\0")
        yield
    finally:
        _note[:] = before


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        # There is none where its descriptor was closed.
        if stream is not None:
            stream.flush()


def _ending_signals() -> set[int]:
    """Return the numbers of signals that are to end this process."""
    numbers = set()
    for number in signal.valid_signals() - _NOT_ENDING:
        handler = signal.getsignal(number)
        if handler is not signal.SIG_IGN:
            numbers.add(int(number))
    return numbers


def _leave_at(numbers: set[int]) -> None:
    """Leave in order at one of these signals; further ones must not disturb that."""

    def leave(number: int, frame: FrameType | None) -> NoReturn:
        del frame
        for other in numbers:
            signal.signal(other, signal.SIG_IGN)
        raise Stopped(number)

    for number in numbers:
        signal.signal(number, leave)


def _end_with(parent: int) -> None:
    """Let the kernel end this process when its parent is gone."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


class _Watch:
    """The process that waits: what it knows of its child."""

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
        self._note = note
        self._asked: int | None = None

    def until_end(
        self,
        clean_up: Callable[[int], None],
        tell: Callable[[str], None],
        kept: Callable[[], str],
    ) -> NoReturn:
        """Wait for the child, pass signals on, and leave with its exit code."""
        code = os.waitstatus_to_exitcode(self._wait())
        word = self._word()
        if word is None or word != code:
            clean_up(self._child)
        code, line = self._verdict(code, word, kept)
        # The exit code has to be right even where nobody can be told.
        with contextlib.suppress(OSError, ValueError):
            if line is not None:
                tell(line)
            _flush()
        os._exit(code)

    def _wait(self) -> int:
        deadline = float("inf")
        while True:
            found = signal.sigtimedwait({*self._numbers, signal.SIGCHLD}, _TICK)
            ended, status = os.waitpid(self._child, os.WNOHANG)
            if ended:
                return status
            if found is not None and found.si_signo != signal.SIGCHLD:
                self._noticed.append(found.si_signo)
            if self._noticed and self._asked is None:
                self._asked = self._noticed[0]
                deadline = time.monotonic() + GRACE
                os.kill(self._child, self._asked)
            if time.monotonic() > deadline:
                os.kill(self._child, signal.SIGKILL)
                return os.waitpid(self._child, 0)[1]

    def _word(self) -> int | None:
        """Return the exit code that the command itself sent, if it came so far."""
        # What the child started may hold the other end open.
        os.set_blocking(self._reading, False)
        try:
            sent = os.read(self._reading, 1)
        except OSError as error:
            if error.errno != errno.EAGAIN:
                raise
            return None
        return sent[0] if sent else None

    def _verdict(
        self, code: int, word: int | None, kept: Callable[[], str]
    ) -> tuple[int, str | None]:
        """Return the exit code to leave with, and the line to tell."""
        asked = self._asked
        if word is not None and asked is None and word > 128 and self._known(word):
            # The child has had the signal and the watching process has not.
            asked = word - 128
        if asked is not None and word != 0:
            return 128 + asked, stopped(asked, kept())
        if word is not None:
            return word, None
        place = self._note[:].rstrip(b"\0").decode(errors="replace")
        where = f" ({place})" if place else ""
        if code < 0:
            memory = " Was the memory exhausted?" if -code == signal.SIGKILL else ""
            name = signal_name(-code)
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

    def _known(self, word: int) -> bool:
        return word - 128 in self._numbers

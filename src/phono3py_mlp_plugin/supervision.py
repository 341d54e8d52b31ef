"""A run in a process of its own, watched by one that always answers signals.

Compiled code keeps the interpreter from noticing a signal, for minutes in a large
factorisation. The process that the user started therefore only waits; the work is done
in its child. A signal goes to the child first, so that it can put its files in order,
and ends it soon in any case. What it left unfinished is removed.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

GRACE = 1.0
"""Seconds a run has, once a signal came, to leave by itself."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

# A signal that comes while the watching process is not waiting is noticed after this.
_TICK = 0.2

_PR_SET_PDEATHSIG = 1


def supervise(clean_up: Callable[[int], None], tell: Callable[[str], None]) -> None:
    """Return in a child process; the calling process waits for it and ends with it.

    The exit code is the child's; after a signal 128 plus its number (130 for SIGINT,
    143 for SIGTERM). Nothing is done on systems where a process cannot safely be
    forked.

    Parameters
    ----------
    clean_up : callable
        Told the child's process number when it is gone and did not leave by itself.
    tell : callable
        Told one line where the child was ended by a signal.
    """
    if not sys.platform.startswith("linux"):
        return
    sys.stdout.flush()
    sys.stderr.flush()
    parent = os.getpid()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (*_SIGNALS, signal.SIGCHLD))
    with warnings.catch_warnings():
        # The only other threads are those of BLAS, which looks after forks itself.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child:
        _watch(child, clean_up, tell)
    _end_with(parent)
    for number in _SIGNALS:
        signal.signal(number, _leave)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    """Leave in order; a second signal must not disturb that."""
    del frame
    for other in _SIGNALS:
        signal.signal(other, signal.SIG_IGN)
    raise KeyboardInterrupt(signal.Signals(number).name)


def _end_with(parent: int) -> None:
    """Let the kernel end this process when its parent is gone."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _watch(
    child: int, clean_up: Callable[[int], None], tell: Callable[[str], None]
) -> NoReturn:
    """Wait for the child, pass signals on, and leave with its exit code."""
    asked: int | None = None
    deadline = float("inf")
    while True:
        found = signal.sigtimedwait((*_SIGNALS, signal.SIGCHLD), _TICK)
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            break
        if found is not None and found.si_signo in _SIGNALS and asked is None:
            asked = found.si_signo
            deadline = time.monotonic() + GRACE
            os.kill(child, asked)
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            break
    code = os.waitstatus_to_exitcode(status)
    if code < 0 or asked is not None:
        clean_up(child)
    if asked is not None and code != 0:
        name = signal.Signals(asked).name
        tell(f"Stopped by {name}. What is finished is kept: run the same again.")
        code = 128 + asked
    elif code < 0:
        name = signal.Signals(-code).name
        memory = " Was the memory exhausted?" if -code == signal.SIGKILL else ""
        tell(f"ERROR: the run was ended by {name} from outside.{memory}")
        code = 128 - code
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)

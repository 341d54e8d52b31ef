"""The exit code of a command, and one line on standard error if it is not 0."""

from __future__ import annotations

import contextlib
import importlib.metadata
import platform
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

from phono3py_mlp_plugin.errors import PartFinished, message_for_user, one_line
from phono3py_mlp_plugin.files import replacing
from phono3py_mlp_plugin.host.process import end_command
from phono3py_mlp_plugin.host.streams import OutputLost, Stream, guarded_streams
from phono3py_mlp_plugin.operating_system import BROKEN_PIPE
from phono3py_mlp_plugin.supervision import Stopped, send_exit_code, stop_message

TRACEBACK = "phono3py_mlp_traceback.txt"

_ENDED_EARLY = "A plugin or library has ended the run before it was finished."

_HOST = ("phono3py.", "phonopy.")

# Modules in which a call of sys.exit ends a run as intended.
_MAY_EXIT = (*_HOST, "phono3py_mlp_plugin.host.", "phono3py_mlp_plugin.cli.")


def run_to_end(work: Callable[[], int], *, verbose: bool = False) -> int:
    """Run a command and return its exit code.

    Any exception is reported in one line. The exit code is then 1, or 128 plus the
    number of the signal that stopped the run, or 141 if its output pipe was closed.
    What the command has changed in this process is undone.

    Parameters
    ----------
    work : callable
        Returns an exit code.
    verbose : bool
        Show tracebacks.
    """
    with guarded_streams() as output, contextlib.ExitStack() as at_end:
        at_end.callback(end_command)
        try:
            code = work()
            output.flush()
        except BaseException as error:
            if verbose and not isinstance(error, SystemExit | PartFinished):
                traceback.print_exception(error)
            code, line = _exit_code_and_message(error, output)
            try:
                output.flush()
            except OutputLost as lost:
                # phono3py may call sys.exit(0) while lines are still in the buffer.
                if code == 0:
                    code, line = _exit_code_and_message(lost, output)
            supervised = send_exit_code(code)
            if line is not None and not (supervised and isinstance(error, Stopped)):
                stream = sys.stderr if code else sys.stdout
                print(line, file=stream, flush=True)
            return code
        send_exit_code(code)
    return code


def _exit_code_and_message(
    error: BaseException, output: Stream
) -> tuple[int, str | None]:
    """Return the exit code for an error, and the line that reports it."""
    if output.failure is not None:
        if isinstance(output.failure, BrokenPipeError):
            # The reader of the output has closed the pipe.
            return BROKEN_PIPE, None
        return 1, f"ERROR: {_output_error(output.failure)}"
    if isinstance(error, PartFinished):
        return 0, one_line(error)
    if isinstance(error, Stopped):
        return 128 + error.number, stop_message(error.number)
    if isinstance(error, KeyboardInterrupt):
        return 128 + signal.SIGINT, None
    if isinstance(error, SystemExit):
        return _outcome_of_exit(error, output.printed)
    message = message_for_user(error)
    if message is None and _is_message_of_host(error):
        message = one_line(error)
    return 1, f"ERROR: {message or _unexpected(error)}"


def _output_error(failure: OSError) -> str:
    return message_for_user(failure) or one_line(failure)


def _outcome_of_exit(error: SystemExit, printed: str) -> tuple[int, str | None]:
    """Return the exit code and message for a call of ``sys.exit``."""
    code, place = error.code, module_of(error)
    if isinstance(code, str):
        return 1, f"ERROR: {' '.join(code.split()).removeprefix('ERROR: ')}"
    if place == "argparse":
        # argparse has printed the reason.
        return int(code or 0), None
    if not place.startswith(_MAY_EXIT):
        return 1, f"ERROR: sys.exit({code}) was called in {place}. {_ENDED_EARLY}"
    if not code:
        return 0, None
    from phono3py_mlp_plugin.host.reasons import reason

    return int(code), f"ERROR: {reason(error, printed)}"


def _is_message_of_host(error: BaseException) -> bool:
    """Return whether phono3py raised this error with a message for the user."""
    kind = type(error)
    return kind.__module__.startswith(_HOST) or (
        kind in (RuntimeError, NotImplementedError)
        and module_of(error).startswith(_HOST)
        and bool(str(error))
    )


def module_of(error: BaseException) -> str:
    """Return the name of the module in which an error was raised."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return str(frames[-1].f_globals.get("__name__", "?")) if frames else "?"


def _unexpected(error: BaseException) -> str:
    """Return the line for an unexpected error, which is probably a bug."""
    kind = type(error).__name__
    message = one_line(error)
    description = kind if message == kind else f"{kind}: {message}"
    try:
        path = str(_write_traceback(error))
    except OSError as failure:
        place = f"The traceback could not be written ({one_line(failure)})"
    else:
        place = f'The traceback is in "{path}"'
    return (
        f"{description} (unexpected, in {module_of(error)}: a bug there, in "
        f"phono3py-mlp-plugin or in phono3py). {place}: please report it."
    )


def _write_traceback(error: BaseException) -> Path:
    """Write the traceback into a file for a bug report, and return its path."""
    names = ("phono3py-mlp-plugin", "phono3py", "phonopy", "symfc", "numpy", "numba")
    lines = [
        f"command: {' '.join(sys.argv)}",
        f"system: {platform.platform()}, Python {platform.python_version()}",
    ]
    for name in names:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            lines.append(f"{name}: {importlib.metadata.version(name)}")
    text = "\n".join([*lines, "", *traceback.format_exception(error)])
    for folder in (Path(), Path(tempfile.gettempdir())):
        path = folder / TRACEBACK
        try:
            with replacing(path) as temporary:
                temporary.write_text(text, encoding="utf-8", errors="replace")
        except OSError as failure:
            refused = failure
        else:
            return path
    raise refused

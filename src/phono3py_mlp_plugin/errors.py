"""Errors of this package.

    MLPError
    ├── DatasetError        displacements, forces or energies that cannot be used
    ├── PotentialError      a potential that cannot be trained, read or applied
    │   └── NotCovered      a valid potential that an engine does not support
    ├── ParameterError      a parameter or option that is unknown or out of range
    ├── PluginNotFound      a calculator or solver that is not installed
    ├── PluginFailed        a plugin that raised or violated its contract
    ├── SolverError         force constants that could not be obtained
    ├── ResourceError       a computation that needs too much memory
    ├── PhysicsError        phonons that give no meaningful result
    ├── UnusableFile        not a regular file, or a file too large to read
    ├── FolderInUse         a folder that another run uses
    ├── WorkerError         workers that cannot be reached or used, or that were lost
    ├── PartFinished        no error: a part of the work is done, others are not
    └── IncompatibleHost    a phono3py that this package cannot bind to

Every message is one line that states the place, the value, the expected value and the
remedy. Functions raise the error; commands print ``ERROR: message`` and exit with 1.
"""

from __future__ import annotations

import difflib
import errno
import os
import re
from collections.abc import Iterable
from pathlib import Path


class MLPError(Exception):
    """Base of all errors raised by this package."""


class DatasetError(MLPError):
    """Displacements, forces or energies that cannot be used."""


class PotentialError(MLPError):
    """A potential that cannot be trained, read or applied to this crystal."""


class NotCovered(PotentialError):
    """A valid potential of a kind that an engine does not support."""


class ParameterError(MLPError, ValueError):
    """A parameter or option that is unknown, malformed or out of range."""


class PluginNotFound(MLPError, ValueError):
    """A force calculator or force-constants solver that is not installed."""


class PluginFailed(MLPError):
    """A plugin that raised an error or violated its contract."""


class SolverError(MLPError):
    """Force constants that could not be obtained."""


class ResourceError(MLPError):
    """A computation that needs too much memory."""


class PhysicsError(MLPError):
    """Phonons that give no meaningful result."""


class UnusableFile(MLPError, OSError):
    """A path that is not a regular file, or a file that is too large to read."""


class FolderInUse(MLPError):
    """A folder that another run uses."""


class WorkerError(MLPError):
    """Workers that cannot be reached or used, or that were lost again and again."""


class PartFinished(MLPError):
    """The end of a run that computes a part of the work (``--part``), not a failure."""


class IncompatibleHost(MLPError):
    """A version of phono3py that this package cannot bind to."""


def one_line(error: BaseException) -> str:
    """Return the message of an error on one line, or its type without a message."""
    return " ".join(str(error).split()) or type(error).__name__


def message_for_user(error: BaseException) -> str | None:
    """Return the message for an error that a user can resolve, otherwise None."""
    if isinstance(error, MLPError):
        return str(error)
    if isinstance(error, OSError):
        return describe_os_error(error)
    if isinstance(error, MemoryError):
        return f"the memory does not suffice ({error}). Use a smaller model or cell."
    return None


_REMEDIES = {
    errno.ENOSPC: "Free space on the disk, then run the same again.",
    errno.EDQUOT: "Free space in your quota, then run the same again.",
    errno.EFBIG: "The limit of file sizes (ulimit -f) is too low.",
    errno.EROFS: "Run in a folder that can be written to.",
    errno.EACCES: "Check the permissions of the file and of its folder.",
    errno.ENOENT: "Check the name and the folder.",
}


def describe_os_error(error: OSError) -> str:
    """Return file, reason and remedy of an OSError on one line.

    Examples
    --------
    >>> describe_os_error(OSError(errno.EROFS, "", "fc3.hdf5"))
    'fc3.hdf5: Read-only file system. Run in a folder that can be written to.'
    """
    number = error.errno or _number_in(str(error))
    if number is None:
        return one_line(error)
    where = "" if error.filename is None else f"{error.filename}: "
    remedy = _REMEDIES.get(number, "")
    return f"{where}{os.strerror(number)}. {remedy}".strip()


def in_file(error: OSError, path: Path) -> OSError:
    """Return a write error that contains the name of the file."""
    number = error.errno or _number_in(str(error))
    if number is None:
        return error
    return OSError(number, os.strerror(number), str(path))


def _number_in(message: str) -> int | None:
    """Return the error number in a message of HDF5, which does not set errno."""
    match = re.search(r"errno = (\d+)", message)
    return int(match.group(1)) if match else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``" Did you mean 'x'?"`` for a similar known name, or an empty string."""
    nearest = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" Did you mean {nearest[0]!r}?" if nearest else ""

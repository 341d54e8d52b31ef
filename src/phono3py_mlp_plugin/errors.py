"""Errors that a user can act on.

    MLPError
    ├── DatasetError        displacements, forces or energies that cannot be used
    ├── PotentialError      a potential that cannot be trained, read or applied
    │   └── NotCovered      a valid one that an engine does not know
    ├── ParameterError      a parameter or option that is unknown or out of range
    ├── PluginNotFound      a calculator or solver that is not installed
    ├── PluginFailed        a plugin that broke its contract
    ├── SolverError         force constants that could not be obtained
    ├── ResourceError       memory that would not suffice
    ├── PhysicsError        phonons of which nothing meaningful follows
    ├── UnusableFile        no regular file, or one too large to be read
    ├── FolderInUse         another run works in the folder
    └── IncompatibleHost    a phono3py that this package cannot bind to

Every message is one line: where, what was found, what was expected, and the remedy.
Commands print it as ``ERROR: message`` and exit with 1; functions raise it.
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
    """A valid potential of a kind that an engine does not know."""


class ParameterError(MLPError, ValueError):
    """A parameter or option that is unknown, malformed or out of range."""


class PluginNotFound(MLPError, ValueError):
    """A force calculator or force-constants solver that is not installed."""


class PluginFailed(MLPError):
    """A plugin that raised or returned something against its contract."""


class SolverError(MLPError):
    """Force constants that could not be obtained."""


class ResourceError(MLPError):
    """Memory that would not suffice."""


class PhysicsError(MLPError):
    """Phonons of which nothing meaningful follows."""


class UnusableFile(MLPError, OSError):
    """No regular file where one is expected, or one that is too large to be read."""


class FolderInUse(MLPError):
    """Another run works in the folder."""


class IncompatibleHost(MLPError):
    """A phono3py whose functions are not those that this package binds to."""


def one_line(error: BaseException) -> str:
    """Return the message of an error on one line, its type where it has none."""
    return " ".join(str(error).split()) or type(error).__name__


def message_for_user(error: BaseException) -> str | None:
    """Return the line for an error that the user can do something about, else None."""
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
    """Return what went wrong with which file, and what to do, on one line.

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
    """Return an error of writing that names the file, which not all of them do."""
    number = error.errno or _number_in(str(error))
    if number is None:
        return error
    return OSError(number, os.strerror(number), str(path))


def _number_in(message: str) -> int | None:
    """Return the number in a message of HDF5, which sets none."""
    found = re.search(r"errno = (\d+)", message)
    return int(found.group(1)) if found else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``" Did you mean 'x'?"`` for the nearest known name, or nothing."""
    nearest = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" Did you mean {nearest[0]!r}?" if nearest else ""

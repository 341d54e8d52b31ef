"""What all code of a process shares, held while code of others runs.

The working directory, the file mode mask, the standard streams, numpy's handling of
floating-point errors and its global random state belong to the run, not to a plugin.
The environment is left alone: libraries read what they have set there later.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

_STREAMS = ("stdout", "stderr")

# The file mode mask can be read only by setting it.
_reading_mask = threading.Lock()


@dataclass
class Changes:
    """What was found changed, known when the block has been left.

    Attributes
    ----------
    directory : str or None
        The working directory that was gone to.
    """

    directory: str | None = None


@dataclass
class _State:
    """What is put back."""

    directory: str | None
    mask: int
    errors: Any
    random: Any
    streams: dict[str, Any]
    descriptors: dict[int, int] = field(default_factory=dict)


@contextlib.contextmanager
def isolated() -> Iterator[Changes]:
    """Put back what the block changes of the state of the process.

    Yields
    ------
    Changes
        Filled when the block is left, by an exception too.

    Examples
    --------
    >>> with isolated() as changes:
    ...     os.chdir("/")
    >>> changes.directory
    '/'
    """
    state = _take()
    changes = Changes()
    try:
        yield changes
    finally:
        changes.directory = _put_back(state)


def _take() -> _State:
    return _State(
        directory=_directory(),
        mask=_mask(),
        errors=np.geterr(),
        random=np.random.get_state(),
        streams={name: getattr(sys, name) for name in _STREAMS},
        descriptors=_duplicates(),
    )


def _put_back(state: _State) -> str | None:
    """Return the directory that had been gone to, where it was another one."""
    np.random.set_state(state.random)
    np.seterr(**state.errors)
    os.umask(state.mask)
    for number, duplicate in state.descriptors.items():
        try:
            os.fstat(number)
        except OSError:
            os.dup2(duplicate, number)
        os.close(duplicate)
    for name, stream in state.streams.items():
        setattr(sys, name, stream)
    directory = _directory()
    if state.directory is None or directory == state.directory:
        return None
    os.chdir(state.directory)
    return directory or "a folder that is gone"


def _directory() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109  # Path.cwd would hide that it is gone.
    except OSError:
        return None


def _mask() -> int:
    with _reading_mask:
        mask = os.umask(0o077)
        os.umask(mask)
    return mask


def _duplicates() -> dict[int, int]:
    """Return a second descriptor of each standard stream that is open."""
    found = {}
    for number in (1, 2):
        with contextlib.suppress(OSError):
            found[number] = os.dup(number)
    return found

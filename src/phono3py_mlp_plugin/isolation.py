"""Protection of the process state while plugins run.

The working directory, the file mode mask, the standard streams, numpy's handling of
floating-point errors and its global random state belong to the run, not to a plugin.
They are restored after a plugin was called. The environment is not restored, because
libraries may later read variables that they have set.
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
    """Changes that were detected at the end of the block.

    Attributes
    ----------
    directory : str or None
        The changed working directory, None if it did not change.
    """

    directory: str | None = None


@dataclass
class _State:
    """The state to restore."""

    directory: str | None
    mask: int
    errors: Any
    random: Any
    streams: dict[str, Any]
    descriptors: dict[int, int] = field(default_factory=dict)


@contextlib.contextmanager
def isolated() -> Iterator[Changes]:
    """Restore the state of the process at the end of the block.

    Yields
    ------
    Changes
        Set at the end of the block, also after an exception.

    Examples
    --------
    >>> with isolated() as changes:
    ...     os.chdir("/")
    >>> changes.directory
    '/'
    """
    state = _save_state()
    changes = Changes()
    try:
        yield changes
    finally:
        changes.directory = _restore(state)


def _save_state() -> _State:
    return _State(
        directory=_directory(),
        mask=_mask(),
        errors=np.geterr(),
        random=np.random.get_state(),
        streams={name: getattr(sys, name) for name in _STREAMS},
        descriptors=_duplicates(),
    )


def _restore(state: _State) -> str | None:
    """Restore the state and return the changed directory, or None."""
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
    return directory or "a folder that no longer exists"


def _directory() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109  # Path.cwd would hide that it was removed.
    except OSError:
        return None


def _mask() -> int:
    with _reading_mask:
        mask = os.umask(0o077)
        os.umask(mask)
    return mask


def _duplicates() -> dict[int, int]:
    """Return duplicates of the open standard descriptors."""
    duplicates = {}
    for number in (1, 2):
        with contextlib.suppress(OSError):
            duplicates[number] = os.dup(number)
    return duplicates

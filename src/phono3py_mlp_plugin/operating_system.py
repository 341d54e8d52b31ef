"""What operating systems other than Linux lack, and what is used instead."""

from __future__ import annotations

import os
import signal
import sys

BROKEN_PIPE = 128 + int(getattr(signal, "SIGPIPE", 13))
"""Exit code of a command whose output nobody reads; Windows has no such signal."""


def physical_memory() -> int | None:
    """Return the memory of this machine in bytes, None if it is not known."""
    if sys.platform == "win32" or not hasattr(os, "sysconf"):
        return None
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        # Not every system knows these names.
        return None


def open_flags(*names: str) -> int:
    """Return flags of `os.open`, without those that this system lacks.

    On Windows files are opened as they are, without a conversion of line ends.

    Parameters
    ----------
    *names : str
        Names such as ``O_CLOEXEC``.
    """
    flags = 0
    for name in (*names, "O_BINARY"):
        flags |= getattr(os, name, 0)
    return flags

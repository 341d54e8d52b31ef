"""Files that are either whole or not there."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import os
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

# What reading a text file raises where it is truncated, compressed otherwise or binary.
UNREADABLE = (EOFError, OSError, UnicodeDecodeError, lzma.LZMAError, zlib.error)

_OPENERS = {".gz": gzip.open, ".xz": lzma.open, ".lzma": lzma.open, ".bz2": bz2.open}


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` that takes its place when all went well.

    The file is synchronised to disk before it is renamed, so that a crash leaves
    either the old file or the new one.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with replacing(folder / "a.txt") as temporary:
    ...     _ = temporary.write_text("whole")
    >>> (folder / "a.txt").read_text()
    'whole'
    """
    with tempfile.TemporaryDirectory(
        prefix=".phono3py-mlp-", dir=path.parent
    ) as folder:
        temporary = Path(folder) / path.name
        yield temporary
        descriptor = os.open(temporary, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        # What a writer made beside it (pypolymlp's other penalties) comes along.
        for companion in Path(folder).iterdir():
            if companion != temporary:
                companion.replace(path.parent / companion.name)
        temporary.replace(path)


def back_up(path: Path) -> Path:
    """Rename a file to ``name.bak``, replacing an earlier one, and return that path."""
    backup = path.with_name(path.name + ".bak")
    path.replace(backup)
    return backup


def open_text(path: Path) -> IO[str]:
    """Open a text file that may be compressed (.gz, .xz, .lzma, .bz2)."""
    opener = _OPENERS.get(path.suffix)
    if opener is None:
        return path.open(encoding="utf-8")
    file: IO[str] = opener(path, "rt", encoding="utf-8")  # type: ignore[operator]
    return file

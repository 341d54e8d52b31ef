"""Files that are either whole or not there."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import os
import re
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from phono3py_mlp_plugin.errors import in_file

# What reading a text file raises where it is truncated, compressed otherwise or binary.
UNREADABLE = (EOFError, OSError, UnicodeDecodeError, lzma.LZMAError, zlib.error)

_OPENERS = {".gz": gzip.open, ".xz": lzma.open, ".lzma": lzma.open, ".bz2": bz2.open}

# Folders of unfinished files are named after the process that writes.
_PREFIX = ".phono3py-mlp-"
_UNFINISHED = re.compile(re.escape(_PREFIX) + r"(\d+)-")


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
    folder = unfinished_folder(path.parent)
    try:
        temporary = folder / path.name
        yield temporary
        # What a writer made beside it (pypolymlp's other penalties) comes along.
        for companion in folder.iterdir():
            if companion != temporary:
                put_in_place(companion, path.parent / companion.name)
        put_in_place(temporary, path)
    except OSError as error:
        if error.filename is not None and Path(error.filename).parent != folder:
            raise
        raise in_file(error, path) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def unfinished_folder(parent: Path) -> Path:
    """Make a folder for unfinished files; `sweep` removes it where nobody else does."""
    return Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=parent))


def put_in_place(temporary: Path, path: Path) -> None:
    """Rename a finished file over another one, when it is on the disk."""
    _synchronise(temporary)
    temporary.replace(path)
    # The new name is on the disk only when the folder is.
    with contextlib.suppress(OSError):
        _synchronise(path.parent)


def _synchronise(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sweep(folder: Path, process: int | None = None) -> None:
    """Remove what processes left unfinished.

    Parameters
    ----------
    folder : Path
    process : int, optional
        The one that is gone; by default every process that does not live on this
        machine.
    """
    for path in folder.glob(f"{_PREFIX}*-*"):
        found = _UNFINISHED.match(path.name)
        if found is None:
            continue
        owner = int(found.group(1))
        if owner == process or (process is None and not lives(owner)):
            shutil.rmtree(path, ignore_errors=True)


def lives(process: int) -> bool:
    """Return whether a process of this number lives on this machine."""
    if os.name == "nt":
        # There signal 0 is Ctrl-C.
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return not _is_zombie(process)


def _is_zombie(process: int) -> bool:
    """Return whether it has ended and nobody has asked for its exit code yet."""
    try:
        status = Path(f"/proc/{process}/stat").read_text(encoding="utf-8")
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] == "Z"


def back_up(path: Path) -> Path:
    """Keep a file as ``name.bak``, replacing an earlier one, and return that path.

    The file stays where it is until a new one takes its place, so that a crash between
    the two loses neither.
    """
    backup = path.with_name(path.name + ".bak")
    with replacing(backup) as temporary:
        try:
            temporary.hardlink_to(path)
        except OSError:
            # Not every file system has links.
            shutil.copy2(path, temporary)
    return backup


def open_text(path: Path) -> IO[str]:
    """Open a text file that may be compressed (.gz, .xz, .lzma, .bz2)."""
    opener = _OPENERS.get(path.suffix)
    if opener is None:
        return path.open(encoding="utf-8")
    file: IO[str] = opener(path, "rt", encoding="utf-8")  # type: ignore[operator]
    return file

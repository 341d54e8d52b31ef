"""Opening of files for reading: regular files only, with a size limit.

Reading a pipe or a device could block forever, and a compressed file of a few kilobytes
can contain more text than fits into memory.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import os
import stat
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

from phono3py_mlp_plugin.errors import UnusableFile
from phono3py_mlp_plugin.operating_system import open_flags, physical_memory

# Errors of reading a text file that is truncated, binary, or compressed differently.
UNREADABLE = (EOFError, OSError, UnicodeDecodeError, lzma.LZMAError, zlib.error)

_OPENERS: dict[str, Any] = {
    ".gz": gzip.open,
    ".xz": lzma.LZMAFile,
    ".lzma": lzma.LZMAFile,
    ".bz2": bz2.BZ2File,
}

COMPRESSED = tuple(_OPENERS)
"""Suffixes of compressed files that can be read."""

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)

# Parsed YAML takes about ten times as much memory as the text.
_LARGEST_TEXT = 2_000_000_000

_BLOCK = 1 << 20

# Files that phono3py opens without being asked in the folder of a run.
_HOST_INPUTS = (
    "phono3py*.yaml*",
    "phonopy*.yaml*",
    "BORN*",
    "FORCES_FC*",
    "FORCE_SETS*",
    "fc[0-9].hdf5",
    "kappa-*.hdf5",
    "gamma*.hdf5",
    "POSCAR*",
    "*.pmlp*",
    "polymlp.yaml*",
)

# Files among them that phono3py reads completely even if they are compressed.
_READ_WHOLE = (
    "phono3py.yaml",
    "phono3py_params.yaml",
    "phono3py_disp.yaml",
    "FORCES_FC2",
    "FORCES_FC3",
)

# Names that are expected to belong to files, not folders.
_NO_FOLDERS = ("fc2.hdf5", "fc3.hdf5", "phono3py.yaml", "phono3py_params.yaml")


def largest_text() -> int:
    """Return the maximum bytes of a text: an eighth of the memory, at most 2 GB."""
    memory = physical_memory()
    return _LARGEST_TEXT if memory is None else min(_LARGEST_TEXT, memory // 8)


def check_regular(path: Path) -> None:
    """Check that a path is a regular file, without opening it.

    Raises
    ------
    UnusableFile
        If it is a folder, a pipe, a socket, a device, or a dangling link.
    FileNotFoundError
        If the path does not exist.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        if path.is_symlink():
            raise UnusableFile(
                f"{path}: a link to {path.readlink()}, which is not there; expected "
                "a file. Correct or remove the link."
            ) from None
        raise
    _check_mode(path, mode)


def _check_mode(path: Path, mode: int) -> None:
    if stat.S_ISREG(mode):
        return
    kind = next((name for is_kind, name in _KINDS if is_kind(mode)), "no file")
    raise UnusableFile(f"{path}: {kind}; expected a regular file. Move it away.")


def open_regular(path: Path) -> IO[bytes]:
    """Open a regular file for reading bytes.

    Raises
    ------
    UnusableFile
        See `check_regular`.
    OSError
        If the file does not exist, or cannot be read.
    """
    check_regular(path)
    # Do not block if the file was replaced by a pipe after the check.
    descriptor = os.open(path, open_flags("O_RDONLY", "O_NONBLOCK", "O_CLOEXEC"))
    try:
        _check_mode(path, os.fstat(descriptor).st_mode)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def open_text(path: Path, largest: int | None = None) -> IO[str]:
    """Open a text file that may be compressed (.gz, .xz, .lzma, .bz2).

    Parameters
    ----------
    path : Path
    largest : int, optional
        Maximum bytes of text; `largest_text` by default.

    Raises
    ------
    UnusableFile
        If the path is not a regular file or, during reading, if the text is larger.
    """
    # Editors on Windows begin a text by a mark of its encoding.
    return io.TextIOWrapper(open_bytes(path, largest), encoding="utf-8-sig")


def open_bytes(path: Path, largest: int | None = None) -> IO[bytes]:
    """Open a file that may be compressed for reading bytes; see `open_text`."""
    limit = largest_text() if largest is None else largest
    return io.BufferedReader(_Bounded(path, limit), _BLOCK)


class _Bounded(io.RawIOBase):
    """The decompressed bytes of a file, up to a limit."""

    def __init__(self, path: Path, limit: int) -> None:
        super().__init__()
        self._path = path
        self._limit = limit
        self._read = 0
        self._file = open_regular(path)
        opener = _OPENERS.get(path.suffix)
        self._stream = self._file if opener is None else opener(self._file)

    @property
    def name(self) -> str:
        """Path of the file."""
        return str(self._path)

    def fileno(self) -> int:
        """Return the descriptor of the file, whose size limits what may be read."""
        return self._file.fileno()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        data = self._stream.read(len(buffer))
        self._read += len(data)
        if self._read > self._limit:
            raise UnusableFile(
                f"{self._path}: holds more than {self._limit / 1e9:.2g} GB of text; "
                "expected less. It is damaged, or not what its name says."
            )
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            with contextlib.suppress(OSError):
                self._stream.close()
            self._file.close()
        super().close()


def check_input(path: Path) -> None:
    """Check a file that other code will read completely; see `open_text`.

    Raises
    ------
    UnusableFile
        If it is not a regular file, or contains too much text.
    """
    check_regular(path)
    limit = largest_text()
    if path.suffix not in _OPENERS and path.stat().st_size <= limit:
        return
    with io.BufferedReader(_Bounded(path, limit), _BLOCK) as file:
        try:
            while file.read(_BLOCK):
                pass
        except UnusableFile:
            raise
        except UNREADABLE:
            pass  # Other errors are reported when the file is read.


def check_inputs(folder: Path, named: Iterable[Any] = ()) -> None:
    """Check input files in the folder of a run and in options.

    Dangling links are ignored here, and reported when the file is opened.

    Parameters
    ----------
    folder : Path
    named : iterable
        Values of options, or lists of them. Values that are not paths are ignored;
        folders are searched like the folder of the run.

    Raises
    ------
    UnusableFile
        If a pipe, a socket or a device is found instead of a file, or a compressed
        file contains too much text.
    """
    chosen = _paths(named)
    folders = [folder, *(path for path in chosen if path.is_dir())]
    inputs = {
        path for f in folders for pattern in _HOST_INPUTS for path in f.glob(pattern)
    }
    for path in sorted({*inputs, *chosen}):
        try:
            mode = path.stat().st_mode
        except OSError:
            continue
        if stat.S_ISDIR(mode) and (path in chosen or path.name not in _NO_FOLDERS):
            continue
        _check_mode(path, mode)
        is_read = path in chosen or path.with_suffix("").name in _READ_WHOLE
        if is_read and path.suffix in _OPENERS:
            check_input(path)


def _paths(values: Iterable[Any]) -> list[Path]:
    """Return the existing paths among values of options."""
    paths = []
    for value in values:
        if isinstance(value, list | tuple):
            paths += _paths(value)
        elif isinstance(value, str | os.PathLike) and str(value):
            path = Path(value)
            try:
                path.stat()
            except (OSError, ValueError):
                continue
            paths.append(path)
    return paths

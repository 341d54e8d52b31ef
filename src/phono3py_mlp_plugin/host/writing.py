"""Atomic writing of the output files of phono3py.

phono3py opens its output files by ``open(name, "w")`` and ``h5py.File(name, "w")`` in a
few modules. The two names are replaced in these modules, so that a temporary file is
written and renamed when it is closed.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import h5py

from phono3py_mlp_plugin.errors import in_file
from phono3py_mlp_plugin.files import (
    NUMBERS,
    back_up,
    hash_of_numbers,
    put_in_place,
    unfinished_folder,
)
from phono3py_mlp_plugin.host.process import put

_MODULES = (
    "phono3py.file_IO",
    "phono3py.api_phono3py",
    "phono3py.cui.phono3py_script",
    "phono3py.phonon3.gruneisen",
)


class HostFiles:
    """Output files of phono3py, and attributes to add to them.

    Attributes
    ----------
    attributes : dict
        Attributes to write into HDF5 files, by file name. An existing file of that
        name is kept as ``.bak``.
    """

    def __init__(self) -> None:
        self.attributes: dict[str, Mapping[str, str]] = {}
        self.writes = True

    def install(
        self, modules: Mapping[str, ModuleType], *, writes: bool = True
    ) -> None:
        """Replace ``open`` and ``h5py`` where phono3py writes, for one command.

        Without ``writes`` the files do not appear: the command is a part of a run.
        """
        self.writes = writes
        for name in _MODULES:
            module: Any = modules.get(name)
            if module is None:
                continue
            put(module, "open", _open if writes else _open_unseen)
            if hasattr(module, "h5py"):
                put(module, "h5py", _H5py(self))


class _H5py:
    """Replacement of the module h5py with atomic writing of new files."""

    def __init__(self, files: HostFiles) -> None:
        self._files = files

    def __getattr__(self, name: str) -> Any:
        return getattr(h5py, name)

    def File(self, name: Any, mode: str = "r", **options: Any) -> h5py.File:
        """Open a file; a new file appears under its name when it is closed."""
        if mode != "w":
            return h5py.File(name, mode, **options)
        return _AtomicHDF5(Path(name), self._files, options)


@dataclass(frozen=True)
class _Unfinished:
    """The temporary file of an output path."""

    path: Path
    folder: Path
    keep_old: bool = False
    appears: bool = True

    @property
    def temporary(self) -> Path:
        return self.folder / self.path.name

    def finish(self) -> None:
        if not self.appears:
            self.discard()
            return
        if self.keep_old and self.path.is_file():
            back_up(self.path)
        put_in_place(self.temporary, self.path)
        self.discard()

    def discard(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


class _AtomicFile:
    """Mixin of an open file that is renamed when it is closed without error."""

    _unfinished: _Unfinished | None = None

    def __exit__(self, *error: Any) -> None:
        unfinished = self._unfinished
        if error[0] is None or unfinished is None:
            self.close()
            return
        self._discard()
        with contextlib.suppress(OSError):
            self.close()
        if isinstance(error[1], OSError):
            raise in_file(error[1], unfinished.path) from error[1]

    def close(self) -> None:
        """Close the file and rename it."""
        unfinished, self._unfinished = self._unfinished, None
        if unfinished is None:
            self._close()
            return
        try:
            self._write_attributes()
            self._close()
            unfinished.finish()
        except OSError as error:
            unfinished.discard()
            raise in_file(error, unfinished.path) from error
        except BaseException:
            unfinished.discard()
            raise

    def _write_attributes(self) -> None:
        """Write additional content before closing."""

    def _close(self) -> None:
        super().close()  # type: ignore[misc]

    def _discard(self) -> None:
        if self._unfinished is not None:
            self._unfinished.discard()
            self._unfinished = None


class _Disk(io.FileIO):
    """File object for HDF5 that keeps a write error until the file is closed.

    HDF5 crashes if a write fails while the interpreter exits.
    """

    error: OSError | None = None

    def write(self, data: Any, /) -> int:
        remaining = memoryview(data).cast("B")
        size = len(remaining)
        try:
            while remaining and self.error is None:
                remaining = remaining[super().write(remaining) :]
        except OSError as error:
            self.error = error
        return size

    def truncate(self, size: int | None = None, /) -> int:
        return 0 if self.error is not None else super().truncate(size)


class _AtomicHDF5(_AtomicFile, h5py.File):  # type: ignore[misc]
    def __init__(
        self, path: Path, files: HostFiles, options: Mapping[str, Any]
    ) -> None:
        self._attributes = files.attributes.get(path.name)
        unfinished = _Unfinished(
            path,
            unfinished_folder(path),
            keep_old=self._attributes is not None,
            appears=files.writes,
        )
        self._disk = _Disk(unfinished.temporary, "w+b")
        try:
            super().__init__(self._disk, "w", **options)
        except BaseException:
            self._disk.close()
            unfinished.discard()
            raise
        self._unfinished = unfinished

    def _write_attributes(self) -> None:
        if self._attributes is None:
            return
        self.flush()
        # After a write error the data cannot be read; _close raises that error.
        if self._disk.error is None:
            numbers = {NUMBERS: hash_of_numbers(self)}
            self.attrs.update({**self._attributes, **numbers})

    def _close(self) -> None:
        super()._close()
        self._disk.close()
        if self._disk.error is not None:
            raise self._disk.error


class _AtomicText(_AtomicFile, io.TextIOWrapper):
    def __init__(self, path: Path, *, appears: bool = True) -> None:
        unfinished = _Unfinished(path, unfinished_folder(path), appears=appears)
        super().__init__(io.BufferedWriter(io.FileIO(unfinished.temporary, "wb")))
        self._unfinished = unfinished

    def __del__(self) -> None:
        # The file was not closed because the writer failed.
        self._discard()
        super().__del__()


def _open(file: Any, mode: str = "r", *args: Any, **options: Any) -> Any:
    """Replace the built-in function; new text files are written atomically."""
    if mode != "w" or not isinstance(file, str | os.PathLike) or args or options:
        return io.open(file, mode, *args, **options)  # noqa: UP020
    return _AtomicText(Path(file))


def _open_unseen(file: Any, mode: str = "r", *args: Any, **options: Any) -> Any:
    """Replace the built-in function; new text files do not appear."""
    if mode != "w" or not isinstance(file, str | os.PathLike):
        return _open(file, mode, *args, **options)
    return _AtomicText(Path(file), appears=False)

"""The host's own files, written whole or not at all.

The host opens what it writes by ``open(name, "w")`` and ``h5py.File(name, "w")`` in a
few modules. There the two names get ours, which write beside the file and rename when
it is closed.
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

_MODULES = (
    "phono3py.file_IO",
    "phono3py.api_phono3py",
    "phono3py.cui.phono3py_script",
    "phono3py.phonon3.gruneisen",
)


class HostFiles:
    """What is done to the host's files when they take their place.

    Attributes
    ----------
    attributes : dict
        Attributes to write into an HDF5 file, by its name. The file that it replaces
        is kept as ``.bak``.
    """

    def __init__(self) -> None:
        self.attributes: dict[str, Mapping[str, str]] = {}

    def install(self, modules: Mapping[str, ModuleType]) -> None:
        """Put our ``open`` and ``h5py`` into the modules of the host that write."""
        for name in _MODULES:
            module: Any = modules.get(name)
            if module is None:
                continue
            module.open = _open
            if hasattr(module, "h5py"):
                module.h5py = _H5py(self)


class _H5py:
    """Stands for the module h5py; only what is written is ours."""

    def __init__(self, files: HostFiles) -> None:
        self._files = files

    def __getattr__(self, name: str) -> Any:
        return getattr(h5py, name)

    def File(self, name: Any, mode: str = "r", **options: Any) -> h5py.File:
        """Open a file; a new one takes its place when it is closed."""
        if mode != "w":
            return h5py.File(name, mode, **options)
        return _HDF5(Path(name), self._files, options)


@dataclass(frozen=True)
class _Unfinished:
    """The temporary file of a path."""

    path: Path
    folder: Path
    keep_old: bool = False

    @property
    def temporary(self) -> Path:
        return self.folder / self.path.name

    def finish(self) -> None:
        if self.keep_old and self.path.is_file():
            back_up(self.path)
        put_in_place(self.temporary, self.path)
        self.discard()

    def discard(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


class _Whole:
    """Mixin of an open file that takes its place when it is closed without error."""

    _unfinished: _Unfinished | None = None

    def __exit__(self, *error: Any) -> None:
        unfinished = self._unfinished
        if error[0] is None or unfinished is None:
            self.close()
            return
        self._give_up()
        with contextlib.suppress(OSError):
            self.close()
        if isinstance(error[1], OSError):
            raise in_file(error[1], unfinished.path) from error[1]

    def close(self) -> None:
        """Close the file and put it in its place."""
        unfinished, self._unfinished = self._unfinished, None
        if unfinished is None:
            self._close()
            return
        try:
            self._complete()
            self._close()
            unfinished.finish()
        except OSError as error:
            unfinished.discard()
            raise in_file(error, unfinished.path) from error
        except BaseException:
            unfinished.discard()
            raise

    def _complete(self) -> None:
        """Write what the host does not."""

    def _close(self) -> None:
        super().close()  # type: ignore[misc]

    def _give_up(self) -> None:
        if self._unfinished is not None:
            self._unfinished.discard()
            self._unfinished = None


class _Disk(io.FileIO):
    """What HDF5 writes to: what the disk refuses is told when all is written.

    HDF5 crashes where it cannot write what is left when the interpreter ends.
    """

    error: OSError | None = None

    def write(self, data: Any, /) -> int:
        left = memoryview(data).cast("B")
        size = len(left)
        try:
            while left and self.error is None:
                left = left[super().write(left) :]
        except OSError as error:
            self.error = error
        return size

    def truncate(self, size: int | None = None, /) -> int:
        return 0 if self.error is not None else super().truncate(size)


class _HDF5(_Whole, h5py.File):  # type: ignore[misc]
    def __init__(
        self, path: Path, files: HostFiles, options: Mapping[str, Any]
    ) -> None:
        self._attributes = files.attributes.get(path.name)
        unfinished = _Unfinished(
            path, unfinished_folder(path), keep_old=self._attributes is not None
        )
        self._disk = _Disk(unfinished.temporary, "w+b")
        try:
            super().__init__(self._disk, "w", **options)
        except BaseException:
            self._disk.close()
            unfinished.discard()
            raise
        self._unfinished = unfinished

    def _complete(self) -> None:
        if self._attributes is None:
            return
        self.flush()
        # What the disk did not take cannot be read; it is told when all is closed.
        if self._disk.error is None:
            numbers = {NUMBERS: hash_of_numbers(self)}
            self.attrs.update({**self._attributes, **numbers})

    def _close(self) -> None:
        super()._close()
        self._disk.close()
        if self._disk.error is not None:
            raise self._disk.error


class _Text(_Whole, io.TextIOWrapper):
    def __init__(self, path: Path) -> None:
        unfinished = _Unfinished(path, unfinished_folder(path))
        super().__init__(io.BufferedWriter(io.FileIO(unfinished.temporary, "wb")))
        self._unfinished = unfinished

    def __del__(self) -> None:
        # Nobody closed it: the writer failed on its way.
        self._give_up()
        super().__del__()


def _open(file: Any, mode: str = "r", *args: Any, **options: Any) -> Any:
    """Stand for the built-in function; a new text file is ours."""
    if mode != "w" or not isinstance(file, str | os.PathLike) or args or options:
        return io.open(file, mode, *args, **options)  # noqa: UP020
    return _Text(Path(file))

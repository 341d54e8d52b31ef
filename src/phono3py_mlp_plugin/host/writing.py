"""The host's own files, written whole or not at all.

The host opens what it writes by ``open(name, "w")`` and ``h5py.File(name, "w")`` in a
few modules. There the two names get ours, which write beside the file and rename when
it is closed.
"""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import h5py

from phono3py_mlp_plugin.files import back_up, put_in_place, unfinished_folder

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


class _Unfinished:
    """The temporary file of a path."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.folder = unfinished_folder(path.parent)
        self.temporary = self.folder / path.name

    def finish(self, *, keep_old: bool = False) -> None:
        if keep_old and self.path.is_file():
            back_up(self.path)
        put_in_place(self.temporary, self.path)
        self.discard()

    def discard(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


class _HDF5(h5py.File):  # type: ignore[misc]
    def __init__(
        self, path: Path, files: HostFiles, options: Mapping[str, Any]
    ) -> None:
        self._unfinished: _Unfinished | None = None
        unfinished = _Unfinished(path)
        try:
            super().__init__(unfinished.temporary, "w", **options)
        except BaseException:
            unfinished.discard()
            raise
        self._unfinished = unfinished
        self._attributes = files.attributes.get(path.name)

    def __exit__(self, *error: Any) -> None:
        if error[0] is not None:
            self._give_up()
        self.close()

    def close(self) -> None:
        """Close the file and put it in its place."""
        unfinished, self._unfinished = self._unfinished, None
        if unfinished is None:
            super().close()
            return
        try:
            self.attrs.update(self._attributes or {})
            super().close()
            unfinished.finish(keep_old=self._attributes is not None)
        except BaseException:
            unfinished.discard()
            raise

    def _give_up(self) -> None:
        if self._unfinished is not None:
            self._unfinished.discard()
            self._unfinished = None


class _Text(io.TextIOWrapper):
    def __init__(self, path: Path) -> None:
        unfinished = _Unfinished(path)
        super().__init__(io.BufferedWriter(io.FileIO(unfinished.temporary, "wb")))
        self._unfinished: _Unfinished | None = unfinished

    def __exit__(self, *error: Any) -> None:
        if error[0] is not None:
            self._give_up()
        super().__exit__(*error)

    def __del__(self) -> None:
        # Nobody closed it: the writer failed on its way.
        self._give_up()
        super().__del__()

    def close(self) -> None:
        """Close the file and put it in its place."""
        unfinished, self._unfinished = getattr(self, "_unfinished", None), None
        try:
            super().close()
            if unfinished is not None:
                unfinished.finish()
        except BaseException:
            if unfinished is not None:
                unfinished.discard()
            raise

    def _give_up(self) -> None:
        if getattr(self, "_unfinished", None) is not None:
            assert self._unfinished is not None
            self._unfinished.discard()
            self._unfinished = None


def _open(file: Any, mode: str = "r", *args: Any, **options: Any) -> Any:
    """Stand for the built-in function; a new text file is ours."""
    if mode != "w" or not isinstance(file, str | os.PathLike) or args or options:
        return io.open(file, mode, *args, **options)  # noqa: UP020
    return _Text(Path(file))

"""Finished chunks on disk, by content.

Chunks are collected for some seconds and written together: a file for each of thousands
of fast chunks would take longer than computing them. A file is whole or absent.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np

from phono3py_mlp_plugin.files import (
    check_regular,
    read_json,
    replacing,
    write_json,
)
from phono3py_mlp_plugin.parallel.chunks import Arrays

FOLDER = ".phono3py-mlp-chunks"

_COMMAND = "command.json"

# Seconds between writes: no more work is lost if the run is killed. In long runs, up to
# this part of the time that the run has taken.
_SECONDS = 5.0
_PART = 0.01

# Characters of a fingerprint in names.
_LENGTH = 32

# Errors of reading a damaged file, whose chunks are computed again.
_DAMAGED = (OSError, RuntimeError, ValueError, KeyError, TypeError)


class ChunkStore:
    """Finished chunks of one stage in a folder.

    Parameters
    ----------
    parent : Path
        Folder of the run.
    stage : str
        Name of the stage.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> store = ChunkStore(folder, "evaluation")
    >>> store.add("a3f0", {"energies": np.array([1.5])})
    >>> store.write()
    >>> ChunkStore(folder, "evaluation").get("a3f0")
    {'energies': array([1.5])}
    """

    def __init__(self, parent: Path, stage: str) -> None:
        # A plugin may change the working directory.
        self._folder = (parent / FOLDER).absolute()
        self._stage = stage
        self._files = {key: path for path in self._paths() for key in _keys(path)}
        self._new: dict[str, Arrays] = {}
        self._start = self._last = time.monotonic()

    def __len__(self) -> int:
        return len(self._files)

    def get(self, key: str) -> Arrays | None:
        """Return a finished chunk, or None. Damaged ones are forgotten."""
        path = self._files.get(key[:_LENGTH])
        if path is None:
            return None
        try:
            return _read(path, key[:_LENGTH])
        except _DAMAGED:
            del self._files[key[:_LENGTH]]
            return None

    def add(self, key: str, arrays: Arrays) -> None:
        """Keep a finished chunk; it is on disk after some seconds, or `write`."""
        self._new[key[:_LENGTH]] = arrays
        now = time.monotonic()
        if now - self._last > max(_SECONDS, _PART * (now - self._start)):
            self.write()

    @property
    def is_slow(self) -> bool:
        """Whether its chunks took so long that they are worth a file."""
        return time.monotonic() - self._start > _SECONDS

    def write(self) -> None:
        """Write all chunks that are not yet on disk into one file."""
        new, self._new = self._new, {}
        self._last = time.monotonic()
        if not new:
            return
        name = hashlib.sha256(" ".join(new).encode()).hexdigest()[:_LENGTH]
        path = self._folder / f"{self._stage}-{name}.hdf5"
        # HDF5 crashes if a write to the disk fails.
        content = io.BytesIO()
        with h5py.File(content, "w") as file:
            for key, arrays in new.items():
                group = file.create_group(key)
                for item, array in arrays.items():
                    group[item] = np.asarray(array, dtype=np.float64)
                group.attrs["sha256"] = _hash(arrays)
        self._folder.mkdir(exist_ok=True)
        try:
            with replacing(path) as temporary:
                temporary.write_bytes(content.getbuffer())
        finally:
            if not any(self._folder.iterdir()):
                self._folder.rmdir()
        self._files |= dict.fromkeys(new, path)

    def _paths(self) -> list[Path]:
        return sorted(self._folder.glob(f"{self._stage}-*.hdf5"))


def count_chunks(parent: Path, stage: str) -> int:
    """Return the number of finished chunks of a stage in the folder of a run."""
    return len(ChunkStore(parent, stage))


def write_shared(parent: Path, key: str, data: bytes) -> Path:
    """Write what the chunks of a stage share into a file for workers; return it."""
    folder = (parent / FOLDER).absolute()
    folder.mkdir(exist_ok=True)
    path = folder / f"shared-{key[:_LENGTH]}"
    with replacing(path) as temporary:
        temporary.write_bytes(data)
    return path


def write_command(parent: Path, command: Sequence[str]) -> None:
    """Keep the command whose parts are computed in a folder, for `read_command`."""
    (parent / FOLDER).mkdir(exist_ok=True)
    write_json(parent / FOLDER / _COMMAND, {"command": list(command)})


def read_command(parent: Path) -> list[str] | None:
    """Return the command whose parts have been computed in a folder, or None."""
    record = read_json(parent / FOLDER / _COMMAND)
    words = None if record is None else record.get("command")
    if not isinstance(words, list) or not all(isinstance(w, str) for w in words):
        return None
    return words


def forget_chunks(parent: Path, stage: str | None = None) -> None:
    """Remove the finished chunks of a stage, or all, after the results are written."""
    folder = parent / FOLDER
    if stage is None:
        shutil.rmtree(folder, ignore_errors=True)
        return
    for path in folder.glob(f"{stage}-*.hdf5"):
        path.unlink(missing_ok=True)
    if not any(folder.glob("*-*")):
        shutil.rmtree(folder, ignore_errors=True)


def _keys(path: Path) -> list[str]:
    """Return the chunks in a file; a damaged file is removed."""
    try:
        check_regular(path)
        with h5py.File(path) as file:
            return list(file)
    except _DAMAGED:
        with contextlib.suppress(OSError):
            path.unlink()
        return []


def _read(path: Path, key: str) -> Arrays:
    with h5py.File(path) as file:
        group = file[key]
        arrays = {str(name): np.asarray(group[name][()]) for name in group}
        expected = group.attrs["sha256"]
    if _hash(arrays) != expected:
        raise ValueError("damaged")
    return arrays


def _hash(arrays: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name], dtype=np.float64)
        digest.update(f"{name}{array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()

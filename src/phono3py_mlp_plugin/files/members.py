"""Kappa of finished ensemble members, kept until the whole point is finished."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from phono3py_mlp_plugin.contracts import FloatArray
from phono3py_mlp_plugin.files.atomic import replacing

_FOLDER = ".phono3py-mlp-members"

_NAME = re.compile(r"([0-9a-f]+)-(\d+)\.npy")

# Characters of a fingerprint that distinguish points.
_KEY_LENGTH = 32


class FinishedMembers:
    """Storage for kappa of single members, by the key of their point.

    Each member is written atomically into a separate file.

    Parameters
    ----------
    parent : Path
        Folder of the run.
    key : str
        Fingerprint of everything that determines the point.

    Examples
    --------
    >>> import tempfile
    >>> members = FinishedMembers(Path(tempfile.mkdtemp()), "a3f0")
    >>> float(members.get_or_compute(2, lambda: np.full((1, 6), 8.5))[0, 0])
    8.5
    >>> sorted(members.load())
    [2]
    """

    def __init__(self, parent: Path, key: str) -> None:
        # A plugin may change the working directory.
        self._folder = (parent / _FOLDER).absolute()
        self._key = key[:_KEY_LENGTH]

    def load(self) -> dict[int, FloatArray]:
        """Return kappa in W/m-K, ``(n_temperatures, 6)``, by index of the member.

        Damaged files are removed.
        """
        kappas = {}
        for path, key, index in _files(self._folder):
            if key != self._key:
                continue
            kappa = _read(path)
            if kappa is None:
                path.unlink(missing_ok=True)
            else:
                kappas[index] = kappa
        return kappas

    def save(self, index: int, kappa: FloatArray) -> None:
        """Store kappa of the member with this index."""
        self._folder.mkdir(exist_ok=True)
        with (
            replacing(self._folder / f"{self._key}-{index}.npy") as temporary,
            temporary.open("wb") as file,
        ):
            np.save(file, np.asarray(kappa, dtype=np.float64), allow_pickle=False)

    def get_or_compute(
        self, index: int, compute: Callable[[], FloatArray]
    ) -> FloatArray:
        """Return kappa of one member; compute and store it if it is unknown."""
        path = self._folder / f"{self._key}-{index}.npy"
        kappa = _read(path) if path.is_file() else None
        if kappa is None:
            kappa = compute()
            self.save(index, kappa)
        return kappa

    def forget(self) -> None:
        """Remove the members of this point, after it is finished and stored."""
        for path, key, _ in _files(self._folder):
            if key == self._key:
                path.unlink(missing_ok=True)
        if self._folder.is_dir() and not any(self._folder.iterdir()):
            self._folder.rmdir()


def count_finished_members(parent: Path) -> int:
    """Return the number of stored members of unfinished points."""
    return len(_files(parent / _FOLDER))


def forget_finished_members(parent: Path) -> None:
    """Remove the members of all points, including those of abandoned studies."""
    shutil.rmtree(parent / _FOLDER, ignore_errors=True)


def _files(folder: Path) -> list[tuple[Path, str, int]]:
    """Return files with the key of their point and the index of their member."""
    files = []
    for path in sorted(folder.glob("*.npy")):
        name = _NAME.fullmatch(path.name)
        if name is not None and path.is_file():
            files.append((path, name.group(1), int(name.group(2))))
    return files


def _read(path: Path) -> FloatArray | None:
    """Return kappa, or None if the file does not contain it."""
    try:
        with path.open("rb") as file:
            kappa = np.load(file, allow_pickle=False)
    except (OSError, EOFError, ValueError):
        return None
    if not isinstance(kappa, np.ndarray) or kappa.dtype != np.float64:
        return None
    is_valid = kappa.ndim == 2 and kappa.shape[1] == 6 and np.isfinite(kappa).all()
    return kappa if is_valid else None

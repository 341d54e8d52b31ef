"""Finished parts of an evaluation, kept so that the run can be continued."""

from __future__ import annotations

import contextlib
import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from phono3py_mlp_plugin.contracts import Evaluation
from phono3py_mlp_plugin.files.atomic import replacing
from phono3py_mlp_plugin.files.fingerprint import fingerprint
from phono3py_mlp_plugin.files.regular import largest_text, open_regular

if TYPE_CHECKING:
    from phonopy.structure.atoms import PhonopyAtoms

FOLDER = ".phono3py-mlp-partial"

# Errors raised for a damaged file, whose part is then computed again.
_DAMAGED = (
    OSError,
    EOFError,
    MemoryError,
    ValueError,
    KeyError,
    TypeError,
    zipfile.BadZipFile,
)


class PartialEvaluations:
    """Storage for finished parts of an evaluation, by content.

    Parameters
    ----------
    parent : Path
        Folder of the run.
    key : str
        Fingerprint of potential and supercells.
    """

    def __init__(self, parent: Path, key: str) -> None:
        self._folder = parent / FOLDER
        self._key = key[:32]

    def load(self) -> dict[int, Evaluation]:
        """Return the stored parts by the index of their first supercell."""
        parts = {}
        for path in sorted(self._folder.glob(f"{self._key}-*.npz")):
            try:
                start, part = _read(path)
                parts[start] = part
            except _DAMAGED:
                with contextlib.suppress(OSError):
                    path.unlink()
        return parts

    def save(self, start: int, part: Evaluation) -> None:
        """Store the evaluation of supercells starting at index ``start``."""
        self._folder.mkdir(exist_ok=True)
        arrays: dict[str, Any] = {"start": start, "energies": part.energies}
        arrays["forces"] = part.forces
        if part.stresses is not None:
            arrays["stresses"] = part.stresses
        path = self._folder / f"{self._key}-{start:08}.npz"
        with replacing(path) as temporary:
            np.savez(temporary, **arrays)


def evaluation_key(origin: str | None, cells: Sequence[PhonopyAtoms | None]) -> str:
    """Return the fingerprint of potential and supercells.

    Parameters
    ----------
    origin : str or None
        Fingerprint of everything that determines the forces of the potential.
    cells : sequence of PhonopyAtoms or None
    """
    present = [cell for cell in cells if cell is not None]
    return fingerprint(
        {
            "potential": origin,
            "lattices": np.array([cell.cell for cell in present]),
            "positions": np.array([cell.positions for cell in present]),
            "symbols": list(present[0].symbols) if present else [],
        }
    )


def _read(path: Path) -> tuple[int, Evaluation]:
    # numpy does not close a damaged file that it has opened.
    with open_regular(path) as file:
        with zipfile.ZipFile(file) as members:
            size = sum(member.file_size for member in members.infolist())
        if size > largest_text():
            raise ValueError("larger than any stored part")
        file.seek(0)
        with np.load(file, allow_pickle=False) as arrays:
            part = Evaluation(
                arrays["energies"], arrays["forces"], arrays.get("stresses")
            )
            start = int(arrays["start"])
    n = len(part.energies)
    if n == 0:
        raise ValueError("empty")
    for array, shape in (
        (part.energies, (n,)),
        (part.forces, (n, *part.forces.shape[1:2], 3)),
        (part.stresses, (n, 3, 3)),
    ):
        if array is None:
            continue
        if array.dtype != np.float64 or array.shape != shape:
            raise ValueError("not the arrays of an evaluation")
        if not np.isfinite(array).all():
            raise ValueError("not finite")
    return start, part


def forget_partial_evaluations(parent: Path) -> None:
    """Remove all stored parts, after the run has written its results."""
    shutil.rmtree(parent / FOLDER, ignore_errors=True)

"""Evaluations of a run that has not finished, kept so that it can go on."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from phono3py_mlp_plugin.contracts import Evaluation
from phono3py_mlp_plugin.files.atomic import replacing

FOLDER = ".phono3py-mlp-partial"

# What a damaged file raises; it is computed again then.
_DAMAGED = (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile)


class PartialEvaluations:
    """Finished parts of an evaluation, found again by content.

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
        """Return the parts by the index of their first supercell."""
        found = {}
        for path in sorted(self._folder.glob(f"{self._key}-*.npz")):
            try:
                # numpy leaves a damaged file open that it opened itself.
                with path.open("rb") as file, np.load(file, allow_pickle=False) as part:
                    found[int(part["start"])] = Evaluation(
                        part["energies"], part["forces"], part.get("stresses")
                    )
            except _DAMAGED:
                path.unlink(missing_ok=True)
        return found

    def save(self, start: int, part: Evaluation) -> None:
        """Keep the evaluation of supercells from ``start`` on."""
        self._folder.mkdir(exist_ok=True)
        arrays: dict[str, Any] = {"start": start, "energies": part.energies}
        arrays["forces"] = part.forces
        if part.stresses is not None:
            arrays["stresses"] = part.stresses
        path = self._folder / f"{self._key}-{start:08}.npz"
        with replacing(path) as temporary:
            np.savez(temporary, **arrays)


def forget_partial_evaluations(parent: Path) -> None:
    """Remove what was kept: the run has written its results."""
    shutil.rmtree(parent / FOLDER, ignore_errors=True)

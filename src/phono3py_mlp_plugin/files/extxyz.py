"""Snapshots in extended XYZ files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from phono3py_mlp_plugin.contracts import FloatArray
from phono3py_mlp_plugin.errors import (
    DatasetError,
    PluginNotFound,
    UnusableFile,
    one_line,
)
from phono3py_mlp_plugin.files.regular import open_text


@dataclass(frozen=True, eq=False)
class Frame:
    """One snapshot of another program.

    Attributes
    ----------
    where : str
        File name and frame number, for messages.
    lattice : ndarray
        Rows are lattice vectors (angstrom), shape ``(3, 3)``.
    symbols : list of str
    positions, forces : ndarray
        In angstrom and eV/angstrom, shape ``(N, 3)``.
    energy : float or None
        In eV.
    """

    where: str
    lattice: FloatArray
    symbols: list[str]
    positions: FloatArray
    forces: FloatArray
    energy: float | None


def read_extxyz(path: Path) -> list[Frame]:
    """Read all frames of an extended XYZ file with ASE.

    Raises
    ------
    DatasetError
        If the file is invalid, or a frame has no cell or no forces.
    PluginNotFound
        If ASE is not installed.
    UnusableFile
        If the file is not a regular file, or too large.
    OSError
        If the file cannot be opened.
    """
    try:
        from ase.io.extxyz import read_extxyz as read_frames
    except ImportError:
        raise PluginNotFound(
            "reading extended XYZ files needs ASE. "
            "Install it by 'pip install \"phono3py-mlp-plugin[ase]\"'."
        ) from None
    frames: list[Frame] = []
    with open_text(path) as file:
        try:
            for number, atoms in enumerate(read_frames(file, slice(None)), start=1):
                frames.append(_frame(atoms, f"{path}, frame {number}"))
        except (DatasetError, UnusableFile):
            raise
        # ASE raises many types of errors for an invalid file.
        except Exception as error:
            raise DatasetError(
                f"{path}: not an extended XYZ file after frame {len(frames)} "
                f"({one_line(error)}). Is it complete?"
            ) from error
    if not frames:
        raise DatasetError(f"{path}: there is no frame in it.")
    return frames


def _frame(atoms: Any, where: str) -> Frame:
    if not atoms.pbc.all() or not abs(atoms.cell.volume) >= 1e-9:
        raise DatasetError(f"{where}: there is no periodic cell (Lattice=...).")
    # get_forces() would return zeros for atoms that are fixed in the file.
    results = {} if atoms.calc is None else atoms.calc.results
    if "forces" not in results:
        others = [name for name in atoms.arrays if "force" in name.lower()]
        hint = f" Rename the column {others[0]!r} to 'forces'." if others else ""
        raise DatasetError(f"{where}: there are no forces.{hint}")
    energy = results.get("energy")
    forces = np.array(results["forces"], dtype="double")
    if not np.isfinite(forces).all() or not np.isfinite(atoms.positions).all():
        raise DatasetError(f"{where}: a number is not finite.")
    return Frame(
        where=where,
        lattice=np.array(atoms.cell),
        symbols=list(atoms.symbols),
        positions=atoms.positions,
        forces=forces,
        energy=None if energy is None else float(energy),
    )

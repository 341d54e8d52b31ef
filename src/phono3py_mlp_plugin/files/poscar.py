"""Unit cells in the format of VASP.

phono3py takes an unknown element for hydrogen, a scale for a factor where it is the
volume, and Cartesian coordinates for unscaled ones.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from phono3py_mlp_plugin.contracts import FloatArray
from phono3py_mlp_plugin.errors import DatasetError
from phono3py_mlp_plugin.files.program_output import Snapshot
from phono3py_mlp_plugin.files.regular import open_text

_COMMENT = re.compile(r"[!#]")


def read_poscar(path: Path) -> Snapshot:
    """Read a POSCAR or CONTCAR of VASP 4 or later.

    Parameters
    ----------
    path : Path

    Raises
    ------
    DatasetError
        If it is not of this format, incomplete, or does not name its elements.
    """
    with open_text(path) as file:
        lines = file.read().lstrip("\ufeff").splitlines()
    try:
        lattice, scale = _lattice(lines)
        symbols, below = _symbols(lines)
        coordinates, cartesian = _coordinates(lines[below:], len(symbols))
    except (IndexError, ValueError) as error:
        reason = "it ends early" if isinstance(error, IndexError) else str(error)
        raise DatasetError(
            f"{path}: not a complete POSCAR ({reason}); expected a scale, three "
            "lattice vectors, elements, their numbers, and coordinates."
        ) from error
    except DatasetError as error:
        raise DatasetError(f"{path}: {error}") from error
    positions = coordinates * scale if cartesian else coordinates @ lattice
    return Snapshot(lattice, symbols, positions, True, {}, {})


def _words(line: str) -> list[str]:
    return _COMMENT.split(line, maxsplit=1)[0].split()


def _lattice(lines: Sequence[str]) -> tuple[FloatArray, FloatArray]:
    """Return the lattice and the scale of Cartesian coordinates."""
    vectors = np.array([_words(line)[:3] for line in lines[2:5]], dtype="double")
    scale = np.array(_leading_numbers(_words(lines[1])))
    if vectors.shape != (3, 3) or len(scale) not in (1, 3):
        raise ValueError("lattice")
    if len(scale) == 1 and scale[0] < 0:
        # The volume of the cell.
        volume = abs(float(np.linalg.det(vectors)))
        scale = np.cbrt(-scale / volume) if volume > 0 else scale
    if not (scale > 0).all():
        raise DatasetError(
            f"scale = {_words(lines[1])[0]}; expected a positive factor, or the volume "
            "with a minus sign. Correct the second line."
        )
    return vectors * scale, scale


def _leading_numbers(words: Sequence[str]) -> list[float]:
    """Return the numbers before any comment: one, or three."""
    numbers = [float(words[0])]
    for word in words[1:3]:
        try:
            numbers.append(float(word))
        except ValueError:
            break
    return numbers if len(numbers) == 3 else numbers[:1]


def _symbols(lines: Sequence[str]) -> tuple[list[str], int]:
    """Return the element of each atom, and the number of lines above coordinates."""
    named = not _words(lines[5])[0].isdigit()
    counts = [int(word) for word in _words(lines[6 if named else 5])]
    elements = [_element(word) for word in _words(lines[5] if named else lines[0])]
    if len(elements) != len(counts) or (not named and not all(map(_is_one, elements))):
        found = " ".join(elements if named else []) or "none"
        raise DatasetError(
            f"elements = {found}; expected {len(counts)}, one for each number of atoms "
            f"({' '.join(map(str, counts))}). Write them in the line above the numbers."
        )
    symbols = [e for e, n in zip(elements, counts, strict=True) for _ in range(n)]
    return symbols, 7 if named else 6


def _element(word: str) -> str:
    """Return an element without the name of its potential (Al_pv, Na/6a2f546d)."""
    return re.split(r"[_/.]", word, maxsplit=1)[0]


def _is_one(symbol: str) -> bool:
    from phonopy.structure.atomic_data import get_atomic_data

    return symbol in get_atomic_data().symbol_map


def _coordinates(lines: Sequence[str], n_atoms: int) -> tuple[FloatArray, bool]:
    """Return coordinates, and whether they are Cartesian."""
    first = 1 if lines[0].strip()[:1] in ("s", "S") else 0
    cartesian = lines[first].strip()[:1] in ("c", "C", "k", "K")
    rows = [_words(line)[:3] for line in lines[first + 1 : first + 1 + n_atoms]]
    if len(rows) != n_atoms or any(len(row) != 3 for row in rows):
        number = next((i for i, r in enumerate(rows) if len(r) != 3), len(rows))
        raise DatasetError(
            f"atom {number + 1} of {n_atoms} has no three coordinates. Is the file "
            "complete?"
        )
    return np.array(rows, dtype="double"), cartesian

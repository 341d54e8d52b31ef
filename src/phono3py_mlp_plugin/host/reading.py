"""Why the host cannot read an input file, said with file, line and snapshot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from phonopy.exception import CellNotFoundError

from phono3py_mlp_plugin.errors import DatasetError, one_line
from phono3py_mlp_plugin.files import UNREADABLE, open_text

# What the host's readers raise on a file that is not as they expect.
UNREADABLE_INPUT = (
    CellNotFoundError,
    yaml.YAMLError,
    UnicodeDecodeError,
    EOFError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    AssertionError,
)

# libyaml is forty times faster; not every build of PyYAML has it.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_ARRAYS = ("displacements", "forces")


def unreadable_input(path: Path, error: Exception) -> DatasetError:
    """Return the error to raise where the host could not read its input file.

    Parameters
    ----------
    path : Path
    error : Exception
        What the host raised; quoted where nothing better is found.
    """
    if not path.is_file():
        return DatasetError(one_line(error))
    try:
        with open_text(path) as file:
            content = yaml.load(file, Loader=_LOADER)
    except yaml.MarkedYAMLError as broken:
        mark = broken.problem_mark
        line = "" if mark is None else f", line {mark.line + 1}"
        return DatasetError(
            f"{path}{line}: not YAML ({broken.problem}). Is the file complete?"
        )
    except (*UNREADABLE, yaml.YAMLError, UnicodeDecodeError) as broken:
        return DatasetError(f"{path}: cannot be read ({one_line(broken)}).")
    return DatasetError(
        f"{path}: "
        + (
            _fault(content)
            or f"not a phono3py.yaml-like file ({one_line(error)}). Is it complete?"
        )
    )


def _fault(content: Any) -> str | None:
    """Return what is wrong with the content of a phono3py.yaml-like file."""
    if not isinstance(content, Mapping):
        kind = "empty" if content is None else f"a {type(content).__name__}"
        return f"{kind}; expected a phono3py.yaml-like file. Is it complete?"
    for key in ("unit_cell", "supercell"):
        if not isinstance(content.get(key), Mapping):
            return (
                f"there is no {key!r}. Is it a phono3py.yaml-like file, and complete?"
            )
    dataset = content.get("dataset")
    if not isinstance(dataset, Mapping):
        return None
    n_atoms = len(content["supercell"].get("points") or ())
    for key in _ARRAYS:
        for number, snapshot in enumerate(dataset.get(key) or (), start=1):
            fault = _fault_of_snapshot(snapshot, n_atoms)
            if fault:
                return f"{key}: snapshot {number}{fault}. Mend it or leave it out."
    for number, energy in enumerate(dataset.get("supercell_energies") or (), start=1):
        if not _is_number(energy):
            return f"supercell_energies: snapshot {number} = {energy!r}; not a number."
    return None


def _fault_of_snapshot(snapshot: Any, n_atoms: int) -> str | None:
    if not isinstance(snapshot, Sequence) or len(snapshot) != n_atoms:
        found = len(snapshot) if isinstance(snapshot, Sequence) else "no"
        return f" has {found} atoms; expected {n_atoms}"
    for atom, vector in enumerate(snapshot, start=1):
        if (
            not isinstance(vector, Sequence)
            or len(vector) != 3
            or not all(map(_is_number, vector))
        ):
            return f", atom {atom}: {vector}; expected three numbers"
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)

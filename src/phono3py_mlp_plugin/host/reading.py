"""Input files read by the host, and why it cannot: file, line and snapshot."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from phono3py import Phono3py
from phono3py.interface.phono3py_yaml import Phono3pyYaml
from phonopy.file_IO import parse_BORN
from phonopy.interface.calculator import read_crystal_structure

from phono3py_mlp_plugin.errors import DatasetError, ParameterError, one_line
from phono3py_mlp_plugin.files import UNREADABLE, open_text

# libyaml is forty times faster; not every build of PyYAML has it.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# Of the host's commands (THz); its class has another default.
_CUTOFF_FREQUENCY = 0.01

_ARRAYS = ("displacements", "forces")


def unreadable_input(path: Path, error: Exception) -> DatasetError:
    """Return the error to raise where the host could not read its input file.

    On a file that is not as it expects, it and what it calls raise nearly anything.

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
            content = yaml.load(file, Loader=_LOADER)  # noqa: S506
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


@contextlib.contextmanager
def _quiet_about_primitive_axes() -> Iterator[None]:
    """Leave out the host's warning that ``auto`` is its default, also where given."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="primitive_matrix defaulted")
        yield


def read_phono3py(path: Path) -> Phono3py:
    """Return crystal, dataset and Born charges of a phono3py.yaml-like file.

    Raises
    ------
    DatasetError
        It is not one.
    """
    if not path.is_file():
        raise DatasetError(f'"{path}" is not found.')
    content = Phono3pyYaml()
    try:
        content.read(path)
        with _quiet_about_primitive_axes():
            ph3 = Phono3py(
                content.unitcell,
                supercell_matrix=np.eye(3, dtype=int)
                if content.supercell_matrix is None
                else content.supercell_matrix,
                primitive_matrix="auto"
                if content.primitive_matrix is None
                else content.primitive_matrix,
                phonon_supercell_matrix=content.phonon_supercell_matrix,
                cutoff_frequency=_CUTOFF_FREQUENCY,
                calculator=content.calculator,
            )
        ph3.nac_params = content.nac_params
        if content.dataset is not None:
            ph3.dataset = content.dataset
        if content.phonon_dataset is not None:
            ph3.phonon_dataset = content.phonon_dataset
    except Exception as error:
        raise unreadable_input(path, error) from error
    return ph3


def read_settings(path: Path) -> dict[str, str]:
    """Return the options of the run that wrote a phono3py.yaml; none where it does not.

    Raises
    ------
    DatasetError
        It is not a phono3py.yaml.
    """
    try:
        with open_text(path) as file:
            content = yaml.load(file, Loader=_LOADER)  # noqa: S506
        settings = content["phono3py"].get("configuration") or {}
        return {str(name): str(value) for name, value in settings.items()}
    except Exception as error:
        raise unreadable_input(path, error) from error


def read_unitcell(path: Path, dim: Sequence[int], primitive: str) -> Phono3py:
    """Return the crystal of a POSCAR with its supercell, without a dataset.

    Parameters
    ----------
    path : Path
    dim : sequence of int
        Supercell matrix: its diagonal, or nine numbers.
    primitive : str
        Primitive axes, as the host's ``--pa``.

    Raises
    ------
    DatasetError, ParameterError
        The file is not a POSCAR, or the supercell is none.
    """
    if not path.is_file():
        raise DatasetError(f'"{path}" is not found.')
    try:
        unitcell, _ = read_crystal_structure(path)
    except Exception as error:
        raise DatasetError(f"{path}: not a POSCAR ({one_line(error)}).") from error
    matrix = np.array(dim)
    if len(dim) not in (3, 9) or (len(dim) == 3 and min(dim) < 1):
        raise ParameterError(
            f"--dim {' '.join(map(str, dim))}; expected three positive numbers or nine."
        )
    try:
        with _quiet_about_primitive_axes():
            return Phono3py(
                unitcell,
                supercell_matrix=matrix if len(dim) == 3 else matrix.reshape(3, 3),
                primitive_matrix=primitive,
            )
    except (RuntimeError, ValueError) as error:
        raise ParameterError(f"--dim, --pa: {one_line(error)}") from error


def add_born(ph3: Phono3py, path: Path, folder: Path) -> Path | None:
    """Give Born charges of the file BORN where the input file has none, as the host.

    Returns
    -------
    Path or None
        Where they come from.

    Raises
    ------
    DatasetError
        The file BORN cannot be used.
    """
    if ph3.nac_params is not None:
        return path
    born = folder / "BORN"
    if not born.is_file():
        return None
    try:
        ph3.nac_params = parse_BORN(ph3.primitive, filename=str(born))
    except Exception as error:
        raise DatasetError(f"{born}: {one_line(error)}") from error
    return born

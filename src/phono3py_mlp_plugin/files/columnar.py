"""The content of phono3py.yaml-like files in HDF5, with arrays instead of lists.

A YAML file of a thousand supercells is read in minutes, and takes ten times its size
in memory. In HDF5, the arrays are stored as they are used. The rest of the content is
YAML, in which references take the place of arrays.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import yaml

from phono3py_mlp_plugin.contracts import FloatArray
from phono3py_mlp_plugin.errors import DatasetError, one_line
from phono3py_mlp_plugin.files.atomic import replacing

HDF5_SUFFIXES = (".h5", ".hdf5")
"""Endings of the names of such files."""

_FORMAT = "phono3py-mlp dataset"
_VERSION = 1
_TEXT, _HASH = "content", "hash"

# A mapping with this key is a reference to an array, or to a row of it.
_ARRAY, _ROW = "phono3py_mlp_array", "row"

# Parts of the content that can be large.
_DATASETS = ("dataset", "phonon_dataset", "displacement_pairs", "phonon_displacements")

# Numbers in the smallest list that becomes an array.
_FEWEST = 12

_CHUNK = 1 << 20  # bytes

_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def is_columnar(path: Path) -> bool:
    """Return whether a file is an HDF5 file, whatever its name."""
    try:
        return bool(h5py.is_hdf5(path))
    except (OSError, TypeError, ValueError):
        return False


def write_columnar(content: Mapping[str, Any], path: Path) -> None:
    """Write the content of a phono3py.yaml-like file in HDF5, whole or not at all.

    Parameters
    ----------
    content : mapping
        Values as a YAML file gives them; lists of numbers may be arrays.
    path : Path
    """
    arrays: dict[str, list[FloatArray]] = {}
    skeleton = {
        key: _without_arrays(value, key, arrays) if key in _DATASETS else _plain(value)
        for key, value in content.items()
    }
    text = yaml.dump(skeleton, Dumper=_DUMPER, sort_keys=False, default_flow_style=None)
    with replacing(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs["format"] = _FORMAT
        file.attrs["format_version"] = _VERSION
        file.create_dataset(_TEXT, data=text, dtype=h5py.string_dtype())
        digest = hashlib.sha256(text.encode())
        for name, rows in sorted(arrays.items()):
            # One array of a whole list, or a row for each of many records.
            array = rows[0] if len(rows) == 1 else np.array(rows)
            row = max(1, array[0].nbytes)
            chunks = (min(len(array), max(1, _CHUNK // row)), *array.shape[1:])
            file.create_dataset(name, data=array, chunks=chunks)
            _update(digest, name, array)
        file.attrs[_HASH] = digest.hexdigest()


def read_columnar(path: Path) -> dict[str, Any]:
    """Return the content of a file of `write_columnar`, with arrays.

    Raises
    ------
    DatasetError
        If it is another HDF5 file, damaged, or was changed after it was written.
    """
    try:
        with h5py.File(path, "r") as file:
            if file.attrs.get("format") != _FORMAT:
                raise DatasetError(
                    f"{path}: HDF5, and no dataset of 'phono3py-mlp convert'. Give the "
                    "file with crystal and supercells."
                )
            version = file.attrs.get("format_version")
            if version != _VERSION:
                raise DatasetError(
                    f"{path}: format_version = {version}; expected {_VERSION}. Use the "
                    "version of this package that wrote it."
                )
            text = file[_TEXT][()].decode()
            arrays = {name: file[name][()] for name in _array_names(file)}
            expected = str(file.attrs.get(_HASH))
    except (
        OSError,
        RuntimeError,
        KeyError,
        AttributeError,
        UnicodeDecodeError,
    ) as error:
        raise DatasetError(
            f"{path}: cannot be read ({one_line(error)}). Is it complete?"
        ) from error
    digest = hashlib.sha256(text.encode())
    for name, array in sorted(arrays.items()):
        _update(digest, name, array)
    if digest.hexdigest() != expected:
        raise DatasetError(
            f"{path}: was changed after it was written. Make it anew by phono3py-mlp "
            "convert."
        )
    skeleton = yaml.load(text, Loader=_LOADER)  # noqa: S506
    return {
        key: _with_arrays(value, arrays) if key in _DATASETS else value
        for key, value in skeleton.items()
    }


def format_yaml(content: Mapping[str, Any]) -> str:
    """Return content with arrays as YAML, which gives the same numbers when read."""
    plain = {key: _plain(value) for key, value in content.items()}
    return str(
        yaml.dump(plain, Dumper=_DUMPER, sort_keys=False, default_flow_style=None)
    )


def _array_names(file: h5py.File) -> list[str]:
    """Return the names of all arrays in this file; links to others are not followed."""
    names: list[str] = []

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and name != _TEXT:
            names.append(name)

    file.visititems(visit)
    return names


def _update(digest: Any, name: str, array: FloatArray) -> None:
    digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
    digest.update(np.ascontiguousarray(array).data)


def _without_arrays(value: Any, name: str, arrays: dict[str, list[FloatArray]]) -> Any:
    """Return a value with references instead of arrays, which are added to a dict.

    The name of an array consists of the keys that lead to it, without the numbers of
    records. Records whose arrays have different shapes have arrays of their own.
    """
    array = _array_of(value)
    if array is not None:
        if array.ndim > 2 or name.endswith("energies"):
            arrays[name] = [array]
            return {_ARRAY: name}
        number, rows = 1, arrays.setdefault(name, [])
        while rows and rows[0].shape != array.shape:
            number += 1
            rows = arrays.setdefault(f"{name}-{number}", [])
        rows.append(array)
        if number > 1:
            name = f"{name}-{number}"
        return {_ARRAY: name, _ROW: len(rows) - 1}
    if isinstance(value, Mapping):
        return {
            key: _without_arrays(item, f"{name}/{key}", arrays)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_without_arrays(item, name, arrays) for item in value]
    return _plain(value)


def _array_of(value: Any) -> FloatArray | None:
    """Return a list of numbers as an array, None if it is something else or short."""
    if isinstance(value, np.ndarray):
        array = value
    else:
        first = value
        while isinstance(first, list | tuple) and len(first):
            first = first[0]
        if first is value or not isinstance(first, int | float):
            return None
        try:
            array = np.array(value)
        except ValueError:
            return None
    if array.dtype.kind != "f" or array.size < _FEWEST:
        return None
    return array.astype(np.float64)


def _with_arrays(value: Any, arrays: Mapping[str, FloatArray]) -> Any:
    if isinstance(value, Mapping):
        if _ARRAY in value:
            array = arrays[value[_ARRAY]]
            return _row_of(array, value[_ROW]) if _ROW in value else array
        return {key: _with_arrays(item, arrays) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_arrays(item, arrays) for item in value]
    return value


def _row_of(array: FloatArray, row: int) -> FloatArray:
    """Return one of many records, or the whole array of a single one."""
    return np.asarray(array[row]) if array.ndim > 2 else array


def _plain(value: Any) -> Any:
    """Return a value as lists, mappings, text and numbers of Python."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_plain(item) for item in value]
    return value

"""Checks of ``fc2.hdf5`` and ``fc3.hdf5``, and records of their origin.

The files are written by phono3py. Two additional attributes hold the fingerprint of the
input and the hash of the arrays, so that later changes of the arrays are detected.
"""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from phono3py_mlp_plugin.contracts import FloatArray
from phono3py_mlp_plugin.errors import SolverError
from phono3py_mlp_plugin.files.regular import check_regular

STAMP = "phono3py_mlp_fingerprint"
"""Attribute with the fingerprint of what the file was computed from."""

NUMBERS = "phono3py_mlp_numbers"
"""Attribute with the hash of the arrays that were written."""

CHANGED = "changed after it was written"
"""Returned instead of the fingerprint if the arrays were changed later."""

# Names by order, in the order in which phono3py searches for them.
_NAMES = {2: ("fc2", "force_constants"), 3: ("fc3",)}

_NONZERO = "fc3_nonzero_indices"

# Written by phono3py for information only.
_NOT_NUMBERS = ("version",)

# Bytes of an array that are checked at a time.
_BLOCK = 1 << 26

_REMEDY = "Remove it to compute it anew."


def read_stamp(path: Path) -> str | None:
    """Return the fingerprint of what the file was computed from, None without one.

    Return `CHANGED` if the arrays were changed after they were written.

    Raises
    ------
    SolverError
        If the file is not an HDF5 file, or is truncated.
    UnusableFile
        If the path is not a regular file.
    """
    check_regular(path)
    status = path.stat()
    try:
        return _read_stamp(path.resolve(), status.st_mtime_ns, status.st_size)
    except (OSError, RuntimeError) as error:
        raise _read_error(path, error) from error


@functools.lru_cache(maxsize=8)
def _read_stamp(path: Path, _time: int, _size: int) -> str | None:
    with h5py.File(path, "r") as file:
        value = file.attrs.get(STAMP)
        numbers = file.attrs.get(NUMBERS)
        if value is None:
            return None
        if numbers is None:
            return f"{value}, without that of its numbers"
        return str(value) if str(numbers) == hash_of_numbers(file) else CHANGED


def hash_of_numbers(file: h5py.File) -> str:
    """Return the hash of names, types, shapes and values of all arrays of a file.

    Items that are not arrays in this file, such as links, change the hash, too.
    """
    digest = hashlib.sha256()
    for name in sorted(file):
        if name in _NOT_NUMBERS:
            continue
        dataset = file.get(name) if _is_in_file(file, name) else None
        if not isinstance(dataset, h5py.Dataset) or dataset.dtype.hasobject:
            digest.update(f"{name}: no array".encode())
            continue
        digest.update(f"{name} {dataset.dtype.str} {dataset.shape}".encode())
        for block in _iterate_blocks(dataset):
            digest.update(np.ascontiguousarray(block).tobytes())
    return digest.hexdigest()


def read_force_constants(
    path: Path, shape: tuple[int, ...], p2s_map: Sequence[int] | None = None
) -> FloatArray:
    """Read fc2 or fc3, with the checks of `check_force_constants`.

    Parameters
    ----------
    path : Path
    shape : tuple of int
        Shape of full force constants, ``(N, N, 3, 3)`` or ``(N, N, N, 3, 3, 3)``.
    p2s_map : sequence of int, optional
        Atoms of the primitive cell in the supercell.

    Raises
    ------
    SolverError
        See `check_force_constants`; also if it was changed after it was written.
    """
    if read_stamp(path) == CHANGED:
        raise SolverError(f'"{path}" was {CHANGED}. {_REMEDY}')
    check_force_constants(path, shape, p2s_map)
    with h5py.File(path, "r") as file:
        name = _array_name(file, path, len(shape) // 2)
        return np.array(file[name], dtype="double", order="C")


def check_force_constants(
    path: Path, shape: tuple[int, ...], p2s_map: Sequence[int] | None = None
) -> None:
    """Check a file of fc2 or fc3.

    Parameters
    ----------
    path, shape, p2s_map
        See `read_force_constants`. Without the map, any first atoms of compact force
        constants are accepted.

    Raises
    ------
    SolverError
        If the file is damaged, belongs to another supercell or primitive cell, contains
        values that are not finite, or refers to arrays in other files.
    UnusableFile
        If the path is not a regular file.
    """
    check_regular(path)
    order = len(shape) // 2
    try:
        with h5py.File(path, "r") as file:
            name = _array_name(file, path, order)
            dataset = _array_in_file(file, name, path)
            _check_type(dataset, path, order)
            _check_shape(dataset, path, shape, p2s_map)
            _check_written(dataset, path)
            for block in _iterate_blocks(dataset):
                if not np.isfinite(block).all():
                    raise _error(path, name, "not finite", "finite numbers")
            if "p2s_map" in file:
                _check_map(file, path, dataset.shape, p2s_map)
            if order == 3 and _NONZERO in file:
                _check_nonzero(file, path, dataset.shape)
    # Errors of HDF5 if a part of the file is missing.
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise _read_error(path, error) from error


def _array_name(file: h5py.File, path: Path, order: int) -> str:
    for name in _NAMES[order]:
        if file.get(name, getlink=True) is not None:
            return name
    content = ", ".join(sorted(file)[:5]) or "nothing"
    raise SolverError(
        f'"{path}": holds {content}; expected an array {_NAMES[order][-1]!r}. {_REMEDY}'
    )


def _is_in_file(file: h5py.File, name: str) -> bool:
    return isinstance(file.get(name, getlink=True), h5py.HardLink)


def _array_in_file(file: h5py.File, name: str, path: Path) -> h5py.Dataset:
    """Return an array that is stored in the file itself."""
    array = "an array in this file"
    if not _is_in_file(file, name):
        raise _error(path, name, "a link to elsewhere", array)
    dataset = file[name]
    if not isinstance(dataset, h5py.Dataset):
        raise _error(path, name, f"a {type(dataset).__name__.lower()}", array)
    if dataset.is_virtual or dataset.external:
        raise _error(path, name, "an array kept in other files", array)
    return dataset


def _check_type(dataset: h5py.Dataset, path: Path, order: int) -> None:
    dtype = dataset.dtype
    # phono3py accepts lower precision for fc2, not for fc3.
    if dtype != np.float64 and (order == 3 or dtype.kind != "f"):
        name = dataset.name.strip("/")
        kind = "a compound" if dtype.names else dtype
        raise _error(path, name, f"numbers of type {kind}", "float64")


def _check_shape(
    dataset: h5py.Dataset,
    path: Path,
    shape: tuple[int, ...],
    p2s_map: Sequence[int] | None,
) -> None:
    given = dataset.shape
    first = range(1, shape[0] + 1) if p2s_map is None else {len(p2s_map), shape[0]}
    if given is None or given[1:] != shape[1:] or given[0] not in first:
        compact = "" if p2s_map is None else f" or {(len(p2s_map), *shape[1:])}"
        raise SolverError(
            f'"{path}": shape of {dataset.name.strip("/")} = {given}; expected '
            f"{shape}{compact}. Is it of another supercell? {_REMEDY}"
        )


def _check_written(dataset: h5py.Dataset, path: Path) -> None:
    """Raise an error if parts of an array were never written and read as zeros."""
    name = dataset.name.strip("/")
    if not dataset.id.get_storage_size():
        raise _error(path, name, "never written", "numbers")
    if dataset.chunks is None:
        return
    expected = math.prod(
        -(-size // chunk)
        for size, chunk in zip(dataset.shape, dataset.chunks, strict=True)
    )
    n_written = dataset.id.get_num_chunks()
    if n_written < expected:
        raise _error(path, name, f"{n_written} of {expected} parts", "all of them")


def _check_map(
    file: h5py.File, path: Path, shape: tuple[int, ...], p2s_map: Sequence[int] | None
) -> None:
    dataset = _array_in_file(file, "p2s_map", path)
    if dataset.dtype.kind not in "iu" or dataset.ndim != 1:
        raise _error(path, "p2s_map", "no list of integers", "atoms of the supercell")
    p2s_in_file = dataset[()].tolist()
    # As in phono3py, full force constants do not depend on a primitive cell.
    if shape[0] != shape[1] and p2s_map is not None and p2s_in_file != list(p2s_map):
        raise SolverError(
            f'"{path}": p2s_map = {p2s_in_file}; expected {[int(i) for i in p2s_map]}. '
            f"Is it of another primitive cell? {_REMEDY}"
        )


def _check_nonzero(file: h5py.File, path: Path, shape: tuple[int, ...]) -> None:
    dataset = _array_in_file(file, _NONZERO, path)
    if dataset.dtype != np.byte or dataset.shape != shape[:3]:
        given = f"{dataset.dtype} of shape {dataset.shape}"
        raise _error(path, _NONZERO, given, f"int8 of shape {shape[:3]}")
    _check_written(dataset, path)


def _iterate_blocks(dataset: h5py.Dataset) -> Iterator[Any]:
    """Yield an array in parts, to limit the memory."""
    if not dataset.shape:
        yield np.array(dataset[()])
        return
    row = max(1, dataset.nbytes // max(1, dataset.shape[0]))
    step = max(1, _BLOCK // row)
    for start in range(0, dataset.shape[0], step):
        yield dataset[start : start + step]


def _error(path: Path, name: str, value: object, expected: str) -> SolverError:
    return SolverError(f'"{path}": {name} = {value}; expected {expected}. {_REMEDY}')


def _read_error(path: Path, error: BaseException) -> SolverError:
    return SolverError(
        f'"{path}" cannot be read ({" ".join(str(error).split())}). {_REMEDY}'
    )

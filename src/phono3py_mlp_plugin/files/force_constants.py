"""``fc2.hdf5`` and ``fc3.hdf5``: what is in them, and what they were computed from.

The files are the host's. Two attributes of ours say what they were computed from and
which numbers were written, so that numbers changed later are not taken for ours.
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
"""Attribute that holds the fingerprint of what the file was computed from."""

NUMBERS = "phono3py_mlp_numbers"
"""Attribute that holds the hash of the arrays that were written."""

CHANGED = "changed after it was written"
"""What stands for the fingerprint of a file whose arrays are not those written."""

# Names by order, in the order in which the host looks for them.
_NAMES = {2: ("fc2", "force_constants"), 3: ("fc3",)}

_NONZERO = "fc3_nonzero_indices"

# Written by the host for people; it does not read them.
_NOT_NUMBERS = ("version",)

# Bytes of an array that are looked at together.
_BLOCK = 1 << 26

_REMEDY = "Remove it to compute it anew."


def read_stamp(path: Path) -> str | None:
    """Return what the file was computed from; None where it carries no record.

    `CHANGED` where its arrays are not those that were written with the record.

    Raises
    ------
    SolverError
        It is not an HDF5 file, or truncated.
    UnusableFile
        It is no regular file.
    """
    check_regular(path)
    status = path.stat()
    try:
        return _read_stamp(path.resolve(), status.st_mtime_ns, status.st_size)
    except (OSError, RuntimeError) as error:
        raise _unreadable(path, error) from error


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
    """Return the hash of all arrays of an open file: names, types, shapes, numbers.

    What is not an array in this file changes the hash, wherever it leads.
    """
    digest = hashlib.sha256()
    for name in sorted(file):
        if name in _NOT_NUMBERS:
            continue
        dataset = file.get(name) if _is_own(file, name) else None
        if not isinstance(dataset, h5py.Dataset) or dataset.dtype.hasobject:
            digest.update(f"{name}: no array".encode())
            continue
        digest.update(f"{name} {dataset.dtype.str} {dataset.shape}".encode())
        for block in _blocks(dataset):
            digest.update(np.ascontiguousarray(block).tobytes())
    return digest.hexdigest()


def read_force_constants(
    path: Path, shape: tuple[int, ...], p2s_map: Sequence[int] | None = None
) -> FloatArray:
    """Read fc2 or fc3, checked as `check_force_constants` does.

    Parameters
    ----------
    path : Path
    shape : tuple of int
        Of full force constants, ``(N, N, 3, 3)`` or ``(N, N, N, 3, 3, 3)``.
    p2s_map : sequence of int, optional
        Atoms of the primitive cell in the supercell.

    Raises
    ------
    SolverError
        As `check_force_constants`, or it was changed after it was written.
    """
    if read_stamp(path) == CHANGED:
        raise SolverError(f'"{path}" was {CHANGED}. {_REMEDY}')
    check_force_constants(path, shape, p2s_map)
    with h5py.File(path, "r") as file:
        name = _name(file, path, len(shape) // 2)
        return np.array(file[name], dtype="double", order="C")


def check_force_constants(
    path: Path, shape: tuple[int, ...], p2s_map: Sequence[int] | None = None
) -> None:
    """Refuse a file of fc2 or fc3 that the host would stumble over, or believe.

    Parameters
    ----------
    path, shape, p2s_map
        As of `read_force_constants`. Without the map the first atoms of compact force
        constants may be any.

    Raises
    ------
    SolverError
        It is damaged, not finite, of another supercell or primitive cell, or its
        arrays are elsewhere.
    UnusableFile
        It is no regular file.
    """
    check_regular(path)
    order = len(shape) // 2
    try:
        with h5py.File(path, "r") as file:
            name = _name(file, path, order)
            dataset = _dataset(file, name, path)
            _check_type(dataset, path, order)
            _check_shape(dataset, path, shape, p2s_map)
            _check_written(dataset, path)
            for block in _blocks(dataset):
                if not np.isfinite(block).all():
                    raise _error(path, name, "not finite", "finite numbers")
            if "p2s_map" in file:
                _check_map(file, path, dataset.shape, p2s_map)
            if order == 3 and _NONZERO in file:
                _check_nonzero(file, path, dataset.shape)
    # What HDF5 raises where a part of the file is missing.
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise _unreadable(path, error) from error


def _name(file: h5py.File, path: Path, order: int) -> str:
    for name in _NAMES[order]:
        if file.get(name, getlink=True) is not None:
            return name
    found = ", ".join(sorted(file)[:5]) or "nothing"
    raise SolverError(
        f'"{path}": holds {found}; expected an array {_NAMES[order][-1]!r}. {_REMEDY}'
    )


def _is_own(file: h5py.File, name: str) -> bool:
    return isinstance(file.get(name, getlink=True), h5py.HardLink)


def _dataset(file: h5py.File, name: str, path: Path) -> h5py.Dataset:
    """Return an array that is in the file itself."""
    array = "an array in this file"
    if not _is_own(file, name):
        raise _error(path, name, "a link to elsewhere", array)
    dataset = file[name]
    if not isinstance(dataset, h5py.Dataset):
        raise _error(path, name, f"a {type(dataset).__name__.lower()}", array)
    if dataset.is_virtual or dataset.external:
        raise _error(path, name, "an array kept in other files", array)
    return dataset


def _check_type(dataset: h5py.Dataset, path: Path, order: int) -> None:
    found = dataset.dtype
    # The host takes fc2 of lower precision, not fc3.
    if found != np.float64 and (order == 3 or found.kind != "f"):
        name = dataset.name.strip("/")
        kind = "a compound" if found.names else found
        raise _error(path, name, f"numbers of type {kind}", "float64")


def _check_shape(
    dataset: h5py.Dataset,
    path: Path,
    shape: tuple[int, ...],
    p2s_map: Sequence[int] | None,
) -> None:
    found = dataset.shape
    first = range(1, shape[0] + 1) if p2s_map is None else {len(p2s_map), shape[0]}
    if found is None or found[1:] != shape[1:] or found[0] not in first:
        compact = "" if p2s_map is None else f" or {(len(p2s_map), *shape[1:])}"
        raise SolverError(
            f'"{path}": shape of {dataset.name.strip("/")} = {found}; expected '
            f"{shape}{compact}. Is it of another supercell? {_REMEDY}"
        )


def _check_written(dataset: h5py.Dataset, path: Path) -> None:
    """Refuse what reads as zeros because it was never written."""
    name = dataset.name.strip("/")
    if not dataset.id.get_storage_size():
        raise _error(path, name, "never written", "numbers")
    if dataset.chunks is None:
        return
    expected = math.prod(
        -(-size // chunk)
        for size, chunk in zip(dataset.shape, dataset.chunks, strict=True)
    )
    found = dataset.id.get_num_chunks()
    if found < expected:
        raise _error(path, name, f"{found} of {expected} parts", "all of them")


def _check_map(
    file: h5py.File, path: Path, shape: tuple[int, ...], p2s_map: Sequence[int] | None
) -> None:
    dataset = _dataset(file, "p2s_map", path)
    if dataset.dtype.kind not in "iu" or dataset.ndim != 1:
        raise _error(path, "p2s_map", "no list of integers", "atoms of the supercell")
    found = dataset[()].tolist()
    # As the host: full force constants are of no primitive cell.
    if shape[0] != shape[1] and p2s_map is not None and found != list(p2s_map):
        raise SolverError(
            f'"{path}": p2s_map = {found}; expected {[int(i) for i in p2s_map]}. Is it '
            f"of another primitive cell? {_REMEDY}"
        )


def _check_nonzero(file: h5py.File, path: Path, shape: tuple[int, ...]) -> None:
    dataset = _dataset(file, _NONZERO, path)
    if dataset.dtype != np.byte or dataset.shape != shape[:3]:
        found = f"{dataset.dtype} of shape {dataset.shape}"
        raise _error(path, _NONZERO, found, f"int8 of shape {shape[:3]}")
    _check_written(dataset, path)


def _blocks(dataset: h5py.Dataset) -> Iterator[Any]:
    """Yield an array by parts that are small enough to be held."""
    if not dataset.shape:
        yield np.array(dataset[()])
        return
    row = max(1, dataset.nbytes // max(1, dataset.shape[0]))
    step = max(1, _BLOCK // row)
    for start in range(0, dataset.shape[0], step):
        yield dataset[start : start + step]


def _error(path: Path, name: str, found: object, expected: str) -> SolverError:
    return SolverError(f'"{path}": {name} = {found}; expected {expected}. {_REMEDY}')


def _unreadable(path: Path, error: BaseException) -> SolverError:
    return SolverError(
        f'"{path}" cannot be read ({" ".join(str(error).split())}). {_REMEDY}'
    )

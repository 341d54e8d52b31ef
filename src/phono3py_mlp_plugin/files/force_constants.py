"""What fc2.hdf5 and fc3.hdf5 were computed from, as attributes of the host's files."""

from __future__ import annotations

from pathlib import Path

import h5py

from phono3py_mlp_plugin.errors import SolverError

_FINGERPRINT = "phono3py_mlp_fingerprint"


def stamp(path: Path, fingerprint: str) -> None:
    """Record in the file what it was computed from."""
    with h5py.File(path, "r+") as file:
        file.attrs[_FINGERPRINT] = fingerprint


def read_stamp(path: Path) -> str | None:
    """Return what the file was computed from; None where it carries no record.

    Raises
    ------
    SolverError
        It is not an HDF5 file, or truncated.
    """
    try:
        with h5py.File(path, "r") as file:
            value = file.attrs.get(_FINGERPRINT)
    except OSError as error:
        raise SolverError(
            f'"{path}" cannot be read ({error}). Remove it to compute it anew.'
        ) from error
    return None if value is None else str(value)

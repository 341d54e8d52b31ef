"""What fc2.hdf5 and fc3.hdf5 were computed from, as attributes of the host's files."""

from __future__ import annotations

from pathlib import Path

import h5py

from phono3py_mlp_plugin.errors import SolverError

STAMP = "phono3py_mlp_fingerprint"
"""Attribute that holds the fingerprint of what the file was computed from."""


def read_stamp(path: Path) -> str | None:
    """Return what the file was computed from; None where it carries no record.

    Raises
    ------
    SolverError
        It is not an HDF5 file, or truncated.
    """
    try:
        with h5py.File(path, "r") as file:
            value = file.attrs.get(STAMP)
    except OSError as error:
        raise SolverError(
            f'"{path}" cannot be read ({error}). Remove it to compute it anew.'
        ) from error
    return None if value is None else str(value)

"""``kappa-*.hdf5`` and ``fc*.hdf5`` of the host, for reading."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from phono3py_mlp_plugin.contracts import FloatArray
from phono3py_mlp_plugin.errors import DatasetError

_ALL_FORCE_CONSTANTS = ("force_constants", "fc2", "fc3")


@dataclass(frozen=True, eq=False)
class KappaFile:
    """What a run of the host found.

    Attributes
    ----------
    name : str
        Of the file.
    mesh : tuple of int
    temperatures : ndarray
        In K, shape ``(n_temperatures,)``.
    kappa : ndarray
        In W/m-K, shape ``(n_temperatures, 6)``: xx yy zz yz xz xy.
    weights : ndarray
        Of grid points, shape ``(n_points,)``.
    frequencies : ndarray
        In THz, shape ``(n_points, n_bands)``.
    mode_kappa : ndarray or None
        Shape ``(n_temperatures, n_points, n_bands, 6)``; its sum over the number of
        grid points is kappa. None where the file has none for these grid points.
    mean_free_paths : ndarray or None
        In nm, shape ``(n_temperatures, n_points, n_bands)``.
    """

    name: str
    mesh: tuple[int, ...]
    temperatures: FloatArray
    kappa: FloatArray
    weights: FloatArray
    frequencies: FloatArray
    mode_kappa: FloatArray | None
    mean_free_paths: FloatArray | None


def find_kappa(folder: Path) -> list[Path]:
    """Return the files with kappa in a folder, the densest mesh first.

    Files of single grid points are left out.
    """
    found = []
    for path in sorted(folder.glob("kappa-*.hdf5")):
        try:
            with h5py.File(path, "r") as file:
                if "kappa" in file and "temperature" in file:
                    found.append((-int(np.prod(file["mesh"][:])), path))
        except (OSError, KeyError, TypeError):
            continue
    return [path for _, path in sorted(found)]


def read_kappa(path: Path) -> KappaFile:
    """Read a kappa file; of several smearing widths or solutions the first.

    Raises
    ------
    DatasetError
        It is damaged.
    """
    try:
        with h5py.File(path, "r") as file:
            arrays = {
                name: np.array(file[name][()])
                for name in file
                if isinstance(file[name], h5py.Dataset)
            }
        temperatures = np.atleast_1d(arrays["temperature"]).astype("double")
        kappa = arrays["kappa"].reshape(-1, len(temperatures), 6)[0]
        weights = arrays["weight"].astype("double")
        frequencies = arrays["frequency"]
        if not np.isfinite(kappa).all() or frequencies.shape[0] != len(weights):
            raise ValueError("its numbers do not fit together")
        mode_kappa = _modes(arrays.get("mode_kappa"), kappa, weights, frequencies)
        return KappaFile(
            name=path.name,
            mesh=tuple(int(n) for n in arrays["mesh"].ravel()),
            temperatures=temperatures,
            kappa=kappa,
            weights=weights,
            frequencies=frequencies,
            mode_kappa=mode_kappa,
            mean_free_paths=None
            if mode_kappa is None
            else _mean_free_paths(arrays, mode_kappa.shape[:3]),
        )
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise DatasetError(
            f'"{path}": not a kappa file of phono3py ({error}). Compute it anew.'
        ) from error


def read_force_constants(path: Path, shape: tuple[int, ...]) -> FloatArray:
    """Read fc2 or fc3.

    Parameters
    ----------
    path : Path
    shape : tuple of int
        Of full force constants; compact ones have fewer first atoms.

    Raises
    ------
    DatasetError
        It is damaged, or of another supercell.
    """
    try:
        with h5py.File(path, "r") as file:
            (name,) = (key for key in _ALL_FORCE_CONSTANTS if key in file)
            array = np.array(file[name], dtype="double", order="C")
    except (OSError, TypeError, ValueError) as error:
        raise DatasetError(
            f'"{path}": not a force-constants file of phono3py. Compute it anew.'
        ) from error
    if array.shape[1:] != shape[1:] or not np.isfinite(array).all():
        raise DatasetError(
            f'"{path}": shape = {array.shape}; expected {shape} of finite numbers. Is '
            "it of another supercell?"
        )
    return array


def _modes(
    values: Any, kappa: FloatArray, weights: FloatArray, frequencies: FloatArray
) -> FloatArray | None:
    """Return the modes' parts of kappa where they are of these grid points."""
    shape = (len(kappa), *frequencies.shape, 6)
    if values is None or values.size < np.prod(shape):
        return None
    modes = values.reshape(-1, *shape)[0]
    return modes if np.isfinite(modes).all() else None


def _mean_free_paths(
    arrays: dict[str, Any], shape: tuple[int, ...]
) -> FloatArray | None:
    """Return speed times lifetime, 1 / (4 pi gamma), with all scattering in the file.

    Group velocities are in THz angstrom, gamma in THz; modes that do not scatter, or
    are not scattered, have none.
    """
    if "gamma" not in arrays or "group_velocity" not in arrays:
        return None
    gamma = arrays["gamma"]
    if gamma.size < np.prod(shape):
        return None
    gamma = gamma.reshape(-1, *shape)[0].copy()
    if "gamma_isotope" in arrays:
        gamma += arrays["gamma_isotope"].reshape(-1, *shape[1:])[0]
    speed = np.linalg.norm(arrays["group_velocity"], axis=-1)
    if speed.shape != shape[1:]:
        return None
    # 1 THz angstrom is 0.1 nm/ps; the lifetime is in ps.
    paths = np.full(shape, np.nan)
    known = gamma > 0
    paths[known] = 0.1 / (4 * np.pi) * np.broadcast_to(speed, shape)[known]
    paths[known] /= gamma[known]
    paths[paths == 0] = np.nan
    boundary = float(np.ravel(arrays.get("boundary_mfp", np.inf))[0]) * 1e3
    return np.asarray(1 / (1 / paths + 1 / boundary))

"""Reading of ``kappa-*.hdf5`` files of phono3py."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from phono3py_mlp_plugin.contracts import FloatArray
from phono3py_mlp_plugin.errors import DatasetError, UnusableFile
from phono3py_mlp_plugin.files.regular import check_regular, largest_text

# Arrays that are read; other arrays may have any size.
_NAMES = (
    "mesh",
    "temperature",
    "kappa",
    "weight",
    "frequency",
    "mode_kappa",
    "gamma",
    "gamma_isotope",
    "group_velocity",
    "boundary_mfp",
)


# Velocities below this, relative to the largest one, are zero.
_AT_REST = 1e-6


@dataclass(frozen=True, eq=False)
class KappaFile:
    """Content of a kappa file.

    Attributes
    ----------
    name : str
        File name; empty for kappa that was not read from a file.
    mesh : tuple of int
    temperatures : ndarray
        In K, shape ``(n_temperatures,)``.
    kappa : ndarray
        In W/m-K, shape ``(n_temperatures, 6)``: xx yy zz yz xz xy.
    weights : ndarray
        Weights of grid points, shape ``(n_points,)``.
    frequencies : ndarray
        In THz, shape ``(n_points, n_bands)``.
    mode_kappa : ndarray or None
        Shape ``(n_temperatures, n_points, n_bands, 6)``; its sum over the number of
        grid points is kappa. None if the file has none for these grid points.
    mean_free_paths : ndarray or None
        In nm, shape ``(n_temperatures, n_points, n_bands)``. Zero for modes at rest,
        infinite for modes that are not scattered.
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

    Files of single grid points are excluded.
    """
    files = []
    for path in sorted(folder.glob("kappa-*.hdf5")):
        try:
            check_regular(path)
            with h5py.File(path, "r") as file:
                if "kappa" in file and "temperature" in file:
                    files.append((-int(np.prod(file["mesh"][:])), path))
        except (OSError, KeyError, TypeError):
            continue
    return [path for _, path in sorted(files)]


def read_kappa(path: Path) -> KappaFile:
    """Read a kappa file; the first of several smearing widths or solutions.

    Raises
    ------
    DatasetError
        If the file is damaged.
    UnusableFile
        If the path is not a regular file.
    """
    try:
        check_regular(path)
        with h5py.File(path, "r") as file:
            arrays = {name: _array(file, name) for name in _NAMES if name in file}
        return _from_arrays(path.name, arrays)
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, UnusableFile):
            raise
        raise DatasetError(
            f'"{path}": not a kappa file of phono3py ({error}). Compute it anew.'
        ) from error


def kappa_of_calculator(calculator: Any) -> KappaFile:
    """Return kappa and its modes of a calculator of phono3py, with the same meaning.

    Parameters
    ----------
    calculator : object
        ``Phono3py.thermal_conductivity`` after a run.
    """
    names = {
        "mesh": "mesh_numbers",
        "temperature": "temperatures",
        "weight": "grid_weights",
        "frequency": "frequencies",
        "group_velocity": "group_velocities",
        **{name: name for name in ("kappa", "mode_kappa", "gamma", "gamma_isotope")},
        "boundary_mfp": "boundary_mfp",
    }
    found = {name: getattr(calculator, source) for name, source in names.items()}
    arrays = {name: np.array(v) for name, v in found.items() if v is not None}
    return _from_arrays("", arrays)


def _from_arrays(name: str, arrays: dict[str, Any]) -> KappaFile:
    """Return kappa from the arrays of a file.

    Raises
    ------
    KeyError, ValueError
        If they are incomplete or contradict each other.
    """
    temperatures = np.atleast_1d(arrays["temperature"]).astype("double")
    kappa = arrays["kappa"].reshape(-1, len(temperatures), 6)[0]
    weights = arrays["weight"].astype("double")
    frequencies = arrays["frequency"]
    is_finite = all(np.isfinite(x).all() for x in (kappa, frequencies, temperatures))
    if not is_finite or frequencies.shape[0] != len(weights):
        raise ValueError("its numbers do not fit together")
    mode_kappa = _modes(arrays.get("mode_kappa"), kappa, weights, frequencies)
    return KappaFile(
        name=name,
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


def _array(file: h5py.File, name: str) -> Any:
    dataset = file[name]
    if dataset.dtype.kind not in "fiu":
        raise TypeError(f"{name}: no numbers")
    if dataset.nbytes > largest_text():
        raise ValueError(f"{name}: {dataset.nbytes / 1e9:.3g} GB")
    if dataset.size and not dataset.id.get_storage_size():
        raise ValueError(f"{name}: its numbers were never written")
    return np.array(dataset[()])


def _modes(
    values: Any, kappa: FloatArray, weights: FloatArray, frequencies: FloatArray
) -> FloatArray | None:
    """Return mode contributions to kappa if they belong to these grid points."""
    shape = (len(kappa), *frequencies.shape, 6)
    if values is None or values.size < np.prod(shape):
        return None
    modes = values.reshape(-1, *shape)[0]
    return modes if np.isfinite(modes).all() else None


def _mean_free_paths(
    arrays: dict[str, Any], shape: tuple[int, ...]
) -> FloatArray | None:
    """Return speed times lifetime, 1 / (4 pi gamma), with all scattering in the file.

    Group velocities are in THz angstrom, gamma in THz. It is zero for modes with zero
    velocity, and infinite for others with zero gamma, unless there is a boundary.
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
    speeds = np.broadcast_to(0.1 / (4 * np.pi) * speed, shape)
    paths = np.full(shape, np.inf)
    np.divide(speeds, gamma, out=paths, where=gamma > 0)
    # Velocities that are zero by symmetry are rounding errors in the file.
    paths[speeds <= _AT_REST * speeds.max()] = 0.0
    boundary = float(np.ravel(arrays.get("boundary_mfp", np.inf))[0]) * 1e3
    with np.errstate(divide="ignore"):
        return np.asarray(1 / (1 / paths + 1 / boundary))

"""Check before a run that the files of earlier runs which it is to read exist."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phono3py.file_IO import _get_filename_suffix
from phonopy.phonon.grid import get_ir_grid_points

from phono3py_mlp_plugin.errors import DatasetError

if TYPE_CHECKING:
    from phono3py import Phono3py


def check_files_to_read(ph3: Phono3py, settings: Any) -> None:
    """Raise an error if a file that is to be read does not exist.

    Parameters
    ----------
    ph3 : Phono3py
        With the mesh of the run; without one, nothing is read.
    settings : Phono3pySettings

    Raises
    ------
    DatasetError
        It tells the name that phono3py expects.
    """
    if ph3.mesh_numbers is None:
        return
    if settings.read_phonon:
        _require("--read-phonon", "--write-phonon", ["phonon" + _suffix(ph3)])
    rta, lbte = settings.is_bterta and not settings.is_lbte, settings.is_lbte
    if settings.read_gamma and rta:
        _require_parts(ph3, settings, "--read-gamma", "--write-gamma", "kappa")
    if settings.read_collision and lbte:
        written = "--write-collision"
        _require_parts(ph3, settings, "--read-collision", written, "collision")
    # phono3py does not compute a point of which it has read the results.
    if settings.read_pp and (lbte or (rta and not settings.read_gamma)):
        for sigma in ph3.sigmas:
            for point in _grid_points(ph3, settings):
                name = "pp" + _suffix(ph3, sigma, grid_point=point)
                _require("--read-pp", "--write-pp", [name])


def _require_parts(
    ph3: Phono3py, settings: Any, option: str, written: str, kind: str
) -> None:
    """Require one file, or one for each grid point, or one for each of their bands."""
    n_bands = 3 * len(ph3.phonon_primitive)
    for sigma in ph3.sigmas:
        whole = kind + _suffix(ph3, sigma)
        if _exists(whole):
            continue
        for point in _grid_points(ph3, settings):
            bands = (
                kind + _suffix(ph3, sigma, grid_point=point, band_indices=[band])
                for band in range(n_bands)
            )
            if not all(map(_exists, bands)):
                part = kind + _suffix(ph3, sigma, grid_point=point)
                _require(option, written, [part, whole])


def _grid_points(ph3: Phono3py, settings: Any) -> Iterator[int]:
    """Return the points that phono3py computes, none if it has to find them first."""
    if settings.grid_addresses is not None:
        return iter(())
    grid = ph3.grid
    assert grid is not None
    if settings.grid_points is not None:
        return map(int, settings.grid_points)
    if not settings.is_kappa_star:
        return map(int, grid.grg2bzg)
    return map(int, grid.grg2bzg[get_ir_grid_points(grid)[0]])


def _suffix(ph3: Phono3py, sigma: float | None = None, **others: Any) -> str:
    """Return what phono3py appends to the name of a file."""
    return str(
        _get_filename_suffix(
            ph3.mesh_numbers,
            sigma=sigma,
            sigma_cutoff=None if sigma is None else ph3.sigma_cutoff,
            **others,
        )
    )


def _exists(name: str) -> bool:
    return Path(f"{name}.hdf5").is_file()


def _require(option: str, written: str, names: Iterable[str]) -> None:
    """Raise an error if none of the files exists."""
    names = list(names)
    if not any(map(_exists, names)):
        found = " or ".join(f'"{name}.hdf5"' for name in names)
        raise DatasetError(f"{option}: {found} is not found. Create it with {written}.")

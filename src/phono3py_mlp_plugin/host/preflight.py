"""What the host finds out after the work, or never: settings that cannot be meant.

The host checks whether there is a mesh before it reads the dataset. The rest it meets
when force constants are there: a training and thousands of forces later.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from phono3py.file_IO import _get_filename_suffix
from phonopy.phonon.grid import BZGrid
from phonopy.structure.atomic_data import get_atomic_data

from phono3py_mlp_plugin.errors import DatasetError, ParameterError
from phono3py_mlp_plugin.ranges import NOT_NEGATIVE, POSITIVE, Range, check_range

if TYPE_CHECKING:
    from phono3py import Phono3py

_NAC_METHODS = ("gonze", "wang")

# Options of which the host obeys one and says nothing of the other.
_EXCLUSIVE = (
    (("--br", "is_bterta"), ("--lbte", "is_lbte")),
    (("--read-phonon", "read_phonon"), ("--write-phonon", "write_phonon")),
    (("--read-gamma", "read_gamma"), ("--write-gamma", "write_gamma")),
    (("--read-pp", "read_pp"), ("--write-pp", "write_pp")),
)


def check_settings(settings: Any) -> None:
    """Refuse values out of range and options that exclude each other.

    Parameters
    ----------
    settings
        The host's.

    Raises
    ------
    ParameterError
    """
    for (one, first), (other, second) in _EXCLUSIVE:
        if getattr(settings, first) and getattr(settings, second):
            raise ParameterError(f"{one} and {other}: give one of them.")
    _check_temperatures(settings)
    sigmas = settings.sigma if isinstance(settings.sigma, list) else [settings.sigma]
    _check_numbers("--sigma", (s for s in sigmas if s is not None), POSITIVE)
    _check_numbers("--bmfp", _given(settings.boundary_mfp), POSITIVE)
    _check_numbers(
        "--mass-variances",
        settings.mass_variances or (),
        NOT_NEGATIVE,
    )
    method = settings.nac_method
    if method is not None and method not in _NAC_METHODS:
        raise ParameterError(
            f"--nac-method = {method}; expected {' or '.join(_NAC_METHODS)}."
        )
    if settings.is_gruneisen and (
        settings.mesh_numbers is None
        and settings.band_paths is None
        and settings.qpoints is None
    ):
        raise ParameterError("--gruneisen: needs --mesh, --band or --qpoints.")
    _check_estimates(settings)


def _check_estimates(settings: Any) -> None:
    """Refuse estimates of what is given otherwise."""
    number = settings.random_displacements
    memory = settings.symfc_memory_size
    _check_numbers("--symfc-memsize", _given(memory), POSITIVE)
    if memory is not None and settings.cutoff_pair_distance is not None:
        raise ParameterError(
            "--symfc-memsize and --cutoff-pair: both set the cutoff; give one of them."
        )
    factor = settings.rd_number_estimation_factor
    if factor is not None and "auto" not in (number, settings.random_displacements_fc2):
        raise ParameterError(
            f"--rd-auto-factor = {factor:g}: is for --rd auto. Leave it out."
        )


def _check_temperatures(settings: Any) -> None:
    if settings.temperatures is not None:
        _check_numbers("--ts", settings.temperatures, NOT_NEGATIVE)
        return
    lowest, highest = settings.min_temperature, settings.max_temperature
    _check_numbers("--tmin", [lowest], NOT_NEGATIVE)
    _check_numbers("--tstep", [settings.temperature_step], POSITIVE)
    if not lowest <= highest < math.inf:
        raise ParameterError(
            f"--tmax = {highest:g}; expected no less than --tmin = {lowest:g}."
        )


def _given(value: float | None) -> tuple[float, ...]:
    return () if value is None else (value,)


def _check_numbers(option: str, values: Iterable[float], allowed: Range) -> None:
    for value in values:
        check_range(option, value, allowed)


def check_cell(ph3: Phono3py, settings: Any) -> None:
    """Refuse what the crystal or its grid does not have, before any work.

    Parameters
    ----------
    ph3 : Phono3py
        With the mesh of the run, if it has one.
    settings
        The host's.

    Raises
    ------
    ParameterError, DatasetError
        A grid point, a band, a mass variance or a file that is asked for is missing.
    """
    _check_isotopes(ph3, settings)
    n_bands = 3 * len(ph3.phonon_primitive)
    if settings.band_indices is not None:
        bands = np.hstack(settings.band_indices)
        if bands.min() < 0 or bands.max() >= n_bands:
            raise ParameterError(
                f"--bi = {' '.join(str(i + 1) for i in bands)}; expected numbers from "
                f"1 to {n_bands}, the bands of the primitive cell."
            )
    if settings.is_gruneisen and len(ph3.phonon_supercell) != len(ph3.supercell):
        raise ParameterError(
            f"--gruneisen: fc2 has a supercell of {len(ph3.phonon_supercell)} atoms of "
            f"its own (dim-fc2) and fc3 one of {len(ph3.supercell)}; expected the same."
        )
    _check_grid_points(ph3, settings)
    _check_files(ph3, settings)


def _check_grid_points(ph3: Phono3py, settings: Any) -> None:
    points = settings.grid_points
    if points is None or settings.grid_addresses is not None:
        return
    if settings.mesh_numbers is None:
        return
    # Joint densities of states and isotope scattering make a grid of their own.
    grid = ph3.grid or BZGrid(
        settings.mesh_numbers,
        lattice=ph3.phonon_primitive.cell,
        symmetry_dataset=ph3.primitive_symmetry.dataset,
        use_grg=settings.use_grg,
    )
    n_points = len(grid.addresses)
    if np.min(points) < 0 or np.max(points) >= n_points:
        raise ParameterError(
            f"--gp = {' '.join(map(str, points))}; expected numbers from 0 to "
            f"{n_points - 1}, the points of the grid (--wgp lists them)."
        )


def _check_isotopes(ph3: Phono3py, settings: Any) -> None:
    if not settings.is_isotope and settings.mass_variances is None:
        return
    symbols = ph3.phonon_primitive.symbols
    variances = settings.mass_variances
    if variances is None:
        known = get_atomic_data().isotope_data
        unknown = sorted(set(symbols) - set(known))
        if unknown:
            raise ParameterError(
                f"--isotope: the isotopes of {', '.join(unknown)} are not known. Give "
                "--mass-variances."
            )
    elif len(variances) != len(symbols):
        raise ParameterError(
            f"--mass-variances: {len(variances)} given; expected {len(symbols)}, one "
            "for each atom of the primitive cell."
        )


def _check_files(ph3: Phono3py, settings: Any) -> None:
    """Refuse to start where a file that is to be read is not there."""
    if not settings.read_phonon or ph3.mesh_numbers is None:
        return
    path = Path(f"phonon{_get_filename_suffix(ph3.mesh_numbers)}.hdf5")
    if not path.is_file():
        raise DatasetError(
            f'--read-phonon: "{path}" is not found. Make it by --write-phonon.'
        )

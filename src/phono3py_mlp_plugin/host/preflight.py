"""Early checks of settings that phono3py would check late or not at all.

phono3py checks only the mesh before it reads the dataset. Other invalid settings would
be found after the training and the evaluation of thousands of forces.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from phono3py.conductivity import factory
from phonopy.phonon.grid import BZGrid
from phonopy.structure.atomic_data import get_atomic_data

from phono3py_mlp_plugin.errors import ParameterError, did_you_mean
from phono3py_mlp_plugin.host.files_to_read import check_files_to_read
from phono3py_mlp_plugin.ranges import NOT_NEGATIVE, POSITIVE, Range, check_range
from phono3py_mlp_plugin.workflow import (
    check_equivalent_masses,
    check_extended,
    check_scattering_supercell,
)

if TYPE_CHECKING:
    from phono3py import Phono3py

_NAC_METHODS = ("gonze", "wang")

# Options of which phono3py ignores one without a message.
_EXCLUSIVE = (
    (("--br", "is_bterta"), ("--lbte", "is_lbte")),
    (("--read-phonon", "read_phonon"), ("--write-phonon", "write_phonon")),
    (("--read-gamma", "read_gamma"), ("--write-gamma", "write_gamma")),
    (("--read-pp", "read_pp"), ("--write-pp", "write_pp")),
)


def check_settings(settings: Any) -> None:
    """Check for values out of range and mutually exclusive options.

    Parameters
    ----------
    settings : Phono3pySettings

    Raises
    ------
    ParameterError
        If a check fails.
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
    check_transport_type(
        settings.transport_type, is_lbte=settings.is_lbte, where="--transport-type"
    )
    _check_estimates(settings)


def check_transport_type(name: str | None, *, is_lbte: bool, where: str) -> None:
    """Check the name of a transport equation, which phono3py looks for at the end.

    Parameters
    ----------
    name : str or None
        None for that of phono3py's default.
    is_lbte : bool
        Whether the equation is solved directly, not by relaxation times.
    where : str
        Name of the option or argument, for the message.

    Raises
    ------
    ParameterError
        If none of this name is registered.
    """
    # There is no public list of those that are registered.
    registered = getattr(factory, "_REGISTRY", None)
    ending = "-lbte" if is_lbte else "-rta"
    if name is None or registered is None or f"{name}{ending}".lower() in registered:
        return
    known = sorted(k.removesuffix(ending) for k in registered if k.endswith(ending))
    raise ParameterError(
        f"{where} = {name}; expected one of {', '.join(known)}."
        f"{did_you_mean(str(name), known)} Leave it out, or install the package that "
        "provides it."
    )


def _check_estimates(settings: Any) -> None:
    """Check options that estimate a value which another option sets."""
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
    """Check settings against the crystal and its grid before any computation.

    Parameters
    ----------
    ph3 : Phono3py
        With the mesh of the run, if there is one.
    settings : Phono3pySettings

    Raises
    ------
    ParameterError, DatasetError
        If a requested grid point, band, mass variance or file does not exist, or the
        masses do not fit the primitive cell.
    PhysicsError
        If kappa is requested of a molecule in a box, or of a supercell in which fc3
        vanishes.
    """
    _check_isotopes(ph3, settings)
    check_equivalent_masses(ph3.supercell, ph3.primitive)
    if settings.mesh_numbers is not None and (settings.is_bterta or settings.is_lbte):
        check_extended(ph3.unitcell)
        check_scattering_supercell(ph3.supercell)
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
            f"--gruneisen: the supercell of fc2 (dim-fc2) has "
            f"{len(ph3.phonon_supercell)} atoms and that of fc3 {len(ph3.supercell)}; "
            "expected the same supercell."
        )
    _check_grid_points(ph3, settings)
    check_files_to_read(ph3, settings)


def _check_grid_points(ph3: Phono3py, settings: Any) -> None:
    points = settings.grid_points
    if points is None or settings.grid_addresses is not None:
        return
    if settings.mesh_numbers is None:
        return
    # Joint densities of states and isotope scattering use a separate grid.
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

"""Conversion of input to angstrom and eV, for all calculators.

phono3py converts lattices, displacements and forces. It does not convert energies and
the factor of Born charges, and phono3py.load keeps the name of the calculator.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping
from typing import IO, TYPE_CHECKING, Any

from phonopy.physical_units import get_calculator_physical_units, get_physical_units

from phono3py_mlp_plugin.errors import DatasetError
from phono3py_mlp_plugin.host.bindings import bind_late, original

if TYPE_CHECKING:
    from phono3py import Phono3py
    from phono3py.interface.phono3py_yaml import Phono3pyYaml

# Relative tolerance, for factors written with few digits ("14.400").
_SAME_FACTOR = 0.01

# One calculator for each unit system of phonopy.
_SYSTEMS = ("vasp", "abinit", "qe", "wien2k", "elk", "cp2k")


def read_yaml(
    self: Phono3pyYaml, filename: str | os.PathLike[str] | IO[Any]
) -> Phono3pyYaml:
    """Replace the method of phono3py; the first file read binds the late names."""
    bind_late()
    yaml: Phono3pyYaml = original("phono3py.interface.phono3py_yaml:Phono3pyYaml.read")(
        self, filename
    )
    return yaml


def get_cell_settings(*args: Any, **options: Any) -> Any:
    """Replace the function of phonopy for other crystal files; see `read_yaml`."""
    bind_late()
    return original("phonopy.cui.load_helper:get_cell_settings")(*args, **options)


def parse_forces(
    phono3py: Phono3py,
    ph3py_yaml: Phono3pyYaml | None = None,
    *args: Any,
    **options: Any,
) -> Any:
    """Replace the function of phono3py, which does not convert energies to eV."""
    dataset = original("phono3py.cui.load:parse_forces")(
        phono3py, ph3py_yaml, *args, **options
    )
    calculator = options.get("calculator")
    if ph3py_yaml is None or calculator is None:
        return dataset
    factor = get_calculator_physical_units(calculator).energy_to_eV
    for raw in (ph3py_yaml.dataset, ph3py_yaml.phonon_dataset):
        # A phono3py that converts energies itself returns others than in the file.
        if raw is not None and list(_energies(raw)) == list(_energies(dataset)):
            _convert_energies(dataset, factor)
            break
    return dataset


def select_and_load_dataset(ph3py: Phono3py, *args: Any, **options: Any) -> Any:
    """Replace the function of phono3py.load, and remove the name of the calculator.

    The crystal is already converted. With the name of the calculator, a saved file
    would be converted a second time when it is read again.
    """
    if ph3py.calculator is not None and not _is_default(ph3py.calculator):
        ph3py._calculator = None
    try:
        note = set_born_factor(ph3py, "nac_params")
    except DatasetError as error:
        note = str(error)
    if note:
        warnings.warn(note, stacklevel=3)
    return original("phono3py.cui.load:select_and_load_dataset")(
        ph3py, *args, **options
    )


def set_born_factor(ph3: Phono3py, where: str) -> str | None:
    """Set the unit factor of Born charges for angstrom and eV.

    Parameters
    ----------
    ph3 : Phono3py
        Its ``nac_params`` are replaced if their factor is that of other units.
    where : str
        Source of the Born charges, for messages.

    Returns
    -------
    str or None
        A note about the replaced factor.

    Raises
    ------
    DatasetError
        If the factor belongs to no unit system of phonopy.
    """
    params = ph3.nac_params
    if params is None:
        return None
    units = get_physical_units()
    expected = units.Hartree * units.Bohr
    given = params.get("factor")
    if given is not None and _is_near(given, expected):
        return None
    ph3.nac_params = {**params, "factor": expected}
    if given is None:
        return None
    for name in _SYSTEMS:
        if _is_near(given, get_calculator_physical_units(name).nac_factor):
            return (
                f"{where}: unit_conversion_factor = {given:g} is that of the units of "
                f"{name}; forces are in eV/angstrom here: {expected:.6f} is used."
            )
    raise DatasetError(
        f"{where}: unit_conversion_factor = {given}; expected {expected:.6f}, that of "
        "angstrom and eV. Leave it out, or correct it."
    )


def _is_default(calculator: str) -> bool:
    return get_calculator_physical_units(calculator) == get_calculator_physical_units()


def _is_near(value: Any, factor: float) -> bool:
    return isinstance(value, int | float) and (
        abs(value - factor) <= _SAME_FACTOR * factor
    )


def _entries(dataset: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for first in dataset.get("first_atoms", ()):
        yield first
        yield from first.get("second_atoms", ())


def _energies(dataset: Mapping[str, Any]) -> Iterator[Any]:
    yield from dataset.get("supercell_energies", ())
    for entry in _entries(dataset):
        if "supercell_energy" in entry:
            yield entry["supercell_energy"]


def _convert_energies(dataset: dict[str, Any], factor: float) -> None:
    if "supercell_energies" in dataset:
        dataset["supercell_energies"] = dataset["supercell_energies"] * factor
    for entry in _entries(dataset):
        if "supercell_energy" in entry:
            entry["supercell_energy"] *= factor

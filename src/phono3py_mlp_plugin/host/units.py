"""Everything that is read in angstrom and eV, whichever calculator's units it is in.

The host converts lattices, displacements and forces, and leaves energies, the factor of
Born charges and, in phono3py.load, the name of the calculator whose units they were in.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping
from typing import IO, TYPE_CHECKING, Any

from phonopy.physical_units import get_calculator_physical_units, get_physical_units

from phono3py_mlp_plugin.errors import DatasetError
from phono3py_mlp_plugin.host.bindings import complete, original

if TYPE_CHECKING:
    from phono3py import Phono3py
    from phono3py.interface.phono3py_yaml import Phono3pyYaml

# Factors that are written with few digits ("14.400") differ by less.
_SAME_FACTOR = 0.01

# Of each system of units in the host's table, one calculator that has it.
_SYSTEMS = ("vasp", "abinit", "qe", "wien2k", "elk", "cp2k")


def read_yaml(
    self: Phono3pyYaml, filename: str | os.PathLike[str] | IO[Any]
) -> Phono3pyYaml:
    """Stand for the host's method; the first file that is read completes bindings."""
    complete()
    yaml: Phono3pyYaml = original("phono3py.interface.phono3py_yaml:Phono3pyYaml.read")(
        self, filename
    )
    return yaml


def get_cell_settings(*args: Any, **options: Any) -> Any:
    """Stand for the host's function for crystals of other files; as `read_yaml`."""
    complete()
    return original("phonopy.cui.load_helper:get_cell_settings")(*args, **options)


def parse_forces(
    phono3py: Phono3py,
    ph3py_yaml: Phono3pyYaml | None = None,
    *args: Any,
    **options: Any,
) -> Any:
    """Stand for the host's function, which leaves energies in the calculator's unit."""
    dataset = original("phono3py.cui.load:parse_forces")(
        phono3py, ph3py_yaml, *args, **options
    )
    calculator = options.get("calculator")
    if ph3py_yaml is None or calculator is None:
        return dataset
    factor = get_calculator_physical_units(calculator).energy_to_eV
    for raw in (ph3py_yaml.dataset, ph3py_yaml.phonon_dataset):
        # A host that converts energies itself returns others than the file's.
        if raw is not None and list(_energies(raw)) == list(_energies(dataset)):
            _convert_energies(dataset, factor)
            break
    return dataset


def select_and_load_dataset(ph3py: Phono3py, *args: Any, **options: Any) -> Any:
    """Stand for the host's function of phono3py.load, which has converted the crystal.

    Saved under the name of the calculator, it would be converted once more when it is
    read again.
    """
    if ph3py.calculator is not None and not _is_default(ph3py.calculator):
        ph3py._calculator = None
    try:
        note = settle_born_factor(ph3py, "nac_params")
    except DatasetError as error:
        note = str(error)
    if note:
        warnings.warn(note, stacklevel=3)
    return original("phono3py.cui.load:select_and_load_dataset")(
        ph3py, *args, **options
    )


def settle_born_factor(ph3: Phono3py, where: str) -> str | None:
    """Give Born charges the factor that belongs to angstrom and eV.

    Parameters
    ----------
    ph3 : Phono3py
        Its ``nac_params`` are replaced where their factor is that of other units.
    where : str
        Named in messages.

    Returns
    -------
    str or None
        What was replaced.

    Raises
    ------
    DatasetError
        The factor is of no unit system that the host knows.
    """
    params = ph3.nac_params
    if params is None:
        return None
    units = get_physical_units()
    right = units.Hartree * units.Bohr
    found = params.get("factor")
    if found is not None and _is_near(found, right):
        return None
    ph3.nac_params = {**params, "factor": right}
    if found is None:
        return None
    for name in _SYSTEMS:
        if _is_near(found, get_calculator_physical_units(name).nac_factor):
            return (
                f"{where}: unit_conversion_factor = {found:g} is that of the units of "
                f"{name}; forces are in eV/angstrom here: {right:.6f} is used."
            )
    raise DatasetError(
        f"{where}: unit_conversion_factor = {found}; expected {right:.6f}, that of "
        "angstrom and eV. Leave it out, or correct it."
    )


def _is_default(calculator: str) -> bool:
    return get_calculator_physical_units(calculator) == get_calculator_physical_units()


def _is_near(found: Any, factor: float) -> bool:
    return isinstance(found, int | float) and (
        abs(found - factor) <= _SAME_FACTOR * factor
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

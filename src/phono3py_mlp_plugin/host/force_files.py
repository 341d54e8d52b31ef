"""Collection of forces and energies from first-principles results (``--cf3``)."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from phonopy.physical_units import get_calculator_physical_units

from phono3py_mlp_plugin.errors import MLPError, message_for_user
from phono3py_mlp_plugin.files import read_energy
from phono3py_mlp_plugin.host.bindings import original


def get_force_sets(
    settings: Any,
    disp_dataset: Mapping[str, Any],
    supercell: Any,
    disp_filename: str,
    interface_mode: str | None,
    *args: Any,
    **options: Any,
) -> Any:
    """Replace the function of phono3py, and add energies; a note if files are missing.

    phono3py then uses the first displacements, and reports that only within its log. It
    reads energies for a part of the calculators.
    """
    result = original("phono3py.cui.create_force_sets:_get_force_sets_fc3")(
        settings,
        disp_dataset,
        supercell,
        disp_filename,
        interface_mode,
        *args,
        **options,
    )
    n_files, wanted = len(result["forces"]), len(disp_dataset.get("displacements", ()))
    if n_files < wanted:
        _note(
            f"forces of {n_files} supercells for {wanted} displacements: used "
            f"for the first {n_files}. If others are missing, give all files in order."
        )
    if settings.save_params and "supercell_energies" not in result:
        energies = _energies(_force_files(settings))
        if energies is not None:
            # In the file, energies have the unit of the calculator.
            unit = get_calculator_physical_units(interface_mode).energy_to_eV
            result["supercell_energies"] = [energy / unit for energy in energies]
    return result


def _energies(paths: list[Path]) -> list[float] | None:
    """Return the energies in output files (eV); None, with a note, if one has none."""
    energies = []
    for path in paths:
        try:
            energy, reason = read_energy(path), ""
        except (MLPError, OSError) as error:
            energy, reason = None, f" ({message_for_user(error)})"
        if energy is None:
            _note(
                f"no energy is read from {path}{reason}: potentials are trained on "
                "forces alone."
            )
            return None
        energies.append(energy)
    return energies


def _force_files(settings: Any) -> list[Path]:
    """Return the files of ``--cf3``, or those listed in the file of ``--cf3-file``."""
    listed = settings.create_forces_fc3_file
    if not listed:
        return [Path(name) for name in settings.create_forces_fc3]
    lines = (line.strip() for line in Path(listed).read_text().splitlines())
    return [Path(line) for line in lines if line and not line.startswith("#")]


def _note(text: str) -> None:
    sys.stdout.flush()
    print(f"Note: {text}", file=sys.stderr)

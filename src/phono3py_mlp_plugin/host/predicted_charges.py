"""Born charges of force calculators that predict them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from phonopy.physical_units import get_physical_units
from phonopy.structure.symmetry import symmetrize_borns_and_epsilon

from phono3py_mlp_plugin.contracts import Potential
from phono3py_mlp_plugin.errors import DatasetError
from phono3py_mlp_plugin.host.mlp import PluginMLP
from phono3py_mlp_plugin.plugins import plugin_errors
from phono3py_mlp_plugin.workflow import charges_note, check_born_charges

if TYPE_CHECKING:
    from phono3py import Phono3py


def charges_lines(ph3: Phono3py) -> list[str]:
    """Set Born charges if the potential predicts them, and say so, or that none are.

    Parameters
    ----------
    ph3 : Phono3py
        With its potential.
    """
    mlp = ph3.mlp
    assert isinstance(mlp, PluginMLP) and mlp.potential is not None
    lines = predict_born_charges(ph3, mlp.calculator, mlp.potential)
    note = charges_note(ph3)
    return lines if note is None else [*lines, f"Note: {note}"]


def predict_born_charges(ph3: Phono3py, name: str, potential: Potential) -> list[str]:
    """Set the Born charges of a potential in a crystal that has none.

    Parameters
    ----------
    ph3 : Phono3py
        Its ``nac_params`` are set if the potential predicts them.
    name : str
        Name of the force calculator, used in messages.
    potential : Potential

    Returns
    -------
    list of str
        A line that says so.

    Raises
    ------
    DatasetError, PluginFailed
        If they do not fit the crystal, or the potential fails.
    """
    predict = getattr(potential, "born_charges", None)
    if ph3.nac_params is not None or predict is None:
        return []
    with plugin_errors(f"{name}: Born charges"):
        found = predict(ph3.unitcell)
    if found is None:
        return []
    born, dielectric = (np.asarray(array, dtype="double") for array in found)
    if born.shape != (len(ph3.unitcell), 3, 3) or dielectric.shape != (3, 3):
        raise DatasetError(
            f"{name}: Born charges of shape {born.shape}; expected one tensor for each "
            f"of {len(ph3.unitcell)} atoms, and a dielectric tensor."
        )
    ph3.nac_params = _nac_params(ph3, born, dielectric)
    check_born_charges(ph3)
    largest = float(np.abs(born).max())
    constant = float(np.trace(dielectric)) / 3
    return [
        f"Born charges are those of {name}: up to {largest:.2f}, dielectric constant "
        f"{constant:.2f}."
    ]


def _nac_params(ph3: Phono3py, born: Any, dielectric: Any) -> dict[str, Any]:
    """Return the parameters of phono3py, with the symmetry of the crystal."""
    units = get_physical_units()
    charges, tensor = born, dielectric
    if np.isfinite(born).all() and np.isfinite(dielectric).all():
        charges, tensor = symmetrize_borns_and_epsilon(
            born,
            dielectric,
            ph3.unitcell,
            primitive=ph3.primitive,
            supercell_matrix=ph3.supercell_matrix,
            symprec=ph3.symmetry.tolerance,
        )
    else:
        charges = born[: len(ph3.primitive)]
    return {
        "born": charges,
        "dielectric": tensor,
        "factor": units.Hartree * units.Bohr,
    }

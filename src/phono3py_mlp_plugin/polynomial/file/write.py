"""Writing of potential files in the format of pypolymlp, ``polymlp.yaml``."""

from __future__ import annotations

from collections.abc import Iterable

from phonopy.structure.atomic_data import get_atomic_data

from phono3py_mlp_plugin.contracts import FloatArray
from phono3py_mlp_plugin.polynomial.model.parameters import ModelParameters

# Mass numbers of the longest-lived isotopes of elements without a mass in phonopy.
# Molecular dynamics needs a mass.
_MASS_NUMBERS = {
    "Po": 209.0,
    "At": 210.0,
    "Rn": 222.0,
    "Fr": 223.0,
    "Ra": 226.0,
    "Pu": 244.0,
    "Am": 243.0,
    "Cm": 247.0,
    "Bk": 247.0,
    "Cf": 251.0,
    "Es": 252.0,
    "Fm": 257.0,
    "Md": 258.0,
    "No": 259.0,
    "Lr": 266.0,
}


def format_potential(parameters: ModelParameters, coefficients: FloatArray) -> str:
    """Return the text of ``polymlp.yaml``, with exact numbers.

    The order of the lines is that of pypolymlp, whose LAMMPS module requires it.

    Parameters
    ----------
    parameters : ModelParameters
    coefficients : ndarray
        Shape ``(n_features,)``.
    """
    n_types = parameters.n_types
    energies = parameters.atomic_energies or (0.0,) * n_types
    lines = [
        f"elements:      [{', '.join(parameters.elements)}]",
        f"enable_spins:  {[0] * n_types}",
        f"atomic_energy: {_numbers(energies)}",
        "",
        "electrostatic: 0",
        f"mass:          {_numbers(map(_mass, parameters.elements))}",
        "",
        f"cutoff:        {_exact(parameters.cutoff)}",
        "pair_type:     gaussian",
        f"feature_type:  {parameters.feature_type}",
        f"model_type:    {parameters.model_type}",
        f"max_p:         {parameters.max_p}",
        f"max_l:         {parameters.max_l}",
        "",
    ]
    if parameters.feature_type == "gtinv":
        maxl = list(parameters.gtinv_maxl)
        lines += [
            f"gtinv_order:   {parameters.gtinv_order}",
            f"gtinv_maxl:    {maxl}",
            f"gtinv_sym:     {[0] * len(maxl)}",
            f"gtinv_version: {parameters.gtinv_version}",
            "",
        ]
    lines += [f"n_pair_params: {parameters.n_radial}", "pair_params:"]
    lines += [f"- {_numbers(pair)}" for pair in parameters.pair_params]
    lines += ["", f"n_type_pairs: {len(parameters.type_pairs)}", "type_pairs:"]
    for pair in parameters.type_pairs:
        lines += [
            f"- atom_type_pair:      {list(pair)}",
            f"  pair_params_indices: {list(parameters.active_pair_params(pair))}",
        ]
    lines += [
        "",
        "type_full:    1",
        f"type_indices: {list(range(n_types))}",
        "",
        f"n_coeffs: {len(coefficients)}",
        f"coeffs: {_numbers(coefficients.tolist())}",
    ]
    return "\n".join(lines) + "\n"


def _numbers(values: Iterable[float]) -> str:
    """Return a list of numbers in YAML."""
    return f"[{', '.join(map(_exact, values))}]"


def _exact(value: float) -> str:
    """Return the shortest exact text of a number; YAML does not accept ``1e-05``."""
    text = repr(float(value))
    return text if "." in text else text.replace("e", ".0e")


def _mass(symbol: str) -> float:
    element = symbol.rstrip("0123456789")
    data = get_atomic_data()
    mass = data.atom_data[data.symbol_map[element]][3]
    return _MASS_NUMBERS[element] if mass is None else float(mass)

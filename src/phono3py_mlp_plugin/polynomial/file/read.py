"""Reading of potential files, which are interchangeable with pypolymlp.

``polymlp.yaml`` and the older text format (`legacy`) are both converted to a mapping
from the keys of pypolymlp to strings and lists of strings, which are checked one by
one. YAML types are not used. The long line of coefficients is not read by the YAML
parser, which would take most of the time.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
import yaml

from phono3py_mlp_plugin.contracts import FloatArray
from phono3py_mlp_plugin.errors import ParameterError, PotentialError, one_line
from phono3py_mlp_plugin.polynomial.file.legacy import is_legacy, read_legacy
from phono3py_mlp_plugin.polynomial.file.values import (
    REMEDY,
    Values,
    any_true,
    as_bool,
    as_feature_type,
    as_finite,
    as_list,
    as_list_of,
    as_pair,
    as_symbol,
    as_text,
    as_type_pair,
    shown,
)
from phono3py_mlp_plugin.polynomial.model.feature_list import count_features
from phono3py_mlp_plugin.polynomial.model.invariants import Table, invariants
from phono3py_mlp_plugin.polynomial.model.parameters import ModelParameters, TypePair

# The coefficients as written by pypolymlp and this package.
_COEFFICIENTS = re.compile(r"^coeffs:\s*\[([^\]]*)(\]?)", re.MULTILINE)

# Without libyaml, large files can be read, but this takes long.
_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)

# libyaml crashes at about ten thousand levels. Potentials have four levels, and may be
# followed by a provenance record.
_MOST_LEVELS = 20


@dataclass(frozen=True, eq=False)
class PotentialFile:
    """Contents of a file of a polynomial potential.

    Attributes
    ----------
    parameters : ModelParameters
    coefficients : ndarray
        Shape ``(n_features,)``.
    """

    parameters: ModelParameters
    coefficients: FloatArray


def parse_potential(text: str, where: str, table: Table = invariants) -> PotentialFile:
    """Return the contents of a potential file of either format.

    Parameters and errors are those of `phono3py_mlp_plugin.polynomial.load`.
    """
    read = read_legacy if is_legacy(text) else _read_yaml
    values = Values(read(text, where), where)
    coefficients = _coefficients(values)
    try:
        parameters = _parameters(values)
        # Counted before they are listed, because a file may define too many features.
        n_features = count_features(parameters, table)
    except ParameterError as error:
        raise PotentialError(f"{where}: {one_line(error)} {REMEDY}") from None
    if len(coefficients) != n_features:
        raise PotentialError(
            f"{where}: n_coeffs = {len(coefficients)}; expected {n_features}, the "
            f"number of features that its parameters define. {REMEDY}"
        )
    return PotentialFile(parameters, coefficients)


def _coefficients(values: Values) -> FloatArray:
    where = values.where
    words = values.convert("coeffs", as_list, "a list of numbers")
    n_coefficients = values.convert("n_coeffs", int, "an integer")
    if len(words) != n_coefficients:
        raise PotentialError(
            f"{where}: number of coefficients = {len(words)}; expected n_coeffs = "
            f"{shown(n_coefficients)}. The file is damaged. {REMEDY}"
        )
    if not words:
        raise values.wrong("coeffs", "numbers")
    coefficients = _floats(words, "coefficient", where)
    if "scales" in values:
        scales = _floats(
            values.convert("scales", as_list, "a list of numbers"), "scale", where
        )
        if len(scales) != n_coefficients or not scales.all():
            raise PotentialError(
                f"{where}: number of scales = {np.count_nonzero(scales)}; expected "
                f"{n_coefficients}, none of them zero. The file is damaged. {REMEDY}"
            )
        with np.errstate(all="ignore"):
            coefficients = coefficients / scales
    finite = np.isfinite(coefficients)
    if not finite.all():
        number = int(finite.argmin())
        raise PotentialError(
            f"{where}: coefficient {number + 1} = {coefficients[number]}; expected a "
            f"finite number. {REMEDY}"
        )
    return coefficients


def _floats(words: Sequence[Any], name: str, where: str) -> FloatArray:
    numbers = []
    try:
        for word in words:
            numbers.append(float(word))
    except (TypeError, ValueError) as error:
        number = len(numbers)
        raise PotentialError(
            f"{where}: {name} {number + 1} = {shown(words[number])}; expected a "
            f"number. {REMEDY}"
        ) from error
    return np.array(numbers)


def _parameters(values: Values) -> ModelParameters:
    elements = values.convert("elements", as_list_of(as_symbol), "chemical symbols")
    _check_kind(values, len(elements))
    values.convert(
        "mass", as_list_of(as_finite, len(elements)), "a number for each element"
    )
    gtinv: dict[str, Any] = {}
    feature_type = values.convert("feature_type", as_feature_type, "gtinv or pair")
    if feature_type == "gtinv":
        gtinv = {
            "gtinv_order": values.convert("gtinv_order", int, "an integer"),
            "gtinv_maxl": values.convert("gtinv_maxl", as_list_of(int), "integers"),
            "gtinv_version": values.convert("gtinv_version", int, "1 or 2"),
        }
    pair_params = values.convert("pair_params", as_list_of(as_pair), "pairs of numbers")
    for key, size in (
        ("n_pair_params", len(pair_params)),
        ("n_type_pairs", len(elements) * (len(elements) + 1) // 2),
    ):
        if key in values and values.convert(key, int, "an integer") != size:
            raise values.wrong(key, str(size))
    parameters = ModelParameters(
        elements=elements,
        cutoff=values.convert("cutoff", as_finite, "a length in angstrom"),
        pair_params=pair_params,
        model_type=values.convert("model_type", int, "an integer"),
        max_p=values.convert("max_p", int, "an integer"),
        feature_type=feature_type,
        conditional_pair_params=_type_pairs(values, len(elements), len(pair_params)),
        atomic_energies=_atomic_energies(values),
        **gtinv,
    )
    if values.convert("max_l", int, "an integer") < parameters.max_l:
        raise values.wrong("max_l", f"at least {parameters.max_l}")
    return parameters


def _check_kind(values: Values, n_types: int) -> None:
    """Raise if the model is of a kind that only pypolymlp supports."""
    if values.convert("pair_type", as_text, "gaussian") != "gaussian":
        raise values.not_covered("pair_type", "gaussian")
    for key in ("enable_spins", "electrostatic", "gtinv_sym"):
        if key in values and values.convert(key, any_true, "0 or 1"):
            raise values.not_covered(key, "0")
    # Types in a part of a hybrid model may differ from the elements of the crystal.
    if not values.convert("type_full", as_bool, "0 or 1"):
        raise values.not_covered("type_full", "1")
    indices = values.convert("type_indices", as_list_of(int), "integers")
    if indices != tuple(range(n_types)):
        raise values.not_covered("type_indices", f"0 to {n_types - 1}")


def _atomic_energies(values: Values) -> tuple[float, ...]:
    if "atomic_energy" not in values:
        return ()
    return values.convert("atomic_energy", as_list_of(as_finite), "energies in eV")


def _type_pairs(
    values: Values, n_types: int, n_radial: int
) -> dict[TypePair, tuple[int, ...]]:
    """Return the radial functions of those pairs of types that do not have all."""
    pairs = list(combinations_with_replacement(range(n_types), 2))
    listed = values.convert(
        "type_pairs",
        as_list_of(as_type_pair, len(pairs)),
        f"{len(pairs)} pairs of types",
    )
    if sorted(pair for pair, _ in listed) != pairs:
        raise values.wrong("type_pairs", "each pair of types once")
    every = tuple(range(n_radial))
    return {pair: functions for pair, functions in listed if functions != every}


def _read_yaml(text: str, where: str) -> dict[str, Any]:
    if "coeffs" not in text:
        raise PotentialError(
            f"{where}: not a polynomial potential: it has no list 'coeffs'. {REMEDY}"
        )
    match = _COEFFICIENTS.search(text)
    if match is None:
        return _yaml(text, where)
    if not match.group(2):
        raise PotentialError(
            f"{where}: the file ends within the list 'coeffs'; not a complete "
            f"potential. {REMEDY}"
        )
    content = _yaml(text[: match.start()] + text[match.end() :], where)
    if "coeffs" in content:
        raise PotentialError(
            f"{where}: 'coeffs' is there twice; expected one list. {REMEDY}"
        )
    numbers = match.group(1).strip().removesuffix(",")
    return {**content, "coeffs": numbers.split(",") if numbers else []}


def _yaml(text: str, where: str) -> dict[str, Any]:
    """Return the mapping of a YAML document, with all scalars as strings."""
    try:
        _check_levels(text)
        documents = list(yaml.load_all(text, Loader=_LOADER))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise PotentialError(
            f"{where}: not a polynomial potential ({one_line(error)[:80]}). {REMEDY}"
        ) from error
    if len(documents) > 1:
        raise PotentialError(
            f"{where}: {len(documents)} YAML documents; expected one. A hybrid model "
            "is a file for each: split it into NAME.1, NAME.2, ... and give --mlp-file "
            "NAME."
        )
    if not documents or not isinstance(documents[0], dict):
        raise PotentialError(
            f"{where}: not a polynomial potential: it has no list 'coeffs'. {REMEDY}"
        )
    return documents[0]


def _check_levels(text: str) -> None:
    level = 0
    for event in yaml.parse(text, Loader=_LOADER):
        level += isinstance(event, yaml.CollectionStartEvent)
        level -= isinstance(event, yaml.CollectionEndEvent)
        if level > _MOST_LEVELS:
            raise ValueError("nested too deeply")

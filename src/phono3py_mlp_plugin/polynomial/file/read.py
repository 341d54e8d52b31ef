"""Potential files are read, interchangeable with pypolymlp in both directions.

``polymlp.yaml`` and the older text format (`legacy`) both become a mapping from
pypolymlp's keys to text and lists of text, in which no YAML type has been guessed, and
that is checked value by value. The one long line of coefficients does not go through
the YAML parser, which would take most of the time.
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

# The coefficients as pypolymlp and this package write them.
_COEFFICIENTS = re.compile(r"^coeffs:\s*\[([^\]]*)(\]?)", re.MULTILINE)

# Without libyaml a large file takes long, but is read.
_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)

# libyaml crashes the process at some ten thousand levels; potentials have four, and
# provenance may follow them.
_MOST_LEVELS = 20


@dataclass(frozen=True, eq=False)
class PotentialFile:
    """What a file of a polynomial potential holds.

    Attributes
    ----------
    parameters : ModelParameters
    coefficients : ndarray
        Shape ``(n_features,)``.
    """

    parameters: ModelParameters
    coefficients: FloatArray


def parse_potential(text: str, where: str, table: Table = invariants) -> PotentialFile:
    """Return what the text of a potential file says, of either format.

    Parameters
    ----------
    text : str
    where : str
        The file's name, for messages.
    table : callable
        Of the invariants; the one of this package reaches order 3.

    Raises
    ------
    PotentialError
        It is not a polynomial potential, or a part of one.
    NotCovered
        It is one of a kind that only pypolymlp knows.
    """
    read = read_legacy if is_legacy(text) else _read_yaml
    values = Values(read(text, where), where)
    coefficients = _coefficients(values)
    try:
        parameters = _parameters(values)
        # Before they are listed: a file may define more than there is memory for.
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
    words = values.take("coeffs", as_list, "a list of numbers")
    n_coefficients = values.take("n_coeffs", int, "an integer")
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
            values.take("scales", as_list, "a list of numbers"), "scale", where
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
    elements = values.take("elements", as_list_of(as_symbol), "chemical symbols")
    _refuse_other_kinds(values, len(elements))
    values.take(
        "mass", as_list_of(as_finite, len(elements)), "a number for each element"
    )
    gtinv: dict[str, Any] = {}
    feature_type = values.take("feature_type", as_feature_type, "gtinv or pair")
    if feature_type == "gtinv":
        gtinv = {
            "gtinv_order": values.take("gtinv_order", int, "an integer"),
            "gtinv_maxl": values.take("gtinv_maxl", as_list_of(int), "integers"),
            "gtinv_version": values.take("gtinv_version", int, "1 or 2"),
        }
    pair_params = values.take("pair_params", as_list_of(as_pair), "pairs of numbers")
    for key, size in (
        ("n_pair_params", len(pair_params)),
        ("n_type_pairs", len(elements) * (len(elements) + 1) // 2),
    ):
        if key in values and values.take(key, int, "an integer") != size:
            raise values.wrong(key, str(size))
    parameters = ModelParameters(
        elements=elements,
        cutoff=values.take("cutoff", as_finite, "a length in angstrom"),
        pair_params=pair_params,
        model_type=values.take("model_type", int, "an integer"),
        max_p=values.take("max_p", int, "an integer"),
        feature_type=feature_type,
        conditional_pair_params=_type_pairs(values, len(elements), len(pair_params)),
        atomic_energies=_atomic_energies(values),
        **gtinv,
    )
    if values.take("max_l", int, "an integer") < parameters.max_l:
        raise values.wrong("max_l", f"at least {parameters.max_l}")
    return parameters


def _refuse_other_kinds(values: Values, n_types: int) -> None:
    """Refuse what the engine does not know and pypolymlp does."""
    if values.take("pair_type", as_text, "gaussian") != "gaussian":
        raise values.not_covered("pair_type", "gaussian")
    for key in ("enable_spins", "electrostatic", "gtinv_sym"):
        if key in values and values.take(key, any_true, "0 or 1"):
            raise values.not_covered(key, "0")
    # A part of a hybrid model has other types than the elements of the crystal.
    if not values.take("type_full", as_bool, "0 or 1"):
        raise values.not_covered("type_full", "1")
    indices = values.take("type_indices", as_list_of(int), "integers")
    if indices != tuple(range(n_types)):
        raise values.not_covered("type_indices", f"0 to {n_types - 1}")


def _atomic_energies(values: Values) -> tuple[float, ...]:
    if "atomic_energy" not in values:
        return ()
    return values.take("atomic_energy", as_list_of(as_finite), "energies in eV")


def _type_pairs(
    values: Values, n_types: int, n_radial: int
) -> dict[TypePair, tuple[int, ...]]:
    """Return the radial functions of the pairs of types that do not have all."""
    pairs = list(combinations_with_replacement(range(n_types), 2))
    listed = values.take(
        "type_pairs",
        as_list_of(as_type_pair, len(pairs)),
        f"{len(pairs)} pairs of types",
    )
    if sorted(pair for pair, _ in listed) != pairs:
        raise values.wrong("type_pairs", "each pair of types once")
    return {pair: here for pair, here in listed if here != tuple(range(n_radial))}


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
    """Return the mapping that YAML is, all scalars as text."""
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

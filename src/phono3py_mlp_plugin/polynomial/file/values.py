"""Conversion and checks of the values in a potential file."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np
from phonopy.structure.atomic_data import get_atomic_data

from phono3py_mlp_plugin.errors import NotCovered, PotentialError, one_line
from phono3py_mlp_plugin.polynomial.model.parameters import FeatureType, TypePair

Value = TypeVar("Value")

REMEDY = "Train it again, or name another file by --mlp-file."
_OTHER_KINDS = "Models of this kind need pypolymlp."

# A chemical symbol, which may be followed by the number of the species.
_SYMBOL = re.compile(r"([A-Z][a-z]?)\d*")

_LAST_ELEMENT = 103  # Lr

_TRUE = ("1", "true", "yes", "on", "y", "t")
_FALSE = ("0", "false", "no", "off", "n", "f")
_ABSENT = ("", "~", "null", "none")


class Values:
    """The values of a file, with the keys of pypolymlp."""

    def __init__(self, values: Mapping[str, Any], where: str) -> None:
        self._values = values
        self.where = where

    def __contains__(self, key: str) -> bool:
        value = self._values.get(key, "")
        return not (isinstance(value, str) and value.lower() in _ABSENT)

    def convert(
        self, key: str, converter: Callable[[Any], Value], expected: str
    ) -> Value:
        """Return a converted value; raise `PotentialError` if that fails."""
        if key not in self._values:
            raise PotentialError(
                f"{self.where}: '{key}' is missing; not a complete potential. {REMEDY}"
            )
        try:
            return converter(self._values[key])
        except (TypeError, ValueError, KeyError) as error:
            raise self.wrong(key, expected) from error

    def wrong(self, key: str, expected: str) -> PotentialError:
        """Return the error for a wrong value."""
        return PotentialError(
            f"{self.where}: {key} = {shown(self._values[key])}; expected {expected}. "
            f"{REMEDY}"
        )

    def not_covered(self, key: str, expected: str) -> NotCovered:
        """Return the error for a value that only pypolymlp supports."""
        return NotCovered(
            f"{self.where}: {key} = {shown(self._values[key])}; expected {expected}. "
            f"{_OTHER_KINDS}"
        )


def shown(value: Any) -> str:
    """Return a short text of a value on one line, for messages."""
    return one_line(ValueError(reprlib.repr(value)))[:60]


def as_text(value: Any) -> str:
    """Return a string; other types, e.g. infinite lists of YAML, are not converted."""
    if not isinstance(value, str):
        raise TypeError
    return value


def as_list(value: Any) -> list[Any]:
    """Return a list."""
    if not isinstance(value, list):
        raise TypeError
    return value


def as_list_of(
    convert: Callable[[Any], Value], size: int | None = None
) -> Callable[[Any], tuple[Value, ...]]:
    """Return a converter of lists, which may have to be of a given size."""

    def converted(values: Any) -> tuple[Value, ...]:
        if size is not None and len(as_list(values)) != size:
            raise ValueError
        return tuple(convert(value) for value in as_list(values))

    return converted


def as_finite(value: Any) -> float:
    """Return a finite number."""
    number = float(value)
    if not np.isfinite(number):
        raise ValueError
    return number


def as_pair(values: Any) -> tuple[float, float]:
    """Return two finite numbers."""
    beta, r0 = as_list(values)
    return as_finite(beta), as_finite(r0)


def as_type_pair(value: Any) -> tuple[TypePair, tuple[int, ...]]:
    """Return a pair of types and the indices of its radial functions."""
    i, j = as_list(value["atom_type_pair"])
    return (int(i), int(j)), as_list_of(int)(value["pair_params_indices"])


def as_symbol(value: Any) -> str:
    """Return a chemical symbol."""
    symbol = as_text(value)
    match = _SYMBOL.fullmatch(symbol)
    number = get_atomic_data().symbol_map.get(match.group(1)) if match else None
    if not number or number > _LAST_ELEMENT:
        raise ValueError
    return symbol


def as_feature_type(value: Any) -> FeatureType:
    """Return a type of features."""
    if value == "gtinv":
        return "gtinv"
    if value == "pair":
        return "pair"
    raise ValueError


def as_bool(value: Any) -> bool:
    """Return the boolean value of a word or number."""
    word = as_text(value).lower()
    if word not in _TRUE + _FALSE:
        raise ValueError
    return word in _TRUE


def any_true(value: Any) -> bool:
    """Return whether a value, or one of a list, is true."""
    return any(map(as_bool, value if isinstance(value, list) else [value]))

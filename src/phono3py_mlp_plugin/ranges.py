"""Ranges of numbers, as part of the type of a field or checked by name.

A record defines the range in the type, ``cutoff: Positive = 8.0``, and calls
`check_ranges` in its initialisation.
"""

from __future__ import annotations

import dataclasses
import math
import typing
from dataclasses import dataclass
from numbers import Real
from typing import Annotated, Any

from phono3py_mlp_plugin.errors import ParameterError


@dataclass(frozen=True)
class Range:
    """Range of finite numbers with a lower limit.

    Attributes
    ----------
    expected : str
        Name of the range in messages.
    lowest : float
        Lower limit.
    included : bool
        Whether the lower limit belongs to the range.
    """

    expected: str
    lowest: float
    included: bool = True

    def __contains__(self, number: float) -> bool:
        if not isinstance(number, Real):
            return False
        if number == self.lowest:
            return self.included
        # Comparisons with NaN are False.
        return self.lowest < number < math.inf


POSITIVE = Range("a positive number", 0.0, included=False)
NOT_NEGATIVE = Range("a number that is not negative", 0.0)

Positive = Annotated[float, POSITIVE]
"""The type of a positive number."""

Length = Annotated[float, Range("a positive length in angstrom", 0.0, included=False)]
"""The type of a length."""

Gigabytes = Annotated[float, Range("a positive size in GB", 0.0, included=False)]
"""The type of an amount of memory."""


def check_range(name: str, number: float | None, allowed: Range) -> None:
    """Check that a number is in a range; None is accepted.

    Raises
    ------
    ParameterError
        If it is not.
    """
    if number is not None and number not in allowed:
        raise ParameterError(f"{name} = {number}; expected {allowed.expected}.")


def check_ranges(record: Any) -> None:
    """Check the fields of a record against the ranges in their types.

    Parameters
    ----------
    record
        A dataclass; fields may be None, and tuples of numbers.

    Raises
    ------
    ParameterError
        If a number is out of range.

    Examples
    --------
    >>> @dataclass(frozen=True)
    ... class Options:
    ...     cutoff: Positive = 8.0
    ...     size: Positive | None = None
    >>> check_ranges(Options(cutoff=5.0))
    >>> check_ranges(Options(size=-1.0))
    Traceback (most recent call last):
    ...
    phono3py_mlp_plugin.errors.ParameterError: size = -1.0; expected a positive number.
    """
    hints = typing.get_type_hints(type(record), include_extras=True)
    for item in dataclasses.fields(record):
        value = getattr(record, item.name)
        values = value if isinstance(value, tuple) else (value,)
        for allowed in _ranges(hints[item.name]):
            for number in values:
                check_range(item.name, number, allowed)


def _ranges(hint: Any) -> list[Range]:
    """Return the ranges of a type and of its type arguments."""
    stated = getattr(hint, "__metadata__", ())
    own = [one for one in stated if isinstance(one, Range)]
    return own + [one for part in typing.get_args(hint) for one in _ranges(part)]

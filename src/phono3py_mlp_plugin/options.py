"""Parsing of text into options records, and help texts of options.

An options record is a frozen dataclass whose fields all have defaults. The text is
``"key = value, key = value"``; a value of several items separates them by spaces, or is
a list as in JSON.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar

from phono3py_mlp_plugin.errors import ParameterError, did_you_mean
from phono3py_mlp_plugin.option_text import Verbatim, split_outside, value_of

Record = TypeVar("Record")

KEYWORDS = "keywords"
"""Metadata key of a ``dict`` field that collects all unknown keys."""

DEFAULT = "default"
"""Metadata key of the text for a default that depends on other fields."""

RESOURCE = "resource"
"""Metadata key of a field that affects time or memory but not results."""

READING = "reading"
"""Metadata key of a field that is used when a potential is read, not trained."""

_TRUE = ("true", ".true.", "yes", "on", "1")
_FALSE = ("false", ".false.", "no", "off", "0")


def split_items(text: str, where: str) -> dict[str, str]:
    """Return the ``key = value`` items of a text.

    Raises
    ------
    ParameterError
        If an item has no ``=``, no key or no value, or a key is given twice.

    Examples
    --------
    >>> split_items("cutoff = 5.0, gtinv_maxl=4 4", "--mlp-params")
    {'cutoff': '5.0', 'gtinv_maxl': '4 4'}
    """
    items: dict[str, str] = {}
    for item in split_outside(text, ",", where):
        if not item.strip():
            continue
        key, equals, value = (part.strip() for part in item.partition("="))
        if not (key and equals and value):
            raise ParameterError(
                f"{where}: {item.strip()!r} is not of the form 'key = value'."
            )
        if key in items:
            raise ParameterError(f"{where}: {key!r} is given twice.")
        items[key] = value
    return items


def parse_options(
    values: Mapping[str, Any],
    record: type[Record],
    where: str,
    also: tuple[str, ...] = (),
) -> Record:
    """Return an options record made from text or typed values.

    Parameters
    ----------
    values : mapping
        Values by name, as text or already of the field's type.
    record : type
        Frozen dataclass; text is converted to the types of its fields.
    where : str
        Source of the values for error messages, e.g. ``"--mlp-params"``.
    also : tuple of str
        Other valid names, which were already removed from the values.

    Raises
    ------
    ParameterError
        If a name is unknown, a text cannot be converted to the type of the field, or
        the record raises an error for a value.

    Examples
    --------
    >>> @dataclasses.dataclass(frozen=True)
    ... class Options:
    ...     cutoff: float = 8.0
    ...     gtinv_maxl: tuple[int, ...] = (8, 8)
    >>> parse_options({"cutoff": "5"}, Options, "--mlp-params").cutoff
    5.0
    >>> parse_options({"cutof": "5"}, Options, "--mlp-params")
    Traceback (most recent call last):
    ...
    phono3py_mlp_plugin.errors.ParameterError: --mlp-params: unknown parameter \
'cutof'. Did you mean 'cutoff'?
    """
    hints = typing.get_type_hints(record)
    fields = {f.name: f for f in dataclasses.fields(record)}  # type: ignore[arg-type]
    catch_all = next((n for n, f in fields.items() if f.metadata.get(KEYWORDS)), None)
    arguments: dict[str, Any] = {}
    keywords: dict[str, Any] = {}
    for name, value in values.items():
        if name in fields and name != catch_all:
            arguments[name] = _convert(value, hints[name], f"{where}: {name}")
        elif catch_all is not None:
            keywords[name] = _free(value, f"{where}: {name}")
        else:
            known = [*fields, *also]
            raise ParameterError(
                f"{where}: unknown parameter {name!r}."
                + (
                    did_you_mean(name, known)
                    or f" Known: {', '.join(known) or 'none'}."
                )
            )
    if catch_all is not None:
        arguments[catch_all] = keywords
    try:
        return record(**arguments)
    except ParameterError as error:
        raise ParameterError(f"{where}: {error}") from None


def describe_options(record: type) -> list[tuple[str, str, str]]:
    """Return name, default and help of every option of a record."""
    rows = []
    items = dataclasses.fields(record)
    for item in sorted(items, key=lambda item: KEYWORDS in item.metadata):
        default = item.default
        if default is dataclasses.MISSING:
            factory = item.default_factory
            default = factory() if factory is not dataclasses.MISSING else ""
        default = item.metadata.get(DEFAULT, default)
        text = " ".join(map(str, default)) if isinstance(default, tuple) else default
        rows.append((item.name, str(text), str(item.metadata.get("help", ""))))
    return rows


def _free(value: Any, where: str) -> Any:
    """Return a value whose type is not known."""
    if isinstance(value, Verbatim):
        return str(value)
    return value_of(value, where) if isinstance(value, str) else value


def _convert(value: Any, hint: Any, where: str) -> Any:
    if isinstance(value, str) and value[:1] in ("[", "{", "'", '"'):
        value = _free(value, where)
    origin = typing.get_origin(hint)
    arguments = typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None:
            return None
        (hint,) = (a for a in arguments if a is not type(None))
        return _convert(value, hint, where)
    if origin is Literal:
        converted = _convert(value, type(arguments[0]), where)
        if converted not in arguments:
            raise _mismatch(where, value, "one of " + ", ".join(map(str, arguments)))
        return converted
    if origin is tuple:
        return _convert_tuple(value, arguments, where)
    if origin is dict:
        return _convert_dict(value, arguments, where)
    return _SCALARS[hint](value, where)


def _convert_tuple(
    value: Any, arguments: tuple[Any, ...], where: str
) -> tuple[Any, ...]:
    if not isinstance(value, str | list | tuple):
        value = [value]
    items = value.split() if isinstance(value, str) else list(value)
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        arguments = (arguments[0],) * len(items)
    if len(items) != len(arguments):
        raise _mismatch(where, value, f"{len(arguments)} values")
    return tuple(_convert(i, a, where) for i, a in zip(items, arguments, strict=True))


def _convert_dict(value: Any, arguments: tuple[Any, ...], where: str) -> dict[Any, Any]:
    key_type, value_type = arguments
    if isinstance(value, str):
        items = value.split()
        if typing.get_origin(value_type) is tuple:
            value = _group_by_name(items, where)
        elif len(items) % 2:
            raise _mismatch(where, value, "pairs of name and value")
        else:
            value = dict(zip(items[::2], items[1::2], strict=True))
    if not isinstance(value, Mapping):
        raise _mismatch(where, value, "names and values")
    return {
        _convert(k, key_type, where): _convert(v, value_type, where)
        for k, v in value.items()
    }


def _group_by_name(items: list[str], where: str) -> dict[str, list[str]]:
    """Group the numbers after each name."""
    groups: dict[str, list[str]] = {}
    name = None
    for item in items:
        if item[0].isalpha():
            name = item
            if name in groups:
                raise ParameterError(f"{where}: {name!r} is given twice.")
            groups[name] = []
        elif name is None:
            raise _mismatch(where, " ".join(items), "names, each before its numbers")
        else:
            groups[name].append(item)
    return groups


def _bool(value: Any, where: str) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).lower()
    if text in _TRUE + _FALSE:
        return text in _TRUE
    raise _mismatch(where, value, "true or false")


def _int(value: Any, where: str) -> int:
    try:
        if isinstance(value, str):
            return int(value)
        if not isinstance(value, bool) and int(value) == value:
            return int(value)
    except (TypeError, ValueError, OverflowError):
        pass
    raise _mismatch(where, value, "an integer")


def _float(value: Any, where: str) -> float:
    try:
        if isinstance(value, bool):
            raise TypeError
        number = float(value)
    except (TypeError, ValueError):
        raise _mismatch(where, value, "a number") from None
    if number != number or number in (float("inf"), float("-inf")):
        raise _mismatch(where, value, "a finite number")
    return number


def _str(value: Any, where: str) -> str:
    if isinstance(value, list | tuple | dict) or value is None:
        raise _mismatch(where, value, "a text")
    return str(value)


_SCALARS: dict[Any, Callable[[Any, str], Any]] = {
    bool: _bool,
    int: _int,
    float: _float,
    str: _str,
}


def _mismatch(where: str, value: Any, expected: str) -> ParameterError:
    return ParameterError(f"{where} = {value}; expected {expected}.")

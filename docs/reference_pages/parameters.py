"""Parameters of plugins, from their records of options."""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from phono3py_mlp_plugin.options import KEYWORDS, describe_options
from phono3py_mlp_plugin.plugins import DISTRIBUTION, registry
from phono3py_mlp_plugin.ranges import Range
from phono3py_mlp_plugin.workflow.request import SplitOptions
from reference_pages.markdown import code, plain, sentence

SPLIT = "split"
"""The name for the parameters of all force calculators that can be trained."""

# The unit stands in parentheses in the help of an option.
_UNITS = ("angstrom", "1/angstrom^2", "eV", "GB")
_UNIT = re.compile(rf" \(({'|'.join(map(re.escape, _UNITS))})\)")

_TRUTH = {"True": "true", "False": "false"}

_NAMES = {bool: "true or false", int: "integer", float: "number", str: "text"}
_PLURALS = {int: "integers", float: "numbers", str: "texts"}


def records() -> dict[str, type]:
    """Return the records of options by the name of their plugin.

    Plugins with the same record are one entry, with all their names.
    """
    plugins = registry()
    names: dict[type, list[str]] = {}
    for entries in (plugins.calculators, plugins.solvers):
        for name, entry in entries.items():
            if entry.origin.distribution == DISTRIBUTION:
                names.setdefault(entry.record.options, []).append(name)
    found = {", ".join(sorted(set(of))): record for record, of in names.items()}
    return {SPLIT: SplitOptions, **found}


def parameters_of(plugin: str, _: Sequence[str] = ()) -> str:
    """Return the parameters of a plugin as Markdown.

    Raises
    ------
    LookupError
        If there is no such plugin.
    """
    found = [
        record
        for names, record in records().items()
        if plugin in (names, *names.split(", "))
    ]
    if not found:
        raise LookupError(f"{plugin}: no such plugin; known: {', '.join(records())}.")
    entries = list(_entries(found[0])) or ["It has no parameters.\n"]
    return "\n".join([f"```{{program}} {plugin}\n```\n", *entries])


def _entries(record: type) -> Iterable[str]:
    """Yield each parameter with its meaning, type, unit, range and default."""
    hints = typing.get_type_hints(record, include_extras=True)
    fields = {field.name: field for field in dataclasses.fields(record)}
    for name, default, text in describe_options(record):
        if KEYWORDS in fields[name].metadata:
            yield f"```{{option}} any other\n{sentence(text)}\n```\n"
            continue
        unit = _UNIT.search(text)
        facts = {
            "Type": _type(hints[name]),
            "Unit": plain(unit.group(1)) if unit else "",
            "Range": _range(hints[name]),
            "Values": _choices(hints[name]),
            "Default": ""
            if default in ("None", "")
            else code(_TRUTH.get(default, default)),
        }
        line = ". ".join(f"{key}: {fact}" for key, fact in facts.items() if fact)
        meaning = sentence(_UNIT.sub("", text))
        yield f"```{{option}} {name}\n{meaning}\n\n{line}.\n```\n"


def _bare(hint: Any) -> Any:
    """Return a type without None and without its range."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        (hint,) = (a for a in typing.get_args(hint) if a is not types.NoneType)
    return _bare(hint.__origin__) if hasattr(hint, "__metadata__") else hint


def _type(hint: Any) -> str:
    """Return the name of a type for users."""
    hint = _bare(hint)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return _NAMES[type(arguments[0])]
    if origin is tuple and arguments[-1] is Ellipsis:
        return _PLURALS[_bare(arguments[0])]
    if origin is tuple:
        return ", ".join(_NAMES[_bare(one)] for one in arguments)
    if origin is dict:
        value = _bare(arguments[1])
        many = typing.get_origin(value) is tuple
        return f"{'numbers' if many else 'number'} by name"
    return _NAMES[hint]


def _choices(hint: Any) -> str:
    """Return the values that are allowed, if these are a list."""
    bare = _bare(hint)
    if typing.get_origin(bare) is not Literal:
        return ""
    return ", ".join(code(str(value)) for value in typing.get_args(bare))


def _range(hint: Any) -> str:
    """Return the range of a number, if it has one."""
    return "".join(
        f"{'≥' if one.included else '>'} {one.lowest:g}" for one in _ranges(hint)
    )


def _ranges(hint: Any) -> Iterable[Any]:
    yield from (one for one in getattr(hint, "__metadata__", ()) if type(one) is Range)
    for part in typing.get_args(hint):
        yield from _ranges(part)

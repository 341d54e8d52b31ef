"""Public names of the package, by kind, for autodoc."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import typing
from collections.abc import Sequence
from typing import Any

import phono3py_mlp_plugin as package
from phono3py_mlp_plugin import contracts, errors

# Packages whose classes functions return.
_PACKAGES = tuple(
    found.name
    for found in pkgutil.iter_modules(package.__path__)
    if found.ispkg and found.name not in ("cli", "host")
)

# How Python writes classes and functions: the last part is their name.
_OBJECT = re.compile(r"<(?:class|function) '?(?:\w+\.)*(\w+)[^>]*>")

BY_HAND = ("hookimpl",)
"""Names whose docstring is that of another package; a page describes them."""

KINDS = ("functions", "results", "contracts", "errors")


def by_kind() -> dict[str, list[str]]:
    """Return all public names, each of one kind, and what belongs to them.

    Errors are exceptions, those that are not exported among them; contracts, what
    plugins implement and receive; results, all other classes, those that functions
    return, and those of their fields; functions, what remains.
    """
    kinds: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for name in package.__all__:
        if not name.startswith("__"):
            kinds[_kind(getattr(package, name))].append(name)
    # First what functions return, then what is in it.
    for kind in ("functions", "results"):
        for name in list(kinds[kind]):
            _add_results(_find(name), kinds)
    for name, thing in vars(errors).items():
        is_error = inspect.isclass(thing) and issubclass(thing, errors.MLPError)
        if is_error and name not in kinds["errors"]:
            kinds["errors"].append(f"errors.{name}")
    # Errors follow those that they are derived from.
    kinds["errors"].sort(key=lambda name: (len(_find(name).__mro__), name))
    return kinds


def _kind(thing: Any) -> str:
    if inspect.isclass(thing) and issubclass(thing, BaseException):
        return "errors"
    if getattr(thing, "__module__", contracts.__name__) == contracts.__name__:
        return "contracts"
    if inspect.isclass(thing):
        return "results"
    return "functions" if inspect.isroutine(thing) else "contracts"


def _add_results(thing: Any, kinds: dict[str, list[str]]) -> None:
    """Add the classes that a function returns, or those of the fields of a class."""
    if inspect.isroutine(thing):
        annotations = [inspect.signature(thing).return_annotation]
    else:
        fields = getattr(thing, "__dataclass_fields__", {})
        annotations = [field.type for field in fields.values()]
    # What is imported for annotations alone is looked up in the packages.
    places = [thing.__module__, *(f"{package.__name__}.{one}" for one in _PACKAGES)]
    modules = [importlib.import_module(place) for place in places]
    for word in re.findall(r"\w+", " ".join(map(str, annotations))):
        found = next((vars(one)[word] for one in modules if word in vars(one)), None)
        if not inspect.isclass(found) or package.__name__ not in found.__module__:
            continue
        name = word if word in package.__all__ else _exported(found)
        if not any(name in names for names in kinds.values()):
            kinds["results"].append(name)


def _exported(thing: Any) -> str:
    """Return the name under which a package exports a class."""
    module = thing.__module__.removeprefix(f"{package.__name__}.")
    name, place = thing.__name__, module.partition(".")[0]
    within = vars(importlib.import_module(f"{package.__name__}.{place}"))
    return f"{place if within.get(name) is thing else module}.{name}"


def _find(name: str) -> Any:
    module, _, last = f"{package.__name__}.{name}".rpartition(".")
    # A module and a function may have the same name.
    return getattr(importlib.import_module(module), last)


def names_of(kind: str, only: Sequence[str] = ()) -> str:
    """Return directives of autodoc for names of a kind.

    Parameters
    ----------
    kind : str
    only : sequence of str
        Names, several on a line; all of the kind if there are none.

    Raises
    ------
    LookupError
        If there is no such kind, or no such name of this kind.
    """
    if kind not in KINDS:
        raise LookupError(f"{kind}: no such kind; known: {', '.join(KINDS)}.")
    known = [name for name in by_kind()[kind] if name not in BY_HAND]
    wanted = " ".join(only).split() or known
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise LookupError(f"{unknown[0]} is not one of the {kind}.")
    directives = [_directive(name, _find(name)) for name in wanted]
    return "\n".join(["```{eval-rst}", *directives, "```"])


def others_of(kind: str, page: str) -> list[str]:
    r"""Return the names of a kind that a page does not show by name.

    Examples
    --------
    >>> page = "```{public} functions\ntrain evaluate\n```\n"
    >>> "train" in others_of("functions", page)
    False
    >>> "load_potential" in others_of("functions", page)
    True
    """
    named = re.findall(rf"^```{{public}} {kind}\n((?:[^`\n]+\n)+)```", page, re.M)
    shown = " ".join(named).split()
    return [name for name in by_kind()[kind] if name not in (*shown, *BY_HAND)]


def short_signature(
    _app: Any,
    _what: str,
    _name: str,
    thing: Any,
    _options: Any,
    signature: str | None,
    returned: str | None,
) -> tuple[str | None, str | None]:
    """Return the signature of autodoc with names instead of objects as defaults.

    That of a protocol is not its own.
    """
    if getattr(thing, "_is_protocol", False):
        return "", None
    return signature and _OBJECT.sub(r"\1", signature), returned


def _directive(name: str, thing: Any) -> str:
    full = f"{package.__name__}.{name}"
    if typing.get_origin(thing) is not None:
        # A type alias, whose docstring is that of another class.
        meaning = re.sub(r"[a-z_]+\.(?=\w)", "", str(thing))
        return f".. data:: {full}\n\n   Alias of ``{meaning}``.\n"
    if not inspect.isclass(thing):
        if inspect.isroutine(thing):
            return f".. autofunction:: {full}\n"
        return f".. autodata:: {full}\n   :no-value:\n"
    if issubclass(thing, BaseException):
        return f".. autoexception:: {full}\n   :show-inheritance:\n"
    # Fields are described by the docstring of their class.
    fields = ", ".join(getattr(thing, "__dataclass_fields__", ()))
    exclude = f"   :exclude-members: {fields}\n" if fields else ""
    return f".. autoclass:: {full}\n   :members:\n{exclude}"

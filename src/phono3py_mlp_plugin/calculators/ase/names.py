"""Objects of Python that a user names as ``module:name``."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from phono3py_mlp_plugin.errors import ParameterError, did_you_mean, one_line

_OPEN = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)


@contextlib.contextmanager
def modules_of_folder() -> Iterator[None]:
    """Let modules of the current folder be imported, after those that are installed."""
    folder = str(Path.cwd())
    added = folder not in sys.path
    if added:
        sys.path.append(folder)
    try:
        yield
    finally:
        if added and folder in sys.path:
            sys.path.remove(folder)


def find_object(name: str) -> Any:
    """Return the object named ``module:name``, which may be ``module:Class.method``.

    Raises
    ------
    ParameterError
        If the name has another form, or does not exist.
    """
    module, colon, path = name.partition(":")
    if not (module and colon and path):
        raise ParameterError(
            f"calculator = {name!r}; expected module:name of a class, a function or a "
            "calculator, e.g. 'calculator = ase.calculators.emt:EMT'."
        )
    importlib.invalidate_caches()
    try:
        found: Any = importlib.import_module(module)
    except ImportError as error:
        raise ParameterError(
            f"calculator = {name}: {one_line(error)}. Install the package, or put "
            "the module into the current folder."
        ) from error
    for attribute in path.split("."):
        if not hasattr(found, attribute):
            public = [n for n in dir(found) if not n.startswith("_")]
            raise ParameterError(
                f"calculator = {name}: {module} has no {attribute!r}."
                + did_you_mean(attribute, public)
            )
        found = getattr(found, attribute)
    return found


def make_calculator(name: str, found: Any, keywords: dict[str, Any]) -> Any:
    """Return the calculator that a class or function makes, or that the object is.

    Parameters
    ----------
    name : str
        Name of the object for error messages.
    found : object
    keywords : dict
        Arguments of the class or function.

    Raises
    ------
    ParameterError
        If an argument is unknown, the calculator cannot be created, or the result is
        no calculator.
    """
    if is_calculator(found) and not inspect.isclass(found):
        if keywords:
            raise ParameterError(
                f"calculator = {name}: is a calculator already; {next(iter(keywords))} "
                "is for a class or a function. Leave it out."
            )
        return found
    if not callable(found):
        raise ParameterError(
            f"calculator = {name}: is a {type(found).__name__}; expected a class, a "
            "function or a calculator."
        )
    check_arguments(f"calculator = {name}", found, keywords)
    try:
        calculator = found(**keywords)
    except Exception as error:
        raise ParameterError(
            f"calculator = {name}: the calculator cannot be created: {one_line(error)}"
        ) from error
    if not is_calculator(calculator):
        raise ParameterError(
            f"calculator = {name}: gave a {type(calculator).__name__}; expected an ASE "
            "calculator, with get_potential_energy and get_forces."
        )
    return calculator


def is_calculator(found: Any) -> bool:
    """Return whether an object has the methods of a calculator."""
    methods = [getattr(found, n, None) for n in ("get_potential_energy", "get_forces")]
    return all(map(callable, methods)) or callable(
        getattr(found, "evaluate_many", None)
    )


def check_arguments(name: str, found: Any, keywords: dict[str, Any]) -> None:
    """Raise if an argument is unknown, which ``**kwargs`` may hide.

    Calculators of ASE declare all arguments as ``default_parameters``. Others pass
    ``**kwargs`` on, so that only an argument much like a known one is an error.
    """
    known, is_open = _parameters(found)
    declared = set(getattr(found, "default_parameters", None) or ())
    for keyword in keywords:
        meant = did_you_mean(keyword, known | declared)
        if keyword in known | declared or (is_open and not declared and not meant):
            continue
        raise ParameterError(
            f"{name}: unknown option {keyword!r}.{meant} "
            f"Known: {', '.join(sorted(known | declared)) or 'none'}."
        )


def _parameters(found: Any) -> tuple[set[str], bool]:
    """Return the names of arguments, and whether there may be others."""
    owners = found.__mro__[:-1] if inspect.isclass(found) else (found,)
    known: set[str] = set()
    is_open = False
    for owner in owners:
        try:
            parameters = inspect.signature(owner).parameters.values()
        except (TypeError, ValueError):
            return known, True
        known |= {p.name for p in parameters if p.kind not in _OPEN}
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
        is_open = True
    return known, is_open

"""Types of the arguments of functions for scripts, checked by name."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sized
from pathlib import Path
from typing import Any

import numpy as np

from phono3py_mlp_plugin.errors import ParameterError
from phono3py_mlp_plugin.wording import shown
from phono3py_mlp_plugin.workflow.supercells import DisplacementOptions

_Accepts = Callable[[Any], bool]


def check_arguments(**given: Any) -> None:
    """Check the types of arguments; arguments of the same name have the same type.

    Raises
    ------
    ParameterError
        If one of them has another type.

    Examples
    --------
    >>> check_arguments(options={"cutoff": 5.0}, members=16)
    >>> check_arguments(members=2.5)
    Traceback (most recent call last):
    ...
    phono3py_mlp_plugin.errors.ParameterError: members = 2.5; expected an integer. \
Give one.
    """
    for name, value in given.items():
        accepts, expected, remedy = _TYPES[name]
        if not accepts(value):
            raise ParameterError(
                f"{name} = {shown(value)}; expected {expected}. {remedy}."
            )


def _is_crystal(value: Any) -> bool:
    from phono3py import Phono3py

    return isinstance(value, Phono3py)


def _is_cell(value: Any) -> bool:
    from phonopy.structure.atoms import PhonopyAtoms

    return isinstance(value, PhonopyAtoms)


def _is_integer(value: Any) -> bool:
    if isinstance(value, bool | np.bool_):
        return False
    try:
        operator.index(value)
    except TypeError:
        return False
    return True


def _is_switch(value: Any) -> bool:
    return isinstance(value, bool | np.bool_)


def _is_name(value: Any) -> bool:
    return isinstance(value, str)


def _is_path(value: Any) -> bool:
    return isinstance(value, str | Path) and "\0" not in str(value)


def _is_mapping(value: Any) -> bool:
    return isinstance(value, Mapping) and all(map(_is_name, value))


def _are_structures(value: Any) -> bool:
    return isinstance(value, Iterable) and all(
        hasattr(one, "cell") and hasattr(one, "forces") for one in value
    )


def _are_paths(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_path, value))
    return _is_path(value)


def _are_integers(value: Any) -> bool:
    if isinstance(value, str) or not isinstance(value, Sized):
        return False
    return (
        len(value) > 0 and isinstance(value, Iterable) and all(map(_is_integer, value))
    )


def _are_displacements(value: Any) -> bool:
    return isinstance(value, DisplacementOptions)


def _or_none(accepts: _Accepts) -> _Accepts:
    return lambda value: value is None or accepts(value)


def _are_options(value: Any) -> bool:
    return isinstance(value, str) or _is_mapping(value)


_CRYSTAL = (_is_crystal, "a Phono3py object", "Make one by phono3py.load")
_OPTIONS = (
    _or_none(_are_options),
    "text as on the command line, or a mapping with names as keys",
    "Give {'cutoff': 5.0}, or leave it out",
)
_INTEGER = (_is_integer, "an integer", "Give one")
_SWITCH = (_is_switch, "True or False", "Give one of them")
_PATH = (_is_path, "the name of a file or folder", "Give a str or a Path")
_PATH_OR_NONE = (_or_none(_is_path), *_PATH[1:])
_NAME = (_is_name, "a name", "Give a str")

_TYPES: Mapping[str, tuple[_Accepts, str, str]] = {
    "ph3": _CRYSTAL,
    "others": _CRYSTAL,
    "crystal": _CRYSTAL,
    "cell": (_is_cell, "a PhonopyAtoms object", "Give ph3.unitcell"),
    "calculator": _NAME,
    "solver": _NAME,
    "name": _NAME,
    "options": _OPTIONS,
    "solver_options": _OPTIONS,
    "settings": (
        _or_none(_is_mapping),
        "a mapping with names as keys",
        "Give {'is_isotope': True}, or leave it out",
    ),
    "members": _INTEGER,
    "orders": _INTEGER,
    "jobs": _INTEGER,
    "sizes": (
        _or_none(_are_integers),
        "one or more ascending integers",
        "Leave it out for 5, 10, 20, ... up to all",
    ),
    "over": (
        _or_none(_is_mapping),
        "a mapping with one name as key",
        "Give {'cutoff': [5.0, 6.0]}, or leave it out",
    ),
    "displacements": (
        _or_none(_are_displacements),
        "DisplacementOptions",
        "Give DisplacementOptions(distance=0.01), or leave it out",
    ),
    "structures": (
        _are_structures,
        "LabelledStructure objects",
        "Give a list of them, or leave it out",
    ),
    "progress": (callable, "a function", "Give progress_bar(), or leave it out"),
    "allow_poor_fit": _SWITCH,
    "allow_imaginary": _SWITCH,
    "born_charges": _SWITCH,
    "error_budget": _SWITCH,
    "is_compact_fc": _SWITCH,
    "path": _PATH,
    "folder": _PATH,
    "file": _PATH_OR_NONE,
    "filename": _PATH_OR_NONE,
    "potential_file": _PATH_OR_NONE,
    "potential_path": _PATH_OR_NONE,
    "files": (_are_paths, "a name or a list of names of files", "Give str or Path"),
    "kappa": (callable, "a function", "Give one that takes ph3"),
}

"""Text of options: items separated by commas, and the values of JSON and YAML.

A comma, an equals sign or a vertical bar in quotes or in brackets belongs to a value.
"""

from __future__ import annotations

import ast
import re
from typing import Any, ClassVar

import yaml

from phono3py_mlp_plugin.errors import ParameterError, one_line

_CLOSING = {"[": "]", "{": "}", "(": ")", "'": "'", '"': '"'}

# A quote or bracket inside a word, as in "it's.pt" or "model(1).pt", is a plain letter.
_BEFORE_VALUE = "=,|:[{("

_CONSTANTS = {"true": True, "false": False, "null": None, "none": None, "~": None}

# The core schema of YAML 1.2, in which 1e-3 is a number, and neither "no" nor a date
# is anything but text.
_RESOLVERS: tuple[tuple[str, str, str], ...] = (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", "~nN\0"),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)|0x[0-9a-fA-F]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+0123456789.",
    ),
    ("merge", r"<<", "<"),
)


class Verbatim(str):
    """A text that is meant as it is, such as one that is quoted in a YAML file."""

    __slots__ = ()


def split_outside(text: str, separator: str, where: str) -> list[str]:
    """Split a text at a separator that is not in quotes or brackets.

    Raises
    ------
    ParameterError
        If a quote or bracket is not closed.

    Examples
    --------
    >>> split_outside("a = [1, 2], b = 'x, y', c = it's", ",", "options")
    ['a = [1, 2]', " b = 'x, y'", " c = it's"]
    """
    parts, part, marks = [], "", ""
    previous, escaped = "=", False
    for letter in text:
        quote = marks[-1:] in ("'", '"')
        if escaped or (quote and marks[-1] == '"' and letter == "\\"):
            escaped = not escaped
        elif marks and letter == _CLOSING[marks[-1]]:
            marks = marks[:-1]
        elif letter in _CLOSING and not quote:
            nested = marks and letter in "[{("
            marks += letter if nested or previous in _BEFORE_VALUE else ""
        if letter == separator and not marks:
            parts.append(part)
            part = ""
        else:
            part += letter
        previous = previous if letter.isspace() else letter
    if marks:
        raise ParameterError(
            f"{where}: {text.strip()!r} has an open {marks[-1]}; expected it to "
            "be closed."
        )
    return [*parts, part]


def value_of(text: str, where: str) -> Any:
    """Return the number, text, list or mapping that a text means.

    Values are written as in JSON, YAML or Python; everything else is text.

    Raises
    ------
    ParameterError
        If a list or mapping is malformed.

    Examples
    --------
    >>> [value_of(t, "x") for t in ("1e-3", "null", "no", "[a, 2]", "'1'", "a:B")]
    [0.001, None, 'no', ['a', 2], '1', 'a:B']
    """
    if text.lower() in _CONSTANTS:
        return _CONSTANTS[text.lower()]
    if text[:1] in ("[", "{"):
        return _collection(text, where)
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
    return value if is_plain(value) else text


def is_plain(value: Any) -> bool:
    """Return whether a value consists of numbers, texts, lists and mappings only."""
    if isinstance(value, list | tuple):
        return all(is_plain(item) for item in value)
    if isinstance(value, dict):
        return all(is_plain(part) for pair in value.items() for part in pair)
    return value is None or isinstance(value, bool | int | float | str)


def option_loader(base: Any) -> Any:
    """Return a YAML loader for options, derived from another loader.

    It knows the types of JSON only, and refuses keys that are given twice.
    """

    class OptionLoader(base):  # type: ignore[misc]
        yaml_implicit_resolvers: ClassVar[dict[Any, Any]] = {}

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            keys = [self.construct_object(key, deep=True) for key, _ in node.value]
            for number, key in enumerate(keys):
                if key in keys[:number]:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"{key!r} is given twice", node.start_mark
                    )
            return super().construct_mapping(node, deep)

    for name, pattern, first in _RESOLVERS:
        letters = ["" if letter == "\0" else letter for letter in first]
        OptionLoader.add_implicit_resolver(
            f"tag:yaml.org,2002:{name}", re.compile(f"^(?:{pattern})$"), letters
        )
    return OptionLoader


def _collection(text: str, where: str) -> Any:
    """Return a list or mapping in the notation of Python, JSON or YAML."""
    try:
        value = ast.literal_eval(text)
        if is_plain(value):
            return value
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        pass
    try:
        value = yaml.load(text, Loader=option_loader(yaml.SafeLoader))  # noqa: S506
    except (yaml.YAMLError, RecursionError, TypeError, ValueError) as error:
        problem = getattr(error, "problem", None) or one_line(error)
        raise ParameterError(
            f"{where} = {text}; expected a list or mapping ({problem})."
        ) from None
    if not is_plain(value):
        raise ParameterError(f"{where} = {text}; expected numbers and texts.")
    return value

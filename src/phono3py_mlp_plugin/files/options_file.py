"""Options in YAML files, named as ``@FILE`` in the text of options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from phono3py_mlp_plugin.errors import ParameterError, describe_os_error, one_line
from phono3py_mlp_plugin.files.plain_yaml import PlainLoader
from phono3py_mlp_plugin.files.regular import UNREADABLE, open_text
from phono3py_mlp_plugin.option_text import (
    Verbatim,
    is_plain,
    option_loader,
    split_outside,
)
from phono3py_mlp_plugin.options import split_items

_MARK = "@"


def read_options(text: str, where: str) -> dict[str, Any]:
    r"""Return the options of a text, in which ``@FILE`` stands for those of a file.

    Parameters
    ----------
    text : str
        ``"key = value, @FILE"``. The file is YAML or JSON: one mapping.
    where : str
        Source of the text for error messages.

    Raises
    ------
    ParameterError
        If an item is malformed or given twice, or a file does not contain a mapping.
    OSError
        If a file cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "emt.yaml"
    >>> _ = path.write_text("eps: 1e-3\nlabels: [a, b]\n")
    >>> read_options(f"@{path}, n = 2", "options")
    {'eps': 0.001, 'labels': ['a', 'b'], 'n': '2'}
    """
    values: dict[str, Any] = {}
    for item in split_outside(text, ",", where):
        named = item.strip()
        found: dict[str, Any]
        if named.startswith(_MARK):
            found = read_options_file(named[1:].strip().strip("'\""), where)
        else:
            found = dict(split_items(item, where))
        for key, value in found.items():
            if key in values:
                raise ParameterError(f"{where}: {key!r} is given twice.")
            values[key] = value
    return values


def text_of_options(text: str | None, where: str) -> str | None:
    """Return a text of options in which files are replaced by their content.

    Parameters
    ----------
    text : str or None
        May have the form ``"fc2|fc3"``.
    where : str
        Source of the text for error messages.
    """
    if text is None or _MARK not in text:
        return text
    return " | ".join(
        ", ".join(
            f"{key} = {_text_of(value)}"
            for key, value in read_options(part, where).items()
        )
        for part in split_outside(text, "|", where)
    )


def _text_of(value: Any) -> str:
    if isinstance(value, list | tuple) and not any(
        isinstance(item, list | tuple | dict) for item in value
    ):
        return " ".join(map(_text_of, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def read_options_file(name: str, where: str) -> dict[str, Any]:
    """Return the content of a file of options.

    Parameters
    ----------
    name : str
    where : str
        Source of the name for error messages.

    Raises
    ------
    ParameterError
        If there is no such file, or it has other content.
    """
    # On one line, whatever the name is.
    what = f"{where}: {_MARK}{' '.join(name.split())}"
    if not name:
        raise ParameterError(f"{what}: expected the name of a YAML file.")
    try:
        # A home folder that is not known is a RuntimeError.
        with open_text(Path(name).expanduser()) as file:
            content = yaml.load(file, Loader=option_loader(PlainLoader))  # noqa: S506
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = "" if mark is None else f", line {mark.line + 1}"
        problem = getattr(error, "problem", None) or one_line(error)
        raise ParameterError(f"{what}{line}: {problem}; expected YAML.") from None
    except (*UNREADABLE, RuntimeError, ValueError) as error:
        reason = (
            " ".join(describe_os_error(error).split())
            if isinstance(error, OSError)
            else f"{one_line(error)}; expected YAML."
        )
        raise ParameterError(f"{what}: {reason}") from error
    if content is None:
        return {}
    if not isinstance(content, dict) or not all(isinstance(k, str) for k in content):
        raise ParameterError(
            f"{what}: holds a {type(content).__name__}; expected a mapping of names to "
            "values, such as 'device: cpu'."
        )
    if not is_plain(content):
        raise ParameterError(f"{what}: expected numbers, texts, lists and mappings.")
    return {k: Verbatim(v) if isinstance(v, str) else v for k, v in content.items()}

"""Pieces of Markdown, and texts of help as Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence

_SIGNS = ("\\", "*", "_", "<", "`", "@", "[", "$", "~", "|")

# What is code in a help text: options, names of files and parameters, places of
# workers, and all that is quoted.
_CODE = re.compile(
    r"(?<![\w-])--?[a-z][\w-]*"
    r"|@?[\w.-]+\.(?:yaml|hdf5|h5|html|csv|json|bak)\b(?:\.\d)?"
    r"|\b[a-z]+(?:_[a-z0-9]+)+\b"
    r"|\b[a-z]+=[\w:/.]+"
    r"|@FILE\b"
    r"|(?<!\w)'[^']+'(?!\w)"
)


def plain(text: str) -> str:
    """Return a text in which no sign has a meaning in Markdown."""
    for sign in _SIGNS:
        text = text.replace(sign, f"\\{sign}")
    return text


def code(text: str) -> str:
    """Return a text as code."""
    return f"`{text}`"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return a table; the first row is its head."""
    head, *others = rows
    lines = [head, ["---"] * len(head), *others]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def sentence(text: str) -> str:
    """Return a help text as a sentence in which options and files are code.

    Examples
    --------
    >>> sentence("number of steps (see --rd); 'a b' is not one")
    'Number of steps (see `--rd`); `a b` is not one.'
    >>> sentence("phono3py.yaml, or another")
    '`phono3py.yaml`, or another.'
    """
    if not text:
        return ""
    text = f"{text.rstrip('.')}."
    if text.split(" ")[0].strip(".,:").isalpha():
        text = f"{text[0].upper()}{text[1:]}"
    parts, last = [], 0
    for match in _CODE.finditer(text):
        parts += [plain(text[last : match.start()]), code(match.group().strip("'"))]
        last = match.end()
    return "".join([*parts, plain(text[last:])])

"""The fenced blocks of the documentation, and what is written around them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"

_FENCE = re.compile(r"^( *)```([^\n]*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_COMMANDS = ("phono3py", "phono3py-init", "phono3py-load", "phono3py-mlp")


@dataclass(frozen=True)
class Block:
    """A fenced block: page, language as written, text, and number of its first line."""

    page: str
    language: str
    text: str
    line: int

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[Path]:
    """Return README and all pages that are written by hand."""
    included = [DOCS / "figures", DOCS / "tables", DOCS / "_build"]
    return [ROOT / "README.md"] + [
        path
        for path in sorted(DOCS.rglob("*.md"))
        if not any(folder in path.parents for folder in included)
    ]


def blocks(page: Path, language: str | None = None) -> list[Block]:
    """Return the blocks of a page, of one language or of all."""
    text = page.read_text()
    found = [
        Block(
            str(page.relative_to(ROOT)),
            match[2].strip(),
            re.sub(rf"^{match[1]}", "", match[3], flags=re.MULTILINE),
            text.count("\n", 0, match.start()) + 1,
        )
        for match in _FENCE.finditer(text)
    ]
    return [block for block in found if language in (None, block.language)]


def commands(text: str) -> Iterator[Sequence[str]]:
    """Yield the commands of phono3py and of this package in lines of shell as words."""
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if "|" in words:
            del words[words.index("|") :]
        while words and ("=" in words[0] or words[0] in ("do", "srun")):
            del words[0]
        if words and words[0] in _COMMANDS:
            yield words

"""Parts of a run: the chunks that one job of an array computes."""

from __future__ import annotations

import re
from dataclasses import dataclass

from phono3py_mlp_plugin.errors import ParameterError

_COLLECT = "collect/"


@dataclass(frozen=True)
class Part:
    """The option ``--part i/N``: every N-th chunk, from the i-th on."""

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> Part:
        """Return the part from its text.

        Raises
        ------
        ParameterError
            If it is not ``i/N`` with i from 1 to N.

        Examples
        --------
        >>> Part.parse("2/8")
        Part(number=2, of=8)
        """
        match = re.fullmatch(r"\s*(\d+)\s*/\s*(\d+)\s*", text)
        numbers = (0, 0) if match is None else (int(match[1]), int(match[2]))
        if not 1 <= numbers[0] <= numbers[1]:
            raise ParameterError(
                f"--part = {text}; expected i/N with i from 1 to N, such as 3/16."
            )
        return cls(*numbers)

    @classmethod
    def option(cls, text: str | None) -> tuple[Part | None, int | None]:
        """Return the part of an option, or the number of parts that are collected.

        Raises
        ------
        ParameterError
            See `parse`.
        """
        if text is None:
            return None, None
        if text.startswith(_COLLECT):
            return None, cls.parse(f"1/{text.removeprefix(_COLLECT)}").of
        return cls.parse(text), None

    @staticmethod
    def is_shared(text: str | None) -> bool:
        """Return whether others may work in the folder at the same time."""
        return text is not None and not text.startswith(_COLLECT)

    def to_collect(self) -> str:
        """Return the text of the option of a run that collects all parts."""
        return f"{_COLLECT}{self.of}"

    def has(self, number: int) -> bool:
        """Return whether a chunk belongs to the part."""
        return number % self.of == self.number - 1

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

"""The folder of a run, as the sections of a report see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from phono3py_mlp_plugin.errors import MLPError, one_line
from phono3py_mlp_plugin.workflow import CalculatorSpec

if TYPE_CHECKING:
    from phono3py import Phono3py

_T = TypeVar("_T")


@dataclass(frozen=True, eq=False)
class RunFolder:
    """What a run was made of.

    Attributes
    ----------
    path : Path
    crystal : Phono3py
        Cells, dataset and Born charges.
    run : Phono3py
        What fc2, fc3 and kappa of the run belong to: the crystal, or the one whose
        positions the run relaxed.
    evaluated : Phono3py or None
        With the supercells that the potential was asked for.
    spec : CalculatorSpec
        Force calculator and its options.
    """

    path: Path
    crystal: Phono3py
    run: Phono3py
    evaluated: Phono3py | None
    spec: CalculatorSpec

    def absent(self, name: str) -> str:
        """Return that a file is not there, or that nothing is to be had from it."""
        if (self.path / name).is_file():
            return f"{name} is damaged, or of another version"
        return f"No {name}"


@dataclass
class Sections:
    """Why sections are empty, and what fills them.

    Attributes
    ----------
    missing : dict
        Sentences by the name of the section.
    """

    missing: dict[str, str] = field(default_factory=dict)

    def make(
        self, section: str, builder: Callable[..., _T], *arguments: object
    ) -> _T | None:
        """Return what a builder makes; None where one of our errors says why not."""
        try:
            return builder(*arguments)
        except MLPError as error:
            self.missing.setdefault(section, one_line(error))
            return None

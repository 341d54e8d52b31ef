"""The folder of a run, from which the sections of a report are made."""

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
    """Folder, crystal and force calculator of a run.

    Attributes
    ----------
    path : Path
    crystal : Phono3py
        Provides cells, dataset and Born charges.
    run : Phono3py
        The crystal of fc2, fc3 and kappa. Its positions are relaxed if the run relaxed
        them.
    evaluated : Phono3py or None
        Provides the supercells whose forces were evaluated by the potential.
    spec : CalculatorSpec
        Force calculator and its options.
    """

    path: Path
    crystal: Phono3py
    run: Phono3py
    evaluated: Phono3py | None
    spec: CalculatorSpec

    def absent(self, name: str) -> str:
        """Describe why a file cannot be used: it is missing or damaged."""
        if (self.path / name).is_file():
            return f"{name} is damaged, or of another version"
        return f"No {name}"


@dataclass
class Sections:
    """Reasons why sections are empty.

    Attributes
    ----------
    missing : dict
        Sentences by name of the section.
    """

    missing: dict[str, str] = field(default_factory=dict)

    def make(
        self, section: str, builder: Callable[..., _T], *arguments: object
    ) -> _T | None:
        """Call a builder; if it raises `MLPError`, record why and return None."""
        try:
            return builder(*arguments)
        except MLPError as error:
            self.missing.setdefault(section, one_line(error))
            return None

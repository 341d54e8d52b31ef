"""Options records: strict in what they take."""

from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from phono3py_mlp_plugin.errors import ParameterError
from phono3py_mlp_plugin.options import (
    KEYWORDS,
    describe_options,
    parse_options,
    split_items,
)


@dataclass(frozen=True)
class Options:
    cutoff: float = field(default=8.0, metadata={"help": "radius"})
    order: Literal[1, 2] = 2
    gaussians: tuple[float, float, int] = (0.0, 7.0, 10)
    energies: dict[str, float] | None = None
    compact: bool = True
    name: str = "x"


@dataclass(frozen=True)
class Open:
    kind: str = ""
    keywords: dict[str, Any] = field(default_factory=dict, metadata={KEYWORDS: True})


def parsed(text):
    return parse_options(split_items(text, "here"), Options, "here")


def test_values_are_converted_by_their_type():
    options = parsed(
        "cutoff = 5, order=1, gaussians = 0 4 4, energies = Na -1 Cl -2.5, compact=no"
    )
    assert options == Options(5.0, 1, (0.0, 4.0, 4), {"Na": -1.0, "Cl": -2.5}, False)


def test_typed_values_are_taken_as_text_is():
    values = {"cutoff": 5, "gaussians": [0, 4, 4], "compact": False}
    assert parse_options(values, Options, "here") == Options(
        cutoff=5.0, gaussians=(0.0, 4.0, 4), compact=False
    )


def test_empty_text_is_the_defaults():
    assert parsed("") == parsed(" , ") == Options()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cutof = 5", r"here: unknown parameter 'cutof'. Did you mean 'cutoff'\?"),
        ("zzz = 5", "here: unknown parameter 'zzz'. Known: cutoff, order"),
        ("cutoff", "'cutoff' is not of the form"),
        ("= 5", "is not of the form"),
        ("cutoff = ", "is not of the form"),
        ("cutoff = 5, cutoff = 6", "'cutoff' is given twice"),
        ("cutoff = five", "cutoff = five; expected a number"),
        ("cutoff = nan", "cutoff = nan; expected a finite number"),
        ("order = 3", "order = 3; expected one of 1, 2"),
        ("order = 1.0", "order = 1.0; expected an integer"),
        ("gaussians = 0 4", "gaussians = 0 4; expected 3 values"),
        ("energies = Na", "energies = Na; expected pairs"),
        ("compact = maybe", "compact = maybe; expected true or false"),
    ],
)
def test_what_cannot_be_meant_is_refused(text, message):
    with pytest.raises(ParameterError, match=message):
        parsed(text)


def test_keywords_take_what_the_record_does_not_name():
    options = parse_options(
        split_items("kind = a:B, r = 3.5, n = 2, flag = true, model = x.pt", "here"),
        Open,
        "here",
    )
    assert options == Open("a:B", {"r": 3.5, "n": 2, "flag": True, "model": "x.pt"})


def test_description_has_name_default_and_help():
    assert ("cutoff", "8.0", "radius") in describe_options(Options)
    assert ("gaussians", "0.0 7.0 10", "") in describe_options(Options)

"""The older text format of potential files (``phono3py.pmlp``, ``polymlp.lammps``)."""

from __future__ import annotations

from itertools import combinations_with_replacement
from typing import Any

from phono3py_mlp_plugin.errors import PotentialError
from phono3py_mlp_plugin.polynomial.file.values import REMEDY, shown

# Text by which pypolymlp identifies the format.
_FIRST_LINE = "# ele"


def is_legacy(text: str) -> bool:
    """Return whether a text is in the older format."""
    return _FIRST_LINE in text.split("\n", 1)[0]


class _Lines:
    """Reader of the lines of the older format, without comments."""

    def __init__(self, text: str, where: str) -> None:
        self._lines = text.split("\n")
        self._where = where
        self._next = 0

    def words(self, key: str) -> list[str]:
        """Return the words of the next line."""
        if self._next >= len(self._lines):
            raise PotentialError(
                f"{self._where}: the file ends before '{key}'; not a complete "
                f"potential. {REMEDY}"
            )
        self._next += 1
        return self._lines[self._next - 1].split("#")[0].split()

    def word(self, key: str) -> str:
        """Return the first word of the next line."""
        words = self.words(key)
        if not words:
            raise PotentialError(
                f"{self._where}, line {self._next}: '{key}' is missing; not a complete "
                f"potential. {REMEDY}"
            )
        return words[0]

    def number(self, key: str) -> int:
        """Return the number in the next line."""
        word = self.word(key)
        try:
            return int(word)
        except ValueError as error:
            raise PotentialError(
                f"{self._where}, line {self._next}: {key} = {shown(word)}; expected "
                f"an integer. {REMEDY}"
            ) from error

    def is_next(self, key: str) -> bool:
        """Return whether the comment of the next line contains the key."""
        return self._next < len(self._lines) and key in self._lines[self._next]


def read_legacy(text: str, where: str) -> dict[str, Any]:
    """Return the values of a file in the older format, with the keys of pypolymlp."""
    lines = _Lines(text, where)
    content: dict[str, Any] = {"elements": lines.words("elements")}
    for key in ("cutoff", "pair_type", "feature_type", "model_type", "max_p", "max_l"):
        content[key] = lines.word(key)
    gtinv = content["feature_type"] == "gtinv"
    if gtinv:
        content["gtinv_order"] = lines.word("gtinv_order")
        content["gtinv_maxl"] = lines.words("gtinv_maxl")
        content["gtinv_sym"] = lines.words("gtinv_sym")
    content["n_coeffs"] = lines.word("n_coeffs")
    content["coeffs"] = lines.words("coeffs")
    content["scales"] = lines.words("scales")
    n_pair_params = lines.number("n_pair_params")
    content["pair_params"] = [lines.words("pair_params") for _ in range(n_pair_params)]
    content["mass"] = lines.words("mass")
    content["electrostatic"] = lines.word("electrostatic")
    if gtinv:
        has_version = lines.is_next("gtinv_version")
        content["gtinv_version"] = lines.word("gtinv_version") if has_version else "1"
    return content | _legacy_types(lines, len(content["elements"]), n_pair_params)


def _legacy_types(lines: _Lines, n_types: int, n_pair_params: int) -> dict[str, Any]:
    """Return the values of the last lines, which the oldest files do not have."""
    # Default indices are strings, as if they were read from a file.
    types, functions = (list(map(str, range(n))) for n in (n_types, n_pair_params))
    content: dict[str, Any] = {"type_full": "1", "type_indices": types}
    if lines.is_next("n_type_pairs"):
        content["type_pairs"] = [
            {
                "atom_type_pair": lines.words("type_pairs")[:2],
                "pair_params_indices": lines.words("type_pairs"),
            }
            for _ in range(lines.number("n_type_pairs"))
        ]
    else:
        content["type_pairs"] = [
            {"atom_type_pair": [one, other], "pair_params_indices": functions}
            for one, other in combinations_with_replacement(types, 2)
        ]
    if lines.is_next("type_full"):
        content["type_full"] = lines.word("type_full")
        content["type_indices"] = lines.words("type_indices")
    return content

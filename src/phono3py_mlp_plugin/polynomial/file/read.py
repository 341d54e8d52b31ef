"""Potential files, interchangeable with pypolymlp in both directions.

``polymlp.yaml`` is written and read; the older text format (``phono3py.pmlp``,
``polymlp.lammps``) is read. Both become a mapping from pypolymlp's keys to text and
lists of text, in which no YAML type has been guessed, and that is checked value by
value. The one long line of coefficients does not go through the YAML parser, which
would take most of the time.
"""

from __future__ import annotations

import re
import reprlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Any, TypeVar

import numpy as np
import yaml
from phonopy.structure.atomic_data import get_atomic_data

from phono3py_mlp_plugin.contracts import FloatArray
from phono3py_mlp_plugin.errors import (
    NotCovered,
    ParameterError,
    PotentialError,
    one_line,
)
from phono3py_mlp_plugin.polynomial.model.feature_list import count_features
from phono3py_mlp_plugin.polynomial.model.invariants import HIGHEST_ORDER
from phono3py_mlp_plugin.polynomial.model.parameters import (
    FeatureType,
    ModelParameters,
    TypePair,
)

Value = TypeVar("Value")

_REMEDY = "Train it again, or name another file by --mlp-file."
_ELSEWHERE = "Models of this kind need pypolymlp."

# What pypolymlp itself knows the old format by.
_OLD = "# ele"

# The coefficients as pypolymlp and this package write them.
_COEFFICIENTS = re.compile(r"^coeffs:\s*\[([^\]]*)(\]?)", re.MULTILINE)

# Without libyaml a large file takes long, but is read.
_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)

# libyaml crashes the process at some ten thousand levels; potentials have four, and
# provenance may follow them.
_MOST_LEVELS = 20

# A chemical symbol, with a number where phonopy tells atoms of one element apart.
_SYMBOL = re.compile(r"([A-Z][a-z]?)\d*")

_LAST_ELEMENT = 103  # Lr

# Of the longest-lived isotope where phonopy has no mass; molecular dynamics needs one.
_MASS_NUMBERS = {
    "Po": 209.0,
    "At": 210.0,
    "Rn": 222.0,
    "Fr": 223.0,
    "Ra": 226.0,
    "Pu": 244.0,
    "Am": 243.0,
    "Cm": 247.0,
    "Bk": 247.0,
    "Cf": 251.0,
    "Es": 252.0,
    "Fm": 257.0,
    "Md": 258.0,
    "No": 259.0,
    "Lr": 266.0,
}

_TRUE = ("1", "true", "yes", "on", "y", "t")
_FALSE = ("0", "false", "no", "off", "n", "f")
_ABSENT = ("", "~", "null", "none")


@dataclass(frozen=True, eq=False)
class PotentialFile:
    """What a file of a polynomial potential holds.

    Attributes
    ----------
    parameters : ModelParameters
    coefficients : ndarray
        Shape ``(n_features,)``.
    """

    parameters: ModelParameters
    coefficients: FloatArray


def format_potential(parameters: ModelParameters, coefficients: FloatArray) -> str:
    """Return the text of ``polymlp.yaml``; numbers are written exactly.

    The order of the lines is pypolymlp's, whose LAMMPS module reads line by line.

    Parameters
    ----------
    parameters : ModelParameters
    coefficients : ndarray
        Shape ``(n_features,)``.
    """
    n_types = parameters.n_types
    energies = parameters.atomic_energies or (0.0,) * n_types
    lines = [
        f"elements:      [{', '.join(parameters.elements)}]",
        f"enable_spins:  {[0] * n_types}",
        f"atomic_energy: {_numbers(energies)}",
        "",
        "electrostatic: 0",
        f"mass:          {_numbers(map(_mass, parameters.elements))}",
        "",
        f"cutoff:        {_exact(parameters.cutoff)}",
        "pair_type:     gaussian",
        f"feature_type:  {parameters.feature_type}",
        f"model_type:    {parameters.model_type}",
        f"max_p:         {parameters.max_p}",
        f"max_l:         {parameters.max_l}",
        "",
    ]
    if parameters.feature_type == "gtinv":
        maxl = list(parameters.gtinv_maxl)
        lines += [
            f"gtinv_order:   {parameters.gtinv_order}",
            f"gtinv_maxl:    {maxl}",
            f"gtinv_sym:     {[0] * len(maxl)}",
            f"gtinv_version: {parameters.gtinv_version}",
            "",
        ]
    lines += [f"n_pair_params: {parameters.n_radial}", "pair_params:"]
    lines += [f"- {_numbers(pair)}" for pair in parameters.pair_params]
    lines += ["", f"n_type_pairs: {len(parameters.type_pairs)}", "type_pairs:"]
    for pair in parameters.type_pairs:
        lines += [
            f"- atom_type_pair:      {list(pair)}",
            f"  pair_params_indices: {list(parameters.active_pair_params(pair))}",
        ]
    lines += [
        "",
        "type_full:    1",
        f"type_indices: {list(range(n_types))}",
        "",
        f"n_coeffs: {len(coefficients)}",
        f"coeffs: {_numbers(coefficients.tolist())}",
    ]
    return "\n".join(lines) + "\n"


def parse_potential(text: str, where: str) -> PotentialFile:
    """Return what the text of a potential file says, of either format.

    The number of coefficients is compared with the number of features up to order 3 of
    the invariants; beyond, that is left to the caller, who has their table.

    Parameters
    ----------
    text : str
    where : str
        The file's name, for messages.

    Raises
    ------
    PotentialError
        It is not a polynomial potential, or a part of one.
    NotCovered
        It is one of a kind that only pypolymlp knows.
    """
    if _OLD in text.split("\n", 1)[0]:
        content = _Content(_read_old(text, where), where)
    else:
        content = _Content(_read_yaml(text, where), where)
    coefficients = _coefficients(content)
    try:
        parameters = _parameters(content)
    except ParameterError as error:
        raise PotentialError(f"{where}: {one_line(error)} {_REMEDY}") from None
    gtinv = parameters.feature_type == "gtinv"
    if not gtinv or parameters.gtinv_order <= HIGHEST_ORDER:
        n_features = count_features(parameters)
        if len(coefficients) != n_features:
            raise PotentialError(
                f"{where}: n_coeffs = {len(coefficients)}; expected {n_features}, the "
                f"number of features that its parameters define. {_REMEDY}"
            )
    return PotentialFile(parameters, coefficients)


class _Content:
    """The values of a file, by pypolymlp's keys."""

    def __init__(self, values: Mapping[str, Any], where: str) -> None:
        self._values = values
        self.where = where

    def __contains__(self, key: str) -> bool:
        value = self._values.get(key, "")
        return not (isinstance(value, str) and value.lower() in _ABSENT)

    def take(self, key: str, convert: Callable[[Any], Value], expected: str) -> Value:
        """Return a value, converted; refuse the file where that fails."""
        if key not in self._values:
            raise PotentialError(
                f"{self.where}: '{key}' is missing; not a complete potential. {_REMEDY}"
            )
        try:
            return convert(self._values[key])
        except (TypeError, ValueError, KeyError) as error:
            raise self.wrong(key, expected) from error

    def wrong(self, key: str, expected: str) -> PotentialError:
        """Return the error of a value that is not what it must be."""
        return PotentialError(
            f"{self.where}: {key} = {_shown(self._values[key])}; expected {expected}. "
            f"{_REMEDY}"
        )

    def not_covered(self, key: str, expected: str) -> NotCovered:
        """Return the error of a value that only pypolymlp knows."""
        return NotCovered(
            f"{self.where}: {key} = {_shown(self._values[key])}; expected {expected}. "
            f"{_ELSEWHERE}"
        )


def _coefficients(content: _Content) -> FloatArray:
    where = content.where
    words = content.take("coeffs", _list, "a list of numbers")
    n_coefficients = content.take("n_coeffs", int, "an integer")
    if len(words) != n_coefficients:
        raise PotentialError(
            f"{where}: number of coefficients = {len(words)}; expected n_coeffs = "
            f"{_shown(n_coefficients)}. The file is damaged. {_REMEDY}"
        )
    if not words:
        raise content.wrong("coeffs", "numbers")
    coefficients = _floats(words, "coefficient", where)
    if "scales" in content:
        scales = _floats(
            content.take("scales", _list, "a list of numbers"), "scale", where
        )
        if len(scales) != n_coefficients or not scales.all():
            raise PotentialError(
                f"{where}: number of scales = {np.count_nonzero(scales)}; expected "
                f"{n_coefficients}, none of them zero. The file is damaged. {_REMEDY}"
            )
        with np.errstate(all="ignore"):
            coefficients = coefficients / scales
    finite = np.isfinite(coefficients)
    if not finite.all():
        number = int(finite.argmin())
        raise PotentialError(
            f"{where}: coefficient {number + 1} = {coefficients[number]}; expected a "
            f"finite number. {_REMEDY}"
        )
    return coefficients


def _floats(words: Sequence[Any], name: str, where: str) -> FloatArray:
    values = []
    try:
        for word in words:
            values.append(float(word))
    except (TypeError, ValueError) as error:
        number = len(values)
        raise PotentialError(
            f"{where}: {name} {number + 1} = {_shown(words[number])}; expected a "
            f"number. {_REMEDY}"
        ) from error
    return np.array(values)


def _parameters(content: _Content) -> ModelParameters:
    elements = content.take("elements", _list_of(_symbol), "chemical symbols")
    _refuse_other_kinds(content, len(elements))
    content.take("mass", _list_of(_finite, len(elements)), "a number for each element")
    gtinv: dict[str, Any] = {}
    feature_type = content.take("feature_type", _feature_type, "gtinv or pair")
    if feature_type == "gtinv":
        gtinv = {
            "gtinv_order": content.take("gtinv_order", int, "an integer"),
            "gtinv_maxl": content.take("gtinv_maxl", _list_of(int), "integers"),
            "gtinv_version": content.take("gtinv_version", int, "1 or 2"),
        }
    pair_params = content.take("pair_params", _list_of(_pair), "pairs of numbers")
    for key, size in (
        ("n_pair_params", len(pair_params)),
        ("n_type_pairs", len(elements) * (len(elements) + 1) // 2),
    ):
        if key in content and content.take(key, int, "an integer") != size:
            raise content.wrong(key, str(size))
    parameters = ModelParameters(
        elements=elements,
        cutoff=content.take("cutoff", _finite, "a length in angstrom"),
        pair_params=pair_params,
        model_type=content.take("model_type", int, "an integer"),
        max_p=content.take("max_p", int, "an integer"),
        feature_type=feature_type,
        conditional_pair_params=_type_pairs(content, len(elements), len(pair_params)),
        atomic_energies=_atomic_energies(content),
        **gtinv,
    )
    if content.take("max_l", int, "an integer") < parameters.max_l:
        raise content.wrong("max_l", f"at least {parameters.max_l}")
    return parameters


def _refuse_other_kinds(content: _Content, n_types: int) -> None:
    """Refuse what the engine does not know and pypolymlp does."""
    if content.take("pair_type", _word, "gaussian") != "gaussian":
        raise content.not_covered("pair_type", "gaussian")
    for key in ("enable_spins", "electrostatic", "gtinv_sym"):
        if key in content and content.take(key, _any_true, "0 or 1"):
            raise content.not_covered(key, "0")
    # A part of a hybrid model has other types than the elements of the crystal.
    if not content.take("type_full", _is_true, "0 or 1"):
        raise content.not_covered("type_full", "1")
    indices = content.take("type_indices", _list_of(int), "integers")
    if indices != tuple(range(n_types)):
        raise content.not_covered("type_indices", f"0 to {n_types - 1}")


def _atomic_energies(content: _Content) -> tuple[float, ...]:
    if "atomic_energy" not in content:
        return ()
    return content.take("atomic_energy", _list_of(_finite), "energies in eV")


def _type_pairs(
    content: _Content, n_types: int, n_radial: int
) -> dict[TypePair, tuple[int, ...]]:
    """Return the radial functions of the pairs of types that do not have all."""
    pairs = list(combinations_with_replacement(range(n_types), 2))
    listed = content.take(
        "type_pairs", _list_of(_type_pair, len(pairs)), f"{len(pairs)} pairs of types"
    )
    if sorted(pair for pair, _ in listed) != pairs:
        raise content.wrong("type_pairs", "each pair of types once")
    return {pair: here for pair, here in listed if here != tuple(range(n_radial))}


def _read_yaml(text: str, where: str) -> dict[str, Any]:
    if "coeffs" not in text:
        raise PotentialError(
            f"{where}: not a polynomial potential: it has no list 'coeffs'. {_REMEDY}"
        )
    match = _COEFFICIENTS.search(text)
    if match is None:
        return _yaml(text, where)
    if not match.group(2):
        raise PotentialError(
            f"{where}: the file ends within the list 'coeffs'; not a complete "
            f"potential. {_REMEDY}"
        )
    content = _yaml(text[: match.start()] + text[match.end() :], where)
    if "coeffs" in content:
        raise PotentialError(
            f"{where}: 'coeffs' is there twice; expected one list. {_REMEDY}"
        )
    numbers = match.group(1).strip().removesuffix(",")
    return {**content, "coeffs": numbers.split(",") if numbers else []}


def _yaml(text: str, where: str) -> dict[str, Any]:
    """Return the mapping that YAML is, all scalars as text."""
    try:
        _check_levels(text)
        documents = list(yaml.load_all(text, Loader=_LOADER))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise PotentialError(
            f"{where}: not a polynomial potential ({one_line(error)[:80]}). {_REMEDY}"
        ) from error
    if len(documents) > 1:
        raise PotentialError(
            f"{where}: {len(documents)} YAML documents; expected one. A hybrid model "
            "is a file for each: split it into NAME.1, NAME.2, ... and give --mlp-file "
            "NAME."
        )
    if not documents or not isinstance(documents[0], dict):
        raise PotentialError(
            f"{where}: not a polynomial potential: it has no list 'coeffs'. {_REMEDY}"
        )
    return documents[0]


def _check_levels(text: str) -> None:
    level = 0
    for event in yaml.parse(text, Loader=_LOADER):
        level += isinstance(event, yaml.CollectionStartEvent)
        level -= isinstance(event, yaml.CollectionEndEvent)
        if level > _MOST_LEVELS:
            raise ValueError("nested too deeply")


class _Lines:
    """The lines of the old format, one after the other, without their comments."""

    def __init__(self, text: str, where: str) -> None:
        self._lines = text.split("\n")
        self._where = where
        self._next = 0

    def words(self, key: str) -> list[str]:
        """Return the words of the next line."""
        if self._next >= len(self._lines):
            raise PotentialError(
                f"{self._where}: the file ends before '{key}'; not a complete "
                f"potential. {_REMEDY}"
            )
        self._next += 1
        return self._lines[self._next - 1].split("#")[0].split()

    def word(self, key: str) -> str:
        """Return the first word of the next line."""
        words = self.words(key)
        if not words:
            raise PotentialError(
                f"{self._where}, line {self._next}: '{key}' is missing; not a complete "
                f"potential. {_REMEDY}"
            )
        return words[0]

    def number(self, key: str) -> int:
        """Return how many lines follow."""
        word = self.word(key)
        try:
            return int(word)
        except ValueError as error:
            raise PotentialError(
                f"{self._where}, line {self._next}: {key} = {_shown(word)}; expected "
                f"an integer. {_REMEDY}"
            ) from error

    def comes(self, key: str) -> bool:
        """Return whether the next line is named so in its comment."""
        return self._next < len(self._lines) and key in self._lines[self._next]


def _read_old(text: str, where: str) -> dict[str, Any]:
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
        named = lines.comes("gtinv_version")
        content["gtinv_version"] = lines.word("gtinv_version") if named else "1"
    return content | _old_types(lines, len(content["elements"]), n_pair_params)


def _old_types(lines: _Lines, n_types: int, n_pair_params: int) -> dict[str, Any]:
    """Return the last lines of the old format, which the oldest files do not have."""
    # The indices are text there, as in a file.
    types, functions = (list(map(str, range(n))) for n in (n_types, n_pair_params))
    content: dict[str, Any] = {"type_full": "1", "type_indices": types}
    if lines.comes("n_type_pairs"):
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
    if lines.comes("type_full"):
        content["type_full"] = lines.word("type_full")
        content["type_indices"] = lines.words("type_indices")
    return content


def _numbers(values: Iterable[float]) -> str:
    """Return a list of numbers in YAML."""
    return f"[{', '.join(map(_exact, values))}]"


def _exact(value: float) -> str:
    """Return the shortest text of the same number; to YAML ``1e-05`` is no number."""
    text = repr(float(value))
    return text if "." in text else text.replace("e", ".0e")


def _mass(symbol: str) -> float:
    element = symbol.rstrip("0123456789")
    data = get_atomic_data()
    mass = data.atom_data[data.symbol_map[element]][3]
    return _MASS_NUMBERS[element] if mass is None else float(mass)


def _shown(value: Any) -> str:
    """Return a value for a message: on one line, short, however large it is."""
    return one_line(ValueError(reprlib.repr(value)))[:60]


def _word(value: Any) -> str:
    # Not str(value): lists of lists by YAML's aliases may be endless when written out.
    if not isinstance(value, str):
        raise TypeError
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError
    return value


def _list_of(
    convert: Callable[[Any], Value], size: int | None = None
) -> Callable[[Any], tuple[Value, ...]]:
    def converted(values: Any) -> tuple[Value, ...]:
        if size is not None and len(_list(values)) != size:
            raise ValueError
        return tuple(convert(value) for value in _list(values))

    return converted


def _finite(value: Any) -> float:
    number = float(value)
    if not np.isfinite(number):
        raise ValueError
    return number


def _pair(values: Any) -> tuple[float, float]:
    beta, r0 = _list(values)
    return _finite(beta), _finite(r0)


def _type_pair(value: Any) -> tuple[TypePair, tuple[int, ...]]:
    i, j = _list(value["atom_type_pair"])
    return (int(i), int(j)), _list_of(int)(value["pair_params_indices"])


def _symbol(value: Any) -> str:
    symbol = _word(value)
    match = _SYMBOL.fullmatch(symbol)
    number = get_atomic_data().symbol_map.get(match.group(1)) if match else None
    if not number or number > _LAST_ELEMENT:
        raise ValueError
    return symbol


def _feature_type(value: Any) -> FeatureType:
    if value == "gtinv":
        return "gtinv"
    if value == "pair":
        return "pair"
    raise ValueError


def _is_true(value: Any) -> bool:
    word = _word(value).lower()
    if word not in _TRUE + _FALSE:
        raise ValueError
    return word in _TRUE


def _any_true(value: Any) -> bool:
    return any(map(_is_true, value if isinstance(value, list) else [value]))

"""Parameters of polynomial potentials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations_with_replacement, product
from typing import Literal, TypeAlias

import numpy as np

from phono3py_mlp_plugin.errors import ParameterError

TypePair: TypeAlias = tuple[int, int]
"""Indices i <= j of two elements."""

FeatureType: TypeAlias = Literal["gtinv", "pair"]

# Highest l in the tables of invariants of pypolymlp, by version and order.
MAXL_LIMITS: dict[int, dict[int, int]] = {
    1: {2: 20, 3: 12, 4: 4, 5: 1, 6: 1},
    2: {2: 30, 3: 20, 4: 8, 5: 4, 6: 2},
}

# With more elements, there are too many features.
_MOST_ELEMENTS = 10


@dataclass(frozen=True)
class ModelParameters:
    """Parameters of a polynomial potential, with the names in ``polymlp.yaml``.

    A. Seko, J. Appl. Phys. 133, 011101 (2023), Sec. II.

    Attributes
    ----------
    elements : tuple of str
        Chemical symbols; the position of an element is its type.
    cutoff : float
        Cutoff radius in angstrom.
    pair_params : tuple of (float, float)
        (beta, r0) of the radial functions
        ``f_n(r) = exp(-beta (r - r0)^2) (cos(pi r / cutoff) + 1) / 2``.
    model_type : int
        1: linear features only. 2: polynomials of all linear features. 3: polynomials
        of those of order 1. 4: polynomials of those of orders 1 and 2.
    max_p : int
        Highest order of the polynomials, 1 to 3.
    feature_type : {"gtinv", "pair"}
        Invariants of the rotation group, or pair distances only.
    gtinv_order : int
        Highest order of the invariants.
    gtinv_maxl : tuple of int
        Highest l for orders 2, 3, ...
    gtinv_version : int
        Version of the table of invariants, 1 or 2.
    conditional_pair_params : mapping
        Indices of the radial functions of those pairs of types that do not have all of
        them.
    atomic_energies : tuple of float
        Energies of isolated atoms in eV, by type. Zero if the tuple is empty.

    Raises
    ------
    ParameterError
        If a value is out of range.
    """

    elements: tuple[str, ...]
    cutoff: float
    pair_params: tuple[tuple[float, float], ...]
    model_type: int = 3
    max_p: int = 2
    feature_type: FeatureType = "gtinv"
    gtinv_order: int = 3
    gtinv_maxl: tuple[int, ...] = (8, 8)
    gtinv_version: int = 1
    conditional_pair_params: Mapping[TypePair, tuple[int, ...]] = field(
        default_factory=dict
    )
    atomic_energies: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not self.elements or len(set(self.elements)) < len(self.elements):
            raise ParameterError(
                f"elements = {' '.join(self.elements)}; expected different symbols."
            )
        _check(
            "number of elements",
            self.n_types,
            self.n_types <= _MOST_ELEMENTS,
            f"at most {_MOST_ELEMENTS}",
        )
        _check("cutoff", self.cutoff, self.cutoff > 0, "a positive length")
        _check("max_p", self.max_p, self.max_p in (1, 2, 3), "1, 2 or 3")
        types = (1, 2) if self.feature_type == "pair" else (1, 2, 3, 4)
        _check(
            "model_type",
            self.model_type,
            self.model_type in types,
            f"one of {', '.join(map(str, types))} with feature_type = "
            f"{self.feature_type}",
        )
        if not self.pair_params:
            raise ParameterError("pair_params is empty; expected radial functions.")
        n_energies = len(self.atomic_energies)
        _check(
            "atomic_energies",
            self.atomic_energies,
            n_energies in (0, self.n_types),
            f"{self.n_types} energies",
        )
        for (i, j), active in self.conditional_pair_params.items():
            # Features are listed in ascending order.
            ascending = list(active) == sorted(set(active))
            known = all(0 <= n < self.n_radial for n in active)
            _check(
                f"pair_params of types {i}, {j}",
                active,
                0 <= i <= j < self.n_types and known and ascending,
                "known indices, ascending",
            )
        if self.feature_type == "gtinv":
            self._check_invariants()

    def _check_invariants(self) -> None:
        limits = MAXL_LIMITS.get(self.gtinv_version)
        if limits is None:
            raise ParameterError(
                f"gtinv_version = {self.gtinv_version}; expected 1 or 2."
            )
        order = self.gtinv_order
        _check("gtinv_order", order, 1 <= order <= 6, "1 to 6")
        if len(self.gtinv_maxl) < order - 1:
            raise ParameterError(
                f"gtinv_maxl has {len(self.gtinv_maxl)} values; gtinv_order = {order} "
                f"needs {order - 1}."
            )
        for p, maxl in zip(range(2, order + 1), self.gtinv_maxl, strict=False):
            _check(
                f"gtinv_maxl of order {p}",
                maxl,
                0 <= maxl <= limits[p],
                f"0 to {limits[p]} in version {self.gtinv_version} of the table",
            )

    @property
    def n_types(self) -> int:
        """Number of elements."""
        return len(self.elements)

    @property
    def n_radial(self) -> int:
        """Number of radial functions."""
        return len(self.pair_params)

    @property
    def max_l(self) -> int:
        """Highest l of the spherical harmonics."""
        if self.feature_type == "pair" or self.gtinv_order == 1:
            return 0
        return max(self.gtinv_maxl[: self.gtinv_order - 1])

    @property
    def type_pairs(self) -> tuple[TypePair, ...]:
        """Pairs of types in the order used for features."""
        return tuple(combinations_with_replacement(range(self.n_types), 2))

    def active_pair_params(self, pair: TypePair) -> tuple[int, ...]:
        """Return the indices of the radial functions of a pair of types."""
        return self.conditional_pair_params.get(pair, tuple(range(self.n_radial)))


def gaussian_pair_params(
    exponents: tuple[float, float, int], centres: tuple[float, float, int]
) -> tuple[tuple[float, float], ...]:
    """Return (beta, r0) on a grid, followed by (0, 0), the cutoff function only.

    Parameters
    ----------
    exponents, centres : (float, float, int)
        First value, last value and number of beta (1/angstrom^2) and r0 (angstrom).
    """
    grid = product(_linspace(exponents), _linspace(centres))
    return (*grid, (0.0, 0.0))


def active_pair_params(
    pair_params: Sequence[tuple[float, float]], distances: Sequence[float]
) -> tuple[int, ...]:
    """Return the indices of the radial functions used for the given distances.

    As in pypolymlp, these are the functions whose centre is closer than ``1 / beta``
    (in numbers) to one of the distances, and the last one.
    """
    *gaussians, _ = pair_params
    near = (
        any(abs(distance - centre) * beta < 1 for distance in distances)
        for beta, centre in gaussians
    )
    return (*(n for n, is_near in enumerate(near) if is_near), len(gaussians))


def _linspace(values: tuple[float, float, int]) -> list[float]:
    first, last, number = values
    points: list[float] = np.linspace(first, last, number).tolist()
    return points


def _check(name: str, value: object, valid: bool, expected: str) -> None:
    if not valid:
        text = (
            " ".join(map(str, value))
            if isinstance(value, Sequence) and not isinstance(value, str)
            else value
        )
        raise ParameterError(f"{name} = {text}; expected {expected}.")

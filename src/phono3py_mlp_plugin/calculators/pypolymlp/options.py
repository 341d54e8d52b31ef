"""Parameters of polynomial potentials and of their training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from phono3py_mlp_plugin.errors import ParameterError
from phono3py_mlp_plugin.options import DEFAULT, READING, RESOURCE
from phono3py_mlp_plugin.ranges import Gigabytes, Length, Positive, check_ranges

# Largest number of penalties, or of radial functions along one axis of their grid.
_MOST_VALUES = 100

_GTINV_MAXL = {"default": (8, 8), "compact": (4, 4)}


@dataclass(frozen=True)
class PypolymlpOptions:
    """Model and regression parameters, with the names and defaults of phono3py."""

    preset: Literal["default", "compact"] = field(
        default="default",
        metadata={
            "help": "model: the default of phono3py, or compact (gtinv_maxl = 4 4), as "
            "accurate for kappa of NaCl and MgO at a quarter of the cost"
        },
    )
    cutoff: Length = field(default=8.0, metadata={"help": "cutoff radius (angstrom)"})
    model_type: Literal[1, 2, 3, 4] = field(
        default=3,
        metadata={
            "help": "1: linear in the invariants, 2: polynomial of them, "
            "3: polynomial of pair invariants + linear, "
            "4: polynomial of pair and second-order invariants + linear"
        },
    )
    max_p: Literal[1, 2, 3] = field(
        default=2, metadata={"help": "order of the polynomial"}
    )
    feature_type: Literal["gtinv", "pair"] = field(
        default="gtinv",
        metadata={
            "help": "invariants of the rotation group, or pair distances only "
            "(model types 1 and 2)"
        },
    )
    gtinv_order: Literal[1, 2, 3, 4, 5, 6] = field(
        default=3,
        metadata={"help": "highest order of the invariants; 4 to 6 need pypolymlp"},
    )
    gtinv_maxl: tuple[int, ...] | None = field(
        default=None,
        metadata={
            "help": "highest l of the invariants, from order 2, at least gtinv_order - "
            "1 values; 4 4 in the compact preset",
            DEFAULT: _GTINV_MAXL["default"],
        },
    )
    gtinv_version: Literal[1, 2] = field(
        default=1,
        metadata={
            "help": "table of the invariants: l up to 20 and 12 for orders 2 and 3, or "
            "up to 30 and 20"
        },
    )
    gaussian_params1: tuple[float, float, int] = field(
        default=(1.0, 1.0, 1),
        metadata={
            "help": "exponents of the Gaussian radial functions (1/angstrom^2): from, "
            "to, number"
        },
    )
    gaussian_params2: tuple[float, float, int] = field(
        default=(0.0, 7.0, 10),
        metadata={
            "help": "centres of the Gaussian radial functions (angstrom): from, to, "
            "number"
        },
    )
    atom_energies: dict[str, float] | None = field(
        default=None,
        metadata={
            "help": "energies of isolated atoms (eV) of all elements of the crystal, "
            "'Na -1 Cl -2'; by default 0"
        },
    )
    distance: dict[str, tuple[float, ...]] | None = field(
        default=None,
        metadata={
            "help": "distances (angstrom) at which radial functions are kept for a "
            "pair of elements, all others dropped: 'Na-Na 4.0 Na-Cl 2.8 4.9'; pairs "
            "that are not named keep all"
        },
    )
    include_energy: bool = field(
        default=True,
        metadata={
            "help": "false: train on forces only, as is done for datasets without "
            "energies, too"
        },
    )
    include_force: bool = field(
        default=True, metadata={"help": "false: train on energies only"}
    )
    energy_weight: Positive = field(
        default=1.0, metadata={"help": "factor on the weights of energies"}
    )
    force_weight: Positive = field(
        default=1.0, metadata={"help": "factor on the weights of forces"}
    )
    reg_alpha_params: tuple[float, float, int] = field(
        default=(-3.0, 1.0, 5),
        metadata={"help": "log10 of the ridge penalties: from, to, number"},
    )
    optimal: bool = field(
        default=True,
        metadata={"help": "false: also write the potential of every penalty"},
    )
    engine: Literal["native", "pypolymlp"] | None = field(
        default=None,
        metadata={
            "help": "the engine of this package (native), or the pypolymlp library; by "
            "default native, and pypolymlp for files of models that native does not "
            "support",
            READING: True,
        },
    )
    memory: Gigabytes | None = field(
        default=None,
        metadata={
            "help": "memory that training may use (GB); by default all free memory",
            RESOURCE: True,
        },
    )

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.gtinv_maxl is None:
            object.__setattr__(self, "gtinv_maxl", self._default_maxl())
        elif self.preset == "compact" and self.gtinv_maxl != _GTINV_MAXL["compact"]:
            raise ParameterError(
                f"preset = compact means gtinv_maxl = 4 4; gtinv_maxl = "
                f"{' '.join(map(str, self.gtinv_maxl))} is given too. Give one of them."
            )
        if self.feature_type == "gtinv" and len(self.maxl) < self.gtinv_order - 1:
            raise ParameterError(
                f"gtinv_maxl has {len(self.maxl)} values; gtinv_order = "
                f"{self.gtinv_order} needs {self.gtinv_order - 1}."
            )
        if not (self.include_energy or self.include_force):
            raise ParameterError(
                "include_energy and include_force are both false: nothing is left to "
                "train on."
            )
        if self.engine == "pypolymlp":
            self._check_supported_by_pypolymlp()
        for name in ("gaussian_params1", "gaussian_params2", "reg_alpha_params"):
            number = getattr(self, name)[2]
            if number < 1:
                raise ParameterError(f"{name}: the number of values must be positive.")
            if number > _MOST_VALUES:
                raise ParameterError(
                    f"{name}: number of values = {number}; expected at most "
                    f"{_MOST_VALUES}."
                )

    def _check_supported_by_pypolymlp(self) -> None:
        for name in (
            "include_energy",
            "include_force",
            "energy_weight",
            "force_weight",
        ):
            if getattr(self, name) != 1:
                raise ParameterError(
                    f"{name} = {getattr(self, name)}: pypolymlp has no such parameter. "
                    "Use engine = native."
                )

    def _default_maxl(self) -> tuple[int, ...]:
        return _GTINV_MAXL[self.preset]

    @property
    def maxl(self) -> tuple[int, ...]:
        """The value of ``gtinv_maxl``, which may be given by the preset."""
        return self.gtinv_maxl or ()

    def distances(
        self, symbols: Sequence[str]
    ) -> dict[tuple[str, str], tuple[float, ...]]:
        """Return ``distance`` by pairs of elements, in the order of the symbols.

        Raises
        ------
        ParameterError
            If a name is not a pair of elements of the crystal, or has no distances.
        """
        by_pair = {}
        for name, distances in (self.distance or {}).items():
            pair = tuple(name.split("-"))
            if len(pair) != 2 or not set(pair) <= set(symbols):
                raise ParameterError(
                    f"distance: {name!r} is not a pair of {', '.join(symbols)}, such "
                    f"as {symbols[0]}-{symbols[-1]}."
                )
            if not distances or not all(0 < d < math.inf for d in distances):
                raise ParameterError(
                    f"distance: {name} = {' '.join(map(str, distances))}; expected "
                    "positive lengths."
                )
            first, second = sorted(pair, key=list(symbols).index)
            by_pair[first, second] = distances
        return by_pair

    def atomic_energies(self, symbols: Sequence[str]) -> tuple[float, ...]:
        """Return the energies of isolated atoms in the order of the symbols.

        Raises
        ------
        ParameterError
            If an element is missing or not in the crystal.
        """
        if self.atom_energies is None:
            return (0.0,) * len(symbols)
        by_symbol = {k.capitalize(): energy for k, energy in self.atom_energies.items()}
        missing = [s for s in symbols if s not in by_symbol]
        unknown = [s for s in by_symbol if s not in symbols]
        if missing or unknown:
            what = (
                f"lacks {missing[0]}"
                if missing
                else f"names {unknown[0]}, not in the crystal"
            )
            raise ParameterError(
                f"atom_energies {what}; expected {', '.join(symbols)}. "
                "Write 'atom_energies = "
                + " ".join(f"{s} energy" for s in symbols)
                + "'."
            )
        return tuple(by_symbol[s] for s in symbols)

"""Models and structures over which the engine is compared with pypolymlp."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from phono3py_mlp_plugin.polynomial.model.feature_list import FeatureList
from phono3py_mlp_plugin.polynomial.model.parameters import (
    ModelParameters,
    gaussian_pair_params,
)
from phono3py_mlp_plugin.polynomial.structures.structure import Structure

ELEMENTS = {1: ("Si",), 2: ("Na", "Cl"), 3: ("Sr", "Ti", "O")}


@dataclass(frozen=True)
class Case:
    """A model on a kind of cell."""

    n_types: int
    model_type: int
    max_p: int
    order: int
    maxl: tuple[int, ...]
    n_gaussians: int = 3
    feature_type: str = "gtinv"
    version: int = 1
    conditional: bool = False
    cell: str = "cubic"
    cutoff: float = 5.0
    extra: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        kind = "pair" if self.feature_type == "pair" else f"o{self.order}"
        parts = [
            f"{self.n_types}el",
            f"t{self.model_type}",
            f"p{self.max_p}",
            kind,
            "-".join(map(str, self.maxl)),
            f"v{self.version}",
            self.cell,
        ]
        return " ".join([*parts, *(["conditional"] if self.conditional else [])])

    @property
    def elements(self) -> tuple[str, ...]:
        return ELEMENTS[self.n_types]

    def parameters(self) -> ModelParameters:
        """The model in this package's terms."""
        pairs = gaussian_pair_params((1, 1, 1), (0, 4, self.n_gaussians))
        return ModelParameters(
            elements=self.elements,
            cutoff=self.cutoff,
            pair_params=pairs,
            model_type=self.model_type,
            max_p=self.max_p,
            feature_type=self.feature_type,
            gtinv_order=self.order,
            gtinv_maxl=self.maxl,
            gtinv_version=self.version,
            conditional_pair_params=self.active(),
        )

    def active(self) -> dict[tuple[int, int], tuple[int, ...]]:
        """Radial functions of each pair of types, some left out where conditional."""
        if not self.conditional:
            return {}
        last = self.n_gaussians
        found = {}
        pairs = [(i, j) for i in range(self.n_types) for j in range(i, self.n_types)]
        for number, pair in enumerate(pairs):
            left_out = number % last
            found[pair] = tuple(n for n in range(last + 1) if n != left_out)
        return found

    def structures(self) -> list[Structure]:
        """Three displaced structures."""
        lattice, fractional, types = CELLS[self.cell](self.n_types)
        random = np.random.default_rng(len(str(self)))
        base = fractional @ lattice
        return [
            Structure(lattice, base + random.normal(scale=0.1, size=base.shape), types)
            for _ in range(3)
        ]


def _grid(n: int) -> np.ndarray:
    return np.indices((n, n, n)).reshape(3, -1).T / n


def _cubic(n_types: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    points = _grid(3)
    return np.eye(3) * 7.5, points, np.sort(np.arange(len(points)) % n_types)


def _mixed(n_types: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As cubic, atoms of a type not following each other."""
    lattice, points, types = _cubic(n_types)
    return lattice, points, types[np.random.default_rng(1).permutation(len(types))]


def _skewed(n_types: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Few atoms that see many images of each other and of themselves."""
    lattice = np.array([[3.0, 0.0, 0.0], [2.1, 2.8, 0.0], [-1.2, 1.4, 3.3]])
    points = np.array([[0, 0, 0], [0.5, 0.5, 0.5], [0.3, 0.8, 0.1]])[: max(2, n_types)]
    return lattice, points, np.arange(len(points)) % n_types


def _single(n_types: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One atom, or one of each type: all neighbours are images."""
    points = np.array([[0, 0, 0], [0.5, 0.5, 0], [0, 0.5, 0.5]])[:n_types]
    return np.eye(3) * 3.1, points, np.arange(n_types)


def _long(n_types: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Longer than the cutoff sphere along one axis."""
    points = np.indices((2, 2, 12)).reshape(3, -1).T / (2, 2, 12)
    lattice = np.diag([5.2, 5.2, 30.0])
    return lattice, points, np.sort(np.arange(len(points)) % n_types)


CELLS = {
    "cubic": _cubic,
    "mixed": _mixed,
    "skewed": _skewed,
    "single": _single,
    "long": _long,
}

# A quarter of a million features: pypolymlp reads them for twenty seconds on a fast
# machine, for minutes on others. What it gives is recorded by record.py.
RECORDED = Case(3, 2, 2, 3, (3, 2))

CASES = [
    # All kinds of products of the recorded model, in few features.
    Case(3, 2, 2, 3, (2, 1), n_gaussians=1),
    *(
        Case(n, t, p, 3, (3, 2), cell=cell)
        for n, cell in ((1, "cubic"), (2, "mixed"), (3, "cubic"))
        for t, p in ((1, 1), (2, 1), (2, 2), (3, 2), (3, 3), (4, 2))
    ),
    *(Case(2, t, 3, 2, (2,), cell="skewed") for t in (2, 4)),
    *(Case(n, 3, 2, 3, (4, 4), cell="skewed") for n in (1, 2, 3)),
    *(Case(n, 3, 2, 3, (2, 2), cell="single") for n in (1, 2, 3)),
    *(Case(n, 4, 2, 3, (3, 3), cell="long") for n in (1, 2, 3)),
    *(Case(n, 3, 2, 1, (4,), n_gaussians=5) for n in (1, 2)),
    *(Case(n, 4, 2, 2, (6,)) for n in (1, 2)),
    Case(2, 3, 2, 3, (8, 8), cell="mixed"),
    Case(1, 3, 2, 3, (12, 6), n_gaussians=2),
    *(
        Case(n, t, p, 1, (4,), 5, "pair", cell=cell)
        for n, t, p, cell in (
            (1, 1, 1, "cubic"),
            (2, 2, 2, "mixed"),
            (2, 2, 3, "skewed"),
            (3, 2, 3, "cubic"),
        )
    ),
    *(Case(2, t, 2, 3, (3, 2), version=2) for t in (3, 4)),
    *(
        Case(n, t, 2, 3, (3, 2), conditional=True, cell=cell)
        for n, t, cell in ((2, 3, "mixed"), (3, 4, "cubic"), (2, 2, "skewed"))
    ),
    Case(2, 1, 1, 6, (3, 2, 2, 1, 1), n_gaussians=2),
    Case(2, 4, 2, 5, (3, 2, 1, 1), n_gaussians=2),
    Case(1, 2, 2, 4, (3, 2, 2), n_gaussians=2, version=2),
    Case(2, 3, 2, 4, (3, 2, 2), n_gaussians=2, cell="skewed"),
]


def coefficients_of(feature_list: FeatureList, matrix: np.ndarray) -> np.ndarray:
    """Random coefficients of features of all sizes alike."""
    size = np.abs(matrix).max(axis=1)
    size = np.maximum(size, 1e-3 * size.max())
    return np.random.default_rng(3).normal(size=feature_list.n_features) / size

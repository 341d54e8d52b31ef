"""Regression problems: real features of small models, and targets made for them."""

from __future__ import annotations

from functools import cache

import numpy as np

from phono3py_mlp_plugin.contracts import Dataset
from phono3py_mlp_plugin.polynomial.definition import define
from phono3py_mlp_plugin.polynomial.features import Features, SupercellFeatures
from phono3py_mlp_plugin.polynomial.parameters import (
    ModelParameters,
    gaussian_pair_params,
)
from phono3py_mlp_plugin.polynomial.rows import Targets, targets_of
from phono3py_mlp_plugin.polynomial.structure import structures_of
from phono3py_mlp_plugin.reference import nacl_dataset

ALPHAS = (1e-2, 1e-1, 1.0, 10.0)


@cache
def nacl(n: int) -> Dataset:
    """Eight-atom supercells of an analytic potential."""
    return nacl_dataset(n, repeats=1)[1]


def model(maxl: int = 3, n_gaussians: int = 4) -> ModelParameters:
    return ModelParameters(
        ("Na", "Cl"),
        5.0,
        gaussian_pair_params((1, 1, 1), (0, 4, n_gaussians)),
        gtinv_maxl=(maxl, maxl),
    )


def problem(dataset: Dataset, parameters: ModelParameters):
    """Design matrix and targets of a dataset."""
    features = Features(define(parameters))
    structures = structures_of(dataset.supercells(), parameters.elements)
    return SupercellFeatures(features, structures), targets_of(dataset, 0.0)


class Given:
    """A design matrix that is held whole; supercells of one atom."""

    def __init__(self, matrix: np.ndarray) -> None:
        self.matrix = matrix
        self.asked: list[range] = []

    @property
    def n_features(self) -> int:
        return len(self.matrix)

    def fill(self, matrix: np.ndarray, column: int, supercells: range) -> None:
        self.asked.append(supercells)
        some = self.matrix[:, 4 * supercells.start : 4 * supercells.stop]
        matrix[:, column : column + some.shape[1]] = some


def random_problem(n: int, n_features: int, seed: int = 1) -> tuple[Given, Targets]:
    """Features that differ by many orders of magnitude, targets with noise."""
    random = np.random.default_rng(seed)
    matrix = random.normal(size=(n_features, 4 * n))
    matrix *= 10.0 ** random.uniform(-4, 3, size=(n_features, 1))
    truth = random.normal(size=n_features) / np.abs(matrix).max(axis=1)
    values = (truth @ matrix).reshape(n, 4) + 0.1 * random.normal(size=(n, 4))
    # Energies are negative, as those of crystals are.
    energies = values[:, 0] - 50.0
    return Given(matrix), Targets(energies, values[:, 1:].reshape(n, 3, 1))

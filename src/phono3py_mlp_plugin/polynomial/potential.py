"""Polynomial potentials, defined by parameters and coefficients."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from phono3py_mlp_plugin.contracts import (
    Evaluation,
    FloatArray,
    ForceConstants,
    ForceConstantsProblem,
    IntArray,
)
from phono3py_mlp_plugin.errors import PotentialError
from phono3py_mlp_plugin.polynomial.derivatives.force_constants import (
    ForceConstantsOfModel,
)
from phono3py_mlp_plugin.polynomial.derivatives.symmetry import operations_of
from phono3py_mlp_plugin.polynomial.evaluator import Evaluator
from phono3py_mlp_plugin.polynomial.file.read import parse_potential
from phono3py_mlp_plugin.polynomial.file.write import format_potential
from phono3py_mlp_plugin.polynomial.model.feature_list import (
    FeatureList,
    list_features,
)
from phono3py_mlp_plugin.polynomial.model.invariants import Table, invariants
from phono3py_mlp_plugin.polynomial.model.parameters import ModelParameters
from phono3py_mlp_plugin.polynomial.regression.path import RidgePath
from phono3py_mlp_plugin.polynomial.structures.structure import structures_of

if TYPE_CHECKING:
    from phonopy.structure.atoms import PhonopyAtoms

Sampler = Callable[[int, int], FloatArray]
"""``sampler(size, seed)`` returns coefficients, shape ``(size, n_features)``."""


class PolynomialPotential:
    """A polynomial potential that is computed by this package.

    Parameters
    ----------
    feature_list : FeatureList
    coefficients : ndarray
        Shape ``(n_features,)``.
    sampler : callable, optional
        Draws coefficients from their distribution given the training data.
    path : RidgePath, optional
        The fits of all penalties, if it was trained.

    Attributes
    ----------
    engine : str
        "native".
    save_all : bool
        Whether `save` writes the potentials of all penalties.

    Raises
    ------
    PotentialError
        If the number of coefficients differs from the number of features.
    """

    engine = "native"

    def __init__(
        self,
        feature_list: FeatureList,
        coefficients: FloatArray,
        sampler: Sampler | None = None,
        path: RidgePath | None = None,
    ) -> None:
        if len(coefficients) != feature_list.n_features:
            raise PotentialError(
                f"the potential has {len(coefficients)} coefficients; its parameters "
                f"define {feature_list.n_features} features. Train it again."
            )
        self.feature_list = feature_list
        self.coefficients = coefficients
        self._sampler = sampler
        self._path = path
        self.save_all = False

    @property
    def parameters(self) -> ModelParameters:
        """Parameters of the model."""
        return self.feature_list.parameters

    @property
    def elements(self) -> tuple[str, ...]:
        """Chemical symbols in the order of the model."""
        return self.parameters.elements

    @property
    def cutoff_radius(self) -> float:
        """Cutoff radius in angstrom."""
        return self.parameters.cutoff

    @property
    def atomic_energies(self) -> dict[str, float]:
        """Energies of isolated atoms in eV by element, empty if they are unknown."""
        return dict(zip(self.elements, self.parameters.atomic_energies, strict=False))

    def __getstate__(self) -> dict[str, Any]:
        """Return the state needed for evaluation, without data of the training."""
        state = {k: v for k, v in vars(self).items() if k != "_evaluator"}
        return {**state, "_sampler": None}

    @cached_property
    def _evaluator(self) -> Evaluator:
        return Evaluator(self.feature_list, self.coefficients)

    def evaluate(self, supercells: Sequence[PhonopyAtoms]) -> Evaluation:
        """Return energies (eV), forces (eV/angstrom) and stresses (eV/angstrom^3)."""
        structures = structures_of(supercells, self.elements)
        properties = self._evaluator.evaluate(structures)
        # The determinant of left-handed lattice vectors is negative.
        volumes = np.abs([cell.volume for cell in supercells])
        return Evaluation(
            properties.energies,
            np.array(properties.forces),
            properties.virials / volumes[:, None, None],
        )

    def force_constants(
        self,
        problem: ForceConstantsProblem,
        members: Sequence[PolynomialPotential] = (),
        part: tuple[PhonopyAtoms, IntArray] | None = None,
    ) -> Iterator[ForceConstants]:
        """Yield the second and third derivatives of this potential and of others.

        Parameters
        ----------
        problem : ForceConstantsProblem
            Supercell, symmetry, orders and shape.
        members : sequence of PolynomialPotential
            Others, which share work if they have the same features.
        part : tuple, optional
            A cell with some of the atoms of the supercell, and their numbers, if the
            potential is a function of these only.

        Raises
        ------
        PotentialError
            If the model does not have an element of the supercell, or atoms are at the
            cutoff.
        """
        n_atoms = len(problem.supercell)
        cell, atoms = part or (problem.supercell, np.arange(n_atoms))
        (structure,) = structures_of([cell], self.elements)
        rows = problem.primitive.p2s_map if problem.is_compact_fc else range(n_atoms)
        here = [place for place, row in enumerate(rows) if row in set(atoms.tolist())]
        operations = operations_of(problem.symmetry, cell.cell, atoms)
        for chunk in _same_features([self, *members]):
            model = ForceConstantsOfModel(
                chunk[0].feature_list,
                structure,
                operations,
                np.searchsorted(atoms, np.array(rows)[here]).tolist(),
                problem.orders,
            )
            coefficients = np.array([p.coefficients for p in chunk])
            for found in model.compute(
                coefficients, problem.progress, problem.map_chunks
            ):
                yield _spread(found, problem, np.array(here, dtype=np.int64), atoms)

    def save(self, path: Path) -> None:
        """Write ``polymlp.yaml``, which pypolymlp can read, too.

        With ``save_all``, the potentials of all penalties are also written to
        ``polymlp.yaml.v01`` and so on, and listed in ``polymlp.log``.
        """
        self._write(path, self.coefficients)
        if not self.save_all:
            return
        penalties = () if self._path is None else self._path.penalties
        coefficients = () if self._path is None else self._path.coefficients
        fits = zip(penalties, coefficients, strict=True)
        lines = ["polymlps:\n"]
        for number, (penalty, fitted) in enumerate(fits, start=1):
            if penalty.rmse_test is None:
                continue
            version = path.with_name(f"{path.name}.v{number:02}")
            self._write(version, fitted)
            lines += [
                f"- mlp file:  {version.name}\n",
                f"  alpha:     {penalty.alpha!r}\n",
                f"  rmse_test: {penalty.rmse_test!r}\n\n",
            ]
        path.with_suffix(".log").write_text("".join(lines), encoding="utf-8")

    def _write(self, path: Path, coefficients: FloatArray) -> None:
        path.write_text(
            format_potential(self.parameters, coefficients), encoding="utf-8"
        )

    def ensemble(self, size: int, seed: int) -> list[PolynomialPotential]:
        """Return potentials drawn from the distribution given the training data.

        Parameters
        ----------
        size : int
            Number of potentials.
        seed : int
            The same seed gives the same potentials.

        Raises
        ------
        PotentialError
            If the potential was read from a file or is a copy, so that its
            distribution is unknown.
        """
        if self._sampler is None:
            raise PotentialError(
                "the potential was read from a file or is a copy, which does not "
                "contain its distribution. Train it in this run."
            )
        return [
            PolynomialPotential(self.feature_list, coefficients)
            for coefficients in self._sampler(size, seed)
        ]


def _same_features(
    potentials: Sequence[PolynomialPotential],
) -> Iterator[list[PolynomialPotential]]:
    """Yield successive potentials of one feature list."""
    for _, group in groupby(potentials, key=lambda p: id(p.feature_list)):
        yield list(group)


def _spread(
    found: ForceConstants,
    problem: ForceConstantsProblem,
    rows: IntArray,
    atoms: IntArray,
) -> ForceConstants:
    """Return force constants of all atoms of the supercell from those of some."""
    if len(atoms) == len(problem.supercell):
        return found
    result = {order: np.zeros(problem.shape(order)) for order in found}
    for order, part in found.items():
        result[order][np.ix_(rows, *(atoms,) * (order - 1))] = part
    return result


def load(text: str, where: str, table: Table = invariants) -> PolynomialPotential:
    """Return the potential from the text of a file of either format.

    Parameters
    ----------
    text : str
    where : str
        Name of the file, used in messages.
    table : callable
        Table of invariants. That of this package contains orders up to 3.

    Raises
    ------
    PotentialError
        If it is not a polynomial potential, or not a complete one.
    NotCovered
        If it is of a kind that only pypolymlp supports.
    """
    file = parse_potential(text, where, table)
    return PolynomialPotential(list_features(file.parameters, table), file.coefficients)

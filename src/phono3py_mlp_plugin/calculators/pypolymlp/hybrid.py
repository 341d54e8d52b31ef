"""Hybrid models, which are sums of several polynomial potentials of either engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from phonopy.structure.atoms import PhonopyAtoms

from phono3py_mlp_plugin.contracts import (
    Evaluation,
    FloatArray,
    ForceConstants,
    ForceConstantsProblem,
    Potential,
)
from phono3py_mlp_plugin.errors import PotentialError
from phono3py_mlp_plugin.polynomial import PolynomialPotential


class Part(Potential, Protocol):
    """One of the potentials of a hybrid model."""

    @property
    def engine(self) -> str:
        """Name and version of the engine."""

    @property
    def cutoff_radius(self) -> float:
        """Cutoff radius in angstrom."""

    @property
    def atomic_energies(self) -> dict[str, float]:
        """Energies of isolated atoms in eV, by element."""


class HybridPotential:
    """The sum of several polynomial potentials.

    Parameters
    ----------
    parts : sequence of Part
        A part without some of the elements is a function of the other atoms only.
        Energies of isolated atoms are those of the first part with the most elements,
        as in pypolymlp.
    """

    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts = parts
        self._largest_part = max(parts, key=lambda part: len(part.elements))

    @property
    def engine(self) -> str:
        """Name and version of the engine."""
        return self.parts[0].engine

    @property
    def elements(self) -> tuple[str, ...]:
        """Chemical symbols of the model."""
        return self._largest_part.elements

    @property
    def cutoff_radius(self) -> float:
        """Largest cutoff radius of the parts in angstrom."""
        return max(part.cutoff_radius for part in self.parts)

    def evaluate(self, supercells: Sequence[PhonopyAtoms]) -> Evaluation:
        """Return energies (eV), forces (eV/angstrom) and stresses (eV/angstrom^3)."""
        n, n_atoms = len(supercells), len(supercells[0])
        energies = isolated_energies(self._largest_part.atomic_energies, supercells)
        forces, stresses = np.zeros((n, n_atoms, 3)), np.zeros((n, 3, 3))
        for part in self.parts:
            # Atoms of elements that no part knows are kept, so that an error is raised.
            missing = set(self.elements) - set(part.elements)
            included = np.array(
                [[s not in missing for s in cell.symbols] for cell in supercells]
            )
            counts = included.sum(axis=1)
            # Potentials evaluate supercells with equal numbers of atoms.
            for count in set(counts.tolist()) - {0}:
                rows = np.flatnonzero(counts == count)
                cells = [
                    _with_atoms(supercells[row], included[row]) for row in rows.tolist()
                ]
                evaluation = part.evaluate(cells)
                assert evaluation.stresses is not None
                isolated = isolated_energies(part.atomic_energies, cells)
                energies[rows] += evaluation.energies - isolated
                stresses[rows] += evaluation.stresses
                atoms = included & (counts == count)[:, None]
                forces[atoms] += evaluation.forces.reshape(-1, 3)
        return Evaluation(energies, forces, stresses)

    @property
    def force_constants(self) -> Callable[..., Iterator[ForceConstants]] | None:
        """Sum of the derivatives of the parts; None if a part has none."""
        if all(isinstance(part, PolynomialPotential) for part in self.parts):
            return self._force_constants
        return None

    def _force_constants(
        self, problem: ForceConstantsProblem, members: Sequence[HybridPotential] = ()
    ) -> Iterator[ForceConstants]:
        for potential in (self, *members):
            total: ForceConstants = {
                order: np.zeros(problem.shape(order)) for order in problem.orders
            }
            for part in potential.parts:
                assert isinstance(part, PolynomialPotential)
                missing = set(potential.elements) - set(part.elements)
                symbols = problem.supercell.symbols
                included = np.array([s not in missing for s in symbols])
                if not included.any():
                    continue
                cell = _with_atoms(problem.supercell, included)
                members_of = (cell, np.flatnonzero(included))
                (found,) = part.force_constants(problem, part=members_of)
                for order, values in found.items():
                    total[order] += values
            yield total

    def save(self, path: Path) -> None:
        """Write ``polymlp.yaml.1``, ``polymlp.yaml.2`` and so on, as pypolymlp does."""
        for number, part in enumerate(self.parts, start=1):
            part.save(path.with_name(f"{path.name}.{number}"))


def single_or_hybrid(parts: Mapping[str, Part]) -> Potential:
    """Return the potential of one file, or the hybrid model of several.

    Parameters
    ----------
    parts : mapping
        The potential in each file, by the name of the file.

    Raises
    ------
    PotentialError
        If they are for different crystals.
    """
    if len(parts) == 1:
        return next(iter(parts.values()))
    name_of_largest, largest = max(
        parts.items(), key=lambda item: len(item[1].elements)
    )
    for name, part in parts.items():
        if not set(part.elements) <= set(largest.elements):
            raise PotentialError(
                f"{name}: elements = {', '.join(part.elements)}; expected "
                f"{', '.join(largest.elements)}, as in {name_of_largest}, or some of "
                "them. They are not parts of one hybrid model: name the one to use by "
                "--mlp-file."
            )
    return HybridPotential(tuple(parts.values()))


def _with_atoms(cell: PhonopyAtoms, chosen: NDArray[np.bool_]) -> PhonopyAtoms:
    """Return a cell with some of its atoms."""
    if chosen.all():
        return cell
    symbols = [
        symbol for symbol, kept in zip(cell.symbols, chosen, strict=True) if kept
    ]
    return PhonopyAtoms(
        cell=cell.cell, symbols=symbols, positions=cell.positions[chosen]
    )


def isolated_energies(
    by_element: Mapping[str, float], supercells: Sequence[PhonopyAtoms]
) -> FloatArray:
    """Return the sum over the isolated atoms of each supercell in eV, shape ``(n,)``.

    The energy of elements that are not listed is zero.
    """
    return np.array(
        [sum(by_element.get(s, 0.0) for s in cell.symbols) for cell in supercells]
    )

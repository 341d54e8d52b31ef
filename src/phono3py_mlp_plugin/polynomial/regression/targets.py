"""Targets of the regression and their weights.

Rows are ordered by structure: its energy, followed by the forces in direction x of all
atoms, then y, then z, and the virials xx, yy, zz, xy, yz, zx if they are fitted.
Structures other than the supercells come first, so that a fit to the first supercells
includes them all. Weights and scales are those of pypolymlp, so that penalties have the
same meaning.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from phono3py_mlp_plugin.contracts import (
    Dataset,
    FloatArray,
    IntArray,
    LabelledStructure,
)
from phono3py_mlp_plugin.errors import PotentialError

# Standard deviation of energies (eV) below which a column is dropped.
ZERO_SCALE = 1e-10

# Factor of pypolymlp on the weights of virials.
_VIRIAL_WEIGHT = 0.1


@dataclass(frozen=True, eq=False)
class StructureTargets:
    """Energy, forces and virials of a structure that is not one of the supercells.

    Attributes
    ----------
    energy : float or None
        Relative to isolated atoms in eV.
    forces : ndarray
        In eV/angstrom by direction, shape ``(3, N)``.
    virials : ndarray or None
        In eV, in the order xx, yy, zz, xy, yz, zx.
    """

    energy: float | None
    forces: FloatArray
    virials: FloatArray | None = None

    @property
    def n_atoms(self) -> int:
        """Number of atoms."""
        return int(self.forces.shape[1])

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return 1 + self.forces.size + (0 if self.virials is None else 6)


@dataclass(frozen=True, eq=False)
class Targets:
    """Energies, forces and virials that are fitted.

    Attributes
    ----------
    energies : ndarray or None
        Energies of the supercells relative to isolated atoms in eV, shape ``(n,)``.
    forces : ndarray
        Forces in eV/angstrom by direction, shape ``(n, 3, N)``.
    energy_weight, force_weight : float
        Factors on the weights. With zero, energies or forces are not fitted. That of
        forces applies to virials, too.
    others : tuple of StructureTargets
        Structures that come before the supercells.
    """

    energies: FloatArray | None
    forces: FloatArray
    energy_weight: float = 1.0
    force_weight: float = 1.0
    others: tuple[StructureTargets, ...] = ()

    def __len__(self) -> int:
        return len(self.others) + len(self.forces)

    @property
    def n_others(self) -> int:
        """Number of structures before the supercells."""
        return len(self.others)

    @property
    def n_atoms(self) -> int:
        """Number of atoms in a supercell."""
        return int(self.forces.shape[2])

    @property
    def n_rows(self) -> int:
        """Number of rows of a supercell."""
        return 1 + 3 * self.n_atoms

    @property
    def most_rows(self) -> int:
        """Largest number of rows of a structure."""
        return max(self.n_rows, *(other.n_rows for other in self.others), 0)

    @cached_property
    def first_rows(self) -> IntArray:
        """First row of each structure, its energy, and what follows the last."""
        sizes = [other.n_rows for other in self.others]
        return np.cumsum([0, *sizes, *[self.n_rows] * len(self.forces)])

    @cached_property
    def relative_sizes(self) -> FloatArray:
        """Numbers of atoms relative to that of a supercell."""
        sizes = [other.n_atoms / self.n_atoms for other in self.others]
        return np.array([*sizes, *[1.0] * len(self.forces)])

    @cached_property
    def _all_energies(self) -> FloatArray:
        """Energies of all structures, NaN where there is none."""
        others = [np.nan if o.energy is None else o.energy for o in self.others]
        own = np.full(len(self.forces), np.nan)
        return np.array([*others, *(own if self.energies is None else self.energies)])

    def part(self, structures: range) -> Targets:
        """Return the targets of some structures."""
        m = self.n_others
        own = slice(max(structures.start - m, 0), max(structures.stop - m, 0))
        return replace(
            self,
            energies=None if self.energies is None else self.energies[own],
            forces=self.forces[own],
            others=self.others[structures.start : structures.stop],
        )

    def rows(self, structures: range) -> slice:
        """Return the range of the rows of structures."""
        first = self.first_rows
        return slice(int(first[structures.start]), int(first[structures.stop]))

    def lowest_energy(self, n: int) -> float | None:
        """Return the lowest energy per atom of the first n structures."""
        energies = self._all_energies[:n] / self.relative_sizes[:n]
        if np.isnan(energies).all():
            return None
        return float(np.nanmin(energies)) / self.n_atoms

    def weighted(
        self, structures: range, lowest: float | None
    ) -> tuple[FloatArray, FloatArray]:
        """Return weights and weighted targets, shape ``(n_rows,)`` each.

        Parameters
        ----------
        structures : range
        lowest : float or None
            Energy per atom to which others are compared. With None, the weights of
            energies are zero.
        """
        where = slice(structures.start, structures.stop)
        values, weights = self._forces_and_virials(structures)
        if lowest is not None:
            energies, sizes = self._all_energies[where], self.relative_sizes[where]
            known = np.isfinite(energies)
            rows = (self.first_rows[where] - self.first_rows[where.start])[known]
            energies, sizes = energies[known], sizes[known]
            values[rows] = energies
            weights[rows] = _energy_weights(energies / sizes / self.n_atoms, lowest)
            # An error per atom counts the same in structures of any size.
            weights[rows] *= self.energy_weight / sizes
        return weights, weights * values

    def _forces_and_virials(self, structures: range) -> tuple[FloatArray, FloatArray]:
        """Return the values and weights of forces and virials in their rows."""
        m = self.n_others
        parts, factors = [], []
        for other in self.others[structures.start : structures.stop]:
            none = np.empty(0)
            virials = none if other.virials is None else other.virials
            parts.append(np.concatenate(([0.0], other.forces.reshape(-1), virials)))
            factors.append(np.repeat([0.0, 1.0], [1, other.forces.size]))
            factors.append(np.full(len(virials), _VIRIAL_WEIGHT))
        own = self.forces[max(structures.start - m, 0) : max(structures.stop - m, 0)]
        table = np.zeros((len(own), self.n_rows))
        table[:, 1:] = own.reshape(len(own), 3 * self.n_atoms)
        values = np.concatenate([*parts, table.reshape(-1)])
        table[:, 1:] = 1.0
        factor = np.concatenate([*factors, table.reshape(-1)])
        weights = np.minimum(1.0 / np.maximum(np.abs(values), 1e-12), 1.0)
        return values, weights * (factor * self.force_weight)


def targets_of(
    dataset: Dataset,
    atomic_energies: dict[str, float],
    energy_weight: float = 1.0,
    force_weight: float = 1.0,
) -> Targets:
    """Return the targets of a dataset.

    Parameters
    ----------
    dataset : Dataset
    atomic_energies : dict
        Energies of isolated atoms in eV by chemical symbol.
    energy_weight, force_weight : float
        Factors on the weights. With zero, energies or forces are not fitted.

    Raises
    ------
    PotentialError
        If a number is not finite.
    """
    for name, values in (("energy", dataset.energies), ("force", dataset.forces)):
        if values is None:
            continue
        finite = np.isfinite(values.reshape(len(values), -1)).all(axis=1)
        if not finite.all():
            raise PotentialError(
                f"supercell {int(finite.argmin()) + 1}: the {name} is not finite. "
                "Compute it again or leave it out."
            )
    energies = None
    if dataset.energies is not None and energy_weight > 0:
        isolated = sum(atomic_energies[s] for s in dataset.supercell.symbols)
        energies = dataset.energies - isolated
    return Targets(
        energies,
        np.ascontiguousarray(dataset.forces.transpose(0, 2, 1)),
        energy_weight,
        force_weight,
        tuple(
            _structure_targets(structure, atomic_energies, energy_weight > 0)
            for structure in dataset.structures
        ),
    )


def _structure_targets(
    structure: LabelledStructure,
    atomic_energies: dict[str, float],
    with_energy: bool,
) -> StructureTargets:
    energy = None
    if structure.energy is not None and with_energy:
        symbols = structure.cell.symbols
        energy = structure.energy - sum(atomic_energies[s] for s in symbols)
    virials = None
    if structure.stress is not None:
        tensor = structure.stress * structure.cell.volume
        virials = tensor[(0, 1, 2, 0, 1, 2), (0, 1, 2, 1, 2, 0)]
    return StructureTargets(energy, np.ascontiguousarray(structure.forces.T), virials)


def _energy_weights(energies: FloatArray, lowest: float) -> FloatArray:
    weights = np.ones(len(energies))
    weights[energies > 0.75 * lowest] = 0.5
    weights[energies > 0.5 * lowest] = 0.3
    weights[energies > 0.0] = 0.1
    return weights


def column_scales(energies: FloatArray) -> FloatArray:
    """Return the standard deviations of columns, or zero for dropped columns.

    Parameters
    ----------
    energies : ndarray
        X^T of the energy rows of the training set, shape ``(n_features, n)``.
    """
    n = energies.shape[1]
    variance = (energies**2).sum(axis=1) / n - (energies.sum(axis=1) / n) ** 2
    # It may be negative due to rounding. pypolymlp does not scale such a column.
    variance[variance < 0] = 1.0
    scales = np.sqrt(variance)
    scales[scales < ZERO_SCALE] = 0.0
    return np.asarray(scales)

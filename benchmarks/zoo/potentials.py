r"""Analytic potentials of crystals, with forces and stresses.

The energy is a function of the vectors from atoms to their neighbours. Each potential
returns the energy and its gradient with respect to these vectors, from which forces and
stresses follow. All terms and their first three derivatives are continuous, so that
third-order force constants are well defined.

References
----------
Ions: G. V. Lewis and C. R. A. Catlow, J. Phys. C 18, 1149 (1985). Damped Coulomb term:
D. Wolf et al., J. Chem. Phys. 110, 8254 (1999). Bonds with angles: F. H. Stillinger and
T. A. Weber, Phys. Rev. B 31, 5262 (1985).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from ase.neighborlist import primitive_neighbor_list
from phonopy.structure.atoms import PhonopyAtoms
from scipy.special import erfc

from phono3py_mlp_plugin.contracts import Evaluation, FloatArray
from phono3py_mlp_plugin.reference import COULOMB

# Width of the range below the cutoff in which pair terms are switched off, in angstrom.
SWITCH = 1.5

# Neighbours are listed up to the cutoff and this distance (angstrom), and the list is
# used as long as no atom has moved by half of it.
SKIN = 1.0

Pairs = Mapping[str, tuple[float, ...]]
"""Parameters by pair of elements, e.g. "Mg-O"."""


class Term(Protocol):
    """A part of the energy.

    Attributes
    ----------
    cutoff : float
        In angstrom.
    """

    cutoff: float

    def energy(
        self, vectors: FloatArray, first: Any, second: Any, symbols: Sequence[str]
    ) -> tuple[float, FloatArray]:
        """Return the energy and its gradient with respect to the vectors.

        Parameters
        ----------
        vectors : ndarray
            From each atom to its neighbours, shape ``(n, 3)``. Each pair of atoms is
            listed in both orders.
        first, second : ndarray of int
            Atoms of each vector.
        symbols : sequence of str
        """


def switch(r: FloatArray, start: float, end: float) -> tuple[FloatArray, FloatArray]:
    """Return a function from 1 at ``start`` to 0 at ``end``, and its derivative.

    Its first three derivatives vanish at both ends.
    """
    x = np.clip((r - start) / (end - start), 0, 1)
    value = 1 - x**4 * (35 - 84 * x + 70 * x**2 - 20 * x**3)
    slope = -140 * x**3 * (1 - x) ** 3 / (end - start)
    return value, slope


def of_pairs(table: Pairs, symbols: Sequence[str], n: int) -> FloatArray:
    """Return parameters by elements of both atoms, shape ``(n, k, k)``."""
    elements = list(dict.fromkeys(symbols))
    values = np.zeros((n, len(elements), len(elements)))
    for pair, parameters in table.items():
        one, other = pair.split("-")
        if one in elements and other in elements:
            i, j = elements.index(one), elements.index(other)
            values[:, i, j] = values[:, j, i] = parameters
    return values


def species_of(symbols: Sequence[str]) -> Any:
    """Return the number of the element of each atom."""
    elements = list(dict.fromkeys(symbols))
    return np.array([elements.index(s) for s in symbols])


def _pair_sum(
    vectors: FloatArray, r: FloatArray, values: FloatArray, slopes: FloatArray
) -> tuple[float, FloatArray]:
    # Each pair is listed twice.
    return float(values.sum()) / 2, (slopes / r / 2)[:, None] * vectors


@dataclass(frozen=True)
class Ions:
    """Rigid ions: ``A exp(-r / rho) - C / r^6`` and a damped Coulomb term.

    Attributes
    ----------
    charges : mapping of str to float
    pairs : mapping
        A (eV), rho (angstrom) and C (eV angstrom^6).
    cutoff : float
    damping : float
        In 1/angstrom.
    """

    charges: Mapping[str, float]
    pairs: Pairs
    cutoff: float = 9.0
    damping: float = 0.3

    def energy(
        self, vectors: FloatArray, first: Any, second: Any, symbols: Sequence[str]
    ) -> tuple[float, FloatArray]:
        """Return the energy without the constant self energy of the ions."""
        r = np.sqrt(np.einsum("pa,pa->p", vectors, vectors))
        kinds = species_of(symbols)
        a, rho, c = of_pairs(self.pairs, symbols, 3)[:, kinds[first], kinds[second]]
        repulsion = a * np.exp(-r / np.where(rho > 0, rho, 1))
        dispersion = c / r**6
        q = np.array([self.charges[s] for s in symbols])
        bare = COULOMB * q[first] * q[second] / r
        screened = bare * erfc(self.damping * r)
        gauss = bare * 2 * self.damping / np.sqrt(np.pi)
        gauss *= np.exp(-((self.damping * r) ** 2))
        values = repulsion - dispersion + screened
        slopes = (6 * dispersion - screened) / r - gauss
        slopes -= repulsion / np.where(rho > 0, rho, 1)
        on, slope_on = switch(r, self.cutoff - SWITCH, self.cutoff)
        return _pair_sum(vectors, r, values * on, slopes * on + values * slope_on)


@dataclass(frozen=True)
class LennardJones:
    """Lennard-Jones potential, switched on between ``begin`` and ``full``."""

    epsilon: float
    sigma: float
    cutoff: float = 7.5
    begin: float = 0.0
    full: float = 0.1

    def energy(
        self, vectors: FloatArray, first: Any, second: Any, symbols: Sequence[str]
    ) -> tuple[float, FloatArray]:
        """Return the energy and its gradient; see `Term`."""
        del first, second, symbols
        r = np.sqrt(np.einsum("pa,pa->p", vectors, vectors))
        six = (self.sigma / r) ** 6
        values = 4 * self.epsilon * (six**2 - six)
        slopes = -24 * self.epsilon * (2 * six**2 - six) / r
        for start, end, sign in (
            (self.cutoff - SWITCH, self.cutoff, 1.0),
            (self.begin, self.full, -1.0),
        ):
            on, slope = switch(r, start, end)
            if sign < 0:
                on, slope = 1 - on, -slope
            values, slopes = values * on, slopes * on + values * slope
        return _pair_sum(vectors, r, values, slopes)


@dataclass(frozen=True)
class Bonds:
    """Bonds and angles of the form of Stillinger and Weber.

    Attributes
    ----------
    epsilon, sigma : float
        In eV and angstrom.
    a, big_a, big_b, strength, gamma : float
        Without units: a, A, B, lambda and gamma of the paper.
    cosine : float
        Of the preferred angle.
    between : str or None
        The pair of elements that is bonded; by default all are.
    """

    epsilon: float
    sigma: float
    a: float = 1.8
    big_a: float = 7.049556277
    big_b: float = 0.6022245584
    strength: float = 21.0
    gamma: float = 1.2
    cosine: float = -1 / 3
    between: str | None = None
    cutoff: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "cutoff", self.a * self.sigma)

    def energy(
        self, vectors: FloatArray, first: Any, second: Any, symbols: Sequence[str]
    ) -> tuple[float, FloatArray]:
        """Return the energy and its gradient; see `Term`."""
        gradient = np.zeros_like(vectors)
        near = np.einsum("pa,pa->p", vectors, vectors) < (self.cutoff - 1e-3) ** 2
        if self.between is not None:
            bonded = of_pairs({self.between: (1.0,)}, symbols, 1)[0]
            kinds = species_of(symbols)
            near &= bonded[kinds[first], kinds[second]] > 0
        bonds = np.flatnonzero(near)
        energy, gradient[bonds] = self._pairs(vectors[bonds])
        of_angles, of_bonds = self._angles(vectors[bonds], first[bonds])
        gradient[bonds] += of_bonds
        return energy + of_angles, gradient

    def _pairs(self, vectors: FloatArray) -> tuple[float, FloatArray]:
        r = np.linalg.norm(vectors, axis=1)
        x = r / self.sigma
        envelope = np.exp(1 / (x - self.a))
        power = self.big_b / x**4
        values = self.epsilon * self.big_a * (power - 1) * envelope
        slopes = self.epsilon * self.big_a / self.sigma * envelope
        slopes *= -4 * power / x - (power - 1) / (x - self.a) ** 2
        return _pair_sum(vectors, r, values, slopes)

    def _angles(self, vectors: FloatArray, first: Any) -> tuple[float, FloatArray]:
        order = np.arange(len(first))
        same = (first[:, None] == first[None, :]) & (order[:, None] < order[None, :])
        i, j = np.nonzero(same)
        r = np.linalg.norm(vectors, axis=1)
        units = vectors / r[:, None]
        x = r / self.sigma - self.a
        envelope = np.exp(self.gamma / x)
        slope = -self.gamma / x**2 / self.sigma
        cosines = np.einsum("pa,pa->p", units[i], units[j])
        off = cosines - self.cosine
        factor = self.epsilon * self.strength * envelope[i] * envelope[j]
        values = factor * off**2
        gradient = np.zeros_like(vectors)
        for one, other in ((i, j), (j, i)):
            bend = units[other] - cosines[:, None] * units[one]
            change = (2 * factor * off / r[one])[:, None] * bend
            change += (values * slope[one])[:, None] * units[one]
            np.add.at(gradient, one, change)
        return float(values.sum()), gradient


@dataclass
class AnalyticPotential:
    """Sum of terms, with the interface of the potentials of the package."""

    terms: tuple[Term, ...]
    elements: tuple[str, ...] = ()
    _listed: dict[int, Any] = field(default_factory=dict)

    def evaluate(self, supercells: Sequence[PhonopyAtoms]) -> Evaluation:
        """Return energies, forces and stresses of supercells of one size."""
        energies, forces, stresses = zip(*map(self._one, supercells), strict=True)
        return Evaluation(np.array(energies), np.array(forces), np.array(stresses))

    def save(self, path: Path) -> None:
        """Raise an error, because there is nothing to save."""
        raise NotImplementedError(path)

    def _one(self, cell: PhonopyAtoms) -> tuple[float, FloatArray, FloatArray]:
        energy, forces, virial = 0.0, np.zeros((len(cell), 3)), np.zeros((3, 3))
        for number, term in enumerate(self.terms):
            first, second, images = self._neighbours(number, term.cutoff, cell)
            positions = cell.positions
            vectors = positions[second] - positions[first] + images @ cell.cell
            part, gradient = term.energy(vectors, first, second, cell.symbols)
            energy += part
            for axis in range(3):
                g = gradient[:, axis]
                forces[:, axis] += np.bincount(first, g, len(cell))
                forces[:, axis] -= np.bincount(second, g, len(cell))
            virial += vectors.T @ gradient
        return energy, forces, (virial + virial.T) / (2 * cell.volume)

    def _neighbours(
        self, number: int, cutoff: float, cell: PhonopyAtoms
    ) -> tuple[Any, Any, Any]:
        """Return pairs of atoms and the lattice vectors between them."""
        known = self._listed.get(number)
        if known is not None:
            lattice, positions, pairs = known
            if (
                positions.shape == cell.positions.shape
                and np.array_equal(lattice, cell.cell)
                and np.abs(positions - cell.positions).max() < SKIN / 4
            ):
                return pairs
        pairs = primitive_neighbor_list(
            "ijS", (True,) * 3, cell.cell, cell.positions, cutoff + SKIN
        )
        self._listed[number] = cell.cell.copy(), cell.positions.copy(), pairs
        return pairs


class AsePotential:
    """A calculator of ASE."""

    def __init__(self, calculator: Any) -> None:
        self._calculator = calculator
        self.elements: tuple[str, ...] = ()

    def evaluate(self, supercells: Sequence[PhonopyAtoms]) -> Evaluation:
        """Return energies, forces and stresses of supercells of one size."""
        from ase import Atoms

        results = []
        for cell in supercells:
            atoms = Atoms(
                cell.symbols, positions=cell.positions, cell=cell.cell, pbc=True
            )
            atoms.calc = self._calculator
            results.append(
                (
                    atoms.get_potential_energy(),
                    atoms.get_forces(),
                    atoms.get_stress(voigt=False),
                )
            )
        energies, forces, stresses = zip(*results, strict=True)
        return Evaluation(np.array(energies), np.array(forces), np.array(stresses))

    def save(self, path: Path) -> None:
        """Raise an error, because there is nothing to save."""
        raise NotImplementedError(path)

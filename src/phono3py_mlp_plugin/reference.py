r"""Analytic potential of rigid-ion NaCl, used as a reference for tests.

The potential of a pair of ions is the Born-Mayer-Huggins form [1]_ [2]_ plus a damped
Coulomb term,

.. math::

    v_{ij}(r) = A_{ij} e^{(\sigma_{ij} - r) / \rho} - \frac{C_{ij}}{r^6}
                - \frac{D_{ij}}{r^8}
                + \frac{q_i q_j}{4 \pi \epsilon_0} \frac{\mathrm{erfc}(\alpha r)}{r} ,

shifted such that energy and force are continuous at the cutoff :math:`r_c`,

.. math::

    \phi_{ij}(r) = v_{ij}(r) - v_{ij}(r_c) - v_{ij}'(r_c) (r - r_c) , \quad r < r_c .

For the Coulomb term, this is the damped shifted-force sum [3]_ with the self energy of
the neutralised cutoff sphere [4]_,

.. math::

    E = \frac{1}{2} \sum_{i, j, \mathbf{n}}' \phi_{ij}(|\mathbf{r}_j + \mathbf{n}
        - \mathbf{r}_i|)
        - \left[ \frac{\mathrm{erfc}(\alpha r_c)}{2 r_c}
        + \frac{\alpha}{\sqrt{\pi}} \right] \sum_i \frac{q_i^2}{4 \pi \epsilon_0} ,

where :math:`\mathbf{n}` runs over all lattice vectors (no minimum image) and the prime
excludes the interaction of an ion with itself. All interactions have a finite range.
Dynamical matrices are therefore analytic at the zone centre, where LO and TO modes are
degenerate, and no non-analytical term correction is needed.

Units: angstrom, eV, eV/angstrom, eV/angstrom^3.

References
----------
.. [1] F. G. Fumi and M. P. Tosi, J. Phys. Chem. Solids 25, 31 (1964).
.. [2] M. P. Tosi and F. G. Fumi, J. Phys. Chem. Solids 25, 45 (1964).
.. [3] C. J. Fennell and J. D. Gezelter, J. Chem. Phys. 124, 234104 (2006).
.. [4] D. Wolf, P. Keblinski, S. R. Phillpot and J. Eggebrecht, J. Chem. Phys. 110,
       8254 (1999).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.constants import elementary_charge, epsilon_0
from scipy.optimize import brentq
from scipy.special import erfc

from phono3py_mlp_plugin.ranges import Length, Positive, check_ranges

from .contracts import Dataset, Evaluation, FloatArray
from .errors import ParameterError, PotentialError

if TYPE_CHECKING:
    from pathlib import Path

    from phonopy.structure.atoms import PhonopyAtoms

ELEMENTS = ("Na", "Cl")
CHARGES = np.array([1.0, -1.0])

# e^2 / (4 pi epsilon_0) in eV angstrom.
COULOMB = elementary_charge / (4 * np.pi * epsilon_0) * 1e10

# Values of the papers in eV and angstrom, rows and columns in the order of ELEMENTS.
# Repulsion: b = 0.338e-19 J times Pauling's factors 1.25, 1 and 0.75, at the sums of
# the ionic radii 1.170 and 1.585 angstrom. Dispersion: C = 1.68, 11.2, 116 in 1e-79 J
# m^6 and D = 0.8, 13.9, 233 in 1e-99 J m^8.
RHO = 0.317
A = np.array([[0.2637, 0.2110], [0.2110, 0.1582]])
SIGMA = np.array([[2.340, 2.755], [2.755, 3.170]])
C = np.array([[1.0486, 6.9906], [6.9906, 72.4022]])
D = np.array([[0.4993, 8.6758], [8.6758, 145.4285]])

# Distance below which the dispersion terms of two chlorine ions exceed their repulsion
# (for other pairs the distance is smaller), so that the energy has no lower bound.
OVERLAP = 1.3

# Range of lattice constants in which the equilibrium is searched for.
LATTICE_CONSTANTS = (4.5, 7.0)


@dataclass(frozen=True)
class RigidIonNaCl:
    """Rigid-ion sodium chloride, an analytic potential.

    Attributes
    ----------
    cutoff : float
        Distance in angstrom beyond which pair energies and forces are zero.
    damping : float
        Parameter alpha of the damped Coulomb term in 1/angstrom.

    Examples
    --------
    >>> import numpy as np
    >>> from phonopy.structure.atoms import PhonopyAtoms
    >>> cell = PhonopyAtoms(
    ...     symbols=["Na", "Cl"],
    ...     cell=2.8 * (np.ones((3, 3)) - np.eye(3)),
    ...     scaled_positions=[[0, 0, 0], [0.5, 0.5, 0.5]],
    ... )
    >>> evaluation = RigidIonNaCl().evaluate([cell])
    >>> evaluation.forces.shape, evaluation.stresses.shape
    ((1, 2, 3), (1, 3, 3))
    >>> bool(np.allclose(evaluation.forces, 0))
    True
    """

    # The part of the energy of the crystal that is neglected is of the order of
    # erfc(alpha r_c) = 2e-5 in real space and exp(-G^2 / 4 alpha^2) = 3e-7 in
    # reciprocal space. The second derivative is discontinuous at the cutoff. The
    # closest shell of the crystal is 0.08 angstrom away, so that displacements of a few
    # 0.01 angstrom are not affected.
    cutoff: Length = 12.0
    damping: Positive = 0.25

    def __post_init__(self) -> None:
        check_ranges(self)

    @property
    def elements(self) -> tuple[str, ...]:
        """Chemical symbols of the potential."""
        return ELEMENTS

    def evaluate(self, supercells: Sequence[PhonopyAtoms]) -> Evaluation:
        """Return energies, forces and stresses of supercells of one size.

        Parameters
        ----------
        supercells : sequence of PhonopyAtoms
            n supercells of N atoms; their cells may be small or skewed.

        Returns
        -------
        Evaluation
            Energies are relative to free ions at rest. Time and memory of a supercell
            are proportional to N^2 times the number of its images within the cutoff.

        Raises
        ------
        PotentialError
            If an element is neither Na nor Cl, sizes differ, or ions overlap.
        """
        sizes = sorted({len(cell) for cell in supercells})
        if len(sizes) != 1:
            raise PotentialError(
                f"rigid-ion NaCl: atoms in the supercells = {sizes}; expected "
                "supercells of one size, at least one. Evaluate each size by itself."
            )
        energies, forces, stresses = zip(
            *(self._evaluate_one(cell) for cell in supercells), strict=True
        )
        return Evaluation(np.array(energies), np.array(forces), np.array(stresses))

    def save(self, path: Path) -> None:
        """Raise an error, because an analytic potential cannot be saved."""
        raise PotentialError(
            f"{path}: an analytic potential has nothing to save. "
            f"Construct {self!r} where it is needed."
        )

    def _evaluate_one(self, cell: PhonopyAtoms) -> tuple[float, FloatArray, FloatArray]:
        species = _species(cell.symbols)
        first, second, vectors = _pairs_within(cell.cell, cell.positions, self.cutoff)
        distances = np.sqrt(np.einsum("pa,pa->p", vectors, vectors))
        _check_overlap(distances)

        pair = species[first], species[second]
        values, slopes = self._shifted_pair(distances, pair)
        # Each pair is listed in both orders: half of each energy and virial.
        energy = float(values.sum()) / 2 + self._self_energy(species)
        pair_forces = (slopes / distances)[:, None] * vectors
        forces = np.zeros((len(species), 3))
        np.add.at(forces, first, pair_forces)
        virial: FloatArray = pair_forces.T @ vectors
        return energy, forces, (virial + virial.T) / (4 * cell.volume)

    def _shifted_pair(
        self, distances: FloatArray, pair: tuple[NDArray[np.intp], NDArray[np.intp]]
    ) -> tuple[FloatArray, FloatArray]:
        """Return phi and phi' of the equation in the docstring of this module."""
        values, slopes = _pair_energy(distances, pair, self.damping)
        ends = np.full(CHARGES.shape * 2, self.cutoff)
        na_or_cl = np.arange(len(CHARGES))
        end_values, end_slopes = _pair_energy(
            ends, (na_or_cl[:, None], na_or_cl[None, :]), self.damping
        )
        shifted = (
            values - end_values[pair] - end_slopes[pair] * (distances - self.cutoff)
        )
        return shifted, slopes - end_slopes[pair]

    def _self_energy(self, species: NDArray[np.intp]) -> float:
        shift = erfc(self.damping * self.cutoff) / (2 * self.cutoff)
        factor = shift + self.damping / np.sqrt(np.pi)
        return float(-COULOMB * factor * np.sum(CHARGES[species] ** 2))


def equilibrium_lattice_constant(potential: RigidIonNaCl) -> float:
    """Return the lattice constant of rock salt at zero stress, in angstrom.

    Parameters
    ----------
    potential : RigidIonNaCl

    Returns
    -------
    float
        Edge of the conventional cell of 8 atoms, without zero-point expansion.

    Examples
    --------
    >>> round(equilibrium_lattice_constant(RigidIonNaCl()), 2)
    5.62
    """

    def tension(lattice_constant: float) -> float:
        _, _, stress = potential._evaluate_one(rock_salt(lattice_constant))
        return float(np.trace(stress))

    shortest, longest = LATTICE_CONSTANTS
    if not tension(shortest) < 0 < tension(longest):
        raise ParameterError(
            f"rigid-ion NaCl: cutoff = {potential.cutoff}, damping = "
            f"{potential.damping} bind no crystal with a lattice constant between "
            f"{shortest} and {longest} angstrom. Use a longer cutoff or less damping."
        )
    return float(brentq(tension, shortest, longest, xtol=1e-12))


def rock_salt(lattice_constant: float) -> PhonopyAtoms:
    """Return the conventional cell of NaCl, 4 sodium ions followed by 4 chlorine ions.

    Parameters
    ----------
    lattice_constant : float
        In angstrom.

    Returns
    -------
    PhonopyAtoms
    """
    from phonopy.structure.atoms import PhonopyAtoms

    sodium = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    return PhonopyAtoms(
        symbols=["Na"] * 4 + ["Cl"] * 4,
        cell=lattice_constant * np.eye(3),
        scaled_positions=np.vstack([sodium, (sodium + 0.5) % 1]),
    )


def nacl_dataset(
    n_supercells: int, *, amplitude: float = 0.03, seed: int = 0, repeats: int = 2
) -> tuple[PhonopyAtoms, Dataset]:
    """Return rock salt and randomly displaced supercells with forces and energies.

    Parameters
    ----------
    n_supercells : int
        Number of snapshots n.
    amplitude : float
        Length in angstrom of the displacement of each atom. Directions are distributed
        uniformly over the sphere.
    seed : int
        Snapshot k is generated with ``numpy.random.default_rng([seed, k])`` and does
        not depend on n.
    repeats : int
        Number of conventional cells along each edge of the supercell.

    Returns
    -------
    unitcell : PhonopyAtoms
        The conventional cell at the lattice constant of zero stress.
    dataset : Dataset
        Supercells of N = 8 repeats^3 atoms in the order of phonopy.

    Examples
    --------
    >>> unitcell, dataset = nacl_dataset(3)
    >>> len(unitcell), dataset.displacements.shape, dataset.energies.shape
    (8, (3, 64, 3), (3,))
    """
    from phonopy.structure.cells import get_supercell

    potential = RigidIonNaCl()
    unitcell = rock_salt(equilibrium_lattice_constant(potential))
    supercell = get_supercell(unitcell, np.diag([repeats] * 3))
    displacements = np.array(
        [
            _random_displacements(len(supercell), amplitude, (seed, k))
            for k in range(n_supercells)
        ]
    )
    without_forces = Dataset(supercell, displacements, np.zeros_like(displacements))
    evaluation = potential.evaluate(without_forces.supercells())
    dataset = Dataset(supercell, displacements, evaluation.forces, evaluation.energies)
    return unitcell, dataset


def _random_displacements(
    n_atoms: int, amplitude: float, seed: tuple[int, int]
) -> FloatArray:
    directions = np.random.default_rng(seed).standard_normal((n_atoms, 3))
    lengths = np.linalg.norm(directions, axis=1, keepdims=True)
    return np.asarray(amplitude * directions / lengths, dtype=np.float64)


def _species(symbols: Sequence[str]) -> NDArray[np.intp]:
    """Return the index of each atom in `ELEMENTS`."""
    for symbol in symbols:
        if symbol not in ELEMENTS:
            raise PotentialError(
                f"rigid-ion NaCl: element = {symbol}; expected Na or Cl. "
                "Use another potential for this crystal."
            )
    return np.array([ELEMENTS.index(symbol) for symbol in symbols], dtype=np.intp)


def _pairs_within(
    lattice: FloatArray, positions: FloatArray, cutoff: float
) -> tuple[NDArray[np.intp], NDArray[np.intp], FloatArray]:
    r"""Return all pairs of atoms and periodic images within the cutoff.

    Separations are first reduced to fractional coordinates within one half. Along
    lattice vector i, whose lattice planes have the distance :math:`h_i`, only images up
    to :math:`\lfloor r_c / h_i + 1/2 \rfloor` can then be within the cutoff.

    Parameters
    ----------
    lattice : ndarray
        Lattice vectors as rows, shape ``(3, 3)``.
    positions : ndarray
        Cartesian positions, shape ``(N, 3)``.
    cutoff : float

    Returns
    -------
    first, second : ndarray
        Atoms of each pair, shape ``(n_pairs,)``; each pair is listed in both orders.
    vectors : ndarray
        Vectors from the first atom to the image of the second, shape ``(n_pairs, 3)``.
    """
    inverse = np.linalg.inv(lattice)
    spacings = 1 / np.linalg.norm(inverse, axis=0)
    n_images = np.floor(cutoff / spacings + 0.5).astype(int)
    images = np.indices(2 * n_images + 1).reshape(3, -1).T - n_images

    fractions = positions @ inverse
    separations = fractions[None, :] - fractions[:, None]
    nearest = (separations - np.round(separations)) @ lattice
    vectors = nearest[:, :, None] + images @ lattice

    near = np.einsum("ijna,ijna->ijn", vectors, vectors) < cutoff**2
    atoms = np.arange(len(positions))
    near[atoms, atoms, ~images.any(axis=1)] = False
    first, second, _ = np.nonzero(near)
    return first, second, vectors[near]


def _check_overlap(distances: FloatArray) -> None:
    nearest = distances.min(initial=np.inf)
    if not nearest >= OVERLAP:
        raise PotentialError(
            f"rigid-ion NaCl: shortest distance = {nearest:.3f} angstrom; expected at "
            f"least {OVERLAP}. Use smaller displacements."
        )


def _pair_energy(
    distances: FloatArray,
    pair: tuple[NDArray[np.intp], NDArray[np.intp]],
    damping: float,
) -> tuple[FloatArray, FloatArray]:
    """Return v and v' of the equation of this module, in eV and eV/angstrom."""
    repulsion = A[pair] * np.exp((SIGMA[pair] - distances) / RHO)
    dipole_dipole = C[pair] / distances**6
    dipole_quadrupole = D[pair] / distances**8
    charges = COULOMB * CHARGES[pair[0]] * CHARGES[pair[1]] / distances
    screened = charges * erfc(damping * distances)
    gaussian = (
        charges * 2 * damping / np.sqrt(np.pi) * np.exp(-((damping * distances) ** 2))
    )
    values = repulsion - dipole_dipole - dipole_quadrupole + screened
    slopes = (6 * dipole_dipole + 8 * dipole_quadrupole - screened) / distances
    return values, slopes - repulsion / RHO - gaussian

"""Assignment of atoms to the sites of a supercell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from phono3py_mlp_plugin.contracts import FloatArray
from phono3py_mlp_plugin.errors import DatasetError
from phono3py_mlp_plugin.workflow.species import element_of

if TYPE_CHECKING:
    from phonopy.structure.atoms import PhonopyAtoms

_SHIFTS = np.array(np.meshgrid(*[(-1, 0, 1)] * 3)).reshape(3, -1).T

# Largest difference (angstrom) between lattice vectors of the same supercell written by
# different programs.
_LATTICE_TOLERANCE = 1e-3


class Sites:
    """The sites of a supercell, with their periodic images."""

    def __init__(self, supercell: PhonopyAtoms) -> None:
        self.supercell = supercell
        self._elements = np.array([element_of(s) for s in supercell.symbols])
        images = supercell.scaled_positions[:, None] + _SHIFTS
        self._images = images @ supercell.cell
        distances, _ = cKDTree(self._images.reshape(-1, 3)).query(
            supercell.positions, k=2
        )
        self.neighbour_distance = float(distances[:, 1].min())
        """Shortest distance between atoms (angstrom)."""

    def assign(
        self, lattice: FloatArray, symbols: list[str], positions: FloatArray
    ) -> tuple[NDArray[np.intp], FloatArray]:
        """Return the atom at each site and its displacement from the site.

        Parameters
        ----------
        lattice : ndarray
            Rows are lattice vectors (angstrom), shape ``(3, 3)``.
        symbols : list of str
        positions : ndarray
            Cartesian positions (angstrom) in any order, which may be wrapped into the
            cell, shape ``(N, 3)``.

        Returns
        -------
        order : ndarray
            Index of the atom at each site, shape ``(N,)``.
        displacements : ndarray
            In the order of sites (angstrom), shape ``(N, 3)``.

        Raises
        ------
        DatasetError
            If the lattice or composition differs, or an atom is too far from its site.
        """
        self._check_crystal(lattice, symbols)
        cell = self.supercell.cell
        scaled = positions @ np.linalg.inv(cell)
        wrapped = (scaled - np.floor(scaled)) @ cell
        site_of = np.empty(len(symbols), dtype=np.intp)
        displacements = np.empty((len(symbols), 3))
        # Other programs do not write the numbers of species such as Mn1.
        elements = np.array([element_of(symbol) for symbol in symbols])
        for element in dict.fromkeys(elements):
            atoms = np.flatnonzero(elements == element)
            sites = np.flatnonzero(self._elements == element)
            images = self._images[sites].reshape(-1, 3)
            _, nearest = cKDTree(images).query(wrapped[atoms])
            site_of[atoms] = sites[nearest // len(_SHIFTS)]
            displacements[atoms] = wrapped[atoms] - images[nearest]
        self._check_assignment(site_of, displacements)
        order = np.argsort(site_of)
        return order, displacements[order]

    def _check_crystal(self, lattice: FloatArray, symbols: list[str]) -> None:
        expected = self.supercell
        if sorted(map(element_of, symbols)) != sorted(self._elements):
            raise DatasetError(
                f"{_composition(symbols)}; the supercell is "
                f"{_composition(expected.symbols)}. Was it made for another supercell?"
            )
        differences = np.abs(np.asarray(lattice) - expected.cell).max(axis=1)
        if not differences.max() <= _LATTICE_TOLERANCE:
            axis = int(differences.argmax())
            raise DatasetError(
                f"lattice vector {'abc'[axis]} = {_vector(lattice[axis])}; that of the "
                f"supercell is {_vector(expected.cell[axis])}. Was it made for another "
                "supercell, or rotated?"
            )

    def _check_assignment(
        self, site_of: NDArray[np.intp], displacements: FloatArray
    ) -> None:
        lengths = np.linalg.norm(displacements, axis=1)
        atom = int(lengths.argmax())
        if not lengths[atom] <= self.neighbour_distance / 2:
            raise DatasetError(
                f"atom {atom + 1} is {lengths[atom]:.2f} angstrom from the nearest "
                f"site of its element; atoms are {self.neighbour_distance:.2f} apart. "
                "Is the origin at another place, or did the atom leave its site?"
            )
        counts = np.bincount(site_of, minlength=len(site_of))
        if counts.max() > 1:
            one, two = np.flatnonzero(site_of == counts.argmax())[:2] + 1
            raise DatasetError(
                f"atoms {one} and {two} are both nearest to site "
                f"{counts.argmax() + 1}. Did an atom leave its site?"
            )


def _composition(symbols: list[str]) -> str:
    return " ".join(f"{s}{list(symbols).count(s)}" for s in dict.fromkeys(symbols))


def _vector(vector: FloatArray) -> str:
    return "[" + " ".join(f"{x:.4f}" for x in vector) + "]"

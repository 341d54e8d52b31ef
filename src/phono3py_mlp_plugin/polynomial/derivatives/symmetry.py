"""Inequivalent atoms, sites and pairs under the symmetry of a supercell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from phono3py_mlp_plugin.contracts import FloatArray, IntArray

if TYPE_CHECKING:
    from phonopy.structure.symmetry import Symmetry

# Differences of elements of rotation matrices: those of different ones are larger.
_SAME_ROTATION = 1e-2


@dataclass(frozen=True, eq=False)
class Operations:
    """Symmetry operations of a supercell, its lattice translations among them.

    Attributes
    ----------
    rotations : ndarray
        Cartesian, shape ``(n_operations, 3, 3)``.
    permutations : ndarray
        Operation k moves atom i to where atom ``permutations[k, i]`` is, shape
        ``(n_operations, N)``.
    """

    rotations: FloatArray
    permutations: IntArray


def operations_of(
    symmetry: Symmetry, lattice: FloatArray, atoms: IntArray
) -> Operations:
    """Return the operations of a supercell on some of its atoms.

    Parameters
    ----------
    symmetry : Symmetry
        Of phonopy.
    lattice : ndarray
        Lattice vectors as rows, in angstrom.
    atoms : ndarray
        In ascending order.
    """
    rotations = symmetry.symmetry_operations["rotations"]
    permutations = symmetry.atomic_permutations[:, atoms]
    columns = lattice.T
    return Operations(
        columns @ rotations @ np.linalg.inv(columns),
        np.searchsorted(atoms, permutations),
    )


class SiteSymmetry:
    """Which atoms and pairs are equivalent, and how tensors follow from each other.

    Parameters
    ----------
    operations : Operations

    Attributes
    ----------
    atoms : ndarray
        The atom with the smallest number that is equivalent to each, ``(N,)``.
    sublattices : ndarray
        The same under translations alone.
    translations : ndarray
        Permutations of the lattice translations.
    """

    def __init__(self, operations: Operations) -> None:
        self._operations = operations
        self._is_translation = (
            np.abs(operations.rotations - np.eye(3)).max(axis=(1, 2)) < _SAME_ROTATION
        )
        self.translations = operations.permutations[self._is_translation]
        self.atoms = operations.permutations.min(axis=0)
        self.sublattices = self.translations.min(axis=0)

    @property
    def inequivalent(self) -> IntArray:
        """The inequivalent atoms."""
        return np.unique(self.atoms)

    def orbit_labels(self, *fixed: int) -> IntArray:
        """Return the orbit of every atom under operations that leave some in place.

        Parameters
        ----------
        *fixed : int
            The atoms that stay where they are.

        Returns
        -------
        ndarray
            The smallest number of an atom in the orbit, shape ``(N,)``.
        """
        permutations = self._operations.permutations
        stay = (permutations[:, fixed] == fixed).all(axis=1)
        return np.asarray(permutations[stay].min(axis=0))

    def per_primitive_cell(self, atom: int) -> int:
        """Return the number of sublattices with atoms equivalent to one."""
        return len(np.unique(self.sublattices[self.atoms == self.atoms[atom]]))

    def to_sublattice(self, atom: int) -> IntArray:
        """Return the translation that moves an atom to that of its sublattice."""
        found = np.flatnonzero(self.translations[:, atom] == self.sublattices[atom])
        return np.asarray(self.translations[found[0]])

    def between(self, atom: int, other: int) -> tuple[FloatArray, IntArray]:
        """Return rotation and permutation of an operation from an atom to another."""
        found = np.flatnonzero(self._operations.permutations[:, atom] == other)
        # A translation if there is one: tensors are not rotated then.
        found = found[np.argsort(~self._is_translation[found], kind="stable")]
        operation = found[0]
        rotation = self._operations.rotations[operation]
        if self._is_translation[operation]:
            rotation = np.eye(3)
        return rotation, self._operations.permutations[operation]

    def averaging(self, atom: int) -> list[list[tuple[FloatArray, IntArray]]]:
        """Return how to average over the operations that leave an atom in its place.

        The group is built up from subgroups: the mean over each list, applied one after
        the other, is the mean over the group. The identity is left out of each list.
        """
        permutations = self._operations.permutations
        site = np.flatnonzero(permutations[:, atom] == atom)
        rotations = self._operations.rotations[site]
        product = _multiplication_table(rotations)
        (identity,) = np.flatnonzero(self._is_translation[site])
        group = np.zeros(len(site), dtype=bool)
        group[identity] = True
        steps = []
        while not group.all():
            larger, representatives = min(
                (
                    _extended(group, int(element), product)
                    for element in np.flatnonzero(~group)
                ),
                key=lambda found: found[0].sum(),
            )
            steps.append(
                [(rotations[k], permutations[site[k]]) for k in representatives]
            )
            group = larger
        return steps


def _multiplication_table(rotations: FloatArray) -> IntArray:
    """Return the number of the product of each two rotations."""
    products = np.einsum("aij,bjk->abik", rotations, rotations)
    n = len(rotations)
    flat = products.reshape(n * n, 9)
    scalar = flat @ rotations.reshape(n, 9).T
    return np.asarray(scalar.argmax(axis=1).reshape(n, n))


def _extended(
    group: NDArray[np.bool_], element: int, product: IntArray
) -> tuple[NDArray[np.bool_], list[int]]:
    """Return the group generated by a group and an element, and coset representatives.

    The identity's coset is left out.
    """
    larger = group.copy()
    larger[element] = True
    while True:
        members = np.flatnonzero(larger)
        closed = larger.copy()
        closed[product[np.ix_(members, members)]] = True
        if closed.sum() == larger.sum():
            break
        larger = closed
    covered = group.copy()
    representatives = []
    subgroup = np.flatnonzero(group)
    for k in np.flatnonzero(larger):
        if not covered[k]:
            representatives.append(int(k))
            covered[product[k, subgroup]] = True
    return larger, representatives

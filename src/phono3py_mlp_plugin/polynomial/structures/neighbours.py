"""Pairs of atoms within the cutoff, in periodic cells of any shape and size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from phono3py_mlp_plugin.contracts import FloatArray, IntArray
from phono3py_mlp_plugin.errors import ParameterError, PotentialError
from phono3py_mlp_plugin.polynomial.kernels.simd import kernel

# Distance (angstrom) below which atoms coincide. The functions are undefined there.
_COINCIDENT = 1e-3

# Distance (angstrom) from the cutoff within which second derivatives are not defined:
# those of the cutoff function jump there.
_AT_CUTOFF = 1e-5

# Distances (angstrom) within which neighbours belong to one shell.
_SHELL = 0.05

# Distance (angstrom) by which a cutoff is reduced at most if there are atoms at it.
_SHORTER = 0.2

# Larger than needed by any potential: a cutoff of 25 angstrom in the densest crystals,
# 45 angstrom in NaCl.
_MOST_NEIGHBOURS = 20_000


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Ordered pairs (i, j) of atoms and images, sorted by i.

    Attributes
    ----------
    start : ndarray
        Pairs of atom i are ``start[i]`` to ``start[i + 1]``, shape ``(N + 1,)``.
    partners : ndarray
        Atom j of each pair, shape ``(n_pairs,)``.
    vectors : ndarray
        Vectors from i to the image of j in angstrom, shape ``(n_pairs, 3)``.
    """

    start: IntArray
    partners: IntArray
    vectors: FloatArray


def find_neighbours(
    lattice: FloatArray, positions: FloatArray, cutoff: float
) -> Neighbours:
    """Return all pairs within the cutoff.

    Atoms and their images close to the cell are sorted into boxes, so that the cost is
    proportional to the number of atoms.

    Parameters
    ----------
    lattice : ndarray
        Lattice vectors as rows, in angstrom, shape ``(3, 3)``.
    positions : ndarray
        Cartesian positions in angstrom, shape ``(N, 3)``.
    cutoff : float
        In angstrom.

    Raises
    ------
    PotentialError
        If two atoms coincide, or there are too many pairs.
    """
    _check_number(lattice, len(positions), cutoff)
    inverse = np.linalg.inv(lattice)
    fractional = positions @ inverse
    fractional -= np.floor(fractional)
    # Distances between opposite faces are 1 / |column of the inverse|.
    margin = cutoff * np.sqrt((inverse**2).sum(axis=0))
    images, atoms = _images(fractional, margin)
    boxes = np.clip(((1.0 + 2.0 * margin) / margin).astype(np.int64), 1, 64)
    box = ((images + margin) / (1.0 + 2.0 * margin) * boxes).astype(np.int64)
    box = np.clip(box, 0, boxes - 1)
    number = (box[:, 0] * boxes[1] + box[:, 1]) * boxes[2] + box[:, 2]
    order = np.argsort(number, kind="stable")
    first = np.searchsorted(number[order], np.arange(np.prod(boxes) + 1))
    centres = np.ascontiguousarray(fractional @ lattice)
    cartesian = np.ascontiguousarray(images[order] @ lattice)
    home = ((fractional + margin) / (1.0 + 2.0 * margin) * boxes).astype(np.int64)
    arguments = (centres, home, boxes, first, cartesian, atoms[order], cutoff**2)
    start = np.zeros(len(positions) + 1, dtype=np.int64)
    no_output = (np.empty(0, dtype=np.int64), np.empty((0, 3)))
    _pairs(*arguments, start, *no_output, False)
    start = np.concatenate(([0], np.cumsum(start[1:])))
    partners = np.empty(start[-1], dtype=np.int64)
    vectors = np.empty((start[-1], 3))
    _pairs(*arguments, start.copy(), partners, vectors, True)
    neighbours = Neighbours(start, partners, vectors)
    _check_apart(neighbours)
    return neighbours


def nearest_distances(lattice: FloatArray, positions: FloatArray) -> FloatArray:
    """Return the distance of the nearest neighbour of each atom in angstrom.

    Parameters
    ----------
    lattice, positions : ndarray
        See `find_neighbours`. Images of an atom are its neighbours, too.

    Returns
    -------
    ndarray
        Shape ``(N,)``.

    Raises
    ------
    PotentialError
        If two atoms coincide.
    """
    n = len(positions)
    radius = (abs(float(np.linalg.det(lattice))) / n) ** (1 / 3)
    # Each atom has at least its own image at the shortest lattice vector as neighbour.
    farthest = float(np.linalg.norm(lattice, axis=1).min()) * 1.01
    while True:
        neighbours = find_neighbours(lattice, positions, min(radius, farthest))
        if np.diff(neighbours.start).all() or radius >= farthest:
            break
        radius *= 1.5
    distances = np.sqrt((neighbours.vectors**2).sum(axis=1))
    return np.minimum.reduceat(distances, neighbours.start[:-1])


def check_cutoff(lattice: FloatArray, positions: FloatArray, cutoff: float) -> None:
    """Raise if an atom has no neighbour within the cutoff, or too many.

    Parameters
    ----------
    lattice, positions, cutoff
        See `find_neighbours`.

    Raises
    ------
    PotentialError
    """
    _check_number(lattice, len(positions), cutoff)
    nearest = nearest_distances(lattice, positions)
    atom = int(nearest.argmax())
    if nearest[atom] >= cutoff:
        raise PotentialError(
            f"cutoff = {cutoff:g} angstrom: the nearest neighbour of atom {atom + 1} "
            f"of the supercell is {nearest[atom]:.3f} angstrom away; expected a "
            "cutoff beyond the nearest neighbours of all atoms (6 to 12 angstrom are "
            "usual). Train with a longer one."
        )


def cutoff_between_shells(
    lattice: FloatArray, positions: FloatArray, cutoff: float
) -> float:
    """Return a cutoff (angstrom) at which there is no atom, the nearest shorter one.

    Second derivatives of potentials jump where atoms are at the cutoff.

    Parameters
    ----------
    lattice, positions, cutoff
        See `find_neighbours`.

    Returns
    -------
    float
        The given one if there is no atom at it. Otherwise one between it and the next
        shell of neighbours inside, with two digits.

    Raises
    ------
    PotentialError
        See `find_neighbours`.
    """
    found = find_neighbours(lattice, positions, cutoff + _AT_CUTOFF)
    distances = np.sqrt((found.vectors**2).sum(axis=1))
    if not (distances > cutoff - _AT_CUTOFF).any():
        return cutoff
    inside = distances[distances < cutoff - _SHELL]
    gap = cutoff - float(inside.max(initial=cutoff - 2 * _SHORTER))
    return round(cutoff - min(gap / 2, _SHORTER), 2)


def check_beyond_nearest(
    lattice: FloatArray, positions: FloatArray, cutoffs: Mapping[str, float]
) -> None:
    """Raise if a cutoff of force constants is shorter than all bonds.

    Parameters
    ----------
    lattice, positions
        See `find_neighbours`.
    cutoffs : mapping
        Lengths in angstrom by name.

    Raises
    ------
    ParameterError
    """
    if not cutoffs:
        return
    nearest = float(nearest_distances(lattice, positions).min())
    for name, cutoff in cutoffs.items():
        if not cutoff > nearest:
            raise ParameterError(
                f"{name} = {cutoff:g} angstrom; expected more than {nearest:.3f}, the "
                "distance of the nearest neighbours: no two atoms would be left with "
                "force constants. Give a longer one, or leave it out."
            )


def _check_number(lattice: FloatArray, n_atoms: int, cutoff: float) -> None:
    """Raise if there would be too many neighbours for the memory."""
    volume = abs(float(np.linalg.det(lattice)))
    if not volume > 0:
        raise PotentialError(
            f"the volume of a supercell is {volume:g} angstrom^3; expected a positive "
            "one. Correct the lattice vectors."
        )
    density = n_atoms / volume
    expected = density * 4 / 3 * np.pi * min(cutoff, 1e100) ** 3
    if not expected <= _MOST_NEIGHBOURS:
        longest = (_MOST_NEIGHBOURS / (density * 4 / 3 * np.pi)) ** (1 / 3)
        raise PotentialError(
            f"cutoff = {cutoff:g} angstrom: about {expected:.2g} neighbours of each "
            f"atom; expected at most {_MOST_NEIGHBOURS:,}, a cutoff of {longest:.3g} "
            "angstrom in this crystal (6 to 12 are usual). Train with a shorter one."
        )


def _images(fractional: FloatArray, margin: FloatArray) -> tuple[FloatArray, IntArray]:
    """Return atoms and their images within a margin of the cell, axis by axis."""
    images, atoms = fractional, np.arange(len(fractional))
    for axis in range(3):
        n_images = int(np.ceil(margin[axis]))
        shifted, numbers = [], []
        for shift in range(-n_images, n_images + 1):
            along = images[:, axis] + shift
            near = (along >= -margin[axis]) & (along <= 1.0 + margin[axis])
            moved = images[near].copy()
            moved[:, axis] += shift
            shifted.append(moved)
            numbers.append(atoms[near])
        images, atoms = np.concatenate(shifted), np.concatenate(numbers)
    return images, atoms


@kernel
def _pairs(
    centres: Any,
    home: Any,
    boxes: Any,
    first: Any,
    cartesian: Any,
    atoms: Any,
    cutoff_squared: float,
    start: Any,
    partners: Any,
    vectors: Any,
    write: bool,
) -> None:
    """Count pairs of atom i into ``start[i + 1]``, or write them from ``start[i]``."""
    for i in range(centres.shape[0]):
        count = 0
        for a in range(max(home[i, 0] - 1, 0), min(home[i, 0] + 2, boxes[0])):
            for b in range(max(home[i, 1] - 1, 0), min(home[i, 1] + 2, boxes[1])):
                row = (a * boxes[1] + b) * boxes[2]
                low = row + max(home[i, 2] - 1, 0)
                high = row + min(home[i, 2] + 2, boxes[2])
                for k in range(first[low], first[high]):
                    x = cartesian[k, 0] - centres[i, 0]
                    y = cartesian[k, 1] - centres[i, 1]
                    z = cartesian[k, 2] - centres[i, 2]
                    squared = x * x + y * y + z * z
                    if squared >= cutoff_squared:
                        continue
                    if atoms[k] == i and squared < 1e-12:
                        continue
                    if write:
                        at = start[i] + count
                        partners[at] = atoms[k]
                        vectors[at, 0] = x
                        vectors[at, 1] = y
                        vectors[at, 2] = z
                    count += 1
        if not write:
            start[i + 1] = count


def _check_apart(neighbours: Neighbours) -> None:
    squared = (neighbours.vectors**2).sum(axis=1)
    if len(squared) and squared.min() < _COINCIDENT**2:
        pair = int(squared.argmin())
        i = int(np.searchsorted(neighbours.start, pair, side="right")) - 1
        j = int(neighbours.partners[pair])
        raise PotentialError(
            f"atoms {i + 1} and {j + 1} of a supercell are {squared.min() ** 0.5:.1e} "
            "angstrom apart; expected different positions. Correct the positions."
        )

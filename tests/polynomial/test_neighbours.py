"""Cutoffs against crystals of any shape."""

import itertools

import numpy as np
import pytest

from phono3py_mlp_plugin.errors import ParameterError, PotentialError
from phono3py_mlp_plugin.polynomial.structures.neighbours import (
    check_beyond_nearest,
    check_cutoff,
    cutoff_between_shells,
    find_neighbours,
    nearest_distances,
)


def crystal(seed, n):
    rng = np.random.default_rng(seed)
    lattice = np.diag([12.0, 4.0, 6.0]) + rng.normal(size=(3, 3))
    return lattice, rng.random((n, 3)) @ lattice


@pytest.mark.parametrize("n", [1, 2, 7, 40])
@pytest.mark.parametrize("seed", range(3))
def test_nearest_distances_are_those_of_all_images(seed, n):
    lattice, positions = crystal(seed, n)
    shifts = np.array(list(itertools.product(range(-5, 6), repeat=3))) @ lattice
    expected = []
    for position in positions:
        vectors = positions + shifts[:, None] - position
        expected.append(np.sort(np.linalg.norm(vectors, axis=2).ravel())[1])
    np.testing.assert_allclose(nearest_distances(lattice, positions), expected)


def test_cutoff_is_refused_from_where_an_atom_is_alone():
    lattice, positions = crystal(0, 7)
    longest = nearest_distances(lattice, positions).max()
    check_cutoff(lattice, positions, longest * 1.001)
    with pytest.raises(PotentialError, match="nearest neighbour of atom"):
        check_cutoff(lattice, positions, longest)


@pytest.mark.parametrize("cutoff", [4.0, 8.0, 12.0])
def test_a_cutoff_at_a_shell_of_neighbours_is_moved_between_shells(cutoff):
    lattice = np.eye(3) * 4.0
    positions = np.array([[0, 0, 0], [0, 2, 2], [2, 0, 2], [2, 2, 0]], dtype=float)
    other = cutoff_between_shells(lattice, positions, cutoff)
    assert cutoff - 0.5 < other < cutoff
    assert cutoff_between_shells(lattice, positions, other) == other
    assert cutoff_between_shells(lattice, positions, 2.0) == 2.0


@pytest.mark.parametrize("cutoff", [60.0, 1e6, 1e300])
@pytest.mark.parametrize("check", [check_cutoff, find_neighbours])
def test_cutoff_without_end_is_refused_before_memory_is_taken(check, cutoff):
    with pytest.raises(PotentialError, match="expected at most 20,000"):
        check(*crystal(0, 40), cutoff)


def test_cell_without_volume_is_told():
    with pytest.raises(PotentialError, match="volume of a supercell is 0"):
        find_neighbours(np.ones((3, 3)), np.zeros((1, 3)), 5.0)


def test_cutoff_of_force_constants_must_reach_a_neighbour():
    lattice, positions = crystal(0, 7)
    shortest = nearest_distances(lattice, positions).min()
    check_beyond_nearest(lattice, positions, {})
    check_beyond_nearest(lattice, positions, {"--cutoff-pair": shortest * 1.001})
    with pytest.raises(ParameterError, match="--cutoff-pair = "):
        check_beyond_nearest(lattice, positions, {"--cutoff-pair": shortest * 0.999})
    with pytest.raises(ParameterError, match="cutoff = nan"):
        check_beyond_nearest(lattice, positions, {"cutoff": np.nan})

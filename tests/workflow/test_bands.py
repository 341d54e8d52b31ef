"""Points of the Brillouin zone, and phonons there."""

import numpy as np
import pytest
from phono3py import Phono3py
from phonopy.structure.atoms import PhonopyAtoms

from phono3py_mlp_plugin.workflow import (
    band_path,
    harmonic_crystal,
    high_symmetry_points,
    most_uncertain_frequency,
    phonon_frequencies,
)
from phono3py_mlp_plugin.workflow.bands import frequencies_of, phonons_with_errors

LATTICE = 5.6
SPRING = 3.0  # eV/angstrom^2


@pytest.fixture
def rock_salt():
    """Rock salt whose nearest neighbours are held by springs along their bond."""
    basis = np.array([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]]) / 2
    unitcell = PhonopyAtoms(
        symbols=["Na"] * 4 + ["Cl"] * 4,
        cell=LATTICE * np.eye(3),
        scaled_positions=np.vstack([basis, basis + 0.5]),
    )
    crystal = Phono3py(unitcell, np.diag([2, 2, 2]), primitive_matrix="F")
    cell = crystal.supercell
    bonds = cell.scaled_positions[None] - cell.scaled_positions[:, None]
    bonds -= np.rint(bonds)
    bonds = bonds @ cell.cell
    near = np.isclose(np.linalg.norm(bonds, axis=2), LATTICE / 2)
    units = bonds / (LATTICE / 2)
    fc2 = -SPRING * near[:, :, None, None] * units[..., :, None] * units[..., None, :]
    fc2[np.arange(64), np.arange(64)] -= fc2.sum(axis=1)
    return crystal, fc2


def test_points_of_a_face_centred_lattice(rock_salt):
    crystal, _ = rock_salt
    points = dict(high_symmetry_points(crystal.primitive))
    assert set(points) == {"GAMMA", "X", "U", "K", "L", "W"}
    cartesian = np.linalg.inv(crystal.primitive.cell) @ points["X"]
    assert np.linalg.norm(cartesian) == pytest.approx(1 / LATTICE)
    ends = [
        (segment.start[0], segment.end[0]) for segment in band_path(crystal.primitive)
    ]
    assert ("GAMMA", "X") in ends and ("GAMMA", "L") in ends


def test_labels_do_not_depend_on_the_setting(rock_salt):
    """The same point in another primitive cell of the same lattice."""
    crystal, _ = rock_salt
    primitive = crystal.primitive
    turned = np.array([[1, 1, 0], [0, 1, 0], [0, 1, 1]])
    other = PhonopyAtoms(
        symbols=primitive.symbols,
        cell=turned @ primitive.cell,
        scaled_positions=primitive.scaled_positions @ np.linalg.inv(turned),
    )
    for label, q in high_symmetry_points(other):
        there = np.linalg.inv(other.cell) @ q
        here = (
            np.linalg.inv(primitive.cell) @ dict(high_symmetry_points(primitive))[label]
        )
        assert np.linalg.norm(there) == pytest.approx(np.linalg.norm(here))


def test_frequencies_are_those_of_the_springs(rock_salt):
    """At L neighbours cancel, the sublattices move alone: omega^2 = 2 K / m."""
    crystal, fc2 = rock_salt
    harmonic = harmonic_crystal(crystal, fc2)
    q = np.array([[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]])
    gamma, at_l = phonon_frequencies(harmonic, q)
    masses = np.array(crystal.primitive.masses)
    to_thz = 15.633302300230191
    reduced = masses.prod() / masses.sum()
    assert gamma[:3] == pytest.approx(0.0, abs=1e-5)
    assert gamma[3:] == pytest.approx(to_thz * np.sqrt(2 * SPRING / reduced))
    expected = to_thz * np.sqrt(2 * SPRING / masses)
    assert at_l == pytest.approx(np.repeat(np.sort(expected), 3))


def test_errors_are_the_scatter_of_the_members(rock_salt):
    """Springs harder and softer by 1 %: frequencies by 0.5 %, a third more of it."""
    crystal, fc2 = rock_salt
    members = [1.01 * fc2, 0.99 * fc2]
    # Of 10,001 supercells: Student's distribution is the normal one.
    named = high_symmetry_points(crystal.primitive)
    frequencies = frequencies_of(crystal, [fc2, *members, *members], named)
    points = phonons_with_errors(named, frequencies, 2, 10001)
    optical = points[0].frequencies[-1]
    expected = 0.9945 * np.sqrt(4 / 3) * 0.005 * optical
    assert points[0].errors[-1] == pytest.approx(expected, rel=1e-3)
    assert points[0].errors[0] == pytest.approx(0.0, abs=1e-5)
    assert "THz at " in most_uncertain_frequency(points)
    alone = phonons_with_errors(named, frequencies[:3], 2, 10001)
    assert alone[0].errors[-1] == pytest.approx(expected / np.sqrt(4 / 3), rel=1e-3)

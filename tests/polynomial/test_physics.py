"""What holds for any potential: gradients, symmetry, cells and their repetitions."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from phono3py_mlp_plugin.errors import PotentialError
from phono3py_mlp_plugin.polynomial import design_matrix as features
from phono3py_mlp_plugin.polynomial.design_matrix import Features
from phono3py_mlp_plugin.polynomial.evaluator import Evaluator
from phono3py_mlp_plugin.polynomial.model.feature_list import list_features
from phono3py_mlp_plugin.polynomial.structures.neighbours import find_neighbours
from phono3py_mlp_plugin.polynomial.structures.structure import Structure
from polynomial.models import Case

CASES = [
    Case(2, 3, 2, 3, (4, 4), cell="mixed"),
    Case(2, 4, 3, 2, (3,), cell="skewed"),
    Case(3, 2, 2, 3, (2, 2), cell="single"),
    Case(2, 4, 2, 3, (4, 3), cell="long"),
    Case(2, 2, 3, 1, (0,), 5, "pair", cell="cubic"),
]


@pytest.fixture(scope="module", params=CASES, ids=str)
def model(request):
    case = request.param
    feature_list = list_features(case.parameters())
    structures = case.structures()
    matrix = Features(feature_list).design_matrix(structures)
    size = np.abs(matrix).max(axis=1)
    coefficients = np.random.default_rng(1).normal(size=len(size))
    coefficients /= np.maximum(size, 1e-3 * size.max())
    return structures, Evaluator(feature_list, coefficients), matrix, coefficients


def test_evaluation_is_the_design_matrix_times_the_coefficients(model):
    structures, evaluator, matrix, coefficients = model
    found = evaluator.evaluate(structures)
    rows = (coefficients @ matrix).reshape(len(structures), -1)
    np.testing.assert_allclose(found.energies, rows[:, 0], rtol=1e-12)
    for forces, row in zip(found.forces, rows, strict=True):
        expected = row[1:].reshape(3, -1).T
        np.testing.assert_allclose(
            forces, expected, atol=1e-12 * np.abs(expected).max()
        )


def test_how_much_is_done_together_does_not_matter(model, monkeypatch):
    """Products and centres in many parts, of cells with blocks that are not full."""
    structures, evaluator, matrix, _ = model
    monkeypatch.setattr(features, "_PRODUCTS", 8)
    monkeypatch.setattr(features, "_SINGLE", 0.0)
    monkeypatch.setattr(features, "_ATOMS", 1)
    found = Features(evaluator.feature_list).design_matrix(structures)
    scale = np.abs(matrix).max(axis=1, keepdims=True)
    assert (np.abs(found - matrix) <= 1e-13 * scale).all()


def test_forces_are_minus_the_gradient_of_the_energy(model):
    structures, evaluator, _, _ = model
    structure = structures[0]
    forces = evaluator.evaluate([structure]).forces[0]
    step = 1e-3
    for atom in range(0, len(structure), max(1, len(structure) // 3)):
        for direction in range(3):
            moved = []
            # Five points: the error is of the fourth power of the step.
            for multiple in (-2, -1, 1, 2):
                positions = structure.positions.copy()
                positions[atom, direction] += multiple * step
                moved.append(Structure(structure.lattice, positions, structure.types))
            energies = evaluator.evaluate(moved).energies
            slope = energies @ np.array([1, -8, 8, -1]) / (12 * step)
            assert forces[atom, direction] == pytest.approx(
                -slope, abs=1e-7 * max(1.0, np.abs(forces).max())
            )


def test_virial_is_the_derivative_by_strain(model):
    structures, evaluator, _, _ = model
    structure = structures[0]
    virial = evaluator.evaluate([structure]).virials[0]
    step = 1e-4
    for a in range(3):
        for b in range(3):
            strained = []
            for multiple in (-2, -1, 1, 2):
                deformation = np.eye(3)
                deformation[b, a] += multiple * step
                strained.append(
                    Structure(
                        structure.lattice @ deformation,
                        structure.positions @ deformation,
                        structure.types,
                    )
                )
            energies = evaluator.evaluate(strained).energies
            slope = energies @ np.array([1, -8, 8, -1]) / (12 * step)
            assert virial[b, a] == pytest.approx(
                slope, abs=1e-6 * max(1.0, np.abs(virial).max())
            )


def test_rotation_translation_and_permutation_change_nothing(model):
    structures, evaluator, _, _ = model
    structure = structures[0]
    found = evaluator.evaluate([structure])
    scale = max(1.0, np.abs(found.forces[0]).max())
    turn = Rotation.random(random_state=1).as_matrix()
    order = np.random.default_rng(2).permutation(len(structure))
    changed = Structure(
        structure.lattice @ turn,
        ((structure.positions + np.array([0.3, -4.1, 7.7])) @ turn)[order],
        structure.types[order],
    )
    again = evaluator.evaluate([changed])
    assert again.energies[0] == pytest.approx(found.energies[0], rel=1e-11)
    np.testing.assert_allclose(
        again.forces[0], (found.forces[0] @ turn)[order], atol=1e-11 * scale
    )
    np.testing.assert_allclose(
        again.virials[0],
        turn.T @ found.virials[0] @ turn,
        atol=1e-10 * max(1.0, np.abs(found.virials).max()),
    )


def test_a_repeated_cell_repeats_its_forces(model):
    structures, evaluator, _, _ = model
    structure = structures[0]
    shift = structure.lattice[0]
    twice = Structure(
        structure.lattice * [[2], [1], [1]],
        np.concatenate([structure.positions, structure.positions + shift]),
        np.tile(structure.types, 2),
    )
    one, two = evaluator.evaluate([structure]), evaluator.evaluate([twice])
    scale = max(1.0, np.abs(one.forces[0]).max())
    assert two.energies[0] == pytest.approx(2 * one.energies[0], rel=1e-11)
    np.testing.assert_allclose(
        two.forces[0], np.tile(one.forces[0], (2, 1)), atol=1e-11 * scale
    )


def test_threads_and_company_change_nothing(model):
    structures, evaluator, matrix, coefficients = model
    feature_list = evaluator.feature_list
    alone = [Features(feature_list, 1).design_matrix([s]) for s in structures]
    scale = np.abs(matrix).max(axis=1, keepdims=True)
    scale = np.maximum(scale, 1e-3 * scale.max())
    difference = np.abs(np.concatenate(alone, axis=1) - matrix) / scale
    assert difference.max() <= 1e-12
    np.testing.assert_array_equal(
        Features(feature_list, 1).design_matrix(structures),
        Features(feature_list, 2).design_matrix(structures),
    )
    many = structures * 20
    one = Evaluator(feature_list, coefficients, 1).evaluate(many)
    two = Evaluator(feature_list, coefficients, 2).evaluate(many)
    np.testing.assert_array_equal(one.energies, two.energies)
    np.testing.assert_array_equal(one.forces, two.forces)


def test_atoms_on_one_place_are_refused():
    lattice = np.eye(3) * 5
    positions = np.array([[0, 0, 0], [5.0, 0, 1e-5]])
    with pytest.raises(PotentialError, match="atoms 1 and 2 of a supercell"):
        find_neighbours(lattice, positions, 4.0)


@pytest.mark.parametrize("cell", ["cubic", "skewed", "single", "long"])
def test_neighbours_are_all_pairs_within_the_cutoff(cell):
    structure = Case(2, 1, 1, 1, (0,), cell=cell).structures()[0]
    cutoff = 5.01
    found = find_neighbours(structure.lattice, structure.positions, cutoff)
    shifts = np.indices((13, 13, 13)).reshape(3, -1).T - 6
    images = shifts @ structure.lattice
    for i, position in enumerate(structure.positions):
        vectors = (structure.positions - position)[:, None] + images
        distances = np.linalg.norm(vectors, axis=2)
        j, image = np.nonzero((distances < cutoff) & (distances > 1e-8))
        here = slice(found.start[i], found.start[i + 1])
        assert sorted(found.partners[here]) == sorted(j)
        np.testing.assert_allclose(
            np.sort(found.vectors[here], axis=0),
            np.sort(vectors[j, image], axis=0),
            atol=1e-10,
        )

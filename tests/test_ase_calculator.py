"""A polynomial potential in ASE gives what it gives elsewhere, and what ASE expects."""

import sys

import numpy as np
import pytest
from phonopy.structure.atoms import PhonopyAtoms

from phono3py_mlp_plugin import load_potential
from phono3py_mlp_plugin.contracts import no_progress
from phono3py_mlp_plugin.errors import PotentialError
from phono3py_mlp_plugin.polynomial import (
    ModelParameters,
    PolynomialPotential,
    gaussian_pair_params,
)
from phono3py_mlp_plugin.polynomial.design_matrix import Features, StructureFeatures
from phono3py_mlp_plugin.polynomial.model.feature_list import list_features
from phono3py_mlp_plugin.polynomial.regression.path import ridge_paths
from phono3py_mlp_plugin.polynomial.regression.problem import Problem
from phono3py_mlp_plugin.polynomial.regression.targets import Targets
from phono3py_mlp_plugin.polynomial.structures.structure import structures_of
from phono3py_mlp_plugin.reference import (
    RigidIonNaCl,
    equilibrium_lattice_constant,
    nacl_dataset,
    rock_salt,
)
from phono3py_mlp_plugin.workflow import request_calculator

ase = pytest.importorskip("ase")

from phono3py_mlp_plugin.ase_calculator import PolynomialCalculator  # noqa: E402

MODEL = "cutoff = 5, gtinv_maxl = 2 2, gaussian_params2 = 0 4 4"


@pytest.fixture(scope="module")
def data():
    return nacl_dataset(40, repeats=1)[1]


def trained(data, text=MODEL):
    request = request_calculator("pypolymlp", text)
    return request.calculator.train(
        data.select(range(30)), data.select(range(30, 40)), request.options, no_progress
    ).potential


@pytest.fixture(scope="module")
def potential(data):
    return trained(data, f"{MODEL}, atom_energies = Na -1.5 Cl -2.5")


@pytest.fixture(scope="module")
def path(potential, tmp_path_factory):
    path = tmp_path_factory.mktemp("potential") / "polymlp.yaml"
    potential.save(path)
    return path


def atoms_of(cell, calculator=None):
    return ase.Atoms(
        cell.symbols, cell.positions, cell=cell.cell, pbc=True, calculator=calculator
    )


def sheared(cell, left_handed=False):
    """A cell of low symmetry: all six components of the stress are there."""
    strain = np.array([[0.01, 0.02, -0.01], [0.0, -0.02, 0.015], [0.005, 0.0, 0.02]])
    lattice = cell.cell @ (np.eye(3) + strain)
    order = [1, 0, 2] if left_handed else [0, 1, 2]
    return PhonopyAtoms(
        symbols=cell.symbols,
        cell=lattice[order],
        scaled_positions=cell.scaled_positions[:, order],
    )


def assert_same_stress(one, other):
    """Six numbers have lost the rounding by which the tensor is not symmetric."""
    np.testing.assert_allclose(one, other, rtol=0, atol=1e-15)


def test_all_properties_are_those_of_the_potential(data, potential, path):
    cells = data.select(range(3)).supercells()
    expected = potential.evaluate(cells)
    for source in (potential, path, str(path)):
        calculator = PolynomialCalculator(source)
        for k, cell in enumerate(cells):
            atoms = atoms_of(cell, calculator)
            assert atoms.get_potential_energy() == expected.energies[k]
            assert atoms.get_potential_energy(True) == expected.energies[k]
            np.testing.assert_array_equal(atoms.get_forces(), expected.forces[k])
            assert_same_stress(atoms.get_stress(voigt=False), expected.stresses[k])


@pytest.mark.parametrize("left_handed", [False, True], ids=["right", "left"])
def test_stress_is_the_derivative_of_the_energy_by_strain(data, potential, left_handed):
    cell = sheared(data.supercells()[0], left_handed)
    atoms = atoms_of(cell, PolynomialCalculator(potential))
    stress = atoms.get_stress()
    assert np.abs(stress).min() > 1e-4  # eV/angstrom^3: none is there by chance
    step = 1e-4
    for k, (i, j) in enumerate([(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]):
        energies = []
        for sign in (1, -1):
            strain = np.zeros((3, 3))
            strain[i, j] += sign * step / 2
            strain[j, i] += sign * step / 2
            moved = atoms.copy()
            moved.set_cell(atoms.cell @ (np.eye(3) + strain), scale_atoms=True)
            moved.calc = atoms.calc
            energies.append(moved.get_potential_energy())
        numeric = (energies[0] - energies[1]) / (2 * step) / atoms.get_volume()
        # The error of the formula is a third of step^2 times elastic constants of the
        # third order, below 10 eV/angstrom^3.
        assert stress[k] == pytest.approx(numeric, abs=1e-7)


def test_forces_are_minus_the_gradient_of_the_energy(data, potential):
    atoms = atoms_of(sheared(data.supercells()[1]), PolynomialCalculator(potential))
    forces = atoms.get_forces()
    step = 1e-4
    for atom, axis in ((0, 0), (3, 1), (6, 2)):
        energies = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[atom, axis] += sign * step
            moved.calc = atoms.calc
            energies.append(moved.get_potential_energy())
        numeric = (energies[1] - energies[0]) / (2 * step)
        assert forces[atom, axis] == pytest.approx(numeric, abs=1e-6)


def test_atoms_outside_the_cell_are_in_the_next_one(data, potential):
    atoms = atoms_of(data.supercells()[0], PolynomialCalculator(potential))
    moved = atoms.copy()
    moved.positions[0] += 3 * atoms.cell[0] - atoms.cell[2]
    moved.calc = PolynomialCalculator(potential)
    np.testing.assert_allclose(moved.get_forces(), atoms.get_forces(), atol=1e-12)


@pytest.fixture(scope="module")
def of_many_cells():
    """A potential of the analytic crystal that was trained on strained cells too.

    One that is trained on a single cell, as for force constants, does not know the
    pressure.
    """
    reference = RigidIonNaCl()
    constant = equilibrium_lattice_constant(reference)
    random = np.random.default_rng(0)
    cells = []
    for _ in range(80):
        cell = rock_salt(constant)
        strain = np.eye(3) + random.normal(scale=0.02, size=(3, 3))
        displacements = random.normal(scale=0.05, size=(len(cell), 3))
        cells.append(
            PhonopyAtoms(
                symbols=cell.symbols,
                cell=cell.cell @ strain,
                positions=cell.positions @ strain + displacements,
            )
        )
    expected = reference.evaluate(cells)
    features = Features(
        list_features(
            ModelParameters(
                ("Na", "Cl"),
                cutoff=6.0,
                pair_params=gaussian_pair_params((1.0, 1.0, 1), (0.0, 5.0, 5)),
                gtinv_maxl=(2, 2),
            )
        )
    )

    def problem(some):
        structures = structures_of(cells[some], ("Na", "Cl"))
        forces = expected.forces[some].transpose(0, 2, 1)
        targets = Targets(expected.energies[some], np.ascontiguousarray(forces))
        return Problem(
            StructureFeatures(features, structures, [False] * len(structures)), targets
        )

    (path,) = ridge_paths(problem(slice(60)), problem(slice(60, 80)), [1e-5, 1e-3, 0.1])
    potential = PolynomialPotential(features.feature_list, path.coefficients[path.best])
    return potential, constant


# What scipy says of a strain of some per cent; it is 1e-13.
@pytest.mark.filterwarnings("ignore:logm result may be inaccurate:RuntimeWarning")
def test_a_relaxation_finds_the_crystal_of_zero_stress(of_many_cells):
    from ase.filters import FrechetCellFilter
    from ase.optimize import BFGS

    potential, constant = of_many_cells
    cell = sheared(rock_salt(constant))
    atoms = atoms_of(cell, PolynomialCalculator(potential))
    atoms.positions += np.random.default_rng(2).normal(scale=0.02, size=(8, 3))
    assert BFGS(FrechetCellFilter(atoms), logfile=None).run(fmax=1e-3, steps=100)
    assert np.abs(atoms.get_forces()).max() < 1e-3
    # FrechetCellFilter compares stress times volume with fmax.
    assert np.abs(atoms.get_stress()).max() * atoms.get_volume() < 2e-3
    # Rock salt again, to the error of the potential.
    np.testing.assert_allclose(atoms.cell.lengths(), constant, rtol=3e-3)
    np.testing.assert_allclose(atoms.cell.angles(), 90, atol=0.3)


def test_energy_is_conserved_in_molecular_dynamics(of_many_cells):
    from ase import units
    from ase.md.verlet import VelocityVerlet

    potential, constant = of_many_cells
    atoms = atoms_of(rock_salt(constant), PolynomialCalculator(potential))
    thermal = np.sqrt(atoms.get_masses() * units.kB * 300)[:, None]
    atoms.set_momenta(thermal * np.random.default_rng(1).normal(size=(8, 3)))
    before, kinetic = atoms.get_total_energy(), atoms.get_kinetic_energy()
    VelocityVerlet(atoms, 1 * units.fs).run(50)
    # A wrong force would exchange much of the kinetic energy with nothing.
    assert atoms.get_kinetic_energy() < 0.8 * kinetic
    assert atoms.get_total_energy() == pytest.approx(before, abs=0.01 * kinetic)


def test_the_force_calculator_ase_takes_it(data, potential, path):
    """Out to ASE and back in: the two bridges are inverse to each other."""
    request = request_calculator(
        "ase",
        "calculator = phono3py_mlp_plugin.ase_calculator:PolynomialCalculator, "
        f"potential = {path}",
    )
    cells = data.select(range(2)).supercells()
    back = request.calculator.load(None, request.options).evaluate(cells)
    expected = potential.evaluate(cells)
    np.testing.assert_array_equal(back.energies, expected.energies)
    np.testing.assert_array_equal(back.forces, expected.forces)
    assert_same_stress(back.stresses, expected.stresses)


def test_forces_are_those_of_phono3py(data, path):
    from phono3py import Phono3py

    unitcell, _ = nacl_dataset(1, repeats=1)
    ph3 = Phono3py(unitcell, supercell_matrix=[1, 1, 1], primitive_matrix="F")
    ph3.load_mlp(path)
    ph3.generate_displacements(
        distance=0.03, number_of_snapshots=2, is_plusminus=False, random_seed=1
    )
    ph3.evaluate_mlp()
    calculator = PolynomialCalculator(path)
    for cell, forces in zip(ph3.supercells_with_displacements, ph3.forces, strict=True):
        atoms = atoms_of(cell, calculator)
        np.testing.assert_allclose(atoms.get_forces(), forces, atol=1e-12)


def test_the_files_of_a_hybrid_model_are_one_calculator(data, potential, tmp_path):
    other = trained(data, "cutoff = 4, gtinv_maxl = 1 1, gaussian_params2 = 0 3 3")
    potential.save(tmp_path / "polymlp.yaml.1")
    other.save(tmp_path / "polymlp.yaml.2")
    cell = data.supercells()[0]
    expected = load_potential(tmp_path / "polymlp.yaml").evaluate([cell])
    atoms = atoms_of(cell, PolynomialCalculator(tmp_path / "polymlp.yaml"))
    assert atoms.get_potential_energy() == expected.energies[0]
    np.testing.assert_array_equal(atoms.get_forces(), expected.forces[0])
    assert_same_stress(atoms.get_stress(voigt=False), expected.stresses[0])


@pytest.mark.parametrize("periodic", [False, (True, True, False)])
def test_cells_that_are_not_periodic_are_refused(data, potential, periodic):
    atoms = atoms_of(data.supercell, PolynomialCalculator(potential))
    atoms.pbc = periodic
    with pytest.raises(PotentialError, match=r"pbc = .*False; expected a cell that is"):
        atoms.get_forces()


def test_elements_that_the_potential_lacks_are_refused(data, potential):
    atoms = atoms_of(data.supercell, PolynomialCalculator(potential))
    atoms.symbols[0] = "K"
    with pytest.raises(PotentialError, match="elements = K; expected Na, Cl") as error:
        atoms.get_potential_energy()
    assert "\n" not in str(error.value)


def test_a_potential_that_tells_atoms_of_one_element_apart_is_refused():
    class Numbered:
        elements = ("Mn", "Mn1")

    with pytest.raises(PotentialError, match="Mn, Mn1; expected symbols without"):
        PolynomialCalculator(Numbered())


def test_a_file_that_is_no_potential_is_refused(tmp_path):
    path = tmp_path / "polymlp.yaml"
    path.write_text("elements: [Na]\n")
    with pytest.raises(PotentialError, match="not a polynomial potential"):
        PolynomialCalculator(path)


def test_without_ase_the_remedy_is_named(monkeypatch):
    monkeypatch.delitem(sys.modules, "phono3py_mlp_plugin.ase_calculator")
    monkeypatch.setitem(sys.modules, "ase.calculators.calculator", None)
    with pytest.raises(ImportError, match="pip install ase"):
        import phono3py_mlp_plugin.ase_calculator  # noqa: F401

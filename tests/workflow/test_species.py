"""Numbered species (Na, Na1) are one thing for training, evaluation and solvers."""

import numpy as np
import pytest
from phono3py import Phono3py
from phonopy.structure.atoms import PhonopyAtoms

import phono3py_mlp_plugin as mlp
from phono3py_mlp_plugin.contracts import Dataset, Evaluation
from phono3py_mlp_plugin.errors import PotentialError
from phono3py_mlp_plugin.host.mlp import PluginMLP
from phono3py_mlp_plugin.reference import RigidIonNaCl, nacl_dataset
from phono3py_mlp_plugin.workflow import (
    DisplacementOptions,
    ForceConstantsOf,
    displace,
    request_force_constants,
)
from phono3py_mlp_plugin.workflow.evaluate import evaluate
from phono3py_mlp_plugin.workflow.species import known_symbols

NUMBERED = ["Na", "Na1", "Na1", "Na", "Cl", "Cl", "Cl", "Cl"]


class Witness:
    """A potential that remembers the symbols it was asked for."""

    def __init__(self, elements=("Na", "Na1", "Cl")):
        self.elements = elements
        self.seen = set()
        self.moments = None

    def evaluate(self, supercells):
        self.seen |= {tuple(cell.symbols) for cell in supercells}
        self.moments = supercells[0].magnetic_moments
        n, n_atoms = len(supercells), len(supercells[0])
        return Evaluation(np.zeros(n), np.zeros((n, n_atoms, 3)))


def magnetic_crystal(**options):
    unitcell, _ = nacl_dataset(1, repeats=1)
    cell = PhonopyAtoms(
        symbols=NUMBERED,
        cell=unitcell.cell,
        scaled_positions=unitcell.scaled_positions,
        magnetic_moments=[1, 2, 2, 1, 0, 0, 0, 0],
    )
    options = {"supercell_matrix": [1, 1, 1], "primitive_matrix": "P", **options}
    return Phono3py(cell, **options)


def test_python_evaluates_the_species_of_the_crystal():
    ph3 = magnetic_crystal(phonon_supercell_matrix=[2, 1, 1])
    ph3.generate_displacements(number_of_snapshots=2)
    ph3.generate_fc2_displacements(number_of_snapshots=2)
    witness = Witness()
    mlp.evaluate(ph3, witness)
    assert witness.seen == {
        tuple(ph3.supercell.symbols),
        tuple(ph3.phonon_supercell.symbols),
    }
    assert "Na1" in ph3.phonon_supercell.symbols
    assert witness.moments is not None


@pytest.mark.parametrize("number", [None, 2], ids=["systematic", "random"])
def test_host_evaluates_the_species_of_the_training(number):
    ph3 = magnetic_crystal()
    ph3.generate_displacements(distance=0.01, number_of_snapshots=number)
    ph3.mlp = PluginMLP()
    ph3.mlp.potential = witness = Witness()
    ph3.mlp.supercell = ph3.supercell
    ph3.evaluate_mlp()
    assert witness.seen == {tuple(NUMBERED)}


def test_converge_evaluates_the_species_of_the_crystal():
    ph3 = magnetic_crystal(
        supercell_matrix=[2, 1, 1], phonon_supercell_matrix=[2, 2, 1]
    )
    witness = Witness()
    displace(ph3, DisplacementOptions(number=60))
    found = ForceConstantsOf(ph3, request_force_constants("symfc"), "witness")
    next(iter(found.solve([witness])))
    assert witness.seen == {
        tuple(ph3.supercell.symbols),
        tuple(ph3.phonon_supercell.symbols),
    }


def test_potential_that_tells_apart_more_than_the_crystal_is_refused():
    unitcell, _ = nacl_dataset(1, repeats=1)
    with pytest.raises(PotentialError, match=r"Na, Na1, Cl apart.* not Na1"):
        evaluate("witness", Witness(), [unitcell])


def test_potential_of_plain_elements_is_asked_for_these():
    ph3 = magnetic_crystal()
    witness = Witness(("Na", "Cl"))
    evaluate("witness", witness, [ph3.supercell])
    assert witness.seen == {tuple(s.rstrip("1") for s in NUMBERED)}


@pytest.mark.parametrize(
    ("elements", "symbols", "expected"),
    [
        ((), ["Mn", "Mn1"], {"Mn": "Mn", "Mn1": "Mn1"}),
        (("Mn", "O"), ["Mn1", "Mn2", "O"], {"Mn1": "Mn", "Mn2": "Mn", "O": "O"}),
        (("Mn1", "Mn2", "O"), ["Mn1", "Mn2", "O"], None),
        (("Mn", "Mn1", "O"), ["O"], {"O": "O"}),
    ],
)
def test_symbols_that_a_potential_knows(elements, symbols, expected):
    known = known_symbols("any", Witness(elements), symbols)
    assert known == (expected or {s: s for s in symbols})


@pytest.mark.parametrize(
    ("elements", "symbols"),
    [
        (("Mn", "O"), ["Fe", "O"]),
        (("Mn1", "O"), ["Mn", "O"]),
        (("Mn", "Mn1", "O"), ["Mn", "O"]),
        (("Mn", "Mn1", "O"), ["Mn1", "O"]),
    ],
)
def test_symbols_that_a_potential_does_not_know(elements, symbols):
    with pytest.raises(PotentialError):
        known_symbols("any", Witness(elements), symbols)


class TwoKinds:
    """Sodium chloride in which bonds of Na1 are stiffer by a spring."""

    elements = ()
    spring = 1.5  # eV/angstrom^2

    def __init__(self, supercell):
        self.first = np.array([s == "Na1" for s in supercell.symbols])
        self.sites = supercell.positions
        vectors = self.sites[None] - self.sites[:, None]
        cell = supercell.cell
        shift = np.rint(vectors @ np.linalg.inv(cell)) @ cell
        self.bonds = []
        for i in np.flatnonzero(self.first):
            for j in range(len(self.sites)):
                for image in np.ndindex(3, 3, 3):
                    vector = vectors[i, j] - shift[i, j] + (np.array(image) - 1) @ cell
                    if 0 < np.linalg.norm(vector) < 3.0:
                        self.bonds.append((i, j, vector))

    def evaluate(self, supercells):
        found = RigidIonNaCl().evaluate(
            [
                PhonopyAtoms(numbers=c.numbers, cell=c.cell, positions=c.positions)
                for c in supercells
            ]
        )
        energies, forces = found.energies.copy(), found.forces.copy()
        for k, cell in enumerate(supercells):
            u = cell.positions - self.sites
            for i, j, vector in self.bonds:
                bond = vector + u[j] - u[i]
                length = np.linalg.norm(bond)
                stretch = length - np.linalg.norm(vector)
                energies[k] += self.spring * stretch**2 / 2
                force = self.spring * stretch * bond / length
                forces[k, i] += force
                forces[k, j] -= force
        return Evaluation(energies, forces)


def test_force_constants_of_species_told_apart_are_those_of_the_reference():
    """Asked for Na alone they were half off, without a word."""
    ph3 = magnetic_crystal(supercell_matrix=[2, 1, 1])
    reference = TwoKinds(ph3.supercell)
    rng = np.random.default_rng(0)
    u = rng.normal(scale=0.02, size=(40, len(ph3.supercell), 3))
    data = Dataset(ph3.supercell, u, np.zeros_like(u))
    found = reference.evaluate(data.supercells())
    ph3.mlp_dataset = {
        "displacements": u,
        "forces": found.forces,
        "supercell_energies": found.energies,
    }
    options = {
        "cutoff": 5.0,
        "gtinv_maxl": (4, 2),
        "gaussian_params2": (0, 4, 6),
        "ntest": 4,
    }
    ph3.develop_mlp(options)
    fc2 = []
    for potential in (ph3.mlp.potential, reference):
        ph3.generate_displacements(
            distance=0.005, number_of_snapshots=40, random_seed=1
        )
        if potential is reference:
            mlp.evaluate(ph3, potential)
        else:
            ph3.evaluate_mlp()
        ph3.produce_fc2(fc_calculator="symfc")
        fc2.append(ph3.fc2)
    error = np.linalg.norm(fc2[0] - fc2[1]) / np.linalg.norm(fc2[1])
    # The springs are a third of fc2; the model's own error is some percent.
    assert error < 0.05

from __future__ import annotations

import numpy as np
import pytest
from phonopy.structure.atoms import PhonopyAtoms

from phono3py_mlp_plugin import plugins
from phono3py_mlp_plugin.calculators.ase import AseOptions
from phono3py_mlp_plugin.contracts import Evaluation, ForceCalculator
from phono3py_mlp_plugin.errors import PotentialError
from phono3py_mlp_plugin.testing import check_force_calculator


class Bonds:
    """Pairs that repel by exp(-r^2), over the nearest images."""

    elements = ("H",)

    def __init__(self, constant=2.0):
        self.constant = constant

    def evaluate(self, supercells):
        results = [self.one(cell) for cell in supercells]
        return Evaluation(*(np.array(values) for values in zip(*results, strict=True)))

    def one(self, cell):
        images = np.array(list(np.ndindex(3, 3, 3))) - 1
        ends = cell.positions[None, :, :] + (images @ cell.cell)[:, None]
        bonds = ends[None] - cell.positions[:, None, None]
        bonds = bonds.reshape(len(cell), -1, 3)
        lengths = np.linalg.norm(bonds, axis=2)
        weight = np.exp(-(lengths**2)) * (lengths > 0)
        energy = self.constant * weight.sum() / 2
        gradient = -2 * self.constant * weight[..., None] * bonds
        forces = gradient.sum(axis=1)
        stress = np.einsum("iba,ibc->ac", gradient, bonds) / 2 / cell.volume
        return energy, forces, stress

    def save(self, path):
        path.write_text(str(self.constant))


def calculator(potential=Bonds, **changes):
    def load(path, options):
        return potential(float(path.read_text())) if path else potential()

    values = {"name": "bonds", "summary": "springs", "load": load}
    return ForceCalculator(**(values | changes))


@pytest.fixture
def supercells():
    rng = np.random.default_rng(1)
    positions = np.array([[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0, 0.1]]) * 2
    cell = np.eye(3) * 2 + rng.normal(scale=0.1, size=(3, 3))
    return [
        PhonopyAtoms(symbols=["H"] * 3, cell=cell, positions=positions + noise)
        for noise in rng.normal(scale=0.1, size=(3, 3, 3))
    ]


def spoilt(**parts):
    """Return a class of potentials with a part of its answer changed."""

    class Spoilt(Bonds):
        def evaluate(self, supercells):
            good = super().evaluate(supercells)
            values = {n: getattr(good, n) for n in ("energies", "forces", "stresses")}
            return Evaluation(**(values | {n: f(values[n]) for n, f in parts.items()}))

    return Spoilt


def test_consistent_potential_passes(supercells):
    check_force_calculator(calculator(), supercells)


def test_emt_passes():
    rng = np.random.default_rng(1)
    scaled = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    cells = [
        PhonopyAtoms(
            symbols=["Al", "Al", "Ni", "Cu"],
            cell=np.eye(3) * 3.9,
            positions=scaled * 3.9 + noise,
        )
        for noise in rng.normal(scale=0.08, size=(2, 4, 3))
    ]
    ase = plugins.discover(()).calculators["ase"].record
    options = AseOptions(calculator="ase.calculators.emt:EMT")
    check_force_calculator(ase, cells, options=options)


class Unsteady(Bonds):
    calls = 0

    def evaluate(self, supercells):
        Unsteady.calls += 1
        good = super().evaluate(supercells)
        return Evaluation(good.energies + 0.01 * Unsteady.calls, good.forces)


class OfTheBatch(Bonds):
    def evaluate(self, supercells):
        good = super().evaluate(supercells)
        return Evaluation(good.energies - good.energies.mean(), good.forces)


class Ordered(Bonds):
    def evaluate(self, supercells):
        good = super().evaluate(supercells)
        return Evaluation(good.energies + np.arange(len(supercells)), good.forces)


class Wrapping(Bonds):
    def evaluate(self, supercells):
        good = super().evaluate(supercells)
        for cell in supercells:
            cell.positions = cell.positions + 0.1
        return good


class Forgetful(Bonds):
    def save(self, path):
        path.write_text("1.0")


class Elementary(Bonds):
    elements = ("He",)


def swap(stresses):
    stresses = stresses.copy()
    stresses[:, 0, 1] *= -1
    stresses[:, 1, 0] *= -1
    return stresses


@pytest.mark.parametrize(
    ("potential", "message"),
    [
        (spoilt(forces=lambda f: -f), "minus the gradient"),
        (spoilt(forces=lambda f: 1.01 * f), "minus the gradient"),
        (spoilt(forces=lambda f: f + np.array([0, 0, 0.01])), "net force"),
        (spoilt(forces=lambda f: f[:, :2]), "shape"),
        (spoilt(energies=lambda e: e * np.nan), "not finite"),
        (spoilt(stresses=lambda s: -s), "derivative of the energy by strain"),
        (spoilt(stresses=swap), "stress xy"),
        (Unsteady, "when the evaluation is repeated"),
        (OfTheBatch, "other supercells"),
        (Ordered, "order of the supercells"),
        (Wrapping, "changed the positions"),
        (Forgetful, "saving and loading"),
        (Elementary, "elements"),
    ],
)
def test_broken_promise_is_found(supercells, potential, message):
    with pytest.raises(AssertionError, match=message):
        check_force_calculator(calculator(potential), supercells)


def test_calculator_without_a_file_may_refuse_to_save(supercells):
    class Named(Bonds):
        def save(self, path):
            raise PotentialError("named on the command line")

    check_force_calculator(calculator(Named), supercells)


def test_unusable_calculator_is_said_to_be_so(supercells):
    with pytest.raises(AssertionError, match="no luck"):
        check_force_calculator(
            calculator(unavailable_reason=lambda: "no luck"), supercells
        )


def test_one_supercell_is_too_few(supercells):
    with pytest.raises(ValueError, match="at least two"):
        check_force_calculator(calculator(), supercells[:1])

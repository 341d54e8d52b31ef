"""What the examination of a potential finds, and what it leaves alone."""

import dataclasses
import json

import numpy as np
import pytest
from phonopy.structure.atoms import PhonopyAtoms
from phonopy.structure.cells import get_supercell

from phono3py_mlp_plugin.contracts import Evaluation
from phono3py_mlp_plugin.errors import PluginFailed, PotentialError
from phono3py_mlp_plugin.reference import (
    RigidIonNaCl,
    equilibrium_lattice_constant,
    rock_salt,
)
from phono3py_mlp_plugin.workflow import HEALTH_FILE, examine_once, examine_potential
from phono3py_mlp_plugin.workflow.health import PotentialHealth


@pytest.fixture(scope="module")
def reference():
    return RigidIonNaCl()


@pytest.fixture(scope="module")
def supercell(reference):
    """Sixteen ions: the smallest cell with third-order forces."""
    cell = rock_salt(equilibrium_lattice_constant(reference))
    return get_supercell(cell, np.diag([2, 1, 1]))


class Spoilt:
    """The analytic potential with its results changed."""

    elements = ()

    def __init__(self, reference, change):
        self.reference = reference
        self.change = change
        self.calls = 0

    def evaluate(self, supercells):
        result = self.reference.evaluate(supercells)
        energies, forces = result.energies.copy(), result.forces.copy()
        self.calls += 1
        return Evaluation(*self.change(self, supercells, energies, forces))


def scaled(factor):
    return lambda _self, _cells, energies, forces: (energies, factor * forces)


def turned(_self, _cells, energies, forces):
    return energies, forces[:, :, [1, 2, 0]]


def per_atom(_self, cells, energies, forces):
    return energies / len(cells[0]), forces


def fixed_axes(_self, cells, energies, forces):
    # A calculator that assumes that the first lattice vector is along x.
    length = np.linalg.norm(cells[0].cell[0])
    along = np.array([cell.cell[0, 0] / length for cell in cells])
    return energies, forces * along[:, None, None]


def other_each_time(self, _cells, energies, forces):
    return energies, forces * (1 + 0.5 * (self.calls > 4))


def by_position(_self, cells, energies, forces):
    # Atoms are not mapped into the cell.
    outside = np.array([np.abs(cell.scaled_positions - 0.5).max() for cell in cells])
    return energies, forces * np.where(outside > 0.6, 0.5, 1.0)[:, None, None]


def by_order(_self, cells, energies, forces):
    is_first = cells[0].symbols[0] == "Na"
    return energies, forces * (1.0 if is_first else 0.5)


def only_here(_self, cells, energies, forces):
    """A calculator of force constants knows only the supercell it was made for."""
    if any(cell.cell[1, 0] != 0 for cell in cells):
        raise ValueError("another lattice")
    return energies, forces


def vanishing(_self, _cells, energies, forces):
    return energies, 0 * forces


def no_energies(_self, _cells, energies, forces):
    return 0 * energies - 5.0, forces


def single(_self, _cells, energies, forces):
    return energies.astype(np.float32), forces.astype(np.float32)


def noisy(size):
    def change(self, _cells, energies, forces):
        random = np.random.default_rng(self.calls)
        return energies, forces + random.normal(scale=size, size=forces.shape)

    return change


def with_a_kink(_self, _cells, energies, forces):
    """Forces have a kink where atoms are on their sites, as those of CHGNet in NaCl."""
    others = forces[:, ::-1]
    size = np.maximum(np.linalg.norm(others, axis=2, keepdims=True), 1e-12)
    return energies, forces + 0.2 * np.cross(forces, others) / size


def examined(reference, supercell, change):
    return examine_potential("x", Spoilt(reference, change), supercell)


def test_an_exact_potential_has_nothing_to_look_at(reference, supercell):
    health = examine_potential("x", reference, supercell)
    health.check("x")
    assert all(check.passed for check in health.checks())
    assert health.noise < 1e-14  # rounding of forces of 0.1 eV/angstrom
    assert health.work_ratio == pytest.approx(1, abs=1e-6)
    for systematic in (True, False):
        (check,) = health.amplitude_checks(0.01, systematic=systematic)
        assert check.passed
        assert health.best_amplitude(0.01, systematic=systematic) == 0.01


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (scaled(-1.0), "work of the forces = -1 times the decrease of the energy"),
        (scaled(2.0), "work of the forces = 2 times"),
        (scaled(0.529177), "work of the forces = 0.5292 times"),
        (per_atom, "work of the forces = 16 times"),
        (turned, "work of the forces"),
        (vanishing, "expected forces that do not vanish"),
        (other_each_time, "change of forces in a second evaluation"),
    ],
)
def test_wrong_forces_are_refused_in_one_line(reference, supercell, change, message):
    health = examined(reference, supercell, change)
    with pytest.raises(PotentialError, match=message) as error:
        health.check("x")
    assert "\n" not in str(error.value)
    assert "--allow-poor-fit" in str(error.value)


def test_forces_that_are_not_finite_do_not_pass(reference, supercell):
    with pytest.raises(PluginFailed, match="not finite"):
        examined(reference, supercell, scaled(np.nan))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (scaled(1.01), "work of forces against the energy: 0.99 % apart"),
        (no_energies, "energies do not change"),
        (with_a_kink, "smoothness"),
        (fixed_axes, "symmetry of forces: translation"),
        (by_position, "symmetry of forces: translation"),
        (by_order, "symmetry of forces: translation"),
        (only_here, "rotation nan"),
        (noisy(1e-3), "noise of forces"),
    ],
)
def test_what_is_doubtful_is_said_and_not_refused(
    reference, supercell, change, message
):
    health = examined(reference, supercell, change)
    health.check("x")
    failed = [str(check) for check in health.checks() if not check.passed]
    assert any(message in line for line in failed)


def test_single_precision_is_recognised_and_harmless(reference, supercell):
    health = examined(reference, supercell, single)
    health.check("x")
    assert all(check.passed for check in health.checks())
    assert any("of single precision" in str(check) for check in health.checks())


def test_noise_is_measured(reference, supercell):
    for size in (1e-6, 1e-4):
        health = examined(reference, supercell, noisy(size))
        # 48 components of one sixth difference: 10 %, three times.
        assert health.noise == pytest.approx(size, rel=0.35)


def noise_of_fc3(reference, supercell, amplitude, size, systematic):
    """Return what noise does to fc3 in a run."""
    from phono3py import Phono3py

    cell = rock_salt(equilibrium_lattice_constant(reference))
    ph3 = Phono3py(cell, supercell_matrix=[2, 1, 1], primitive_matrix="F")
    assert len(ph3.supercell) == len(supercell)
    if systematic:
        ph3.generate_displacements(distance=amplitude, is_plusminus=True)
    else:
        ph3.generate_displacements(
            distance=amplitude,
            number_of_snapshots="auto",
            number_estimation_factor=2,
            is_plusminus=True,
            random_seed=1,
        )
    exact = reference.evaluate(ph3.supercells_with_displacements).forces
    random = np.random.default_rng(0)
    found = []
    for noise in (0.0, size):
        ph3.forces = exact + noise * random.normal(size=exact.shape)
        ph3.produce_fc3(fc_calculator="traditional" if systematic else "symfc")
        if systematic:
            ph3.symmetrize_fc3()
        found.append(ph3.fc3)
    return np.linalg.norm(found[1] - found[0]) / np.linalg.norm(found[0])


@pytest.mark.slow
@pytest.mark.parametrize("systematic", [True, False])
def test_the_expected_noise_of_fc3_is_that_of_a_run(reference, supercell, systematic):
    size = 1e-6
    health = examined(reference, supercell, noisy(size))
    # The repetition of random noise is its largest difference: take the noise alone.
    health = dataclasses.replace(health, repeat=0.0, noise=size)
    for amplitude in (0.01, 0.03):
        expected = health.noise_of_fc3(amplitude, systematic=systematic)
        measured = noise_of_fc3(reference, supercell, amplitude, size, systematic)
        # The factors vary by a third among crystals, and more in a cell this small.
        assert measured == pytest.approx(expected, rel=0.7)


HEALTHY = PotentialHealth(
    n_atoms=64,
    typical=0.1,
    repeat=0.0,
    noise=1e-15,
    work_ratio=1.0,
    gradient=0.0,
    net_force=0.0,
    translation=0.0,
    rotation=0.0,
    permutation=0.0,
    third=4.0,
    fifth=100.0,
    seconds=1.0,
)


def test_the_amplitude_grows_with_noise_and_not_without():
    amplitudes = [
        dataclasses.replace(HEALTHY, noise=noise).best_amplitude(0.01, systematic=True)
        for noise in (1e-15, 1e-8, 1e-6, 3e-6, 1e-3)
    ]
    assert amplitudes[:2] == [0.01, 0.01]
    assert 0.01 < amplitudes[2] < amplitudes[3] <= amplitudes[4] == 0.05
    noisy = dataclasses.replace(HEALTHY, noise=3e-6)
    best = noisy.best_amplitude(0.01, systematic=True)

    def error(amplitude):
        return np.hypot(
            noisy.noise_of_fc3(amplitude, systematic=True),
            noisy.anharmonicity(amplitude),
        )

    assert error(best) <= min(error(best * 0.9), error(best * 1.1))
    rough = dataclasses.replace(HEALTHY, fifth=2e4)
    assert rough.best_amplitude(0.01, systematic=False) == 0.05


def test_without_third_order_forces_nothing_is_said_about_fc3(reference):
    cell = rock_salt(equilibrium_lattice_constant(reference))
    health = examine_potential("x", reference, cell)
    assert health.third == 0
    assert health.amplitude_checks(0.01, systematic=True) == []
    assert health.best_amplitude(0.01, systematic=True) == 0.01


@pytest.mark.parametrize("name", [f.name for f in dataclasses.fields(HEALTHY)][1:-1])
def test_no_number_that_is_not_one_passes(name):
    spoilt = dataclasses.replace(HEALTHY, **{name: float("nan")})
    checks = [*spoilt.checks(), *spoilt.amplitude_checks(0.01, systematic=True)]
    failed = [check for check in checks if not check.passed]
    try:
        spoilt.check("x")
    except PotentialError:
        return
    assert failed


def test_numbered_species_and_moments_are_examined_too(reference):
    class Any(type(reference)):
        elements = ()

        def evaluate(self, supercells):
            assert all(c.magnetic_moments is not None for c in supercells)
            plain = [
                PhonopyAtoms(
                    symbols=["Na", "Cl"] * 4, cell=c.cell, positions=c.positions
                )
                for c in supercells
            ]
            return super().evaluate(plain)

    cell = rock_salt(equilibrium_lattice_constant(reference))
    order = np.argsort([s != "Na" for s in cell.symbols], kind="stable")
    pairs = np.ravel(np.column_stack([order[:4], order[4:]]))
    mixed = PhonopyAtoms(
        symbols=["Na", "Cl1"] * 4,
        cell=cell.cell,
        positions=cell.positions[pairs],
        magnetic_moments=[1.0, -1.0] * 4,
    )
    health = examine_potential("x", Any(), mixed)
    assert health.work_ratio == pytest.approx(1, abs=1e-6)


def test_the_examination_is_done_once_in_a_folder(reference, supercell, tmp_path):
    potential = Spoilt(reference, scaled(1.0))
    first, known = examine_once("x", potential, supercell, "origin", tmp_path)
    calls = potential.calls
    assert not known
    again, known = examine_once("x", potential, supercell, "origin", tmp_path)
    assert known
    assert again == first
    assert potential.calls == calls
    _, known = examine_once("x", potential, supercell, "other", tmp_path)
    assert not known


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: content.update(health=None),
        lambda content: content["health"].pop("noise"),
        lambda content: content["health"].update(noise="small"),
        lambda content: content.update(fingerprint="0"),
    ],
)
def test_a_file_of_others_is_not_believed(reference, supercell, tmp_path, spoil):
    potential = Spoilt(reference, no_energies)
    examine_once("x", potential, supercell, "origin", tmp_path)
    found, known = examine_once("x", potential, supercell, "origin", tmp_path)
    assert known
    assert np.isnan(found.work_ratio)
    path = tmp_path / HEALTH_FILE
    content = json.loads(path.read_text())
    spoil(content)
    path.write_text(json.dumps(content))
    _, known = examine_once("x", potential, supercell, "origin", tmp_path)
    assert not known


def test_error_of_kappa_by_displacements_is_that_of_higher_orders_and_noise():
    error = HEALTHY.error_of_kappa(0.05, systematic=True)
    noise = HEALTHY.noise_of_fc3(0.05, systematic=True)
    orders = 3 * HEALTHY.anharmonicity(0.05)
    assert error == pytest.approx(np.hypot(orders, noise**2))
    rough = dataclasses.replace(HEALTHY, fifth=2e4)
    drowned = dataclasses.replace(HEALTHY, noise=1.0)
    unknown = dataclasses.replace(HEALTHY, third=0.0)
    for health in (rough, drowned, unknown):
        assert np.isnan(health.error_of_kappa(0.01, systematic=True))


def test_results_of_several_potentials_are_kept(supercell, tmp_path, monkeypatch):
    from phono3py_mlp_plugin.workflow import health

    monkeypatch.setattr(health, "examine_potential", lambda *_: HEALTHY)

    def is_known(number):
        return examine_once("x", None, supercell, f"model {number}", tmp_path)[1]

    assert not any(is_known(number) for number in range(18))
    assert is_known(2) and is_known(17)
    # The oldest of more than sixteen are forgotten.
    assert not is_known(1)

"""Mistakes in datasets are named by what physics says, and good data get no word."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import phono3py
import phonopy
import pytest
from phonopy.structure.atoms import PhonopyAtoms

from phono3py_mlp_plugin.contracts import Dataset
from phono3py_mlp_plugin.errors import DatasetError
from phono3py_mlp_plugin.reference import nacl_dataset
from phono3py_mlp_plugin.workflow import check_dataset, read_dataset
from phono3py_mlp_plugin.workflow.response import response_of
from phono3py_mlp_plugin.workflow.work import work_of

RY, BOHR = 13.605693, 0.529177

NACL = "example/NaCl-rd/phono3py_params_NaCl.yaml.xz"
MGO = "test/phono3py_params_MgO-222rd-444rd.yaml.xz"
ALN = "example/AlN-rd/phonopy_params_mp-661.yaml.xz"
SI = "test/phono3py_params_Si-111-222-rd.yaml.xz"
SI_SYSTEMATIC = "test/phono3py_params_Si-111-222-fd.yaml.xz"
DIAMOND = "test/phonon4/phonopy_params-C-diamond.yaml.xz"
ZNTE_SYSTEMATIC = "example/zb-ZnTe-PBEsol/phono3py_params_ZnTe.yaml.xz"
FORCES_ONLY = [
    "example/NaCl-alm/phono3py_params_NaCl222.yaml.xz",
    ZNTE_SYSTEMATIC,
    "test/phono3py_params-Si111-rd.yaml.xz",
    "test/phono3py_params_NaCl111.yaml",
    "test/phono3py_params_NaCl222.yaml.xz",
    "test/phono3py_params_Si-111-222.yaml",
]
WITH_ENERGIES = [NACL, MGO, ALN, SI, SI_SYSTEMATIC, DIAMOND]

# Notes on the kind of a dataset, which good ones get too.
KINDS = ("displaces", "are the same", "the mean force is")


@lru_cache
def _load(path: Path) -> Dataset:
    host = phonopy if path.name.startswith("phonopy") else phono3py
    crystal = host.load(path, produce_fc=False, log_level=0)
    dataset = read_dataset(crystal.dataset, crystal.supercell)
    assert dataset is not None
    return dataset


def first(dataset: Dataset, n: int) -> Dataset:
    return dataset.select(range(min(n, len(dataset))))


def notes_of(dataset: Dataset) -> list[str]:
    notes = check_dataset(dataset)
    return [note for note in notes if not any(kind in note for kind in KINDS)]


def with_one(array, snapshot, value):
    array = array.copy()
    array[snapshot] = value
    return array


def noise(array):
    rng = np.random.default_rng(0)
    return array.std() * rng.normal(size=array.shape)


def per(divisor):
    return lambda d: {"forces": d.forces / divisor}


def energies(factor):
    return lambda d: {"energies": d.energies * factor}


def atoms_in_order(order):
    return lambda d: {"forces": d.forces[:, order(d.forces.shape[1])]}


UNITS = {
    "forces in Ry/bohr": per(RY / BOHR),
    "forces in Ry/angstrom": per(RY),
    "forces in hartree/bohr": per(2 * RY / BOHR),
    "forces in hartree/angstrom": per(2 * RY),
    "energies in Ry": energies(1 / RY),
    "energies in hartree": energies(1 / (2 * RY)),
    "energies in kJ/mol": energies(96.485),
    "energies with the opposite sign": energies(-1),
    "energies per atom": lambda d: {"energies": d.energies / d.forces.shape[1]},
    "displacements in bohr": lambda d: {"displacements": d.displacements / BOHR},
    "displacements as fractions of the supercell": lambda d: {
        "displacements": d.displacements @ np.linalg.inv(d.supercell.cell)
    },
    "forces in eV/bohr": lambda d: {
        "forces": d.forces * BOHR / RY,
        "energies": d.energies / RY,
    },
    "forces in hartree/bohr with energies in Ry": lambda d: {
        "forces": d.forces * BOHR / (2 * RY),
        "energies": d.energies / RY,
    },
}

ORDERS = {
    "forces or displacements with the opposite sign": lambda d: {"forces": -d.forces},
    "opposite sign": lambda d: {"displacements": -d.displacements},
    "has the forces of the preceding snapshot": lambda d: {
        "forces": np.roll(d.forces, 1, axis=0)
    },
    "has the forces of the snapshot 3 later": lambda d: {
        "forces": np.roll(d.forces, -3, axis=0)
    },
    "forces of snapshots in reverse order": lambda d: {"forces": d.forces[::-1]},
    "1 has those of 4, 2 has those of 1, 3 has those of 6": lambda d: {
        "forces": d.forces[[3, 0, 5, 7, 1, 8, 4, 9, 2, 6]]
    },
    "two halves of the atoms exchanged": atoms_in_order(
        lambda n: np.roll(np.arange(n), n // 2)
    ),
    "atoms in reverse order": atoms_in_order(lambda n: np.arange(n)[::-1]),
    "atom 1 has those of 2)": atoms_in_order(lambda n: np.roll(np.arange(n), -1)),
    "x and y exchanged": lambda d: {"forces": d.forces[:, :, [1, 0, 2]]},
    "cyclic: columns x y z hold y z x": lambda d: {"forces": d.forces[:, :, [1, 2, 0]]},
    "columns x y z hold x y -z": lambda d: {"forces": d.forces * [1, 1, -1]},
    "turned by 30 degrees": lambda d: {"forces": d.forces @ turn(30)},
    "nothing to do with displacements": lambda d: {"forces": noise(d.forces)},
}

ENERGIES = {
    "in another order, each that of the preceding snapshot": lambda e: np.roll(e, 1),
    "in another order, the reverse": lambda e: e[::-1],
    "in another order, by rank": lambda e: np.random.default_rng(2).permutation(e),
}


def turn(degrees):
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])


@pytest.fixture
def load(host_source):
    return lambda name: _load(host_source / name)


@pytest.mark.parametrize(
    "name", [NACL, pytest.param(MGO, marks=pytest.mark.slow), ALN, DIAMOND]
)
@pytest.mark.parametrize("cause", UNITS)
def test_units_that_do_not_belong_together_are_named(load, name, cause):
    good = load(name)
    with pytest.raises(DatasetError) as refused:
        check_dataset(replace(good, **UNITS[cause](good)))
    # Ry/bohr and hartree/angstrom are 6 % apart: both are named where that is unsure.
    assert f"{cause} (slope" in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize("name", [NACL, MGO, ALN])
@pytest.mark.parametrize("with_energies", [True, False])
@pytest.mark.parametrize("cause", ORDERS)
def test_signs_orders_and_axes_of_forces_are_named(load, name, with_energies, cause):
    good = first(load(name), 10)
    bad = replace(good, **ORDERS[cause](good))
    if not with_energies:
        bad = replace(bad, energies=None)
    with pytest.raises(DatasetError) as refused:
        check_dataset(bad)
    assert cause in str(refused.value)


@pytest.mark.parametrize("cause", ORDERS)
def test_orders_are_named_in_systematic_displacements_without_energies(load, cause):
    good = load(ZNTE_SYSTEMATIC)
    if "those of 4" in cause:
        pytest.skip("made for ten snapshots")
    with pytest.raises(DatasetError) as refused:
        check_dataset(replace(good, **ORDERS[cause](good)))
    assert cause in str(refused.value)


@pytest.mark.parametrize("name", [NACL, MGO, ALN, DIAMOND])
@pytest.mark.parametrize("cause", ENERGIES)
def test_energies_in_another_order_are_named(load, name, cause):
    good = first(load(name), 40)
    with pytest.raises(DatasetError, match=cause):
        check_dataset(replace(good, energies=ENERGIES[cause](good.energies)))


def test_atoms_in_any_order_are_named_by_many_snapshots(load):
    good = load(NACL)
    order = np.random.default_rng(0).permutation(64)
    cause = f"atom 1 has those of {order[0] + 1})"
    with pytest.raises(DatasetError) as refused:
        check_dataset(replace(good, forces=good.forces[:, order]))
    assert cause in str(refused.value)


@pytest.mark.parametrize("name", [NACL, ALN, SI])
@pytest.mark.parametrize("with_energies", [True, False])
def test_the_snapshot_with_forces_of_another_is_named(load, name, with_energies):
    good = load(name)
    if not with_energies:
        good = replace(good, energies=None)
    forces = with_one(good.forces, 3, good.forces[7])
    with pytest.raises(DatasetError, match=r"^snapshot 4: .* of snapshot 8, not"):
        check_dataset(replace(good, forces=forces))
    swapped = with_one(forces, 7, good.forces[3])
    with pytest.raises(DatasetError, match=r"^snapshot 4: .* \(8 those of 4\)"):
        check_dataset(replace(good, forces=swapped))


@pytest.mark.parametrize("name", [NACL, ALN, MGO])
def test_the_snapshot_with_wrong_forces_is_named(load, name):
    good = load(name)
    own = good.forces[3]
    for wrong in (noise(good.forces)[0], -own, own[::-1], 2 * own):
        with pytest.raises(DatasetError, match=r"^snapshot 4: "):
            check_dataset(replace(good, forces=with_one(good.forces, 3, wrong)))


@pytest.mark.parametrize("name", WITH_ENERGIES)
@pytest.mark.parametrize("off", [0.1, 1.0, -1000.0])
def test_the_snapshot_with_a_wrong_energy_is_named(load, name, off):
    good = load(name)
    wrong = with_one(good.energies, 3, good.energies[3] + off)
    with pytest.raises(DatasetError, match=r"^snapshot 4: energy = "):
        check_dataset(replace(good, energies=wrong))


def test_two_exchanged_energies_are_named(load):
    good = load(SI)
    wrong = with_one(good.energies, 3, good.energies[7])
    wrong[7] = good.energies[3]
    with pytest.raises(DatasetError, match="snapshots 4 and 8 fit exchanged"):
        check_dataset(replace(good, energies=wrong))


def test_forces_alone_in_other_units_get_a_note_in_extremes(load):
    good = replace(load(NACL), energies=None)
    (note,) = check_dataset(replace(good, forces=good.forces * BOHR / RY))
    assert "forces over displacements are 0.0896" in note


def test_a_structure_that_is_not_relaxed_gets_a_note_with_the_remedy(load):
    good = load(NACL)
    rest = np.random.default_rng(0).normal(scale=0.1, size=good.forces.shape[1:])
    rest -= rest.mean(axis=0)
    work = np.einsum("kai,ai->k", good.displacements, rest)
    loose = replace(good, forces=good.forces + rest, energies=good.energies - work)
    (note,) = check_dataset(loose)
    assert "not relaxed: forces without displacements are 0.09" in note
    assert "--relax-atomic-positions" in note


@pytest.mark.parametrize("name", WITH_ENERGIES)
@pytest.mark.parametrize("n", [2, 3, 4, 5, 8, 1000])
@pytest.mark.parametrize("digits", [None, 4])
def test_first_principles_data_get_no_word(load, name, n, digits):
    good = first(load(name), n)
    if digits is not None:
        good = replace(good, energies=np.round(good.energies, digits))
    assert notes_of(good) == []
    assert notes_of(replace(good, energies=None)) == []


# The host's own word on its file of NaCl-alm.
@pytest.mark.filterwarnings("ignore:This phono3py.yaml format:DeprecationWarning")
@pytest.mark.parametrize("name", FORCES_ONLY)
def test_first_principles_forces_alone_get_no_word(load, name):
    assert notes_of(load(name)) == []


def test_thresholds_are_far_from_first_principles_data(load):
    """As the comments at the thresholds say."""
    for name in WITH_ENERGIES:
        good = load(name)
        response = response_of(good)
        assert response.cosines.min() > 0.7
        work = work_of(good.displacements, good, response.anharmonicity())
        assert 0.99 < work.line.slope < 1.002
        assert work.line.correlation > 0.999
        assert work.scatter < 0.3 * work.scatter_limit


@pytest.mark.parametrize("amplitude", [0.01, 0.1, 0.3])
@pytest.mark.parametrize("n", [2, 3, 5, 20])
def test_an_analytic_crystal_gets_no_word_at_any_amplitude(amplitude, n):
    _, good = nacl_dataset(n, amplitude=amplitude, repeats=1)
    assert notes_of(good) == []
    assert notes_of(replace(good, energies=None)) == []


@pytest.mark.parametrize("potential", ["lj", "emt"])
@pytest.mark.parametrize("kind", ["equal", "mixed", "plus-minus"])
@pytest.mark.parametrize("amplitude", [0.1, 0.6])
def test_strongly_anharmonic_crystals_get_no_word(potential, kind, amplitude):
    """Up to a sixth of the distance of neighbours, where slopes fall to 0.4."""
    good = _anharmonic(potential, kind, amplitude)
    assert notes_of(good) == []
    assert notes_of(replace(good, energies=None)) == []


def _anharmonic(potential: str, kind: str, amplitude: float) -> Dataset:
    from ase.build import bulk
    from ase.calculators.emt import EMT
    from ase.calculators.lj import LennardJones

    calculator, symbol, a = {
        "lj": (LennardJones(sigma=3.4, epsilon=0.0104, rc=8.5), "Ar", 5.26),
        "emt": (EMT(), "Al", 4.0),
    }[potential]
    atoms = bulk(symbol, "fcc", a=a, cubic=True) * (2, 2, 2)
    rng = np.random.default_rng(0)
    moved = rng.normal(size=(8, len(atoms), 3))
    moved *= amplitude / np.linalg.norm(moved, axis=2, keepdims=True)
    if kind == "mixed":
        moved *= np.linspace(0.1, 1, 8)[:, None, None]
    if kind == "plus-minus":
        moved[1::2] = -moved[::2]
    results = []
    for displacements in moved:
        copy = atoms.copy()
        copy.calc = calculator
        copy.positions += displacements
        results.append((copy.get_forces(), copy.get_potential_energy()))
    cell = PhonopyAtoms(
        symbols=atoms.get_chemical_symbols(),
        cell=atoms.cell[:],
        scaled_positions=atoms.get_scaled_positions(),
    )
    found, levels = zip(*results, strict=True)
    return Dataset(cell, moved, np.array(found), np.array(levels))

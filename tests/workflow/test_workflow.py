"""Dataset, split, evaluation and the decisions on reuse."""

from pathlib import Path

import numpy as np
import pytest
from phono3py import Phono3py

from phono3py_mlp_plugin.contracts import Evaluation
from phono3py_mlp_plugin.errors import DatasetError, ParameterError, PotentialError
from phono3py_mlp_plugin.files import Provenance
from phono3py_mlp_plugin.reference import RigidIonNaCl, nacl_dataset
from phono3py_mlp_plugin.workflow import (
    DisplacementOptions,
    decide_force_constants,
    decide_potential,
    displace,
    evaluate,
    read_dataset,
    request_calculator,
    request_solver,
    root_mean_square_errors,
    split_dataset,
    train,
    training_fingerprint,
)

TINY = "gtinv_maxl = 2 2, gaussian_params2 = 0 4 4, cutoff = 5"


@pytest.fixture(scope="module")
def nacl():
    return nacl_dataset(30, repeats=1)[1]


def test_dataset_of_type_2(nacl):
    host = {
        "displacements": nacl.displacements,
        "forces": nacl.forces,
        "supercell_energies": nacl.energies,
    }
    read = read_dataset(host, nacl.supercell)
    np.testing.assert_array_equal(read.forces, nacl.forces)
    np.testing.assert_array_equal(read.energies, nacl.energies)
    assert read_dataset({"displacements": nacl.displacements}, nacl.supercell) is None
    assert read_dataset(None, nacl.supercell) is None


def test_dataset_of_type_1_comes_in_the_order_of_the_host():
    import phono3py

    unitcell, _ = nacl_dataset(1, repeats=1)
    ph3 = phono3py.Phono3py(unitcell, supercell_matrix=[1, 1, 1], primitive_matrix="F")
    ph3.generate_displacements(distance=0.02, cutoff_pair_distance=3.5)
    cells = ph3.supercells_with_displacements
    result = evaluate("rigid ions", RigidIonNaCl(), cells)
    ph3.forces, ph3.supercell_energies = result.forces, result.energies
    present = [i for i, cell in enumerate(cells) if cell is not None]
    assert 0 < len(present) < len(cells)
    read = read_dataset(ph3.dataset, ph3.supercell)
    np.testing.assert_array_equal(read.forces, result.forces[present])
    np.testing.assert_array_equal(read.energies, result.energies[present])
    moved = [cells[i].positions - ph3.supercell.positions for i in present]
    # Differences of positions of some angstrom: rounding of the last digits.
    np.testing.assert_allclose(read.displacements, moved, atol=1e-14)


@pytest.mark.parametrize("name", ["displacements", "forces", "supercell_energies"])
def test_numbers_that_are_not_finite_are_named_by_snapshot(nacl, name):
    host = {
        "displacements": nacl.displacements.copy(),
        "forces": nacl.forces.copy(),
        "supercell_energies": nacl.energies.copy(),
    }
    host[name][4] = np.nan
    with pytest.raises(DatasetError, match=r"snapshot 5 holds a number"):
        read_dataset(host, nacl.supercell)


def test_dataset_of_another_supercell(nacl):
    other = nacl_dataset(1, repeats=2)[1].supercell
    host = {"displacements": nacl.displacements, "forces": nacl.forces}
    with pytest.raises(DatasetError, match=r"shape = \(30, 8, 3\); expected \(30, 64"):
        read_dataset(host, other)


@pytest.mark.parametrize(
    ("arguments", "sizes"),
    [
        ({}, (90, 10)),
        ({"test_size": 0.2}, (80, 20)),
        ({"ntrain": 20, "ntest": 30}, (20, 30)),
        ({"ntrain": 20}, (20, 80)),
        ({"ntest": 30}, (70, 30)),
    ],
)
def test_split_is_head_and_tail(arguments, sizes):
    split = split_dataset(100, **arguments)
    assert (len(split.training), len(split.test)) == sizes
    assert split.training[0] == 0
    assert split.test[-1] == 99


@pytest.mark.parametrize(
    "arguments",
    [
        {"ntrain": 0},
        {"ntest": 0},
        {"ntrain": 100},
        {"ntest": -1},
        {"ntrain": 60, "ntest": 60},
    ],
)
def test_split_that_cannot_be(arguments):
    with pytest.raises(ParameterError):
        split_dataset(100, **arguments)


def test_evaluation_in_batches_is_that_at_once(nacl):
    potential = RigidIonNaCl()
    cells = nacl.supercells()
    result = evaluate("rigid ions", potential, [*cells[:5], None, *cells[5:]])
    at_once = potential.evaluate(cells)
    keep = [i for i in range(31) if i != 5]
    np.testing.assert_array_equal(result.forces[keep], at_once.forces)
    np.testing.assert_array_equal(result.stresses[keep], at_once.stresses)
    assert not result.forces[5].any()


def test_elements_are_checked_before_any_work(nacl):
    class Silicon:
        elements = ("Si",)

        def evaluate(self, supercells):
            raise AssertionError

    with pytest.raises(
        PotentialError, match="made for Si; the crystal contains Cl, Na"
    ):
        evaluate("x", Silicon(), nacl.supercells())


def test_errors(nacl):
    off = Evaluation(nacl.energies + 0.8, nacl.forces + 0.1)
    errors = root_mean_square_errors(nacl, off)
    assert errors["energy"] == pytest.approx(0.1)  # 0.8 eV over 8 atoms
    assert errors["force"] == pytest.approx(0.1)


def test_training_learns_the_analytic_potential(nacl):
    request = request_calculator("pypolymlp", TINY)
    training = train(request, nacl, split_dataset(30, 20, 10))
    provenance = training.provenance
    force = np.sqrt(np.mean(nacl.forces**2))
    # Pairs beyond 5 angstrom are unknown to the model: a few per cent.
    assert provenance.rmse["test"]["force"] < 0.05 * force
    assert provenance.alpha in [p["alpha"] for p in provenance.penalties]


def test_fingerprint_of_a_training_follows_all_that_decides_it(nacl):
    def of(text="", dataset=nacl, split=(20, 10)):
        request = request_calculator("pypolymlp", text)
        return training_fingerprint(request, dataset, split_dataset(30, *split))

    prints = {
        of(),
        of("cutoff = 7.9"),
        of(split=(19, 10)),
        of(split=(20, 9)),
        of(dataset=nacl.select(range(29, -1, -1))),
    }
    assert len(prints) == 5
    assert of("cutoff = 8") == of()


def provenance(fingerprint):
    return Provenance(fingerprint, "c", {}, 1, 1, 1, {})


def test_decisions_on_a_potential():
    path = Path("polymlp.yaml")
    assert decide_potential(path, provenance("a"), "a", {}).reuse
    other = decide_potential(path, provenance("b"), "a", {})
    assert not other.reuse
    assert "was trained on other data: trained anew" in other.reason
    other = decide_potential(path, provenance("b"), "a", {"cutoff": 8.0})
    assert "was trained with cutoff = None, now 8.0: trained anew" in other.reason
    unknown = decide_potential(path, None, "a", {})
    assert not unknown.reuse
    assert "--mlp-file polymlp.yaml" in unknown.reason


def test_decisions_on_force_constants():
    needed = ("fc2.hdf5", "fc3.hdf5")
    both = dict.fromkeys(needed, "a")
    assert decide_force_constants(both, needed, "a").reuse
    assert not decide_force_constants(both, needed, "b").reuse
    assert not decide_force_constants({"fc3.hdf5": "a"}, needed, "a").reuse
    assert not decide_force_constants({**both, "fc2.hdf5": None}, needed, "a").reuse
    assert decide_force_constants({}, needed, "a").reason == ""


def test_cutoff_of_a_solver_is_for_the_order_asked():
    request = request_solver("symfc", "cutoff = 4", order=3)
    assert dict(request.cutoff) == {3: 4.0}
    with pytest.raises(ParameterError, match="cutoff = x; expected a length"):
        request_solver("symfc", "cutoff = x")


def test_displacements_that_phono3py_cannot_find_are_told_with_the_remedy(monkeypatch):
    # Site symmetry that holds only within the tolerance: phono3py gives no reason.
    def broken(*args, **options):
        raise ValueError

    unitcell, _ = nacl_dataset(1, repeats=1)
    ph3 = Phono3py(unitcell, supercell_matrix=[1, 1, 1], primitive_matrix="F")
    monkeypatch.setattr(type(ph3), "generate_displacements", broken)
    with pytest.raises(DatasetError, match=r"symmetry only nearly.*--rd auto"):
        displace(ph3, DisplacementOptions(number=None))

"""Polynomial potentials: engines, presets, forecast, memory, ensembles."""

import re

import numpy as np
import pytest
from phonopy.structure.atoms import PhonopyAtoms

from phono3py_mlp_plugin.calculators.pypolymlp import PypolymlpOptions
from phono3py_mlp_plugin.contracts import Dataset, Ensemble, no_progress
from phono3py_mlp_plugin.errors import (
    NotCovered,
    ParameterError,
    PotentialError,
    ResourceError,
)
from phono3py_mlp_plugin.polynomial import memory
from phono3py_mlp_plugin.reference import nacl_dataset
from phono3py_mlp_plugin.workflow import request_calculator, with_memory

SMALL = "cutoff = 4, gtinv_maxl = 2 2, gaussian_params2 = 0 3 3"


@pytest.fixture(scope="module")
def data():
    return nacl_dataset(20, repeats=1)[1]


def trained(data, text=SMALL, n=15):
    request = request_calculator("pypolymlp", text)
    training, test = data.select(range(n)), data.select(range(n, len(data)))
    return request.calculator.train(training, test, request.options, no_progress)


def test_the_engine_is_ours_unless_asked_otherwise(data):
    assert trained(data).potential.engine == "native"
    pytest.importorskip("pypolymlp")
    other = trained(data, f"{SMALL}, engine = pypolymlp")
    assert other.potential.engine.startswith("pypolymlp ")


def test_the_presets_are_models():
    assert request_calculator("pypolymlp").options.maxl == (8, 8)
    compact = request_calculator("pypolymlp", "preset = compact").options
    assert (compact.maxl, compact.cutoff) == ((4, 4), 8.0)
    with pytest.raises(ParameterError, match="Give one of them"):
        request_calculator("pypolymlp", "preset = compact, gtinv_maxl = 8 8")


def default_nacl(n, symbols=("Na", "Cl")):
    """A dataset of 64 atoms whose content does not matter."""
    _, data = nacl_dataset(1, repeats=2)
    crystal = data.supercell
    cell = PhonopyAtoms(
        cell=crystal.cell,
        positions=crystal.positions,
        symbols=[symbols[k % len(symbols)] for k in range(len(crystal))],
    )
    shape = (n, len(cell), 3)
    return Dataset(cell, np.zeros(shape), np.zeros(shape), np.zeros(n))


def forecast(data, text=""):
    request = request_calculator("pypolymlp", text)
    lines = request.calculator.forecast(data, data, request.options)
    return " ".join(lines)


@pytest.mark.parametrize(
    ("n", "symbols", "said"),
    [
        (90, ("Na", "Cl"), "8,283 features, 17,370 rows; primal"),
        (20, ("Na", "Cl"), "8,283 features, 3,860 rows; dual"),
        (20, ("Sr", "Ti", "O"), "38,511 features, 3,860 rows; dual"),
        (20, ("Sr", "Ba", "Ti", "O"), "116,930 features, 3,860 rows; dual"),
    ],
)
def test_the_forecast_tells_size_and_form(n, symbols, said):
    assert said in forecast(default_nacl(n, symbols), "memory = 50")


def test_a_smaller_model_is_named_where_the_default_takes_much():
    large = default_nacl(100, ("Sr", "Ti", "O"))
    assert "preset = compact" in forecast(large, "memory = 50")
    assert "preset = compact" not in forecast(large, "preset = compact, memory = 50")
    assert "preset = compact" not in forecast(default_nacl(5), "memory = 50")


def test_a_cutoff_at_which_derivatives_jump_is_told_before_the_training():
    data = default_nacl(5)
    shell = float(data.supercell.cell[0, 0]) / 2
    said = forecast(data, f"cutoff = {shell!r}, preset = compact, memory = 50")
    other = re.search(r"With --mlp-params '(cutoff = [0-9.]+)' they can", said)[1]
    assert "neighbours at the cutoff" not in forecast(
        data, f"{other}, preset = compact, memory = 50"
    )


def test_the_form_that_fits_is_taken():
    # Fewer rows than features: the dual is faster. X of 30 supercells takes 0.4 GB
    # and X X^T twice 0.27 GB, X^T X 0.55 GB.
    data = default_nacl(30)
    assert "dual" in forecast(data, "memory = 2")
    assert "primal" in forecast(data, "memory = 1.3")


def test_what_does_not_fit_is_refused_before_any_work(data):
    large = default_nacl(220, ("Sr", "Ti", "O"))
    with pytest.raises(ResourceError, match=r"takes .* GB; 4\.0 GB may be taken") as e:
        forecast(large, "memory = 4")
    assert "preset = compact" in str(e.value)
    with pytest.raises(ResourceError):
        trained(data, f"{SMALL}, memory = 0.1")


def test_memory_by_the_command_is_the_parameter():
    request = request_calculator("pypolymlp")
    assert with_memory(request, 2.0).options.memory == 2.0
    assert with_memory(request, None) is request
    with pytest.raises(ParameterError, match="give one"):
        with_memory(request_calculator("pypolymlp", "memory = 1"), 2.0)
    with pytest.raises(ParameterError, match="--memory: memory = 0"):
        with_memory(request, 0.0)
    ase = request_calculator("ase", "calculator = ase.calculators.emt:EMT")
    with pytest.raises(ParameterError, match="takes no limit"):
        with_memory(ase, 1.0)


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with 8 GB free and control groups: ``machine({file: content})``."""

    def make(files):
        for name, content in {"meminfo": "MemAvailable: 8000000 kB\n", **files}.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(content)

    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "_OWN_GROUPS", tmp_path / "own")
    monkeypatch.setattr(memory, "_GROUPS", tmp_path / "groups")
    return make


def v2(group, limit, used, cache=0):
    return {
        f"groups/{group}/memory.max": f"{limit}\n",
        f"groups/{group}/memory.current": f"{used}\n",
        f"groups/{group}/memory.stat": f"anon 5\ninactive_file {cache}\nfile 7\n",
    }


def test_memory_of_the_group_of_a_job_counts(machine):
    machine({"own": "0::/slurm/job_1/step_0\n", **v2("slurm/job_1", 3000, 1000)})
    assert memory.available_memory() == 2000
    # A step below the job has a limit of its own, the root has none.
    machine(v2("slurm/job_1/step_0", 1500, 1000) | v2("", "max", 5000))
    assert memory.available_memory() == 500


def test_memory_of_the_tightest_group_counts(machine):
    machine({"own": "0::/user/job\n", **v2("user/job", "max", 1000)})
    assert memory.available_memory() == 8_192_000_000
    machine(v2("user", 9000, 4000) | v2("", 7000, 6000))
    assert memory.available_memory() == 1000


def test_files_kept_in_memory_are_free(machine):
    machine({"own": "0::/job\n", **v2("job", 3000, 2900, cache=1500)})
    assert memory.available_memory() == 1600


def test_a_job_beyond_its_limit_has_no_memory(machine):
    machine({"own": "0::/job\n", **v2("job", 3000, 3500)})
    assert memory.available_memory() == 0


def test_memory_of_older_control_groups_counts(machine):
    files = {
        "own": "9:cpu,cpuacct:/other\n4:memory,hugetlb:/slurm/job:1\n0::/\n",
        "groups/memory/slurm/job:1/memory.limit_in_bytes": "3000\n",
        "groups/memory/slurm/job:1/memory.usage_in_bytes": "2500\n",
        "groups/memory/slurm/job:1/memory.stat": "inactive_file 1\n"
        "total_inactive_file 700\n",
        "groups/memory/memory.limit_in_bytes": "9223372036854771712\n",
        "groups/memory/memory.usage_in_bytes": "9000\n",
    }
    machine(files)
    assert memory.available_memory() == 1200


def test_without_groups_the_memory_of_the_machine_counts(machine, tmp_path):
    machine({})
    assert memory.available_memory() == 8_192_000_000
    (tmp_path / "meminfo").unlink()
    assert memory.available_memory() > 0


def test_an_ensemble_scatters_as_the_potential_errs(data):
    found = trained(data)
    test = data.select(range(15, 20))
    cells = test.supercells()
    members = found.potential.ensemble(30, seed=1)
    forces = np.array([member.evaluate(cells).forces for member in members])
    again = found.potential.ensemble(2, seed=1)[1].evaluate(cells).forces
    # The number of right sides changes the rounding of the solution.
    np.testing.assert_allclose(again, forces[1], atol=1e-8)
    mean = found.potential.evaluate(cells).forces
    error = np.sqrt(np.mean((mean - test.forces) ** 2))
    spread = np.sqrt(np.mean((forces - mean) ** 2))
    # It is the uncertainty of coefficients, without what the model cannot describe.
    assert error / 30 < spread < 3 * error


def test_a_potential_from_a_file_has_no_ensemble(data, tmp_path):
    path = tmp_path / "polymlp.yaml"
    trained(data).potential.save(path)
    request = request_calculator("pypolymlp")
    potential = request.calculator.load(path, request.options)
    with pytest.raises(PotentialError, match="Train it in this run"):
        potential.ensemble(2, seed=1)


def test_a_file_that_is_not_covered_is_read_by_the_library(data, tmp_path):
    pytest.importorskip("pypolymlp")
    path = tmp_path / "polymlp.yaml"
    trained(data).potential.save(path)
    text = path.read_text()
    path.write_text(text.replace("enable_spins:  [0, 0]", "enable_spins:  [0, 1]"))
    request = request_calculator("pypolymlp")
    potential = request.calculator.load(path, request.options)
    assert potential.engine.startswith("pypolymlp ")
    native = PypolymlpOptions(engine="native")
    with pytest.raises(NotCovered, match="enable_spins"):
        request.calculator.load(path, native)


def test_energies_of_atoms_are_subtracted_and_given_back(data, tmp_path):
    plain = trained(data)
    n_pairs = len(data.supercell) / 2
    shifted = Dataset(
        data.supercell, data.displacements, data.forces, data.energies + 7.0 * n_pairs
    )
    other = trained(shifted, f"{SMALL}, atom_energies = Na 3 Cl 4")
    cells = data.supercells()[:3]
    np.testing.assert_allclose(
        other.potential.evaluate(cells).energies,
        plain.potential.evaluate(cells).energies + 7.0 * n_pairs,
        rtol=1e-9,
    )
    path = tmp_path / "polymlp.yaml"
    other.potential.save(path)
    assert "atomic_energy: [3.0, 4.0]" in path.read_text()


def test_forces_alone_train_a_potential(data):
    alone = Dataset(data.supercell, data.displacements, data.forces)
    found = trained(alone)
    cells = data.select(range(15, 20)).supercells()
    error = found.potential.evaluate(cells).forces - data.forces[15:]
    typical = np.sqrt(np.mean(data.forces**2))
    assert np.sqrt(np.mean(error**2)) < 0.05 * typical


def forces(result, data):
    return result.potential.evaluate(data.supercells()).forces


def energies(result, data):
    return result.potential.evaluate(data.supercells()).energies


def test_distances_keep_the_radial_functions_that_pypolymlp_keeps(data):
    pytest.importorskip("pypolymlp")
    text = f"{SMALL}, reg_alpha_params = -3 -3 1, distance = Na-Cl 2.0 Na-Na 4.0"
    ours, theirs = (
        trained(data, f"{text}, engine = {engine}")
        for engine in ("native", "pypolymlp")
    )
    assert ours.n_features == theirs.n_features < trained(data).n_features
    # The same least squares by other arithmetic, condition number 1e10.
    difference = forces(ours, data) - forces(theirs, data)
    assert np.abs(difference).max() < 1e-6


def test_without_energies_is_the_same_as_told_to_leave_them_out(data):
    bare = Dataset(data.supercell, data.displacements, data.forces)
    one = trained(bare, f"{SMALL}, reg_alpha_params = -2 -2 1")
    other = trained(data, f"{SMALL}, reg_alpha_params = -2 -2 1, include_energy = no")
    assert np.array_equal(forces(one, data), forces(other, data))


def test_energies_alone_can_train(data):
    _, many = nacl_dataset(120, repeats=1)
    result = trained(many, f"{SMALL}, include_force = no", n=100)
    error = energies(result, many) - many.energies
    assert np.sqrt((error[100:] ** 2).mean()) < 0.1 * many.energies[100:].std()


def rms(values):
    return float(np.sqrt((values**2).mean()))


@pytest.mark.parametrize("name", ["energy", "force"])
def test_weight_draws_the_fit_to_its_side(data, name):
    def error(text):
        result = trained(data, f"{SMALL}, reg_alpha_params = 0 0 1{text}")
        training = data.select(range(15))
        if name == "energy":
            return rms(energies(result, training) - training.energies)
        return rms(forces(result, training) - training.forces)

    assert error(f", {name}_weight = 100") < 0.8 * error("")


def test_pypolymlp_takes_no_weights():
    with pytest.raises(ParameterError, match="pypolymlp has no such parameter"):
        request_calculator("pypolymlp", "engine = pypolymlp, energy_weight = 2")


ONE = f"{SMALL}, reg_alpha_params = -2 0 3"


def nested(data, sizes, ensemble, text=ONE):
    request = request_calculator("pypolymlp", text)
    training, test = data.select(range(15)), data.select(range(15, 20))
    return list(
        request.calculator.learning_curve(
            training, test, sizes, request.options, ensemble, no_progress
        )
    )


def test_nested_fits_are_those_of_independent_trainings(data):
    fits = nested(data, (6, 10, 15), Ensemble(members=2))
    assert [fit.size for fit in fits] == [6, 10, 15]
    for fit in fits:
        alone = trained(data.select([*range(fit.size), *range(15, 20)]), ONE, fit.size)
        assert fit.trained.alpha == alone.alpha
        difference = forces(fit.trained, data) - forces(alone, data)
        # Sums over blocks of other sizes, at condition numbers of 1e10.
        assert np.abs(difference).max() < 1e-8


def test_members_scatter_as_the_jackknife_by_refits_says(data):
    # Refits scale columns anew, which a small penalty hardly feels.
    text = f"{SMALL}, reg_alpha_params = -6 -6 1"
    (fit,) = nested(data, (15,), Ensemble(members=16), text)
    cells = data.select(range(15, 20)).supercells()

    def f(potential):
        return potential.evaluate(cells).forces.ravel()

    drawn = np.array([f(member) for member in fit.members])
    found = np.sqrt(((drawn - f(fit.trained.potential)) ** 2).mean())
    refits = []
    for s in range(15):
        rest = data.select([i for i in range(20) if i != s])
        refits.append(f(trained(rest, text, 14).potential))
    scatter = np.array(refits) - np.mean(refits, axis=0)
    expected = np.sqrt((14 / 15 * (scatter**2).sum(axis=0)).mean())
    # Fixed, and exact for refits with the same scales: they explain 14 %.
    assert found == pytest.approx(expected, rel=0.15)


def test_members_by_posterior_and_alternatives(data):
    (fit,) = nested(data, (10,), Ensemble(members=3, method="posterior"))
    assert len(fit.members) == 3
    assert len(fit.alternatives) == 2
    assert 0 < fit.left_out < 0.1


def test_pypolymlp_gives_no_error_bars(data):
    with pytest.raises(ParameterError, match="gives no error bars"):
        nested(data, (10,), Ensemble(), f"{ONE}, engine = pypolymlp")

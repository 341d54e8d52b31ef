"""Any potential from the command line: by name, by module, with options of a file."""

import json

import pytest
import yaml

pytest.importorskip("ase")

from phonopy.structure.atoms import PhonopyAtoms

SPRINGS = """
import numpy as np
from ase.calculators.emt import EMT

calls = 0


class Changed(EMT):
    def __init__(self, factor=1.0, digits=None, notes=None, bad=None):
        super().__init__()
        self.factor, self.digits, self.bad = factor, digits, bad
        assert notes in (None, {"a": [1, "b, c", None]})

    def get_forces(self, atoms):
        global calls
        calls += 1
        forces = self.factor * super().get_forces(atoms)
        if self.bad == calls:
            forces[3, 1] = np.nan
        return forces if self.digits is None else np.round(forces, self.digits)


def make(**arguments):
    return Changed(**arguments)


ready = Changed()
"""


@pytest.fixture
def folder(tmp_path):
    """Aluminium of 16 atoms without a dataset, and a module of the user."""
    from phono3py import Phono3py

    cell = PhonopyAtoms(
        symbols=["Al"] * 4,
        cell=[[3.994, 0, 0], [0, 3.994, 0], [0, 0, 3.994]],
        scaled_positions=[[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]],
    )
    ph3 = Phono3py(cell, supercell_matrix=[2, 2, 1], primitive_matrix="F", log_level=0)
    ph3.generate_displacements(distance=0.01)
    ph3.save(tmp_path / "phono3py_disp.yaml")
    (tmp_path / "springs.py").write_text(SPRINGS)
    return tmp_path


def command(calculator, *more):
    return [
        "phono3py-load",
        "phono3py_disp.yaml",
        "--force-calculator",
        calculator,
        *more,
    ]


def options(text):
    return ["--force-calculator-options", text]


def forces_of(folder):
    content = yaml.safe_load(
        (folder / "phono3py_mlp_eval_dataset.yaml").read_text(encoding="utf-8")
    )
    return content["displacement_pairs"][0]["forces"]


@pytest.mark.slow
def test_a_calculator_by_name_and_by_its_class_are_one(run, folder):
    done = run(command("emt", "-d"), folder)
    assert done.returncode == 0, done.stderr
    assert "Potential (examined in" in done.stdout
    assert "ok    work of forces against the energy" in done.stdout
    assert "ok    noise in fc3 at displacements of 0.01 angstrom" in done.stdout
    stored = json.loads((folder / "phono3py_mlp_health.json").read_text())
    assert stored["health"]["n_atoms"] == 16
    by_name = forces_of(folder)
    again = run(command("emt", "-d"), folder)
    assert "Potential (as examined before, phono3py_mlp_health.json)" in again.stdout
    assert '"fc2.hdf5" and "fc3.hdf5" were computed from the same' in again.stdout
    (folder / "door.yaml").write_text(
        "calculator: springs:make\nnotes: {a: [1, 'b, c', ~]}"
    )
    done = run(command("ase", "-d", *options("@door.yaml, factor = 1e0")), folder)
    assert done.returncode == 0, done.stderr
    assert "Potential (examined in" in done.stdout
    assert "computed from something else: computed anew" in done.stdout
    assert forces_of(folder) == by_name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("calculator = springs:make, factor = -1", "work of the forces = -1 times"),
        pytest.param(
            "calculator = springs:Changed, factor = 0",
            "expected forces that do not vanish",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_wrong_forces_end_the_run_before_force_constants(run, folder, text, message):
    done = run(command("ase", "-d", *options(text)), folder)
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("ERROR: ase: ")
    assert message in line
    assert not (folder / "fc3.hdf5").exists()


@pytest.mark.slow
def test_forces_that_are_wrong_are_used_if_the_user_insists(run, folder):
    text = "calculator = springs:make, factor = 2"
    done = run(command("ase", "-d", "--allow-poor-fit", *options(text)), folder)
    assert done.returncode == 0, done.stderr
    assert "look  work of forces against the energy: 50 % apart" in done.stdout


@pytest.mark.slow
def test_the_amplitude_is_adapted_to_noise_unless_it_is_given(run, folder):
    text = "calculator = springs:make, digits = 4"
    done = run(command("ase", "-d", *options(text)), folder)
    assert done.returncode == 0, done.stderr
    (line,) = [x for x in done.stdout.splitlines() if "because forces are noisy" in x]
    assert line.startswith("Displacements are 0.0")
    amplitude = line.split()[2]
    assert float(amplitude) > 0.01
    assert f"  Displacement distance: {amplitude}" in done.stdout
    given = ("--amplitude", "0.01")
    done = run(command("ase", "-d", *given, *options(text)), folder)
    assert "because forces are noisy" not in done.stdout
    assert "  Displacement distance: 0.01" in done.stdout


def test_forces_that_are_not_finite_name_their_supercell(run, folder):
    # Fifteen evaluations are for the examination; then the fifth supercell.
    text = "calculator = springs:make, bad = 20"
    done = run(command("ase", "-d", *options(text)), folder)
    assert done.returncode == 1
    assert "in supercell 5." in done.stderr
    assert "nan at (0, 3, 1)), in supercell 5" in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("ase", *options("@nowhere.yaml")), "nowhere.yaml: No such file"),
        (("ase", *options("calculator = spring:make")), "No module named 'spring'"),
        (("ase", *options("calculator = springs:make, x = [1")), "has an open ["),
        (("emt", "--mlp-file", "springs.py"), "emt reads no file"),
    ],
)
def test_what_cannot_be_used_is_one_line(run, folder, words, message):
    done = run(command(words[0], "-d", *words[1:]), folder)
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert message in line
    assert not (folder / "phono3py_mlp_health.json").exists()


@pytest.mark.slow
def test_a_solver_of_phono3py_takes_its_options_from_a_file(run, folder):
    (folder / "solver.yaml").write_text("cutoff: 3.5\n")
    results = []
    for text in ("cutoff = 3.5", "@solver.yaml"):
        done = run(
            command(
                *("emt", "--rd", "8", "--random-seed", "1", "--fc-calculator", "symfc"),
                *("--fc-calculator-options", text),
            ),
            folder,
        )
        assert done.returncode == 0, done.stderr
        results.append((folder / "fc3.hdf5").stat().st_size)
        last = done.stdout
    assert "were computed from the same: used again" in last
    assert results[0] == results[1]

"""From a unit cell to kappa in one command, and its steps by hand."""

import json
import re

import numpy as np
import pytest
import yaml

pytest.importorskip("ase")

from ase.build import bulk
from ase.calculators.emt import EMT
from ase.filters import FrechetCellFilter
from ase.io import read, write
from ase.optimize import BFGS
from phono3py import Phono3py
from phonopy.structure.atoms import PhonopyAtoms

from file_schemas import check_files
from phono3py_mlp_plugin.files import FolderLock

KAPPA = ["phono3py-mlp", "kappa", "-c", "POSCAR", "--dim", "2", "2", "2"]
KAPPA += ["--force-calculator", "emt"]
MESH = ["--mesh", "3", "3", "3", "--ts", "300"]
MODEL = "cutoff = 5.0, gtinv_maxl = 2 2, gaussian_params2 = 0 4 4"
LABEL = ["phono3py-mlp", "label", "--force-calculator", "emt"]


@pytest.fixture
def folder(tmp_path):
    """Aluminium with a lattice that is too large."""
    write(tmp_path / "POSCAR", bulk("Al", cubic=True, a=4.1))
    return tmp_path


def kappa_printed(text):
    return float(re.search(r"^ *300\.0 +([0-9.]+)", text, re.M).group(1))


@pytest.mark.slow
def test_one_command_gives_kappa_of_its_steps_by_hand(folder, run, tmp_path_factory):
    done = run([*KAPPA, "--relax", *MESH], folder)
    assert done.returncode == 0, done.stderr
    content = json.loads((folder / "phono3py_mlp_uncertainty.json").read_text())
    names = [one["name"] for one in content["budget"]["contributions"]]
    assert names == ["mesh", "solver", "range of fc3"]
    relaxed = read(folder / "POSCAR-relaxed")
    atoms = bulk("Al", cubic=True, a=4.1)
    atoms.calc = EMT()
    BFGS(FrechetCellFilter(atoms), logfile=None).run(fmax=1e-5)
    np.testing.assert_allclose(relaxed.cell, atoms.cell, atol=1e-5)
    assert (folder / "phono3py_mlp_report.html").is_file()
    other = tmp_path_factory.mktemp("by_hand")
    (other / "POSCAR").write_bytes((folder / "POSCAR-relaxed").read_bytes())
    init = ["phono3py-init", "-d", "--dim", "2", "2", "2", "-c", "POSCAR"]
    assert run([*init, "--pa", "auto"], other).returncode == 0
    load = ["phono3py-load", "phono3py_disp.yaml", "--force-calculator", "emt"]
    by_hand = run([*load, "--br", *MESH, "--error-budget"], other)
    assert by_hand.returncode == 0, by_hand.stderr
    # The digits that are printed.
    assert kappa_printed(done.stdout) == kappa_printed(by_hand.stdout)


@pytest.mark.slow
def test_student_of_a_teacher_has_an_error_budget(folder, run):
    model = ["--teach", "20", "--mlp-params", MODEL, "--uncertainty", "2"]
    done = run([*KAPPA, *model, *MESH, "--random-seed", "3"], folder)
    assert done.returncode == 0, done.stderr
    steps = [x for x in done.stdout.splitlines() if x.startswith("$ ")]
    assert [step.split()[1] for step in steps] == [
        "phono3py-mlp",
        "phono3py",
        "phono3py-mlp",
    ]
    params = yaml.safe_load((folder / "phono3py_params.yaml").read_text())
    assert len(params["dataset"]["displacements"]) == 20
    content = json.loads((folder / "phono3py_mlp_uncertainty.json").read_text())
    assert content["budget"]["contributions"]
    check_files(folder, "health", "labels", "provenance", "report", "uncertainty")
    # The seed is that of the training data: derivatives need no displacements.
    assert not (folder / "phono3py_mlp_eval_dataset.yaml").exists()
    by_file = [*KAPPA[:-1], "pypolymlp", "--mlp-file", "polymlp.yaml"]
    done = run([*by_file, *MESH, "-o", "other.yaml"], folder)
    assert done.returncode == 0, done.stderr


def displaced(folder, run):
    init = ["phono3py-init", "--rd", "3", "--dim", "2", "2", "1", "-c", "POSCAR"]
    done = run([*init, "--pa", "F", "--random-seed", "1"], folder)
    assert done.returncode == 0, done.stderr


def test_labels_are_forces_and_energies_of_the_calculator(folder, run):
    displaced(folder, run)
    done = run(LABEL, folder)
    assert done.returncode == 0, done.stderr
    params = yaml.safe_load((folder / "phono3py_params.yaml").read_text())
    dataset = params["dataset"]
    cell = params["supercell"]
    sites = [point["coordinates"] for point in cell["points"]]
    for number, displacements in enumerate(dataset["displacements"]):
        atoms = bulk("Al", cubic=True, a=4.1).repeat((2, 2, 1))
        atoms.set_cell(cell["lattice"])
        atoms.set_scaled_positions(sites)
        atoms.positions += displacements
        atoms.calc = EMT()
        # Digits of the file.
        np.testing.assert_allclose(
            dataset["forces"][number], atoms.get_forces(), atol=1e-7
        )
        assert dataset["supercell_energies"][number] == pytest.approx(
            atoms.get_potential_energy(), abs=1e-7
        )
    before = (folder / "phono3py_params.yaml").read_bytes()
    again = run(LABEL, folder)
    assert "already" in again.stdout
    assert (folder / "phono3py_params.yaml").read_bytes() == before


def refused(done, message):
    assert done.returncode in (1, 2)
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("ERROR: ")
    assert message in line


@pytest.mark.parametrize(
    "options, message",
    [
        ([], "--mesh is missing"),
        (["--mesh", "3", "3", "3", "--teach", "1"], "--teach = 1; expected 4 or more"),
        (["--mesh", "3", "3", "3", "--meshh", "4"], "unrecognized arguments: --meshh"),
        (["--mesh", "3", "3", "3", "--amplitude", "0"], "--amplitude = 0"),
        (["--mesh", "3", "3", "3", "--cf3", "x"], "setup operation"),
        (["other.yaml", "--mesh", "3", "3", "3"], "expected no file"),
        (["--mesh", "0", "3", "3"], "mesh = 0 3 3; expected three positive"),
        ([*MESH, "--dim", "2", "a", "2"], "invalid int value: 'a'"),
        ([*MESH, "--force-calculator", "emtt"], "No force calculator named 'emtt'"),
        ([*MESH, "--mlp-file", "none"], '"none" is not found'),
        ([*MESH, "--teach", "9", "--mlp-params", "x = 1"], "unknown parameter 'x'"),
    ],
)
def test_what_is_wrong_is_told_before_any_work(folder, run, options, message):
    refused(run([*KAPPA, *options], folder), message)
    assert [path.name for path in folder.iterdir()] == ["POSCAR"]


def test_file_of_another_crystal_is_kept(folder, run):
    (folder / "phono3py_disp.yaml").write_text("of another crystal\n")
    # Silicon is known to the file, not to the calculator.
    write(folder / "POSCAR", bulk("Si"))
    done = run([*KAPPA, *MESH], folder)
    refused(done, "No EMT-potential for Si")
    assert "phono3py_disp.yaml.bak" in done.stdout
    kept = folder / "phono3py_disp.yaml.bak"
    assert kept.read_text() == "of another crystal\n"


def test_crystal_is_not_written_while_another_run_is_in_the_folder(folder, run):
    lock = FolderLock(folder)
    try:
        refused(run([*KAPPA, *MESH], folder), "another run works in this folder")
    finally:
        lock.release()
    assert [path.name for path in folder.iterdir()] == ["POSCAR"]


def crystal(symbol, edge):
    cell = bulk(symbol, cubic=True, a=edge)
    unitcell = PhonopyAtoms(
        symbols=cell.get_chemical_symbols(),
        cell=cell.cell[:],
        scaled_positions=cell.get_scaled_positions(),
    )
    return Phono3py(unitcell, supercell_matrix=[1, 1, 1], primitive_matrix="F")


def test_report_does_not_mix_crystals(tmp_path, run):
    crystal("Al", 4.0).save(tmp_path / "phono3py_params.yaml")
    crystal("Cu", 3.6).save(tmp_path / "phono3py.yaml")
    report = ["phono3py-mlp", "report"]
    refused(run(report, tmp_path), "its crystal (Al4) or supercell is not that of")
    crystal("Al", 4.1).save(tmp_path / "phono3py_mlp_eval_dataset.yaml")
    done = run([*report, "phono3py_params.yaml"], tmp_path)
    refused(done, "nothing to report")
    assert "is of another crystal: it is not used" in done.stdout


def test_supercell_in_which_fc3_vanishes_is_too_small(folder, run):
    write(folder / "POSCAR", bulk("Al", a=3.994))
    refused(run([*KAPPA, *MESH], folder), "are half lattice vectors")
    init = ["phono3py-init", "-d", "--dim", "2", "2", "2", "-c", "POSCAR", "--pa", "P"]
    assert run(init, folder).returncode == 0
    load = ["phono3py-load", "phono3py_disp.yaml", "--force-calculator", "emt", *MESH]
    refused(run([*load, "--br"], folder), "are half lattice vectors")


def test_labels_that_cannot_be(folder, run):
    refused(run(LABEL, folder), '"phono3py_disp.yaml" is not found')
    displaced(folder, run)
    assert run(LABEL, folder).returncode == 0
    refused(run([*LABEL, "phono3py_params.yaml"], folder), "have forces already")
    same = ["-o", "phono3py_disp.yaml"]
    refused(run([*LABEL, *same], folder), "is the input file")
    for name in ("none/params.yaml", "."):
        refused(run([*LABEL, "-o", name], folder), "expected a file in a folder that")


@pytest.mark.slow
def test_quiet_command_prints_nothing_and_leaves_all_files(folder, run):
    done = run([*KAPPA, "--relax", *MESH, "-q", "--no-error-budget"], folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout == done.stderr == ""
    assert (folder / "phono3py_mlp_report.html").is_file()
    assert (folder / "POSCAR-relaxed").is_file()
    assert not (folder / "phono3py_mlp_uncertainty.json").exists()


@pytest.mark.parametrize(
    "more, message",
    [
        (["--relax"], "ase: work of the forces = -1 times"),
        pytest.param(["-q"], "ase: work of the", marks=pytest.mark.slow),
    ],
)
def test_potential_with_wrong_forces_relaxes_nothing(folder, run, more, message):
    (folder / "wrong.py").write_text(WRONG)
    ase = ["ase", "--force-calculator-options", "calculator = wrong:Wrong"]
    refused(run([*KAPPA[:-1], *ase, *MESH, *more], folder), message)
    assert not (folder / "POSCAR-relaxed").exists()
    assert not (folder / "phono3py_disp.yaml").exists() or "-q" in more


@pytest.mark.slow
@pytest.mark.parametrize(
    "words, message",
    [
        (["--teach", "9", "--mlp-file", "a", "--mlp-file", "b"], "is given 2 times"),
        (["--mlp-file", "a", "--mlp-file", "b"], '"a" is not found'),
    ],
)
def test_models_that_cannot_be_are_told_before_any_work(folder, run, words, message):
    command = [*KAPPA[:-1], "pypolymlp", *MESH, *words]
    refused(run(command, folder), message)
    assert [path.name for path in folder.iterdir()] == ["POSCAR"]


WRONG = """
from ase.calculators.emt import EMT


class Wrong(EMT):
    def get_forces(self, atoms):
        return -super().get_forces(atoms)
"""


def test_labels_of_a_calculator_with_wrong_forces_are_refused(folder, run):
    displaced(folder, run)
    (folder / "wrong.py").write_text(WRONG)
    words = ["phono3py-mlp", "label", "--force-calculator", "ase"]
    words += ["--force-calculator-options", "calculator = wrong:Wrong"]
    refused(run(words, folder), "work of the forces = -1 times")
    assert not (folder / "phono3py_params.yaml").exists()
    assert run([*words, "--allow-poor-fit"], folder).returncode == 0
    assert (folder / "phono3py_params.yaml").is_file()

"""``--fc-calculator exact``: force constants without displacements, by command."""

import json
import shutil

import h5py
import numpy as np
import pytest

from file_schemas import check_files
from host_features import OPTIONS, needs_switches
from small_model import MODEL, force_constants

TRAIN = f"{MODEL}, ntrain=10, ntest=10"
COMMAND = ["phono3py-load", "--pypolymlp", f"--mlp-params={TRAIN}"]
FILE = "phono3py_params.yaml"
KAPPA = ["--br", "--mesh", "3", "3", "3", "--ts", "300"]
EXACT = ["--fc-calculator", "exact"]
# Without it, kappa depends on rounding in the choice of degenerate bands.
SMEARED = ["--sigma", "0.3"]


@pytest.fixture
def folder(analytic_params, tmp_path):
    shutil.copy(analytic_params, tmp_path / FILE)
    return tmp_path


def test_run_needs_no_displacements(run, folder):
    done = run([*COMMAND, FILE, *EXACT, *KAPPA], folder)
    assert done.returncode == 0, done.stderr
    assert "derivatives of pypolymlp in the supercell of 16 atoms" in done.stdout
    assert "Evaluate forces" not in done.stdout and "(-d)" not in done.stdout
    assert not (folder / "phono3py_mlp_eval_dataset.yaml").exists()
    found = force_constants(folder)

    again = run([*COMMAND, FILE, *EXACT, *KAPPA], folder)
    assert again.returncode == 0, again.stderr
    assert "used again" in again.stdout

    # Finite differences of 0.003 angstrom: fourth and fifth orders are left.
    done = run([*COMMAND, FILE, "-d", "--amplitude", "0.003"], folder)
    assert done.returncode == 0, done.stderr
    for name, expected in force_constants(folder).items():
        scale = np.abs(expected).max()
        np.testing.assert_allclose(found[name], expected, atol=1e-3 * scale)


def test_force_constants_alone_and_full(run, folder):
    done = run([*COMMAND, FILE, *EXACT, "--full-fc"], folder)
    assert done.returncode == 0, done.stderr
    assert force_constants(folder)["fc3"].shape == (16, 16, 16, 3, 3, 3)


def test_error_bars_take_the_same_road(run, folder):
    done = run([*COMMAND, FILE, *EXACT, *KAPPA, "--uncertainty", "3"], folder)
    assert done.returncode == 0, done.stderr
    assert "Evaluating forces" not in done.stdout + done.stderr
    check_files(folder, "provenance", "uncertainty")


@pytest.mark.slow
def test_converge_takes_the_same_road(run, folder):
    command = ["phono3py-mlp", "converge", FILE, *EXACT]
    options = [f"--mlp-params={MODEL}, ntest=10", "--mesh", "3", "3", "3", *SMEARED]
    sizes = ["--sizes", "10", "20", "--members", "3"]
    done = run([*command, *options, *sizes], folder)
    assert done.returncode == 0, done.stderr
    assert "Evaluating forces" not in done.stdout + done.stderr
    check_files(folder, "convergence")
    points = json.loads((folder / "phono3py_mlp_convergence.json").read_text())
    run(
        [
            *COMMAND[:2],
            f"--mlp-params={MODEL}, ntrain=20, ntest=10",
            FILE,
            *EXACT,
            *KAPPA,
            *SMEARED,
        ],
        folder,
    )
    (path,) = folder.glob("kappa-m333*.hdf5")
    with h5py.File(path) as file:
        expected = file["kappa"][0, 0]
    kappa = points["points"][-1]["kappa"][0][0]
    np.testing.assert_allclose(kappa, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-d"], "-d and --fc-calculator exact"),
        (["--rd", "4"], "--rd and --fc-calculator exact"),
        (["--amplitude", "0.01"], "--amplitude and --fc-calculator exact"),
        (["--cutoff-pair", "4"], "cutoff of fc3 = 4 angstrom; expected none"),
    ],
)
def test_options_of_displacements_are_refused(run, folder, options, message):
    done = run([*COMMAND, FILE, *EXACT, *options], folder)
    assert done.returncode == 1
    assert message in done.stderr and done.stderr.count("\n") == 1
    assert not (folder / "fc3.hdf5").exists()


@pytest.mark.parametrize("names", ["exact|symfc", "symfc|exact"])
def test_one_of_fc2_and_fc3_would_need_displacements(run, folder, names):
    done = run([*COMMAND, FILE, "--fc-calculator", names], folder)
    assert done.returncode == 1
    assert "Give --fc-calculator exact." in done.stderr


def test_potential_without_derivatives_is_refused(run, folder):
    done = run(
        [
            "phono3py-load",
            FILE,
            "--force-calculator",
            "ase",
            "--force-calculator-options",
            "calculator = ase.calculators.lj:LennardJones, sigma = 2.4, rc = 6",
            *EXACT,
        ],
        folder,
    )
    assert done.returncode == 1
    assert "gives no derivatives" in done.stderr and done.stderr.count("\n") == 1


def test_without_a_potential_the_host_says_what_is_missing(run, folder):
    done = run(["phono3py-load", FILE, *EXACT], folder)
    assert done.returncode == 1
    assert "there is no potential here" in done.stderr


def test_potential_gives_fc2_in_its_own_supercell(run, two_supercells):
    folder, n = two_supercells, 54
    done = run([*COMMAND, *EXACT, "without.yaml"], folder)
    assert done.returncode == 0, done.stderr
    assert force_constants(folder)["fc2"].shape[1] == n
    assert f"fc2: derivatives of pypolymlp in the supercell of {n}" in done.stdout


def test_first_principles_forces_for_fc2_are_kept(run, two_supercells):
    folder, n = two_supercells, 54
    done = run([*COMMAND, *EXACT, "with.yaml"], folder)
    assert done.returncode == 1
    assert "Give --fc-calculator 'symfc|exact'." in done.stderr
    done = run([*COMMAND, "--fc-calculator", "symfc|exact", "with.yaml"], folder)
    assert done.returncode == 0, done.stderr
    assert "fc2 comes from the first-principles forces of dim-fc2" in done.stdout
    assert force_constants(folder)["fc2"].shape[1] == n


@needs_switches
@pytest.mark.slow
def test_kappa_of_rock_salt_is_that_of_small_displacements(run, nacl_params, tmp_path):
    """The host's options by which kappa does not depend on degenerate bands are used.

    fc2 and fc3 differ by 1e-3, their fourth and fifth orders at 0.01 angstrom.
    """
    kappas = []
    for options in (EXACT, ["-d", "--amplitude", "0.01"]):
        shutil.copy(nacl_params, tmp_path / FILE)
        mesh = ["--br", "--mesh", "5", "5", "5", "--ts", "300"]
        command = [*COMMAND, FILE, *options, *mesh, *OPTIONS]
        done = run(command, tmp_path)
        assert done.returncode == 0, done.stderr
        with h5py.File(tmp_path / "kappa-m555.hdf5") as file:
            kappas.append(file["kappa"][0, 0])
    np.testing.assert_allclose(*kappas, rtol=3e-3)

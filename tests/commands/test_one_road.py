"""Kappa and its error bar come from one problem, however it is written."""

import json
import shutil

import h5py
import numpy as np
import pytest

from small_model import MODEL

PARAMS = "phono3py_params.yaml"
MESH = ["--mesh", "3", "3", "3", "--sigma", "0.3", "--ts", "300"]
LOAD = ["phono3py-load", PARAMS, "--pypolymlp", "--br", *MESH]
LOAD += ["--mlp-params", f"{MODEL}, ntrain = 10, ntest = 10"]
RANDOM = ["--rd", "8", "--random-seed", "0"]
CONVERGE = ["phono3py-mlp", "converge", PARAMS, *MESH, "--sizes", "10"]
CONVERGE += ["--mlp-params", f"{MODEL}, ntest = 10", "--members", "2"]


def lines(done):
    assert done.returncode == 0, done.stderr
    return [line for line in done.stdout.splitlines() if "kappa_xx(300 K)" in line]


def kappa(folder):
    (path,) = folder.glob("kappa-*.hdf5")
    with h5py.File(path) as file:
        return file["kappa"][()].reshape(-1, 6)


def point(folder):
    content = json.loads((folder / "phono3py_mlp_convergence.json").read_text())
    (found,) = content["points"]
    return found


@pytest.mark.slow
def test_error_bars_know_a_cutoff_by_every_name(run, analytic_params, tmp_path):
    """The options of force constants reach the ensemble as they reach the run."""
    found = set()
    for k, options in enumerate(
        [
            ["--fc-calculator-options", "use_mkl = false, cutoff = 3"],
            ["--fc-calculator-options", "cutoff = 3, memsize = 2"],
            ["--fc-calculator", "symfc|symfc", "--cutoff-pair", "3"],
        ]
    ):
        # Options of one solver are of all orders.
        solver = [] if "--fc-calculator" in options else ["--fc-calculator", "symfc"]
        folder = tmp_path / str(k)
        folder.mkdir()
        shutil.copy(analytic_params, folder / PARAMS)
        words = [*LOAD, *RANDOM, *options, *solver, "--uncertainty", "3"]
        (line,) = lines(run(words, folder))
        found.add(line)
    assert len(found) == 1, found


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        [*RANDOM, "--nonac", "--bmfp", "0.5", "--cutoff-pair", "3", "--isotope"],
        [*RANDOM, "--lbte", "--amplitude", "0.02", "--fc-calc-opt", "cutoff = 3"],
        [*RANDOM, "--cutoff-fc3", "5", "--cutoff-pair", "3", "--tt", "smm19"],
    ],
    ids=" ".join,
)
def test_options_of_a_run_have_their_effect_in_a_study(
    run, analytic_params, tmp_path, options
):
    ours, host = tmp_path / "converge", tmp_path / "load"
    for folder in (ours, host):
        folder.mkdir()
        shutil.copy(analytic_params, folder / PARAMS)
    done = run([*CONVERGE, *options], ours)
    assert done.returncode == 0, done.stderr
    load = [word for word in LOAD if word != "--br" or "--lbte" not in options]
    done = run([*load, *options, "--uncertainty", "2"], host)
    assert done.returncode == 0, done.stderr
    # The two fits differ by rounding, 1e-8 eV/angstrom at displacements of 0.01.
    np.testing.assert_allclose(point(ours)["kappa"], kappa(host), rtol=1e-5, atol=1e-5)
    # Error bars too: the same supercells, solver and settings.
    record = json.loads((host / "phono3py_mlp_uncertainty.json").read_text())
    logs = np.log(
        [m[0][0] / point(ours)["reference"][0][0] for m in point(ours)["members"]]
    )
    sampling = record["temperatures"][0]["bars"][0]["sampling"]
    assert sampling == pytest.approx(np.sqrt(np.mean(logs**2)), rel=1e-2)


@pytest.mark.slow
def test_systematic_displacements_of_a_run_are_those_of_its_error_bar(
    run, analytic_params, tmp_path
):
    """Also where the force constants are used again, and in a study."""
    shutil.copy(analytic_params, tmp_path / PARAMS)
    words = [*LOAD, "-d", "--uncertainty", "2"]
    (first,) = lines(run(words, tmp_path))
    done = run(words, tmp_path)
    assert lines(done) == [first]
    assert "were computed from the same: used again" in done.stdout
    done = run([*CONVERGE, "-d"], tmp_path)
    assert done.returncode == 0, done.stderr
    value, error = first.split("=")[1].split()[:3:2]
    (row,) = [line for line in done.stdout.splitlines() if f"{value} +-" in line]
    assert float(row.split()[3]) == pytest.approx(float(error), abs=0.002)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--write-gamma"], "converge and --write-gamma: leave it out"),
        (["--read-gamma"], "converge and --read-gamma: leave one out"),
        (["--gp", "0"], "converge and --gp: leave one out"),
        (["--uncertainty", "4"], "converge has --members for it"),
        (["--mlp-file", PARAMS], "converge trains the potentials itself"),
        (["--sigma", "0.1", "0.2"], "converge takes one smearing width"),
        (["--sigma", "-0.1"], "--sigma = -0.1; expected a positive number"),
        (["--thm", "--sigma", "0.1"], "converge takes one smearing width"),
        (["--jdos", "--gp", "0"], "converge computes kappa"),
        (["-c", "POSCAR"], "'-c' is a setup operation of phono3py-init"),
        (["-d", "--rd", "8"], "-d and --rd: give systematic or random displacements"),
        (["--rd", "8", "--fc-calculator", "traditional"], "finite differences cannot"),
        (["--rd", "8", "--fc-calculator", "traditional|symfc"], "finite differences"),
        (["--fc-calculator", "symfc", "--fc-calc-opt", "cutof=4"], "'cutof'. Did you"),
        (["--fc-calculator", "alm"], "'alm' cannot be used"),
        (["--rd-fc2", "4"], "--rd-fc2 = 4: there is no separate supercell for fc2"),
        (["--sizes", "5", "x"], "--sizes 5 x: expected ascending numbers"),
    ],
)
def test_what_a_study_cannot_do_is_refused_before_work(
    run, analytic_params, tmp_path, options, message
):
    shutil.copy(analytic_params, tmp_path / PARAMS)
    done = run([*CONVERGE, *options], tmp_path)
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("ERROR: ")
    assert message in line
    assert [p.name for p in tmp_path.iterdir()] == [PARAMS]


@pytest.mark.parametrize("names", ["traditional|symfc", "symfc|traditional"])
def test_finite_differences_of_random_displacements_are_refused_before_training(
    run, analytic_params, tmp_path, names
):
    shutil.copy(analytic_params, tmp_path / PARAMS)
    done = run([*LOAD, "--rd", "8", "--fc-calculator", names], tmp_path)
    assert done.returncode == 1
    assert "finite differences cannot use random displacements (--rd)" in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == [PARAMS]

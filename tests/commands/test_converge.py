"""phono3py-mlp converge and --uncertainty: error bars of kappa."""

import json
import shutil
import signal
import subprocess
import time

import h5py
import numpy as np
import phono3py
import pytest

from conftest import SCRIPTS
from host_features import HAS_SWITCHES, OPTIONS, needs_switches
from small_model import MODEL

PARAMS = "phono3py_params.yaml"
JSON = "phono3py_mlp_convergence.json"
CONVERGE = ["phono3py-mlp", "converge", PARAMS, "--mesh", "3", "3", "3"]
CONVERGE += ["--mlp-params", f"{MODEL}, ntest = 10", "--members", "3"]
LOAD = ["phono3py-load", PARAMS, "--pypolymlp"]
LOAD += ["--mesh", "3", "3", "3", "--br", "--sigma", "0.3", "--ts", "300"]


# Every size is wanted.
STRICT = ["--sigma", "0.3", "--tolerance", "1e-6"]
STUDY = [*CONVERGE, *STRICT, "--sizes", "10", "20", "40"]


def points(folder):
    return json.loads((folder / JSON).read_text())["points"]


def refused(done, message):
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("ERROR: ")
    assert message in line


@pytest.fixture(scope="module")
def finished(tmp_path_factory, analytic_params, run):
    folder = tmp_path_factory.mktemp("converge")
    shutil.copy(analytic_params, folder / PARAMS)
    done = run(STUDY, folder)
    assert done.returncode == 0, done.stderr
    return folder, done


def test_table_verdict_and_files(finished):
    folder, done = finished
    assert "Born charges correct" in done.stdout
    assert done.stdout.count("Switched on") == HAS_SWITCHES
    lines = [line.split() for line in done.stdout.splitlines() if " +- " in line]
    assert [words[0] for words in lines] == ["10", "20", "40", "Most"]
    assert "not converged with 40 supercells: change over the last 2" in done.stdout
    # A millionth is out of reach: no number is promised.
    assert "expected to be needed" not in done.stdout
    heads = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF-"}
    for suffix, head in heads.items():
        file = folder / f"phono3py_mlp_convergence{suffix}"
        assert file.read_bytes().startswith(head)
    content = json.loads((folder / JSON).read_text())
    assert content["verdicts"]["kappa"]["converged"] is False
    keys = [point["key"] for point in content["points"]]
    assert content["last_study"] == {"tolerance": 1e-6, "keys": keys}
    assert all(point["mesh"] == [3.0, 3.0, 3.0] for point in content["points"])
    assert not list(folder.glob(".phono3py-mlp*"))


def kappa_of_a_run(run, folder, *options):
    model = ["--mlp-params", f"{MODEL}, ntrain = 20, ntest = 10"]
    done = run([*LOAD, *model, *options], folder)
    assert done.returncode == 0, done.stderr
    (path,) = folder.glob("kappa-*.hdf5")
    with h5py.File(path) as file:
        return file["kappa"][()].ravel()


def test_kappa_is_that_of_a_run_of_each_size(finished, analytic_params, run, tmp_path):
    """Against phono3py-load, which trains each size by itself."""
    folder, _ = finished
    shutil.copy(analytic_params, tmp_path / PARAMS)
    kappa = kappa_of_a_run(run, tmp_path, "--fc-calculator", "exact")
    (point,) = [p for p in points(folder) if p["size"] == 20]
    # The two fits differ by rounding, which weak force constants amplify.
    np.testing.assert_allclose(point["kappa"][0][:3], kappa[:3], rtol=1e-5)


@pytest.mark.slow
def test_displacements_are_used_if_they_are_asked_for(analytic_params, run, tmp_path):
    shutil.copy(analytic_params, tmp_path / PARAMS)
    displaced = ["--rd", "8", "--random-seed", "0", "--amplitude", "0.01"]
    kappa = kappa_of_a_run(run, tmp_path, *displaced)
    study = [*CONVERGE, *STRICT, "--sizes", "10", "20", "--members", "2", *displaced]
    done = run(study, tmp_path)
    assert done.returncode == 0, done.stderr
    (point,) = [p for p in points(tmp_path) if p["size"] == 20]
    # The two fits differ by rounding, 1e-8 eV/angstrom at displacements of 0.01.
    np.testing.assert_allclose(point["kappa"][0][:3], kappa[:3], rtol=1e-5)


def test_errors_fall_and_hold_the_value_of_more_supercells(finished):
    found = points(finished[0])
    assert found[0]["left_out"] > found[-1]["left_out"]
    for point in found:
        scatter = np.std(np.log([m[0][0] for m in point["members"]]))
        # On so coarse a mesh kappa is far more sensitive than on one to be used.
        assert 1e-5 < scatter < 0.5
        assert len(point["members"]) == 3
        assert len(point["alternatives"]) == 2
        assert 0 < point["fc2_error"] < point["fc3_error"] < 1
        labels = [one["label"] for one in point["phonons"]]
        assert labels == ["GAMMA", "X", "U", "K", "L", "W"]
        gamma, x = point["phonons"][:2]
        # Translations are free in every member; the other modes are not sure.
        assert max(gamma["errors"][:3]) < 1e-4
        assert 1e-4 < min(x["errors"]) < max(x["errors"]) < 0.2
        assert x["frequencies"] == sorted(x["frequencies"])


def test_finished_points_are_kept(finished, run, tmp_path):
    folder, _ = finished
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    before = points(tmp_path)
    done = run(STUDY, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("(kept)") == 3
    assert "Training" not in done.stdout
    assert points(tmp_path) == before


@needs_switches
def test_points_with_other_settings_of_phono3py_are_not_reused(finished, run, tmp_path):
    """As those of earlier versions, which switched nothing on."""
    shutil.copytree(finished[0], tmp_path / "study")
    before = points(tmp_path / "study")
    negative = [f"--no-{name.removeprefix('--')}" for name in OPTIONS]
    words = [*CONVERGE, *STRICT, "--sizes", "10", *negative]
    done = run(words, tmp_path / "study")
    assert done.returncode == 0, done.stderr
    assert "(kept)" not in done.stdout
    assert "Switched on" not in done.stdout
    *others, point = points(tmp_path / "study")
    assert others == before
    assert point["key"] not in {one["key"] for one in before}


def stopped_after_a_point(folder, number):
    """Start the study and send it a signal when its first point is kept."""
    process = subprocess.Popen(
        [SCRIPTS / STUDY[0], *STUDY[1:]],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (folder / JSON).exists():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(number)
    _, error = process.communicate()
    return process, error


@pytest.mark.slow
@pytest.mark.real_process
def test_killed_study_goes_on_to_the_same_numbers(
    finished, analytic_params, run, tmp_path
):
    shutil.copy(analytic_params, tmp_path / PARAMS)
    stopped_after_a_point(tmp_path, signal.SIGKILL)
    time.sleep(0.5)
    kept = len(points(tmp_path))
    assert kept < 3
    done = run(STUDY, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("(kept)") == kept
    for one, other in zip(points(tmp_path), points(finished[0]), strict=True):
        assert one["key"] == other["key"]
        for key in ("kappa", "members", "alternatives"):
            np.testing.assert_allclose(one[key], other[key], rtol=1e-6, atol=1e-9)


@pytest.mark.real_process
def test_interrupted_study_ends_in_one_line(analytic_params, tmp_path):
    shutil.copy(analytic_params, tmp_path / PARAMS)
    # A figure of an earlier study, which the new point contradicts.
    for suffix in (".png", ".svg", ".pdf"):
        (tmp_path / f"phono3py_mlp_convergence{suffix}").write_text("old")
    process, error = stopped_after_a_point(tmp_path, signal.SIGINT)
    assert process.returncode == 130
    (line,) = error.splitlines()
    # Members of the next point may have been finished meanwhile.
    assert line.startswith("Stopped by SIGINT. 1 point ")
    assert line.endswith(" kept: run the same again.")
    names = {p.name for p in tmp_path.iterdir()} - {".phono3py-mlp-chunks"}
    assert names == {PARAMS, JSON}


@pytest.mark.slow
def test_orders_and_variants(run, analytic_params, tmp_path):
    shutil.copy(analytic_params, tmp_path / PARAMS)
    done = run(
        [*CONVERGE, "--sizes", "10", "--orders", "2", "--over", "mesh=2,3"], tmp_path
    )
    assert done.returncode == 0, done.stderr
    found = points(tmp_path)
    assert [(p["label"], p["order"]) for p in found] == [
        ("mesh = 2", 0),
        ("mesh = 3", 0),
        ("mesh = 2", 1),
        ("mesh = 3", 1),
    ]
    assert len({p["kappa"][0][0] for p in found}) == 4
    assert found[0]["left_out"] == found[1]["left_out"] != found[2]["left_out"]


@pytest.mark.slow
@pytest.mark.real_process
def test_study_stops_where_sizes_agree(run, analytic_params, tmp_path):
    shutil.copy(analytic_params, tmp_path / PARAMS)
    words = ["--sizes", "10", "20", "40", "80", "--tolerance", "0.2"]
    done = run([*CONVERGE, *words], tmp_path)
    assert done.returncode == 0, done.stderr
    assert [p["size"] for p in points(tmp_path)] == [10, 20]
    assert "\nconverged with 20 supercells" in done.stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--sizes", "20", "10"], "expected ascending numbers"),
        (["--sizes", "10", "95"], "sizes up to 95 and 10 for testing; the dataset has"),
        (["--mesh", "3", "3"], "mesh = 3 3; expected three"),
        (["--members", "1"], "--members: at least 2"),
        (["--tolerance", "0"], "--tolerance = 0.0; expected a positive number"),
        (["--amplitude", "-1"], "--amplitude = -1.0; expected a positive"),
        (["--over", "mesh"], "expected name=a,b with at least two values"),
        (["--over", "mush=1,2"], "expected mesh, amplitude, cutoff-fc3 or a parameter"),
        (["--over", "mesh=a,b"], "expected a positive number"),
        (["--mlp-params", "ntrain=5"], "ntrain and split are what converge varies"),
        (["--mlp-params", "engine=pypolymlp"], "gives no error bars"),
        (["--ts", "0"], "--ts = 0; expected positive temperatures"),
        (["--fc-calculator", "foo"], "No force-constants solver named 'foo'"),
    ],
)
def test_what_cannot_be_studied_is_told(
    run, analytic_params, tmp_path, options, message
):
    shutil.copy(analytic_params, tmp_path / PARAMS)
    refused(run([*CONVERGE, *options], tmp_path), message)
    assert [p.name for p in tmp_path.iterdir()] == [PARAMS]


def test_error_bars_of_a_run(run, analytic_params, tmp_path, finished):
    shutil.copy(analytic_params, tmp_path / PARAMS)
    model = ["--mlp-params", f"{MODEL}, ntrain = 20, ntest = 10"]
    words = [*LOAD, *model, "--uncertainty", "3"]
    done = run(words, tmp_path)
    assert done.returncode == 0, done.stderr
    (line,) = [x for x in done.stdout.splitlines() if "kappa_xx(300 K)" in x]
    value, error = (float(x) for x in line.split("=")[1].split()[:3:2])
    content = json.loads((tmp_path / "phono3py_mlp_uncertainty.json").read_text())
    (found,) = content["temperatures"]
    assert found["kappa"][0] == pytest.approx(value, abs=6e-4)
    (point,) = [p for p in points(finished[0]) if p["size"] == 20]
    # The same ensemble, run by converge.
    logs = np.log([m[0][0] / point["kappa"][0][0] for m in point["members"]])
    scatter = np.sqrt(np.mean(logs**2))
    assert found["bars"][0]["sampling"] == pytest.approx(scatter, rel=1e-3)
    assert 0 < error < 0.5 * value
    for name in ("fc2_error", "fc3_error"):
        assert content[name] == pytest.approx(point[name], rel=1e-6)
    assert content["phonons"][1]["label"] == "X"
    for one, other in zip(content["phonons"], point["phonons"], strict=True):
        assert one["frequencies"] == pytest.approx(other["frequencies"], abs=1e-6)
        assert one["errors"] == pytest.approx(other["errors"], abs=1e-6)
    assert "most uncertain phonon: " in done.stdout


def test_potential_of_a_run_with_error_bars_is_that_of_a_run_without(
    run, analytic_params, tmp_path
):
    """One training gives both; a potential that is reused has the same error bar."""
    model = ["--mlp-params", f"{MODEL}, ntrain = 20, ntest = 10"]
    shutil.copy(analytic_params, tmp_path / PARAMS)
    done = run([*LOAD[:3], *model], tmp_path)
    assert done.returncode == 0, done.stderr
    alone = (tmp_path / "polymlp.yaml").read_bytes()
    bars = []
    for reused in (True, False):
        done = run([*LOAD, *model, "--uncertainty", "3"], tmp_path)
        assert done.returncode == 0, done.stderr
        assert ("Training on 20" not in done.stdout) == reused
        bars.append([x for x in done.stdout.splitlines() if "+-" in x])
        assert (tmp_path / "polymlp.yaml").read_bytes() == alone
        (tmp_path / "polymlp.yaml").unlink()
    assert len(bars[0]) == 5
    assert bars[0] == bars[1]


def kappa_xx(folder):
    (path,) = folder.glob("kappa-*.hdf5")
    with h5py.File(path) as file:
        return file["kappa"][0, 0]


@needs_switches
def test_kappa_and_its_error_bar_are_computed_with_the_same_settings(
    run, analytic_params, tmp_path
):
    shutil.copy(analytic_params, tmp_path / PARAMS)
    model = ["--mlp-params", f"{MODEL}, ntrain = 20, ntest = 10"]
    tetrahedra = [word for word in LOAD if word not in ("--sigma", "0.3")]
    done = run([*tetrahedra, *model, "--uncertainty", "2"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(f"kappa: {' '.join(OPTIONS)} (--no-") == 1
    assert "Recommended" not in done.stdout
    recorded = (tmp_path / "phono3py.yaml").read_text()
    for option in OPTIONS:
        assert f'{option[2:].replace("-", "_")}: ".true."' in recorded
    with_error_bar = kappa_xx(tmp_path)
    tetrahedra += ["--fc-calculator", "exact"]
    done = run([*tetrahedra, *model, *OPTIONS], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Recommended" not in done.stdout
    # Force constants are reused.
    assert kappa_xx(tmp_path) == pytest.approx(with_error_bar, rel=1e-12)
    done = run([*tetrahedra, *model], tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"Recommended: {' '.join(OPTIONS)}." in done.stdout
    # Otherwise the settings would have had no effect on this mesh.
    assert abs(kappa_xx(tmp_path) / with_error_bar - 1) > 1e-6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--uncertainty", "1"], "--uncertainty = 1; expected 2 or more"),
        (["--uncertainty-mesh", "3"], "--uncertainty-mesh: is for --uncertainty N"),
        (["--uncertainty", "4", "--gp", "0"], "--uncertainty and --gp: leave one out"),
        (
            ["--uncertainty", "4", "--mlp-params", f"{MODEL}, engine=pypolymlp"],
            "gives no error bars",
        ),
    ],
)
def test_error_bars_that_cannot_be(run, analytic_params, tmp_path, options, message):
    shutil.copy(analytic_params, tmp_path / PARAMS)
    refused(run([*LOAD, *options], tmp_path), message)
    assert [p.name for p in tmp_path.iterdir()] == [PARAMS]


def test_error_bars_need_a_kappa(run, analytic_params, tmp_path):
    shutil.copy(analytic_params, tmp_path / PARAMS)
    done = run([*LOAD[:3], "-d", "--uncertainty", "4"], tmp_path)
    refused(done, "--uncertainty: is for runs that compute kappa. Give --br or --lbte")


def test_imaginary_modes_stop_the_run(run, trained, tmp_path):
    """A spring that pushes: fc2 of the other sign."""
    text = (trained / "polymlp.yaml").read_text()
    head, _, tail = text.partition("coeffs: [")
    numbers, _, rest = tail.partition("]")
    turned = ", ".join(str(-float(x)) for x in numbers.split(","))
    (trained / "polymlp.yaml").write_text(f"{head}coeffs: [{turned}]{rest}")
    words = ["phono3py-load", "phono3py.yaml", "--pypolymlp", "-d", "--mesh", "3", "3"]
    words += ["3", "--br", "--ts", "300", "--sigma", "0.3"]
    done = run(words, trained)
    refused(done, "imaginary modes: lowest mode on the mesh: -")
    assert "THz at q = " in done.stderr
    assert not list(trained.glob("kappa*"))
    done = run([*words, "--allow-imaginary"], trained)
    assert done.returncode == 0, done.stderr
    assert list(trained.glob("kappa*"))


@pytest.fixture
def soft_crystal(nacl_params, tmp_path):
    """NaCl between whose Na act springs that push: its mode at X is imaginary."""
    strength = 0.3  # eV/angstrom^2
    ph3 = phono3py.load(nacl_params, produce_fc=False, is_nac=False, log_level=0)
    cell = ph3.supercell
    apart = cell.scaled_positions[:, None] - cell.scaled_positions
    vectors = (apart - np.rint(apart)) @ cell.cell
    distances = np.linalg.norm(vectors, axis=2)
    sodium = np.array(cell.symbols) == "Na"
    near = np.outer(sodium, sodium) & (distances > 0.1) & (distances < 4.2)
    units = np.where(near[..., None], vectors / np.fmax(distances, 0.1)[..., None], 0)
    relative = ph3.displacements[:, :, None] - ph3.displacements[:, None]
    stretched = np.einsum("ijx,sijx->sij", units, relative)
    ph3.forces = ph3.forces + strength * np.einsum("ijx,sij->six", units, stretched)
    pushed = strength / 4 * (stretched**2).sum(axis=(1, 2))
    ph3.supercell_energies = ph3.supercell_energies - pushed
    ph3.save(tmp_path / PARAMS, settings={"force_constants": False})
    return tmp_path


@pytest.mark.slow
def test_imaginary_modes_of_the_most_supercells_stop_the_study(run, soft_crystal):
    words = [*CONVERGE[:-1], "2", "--sizes", "5", "10", "--sigma", "0.3"]
    done = run(words, soft_crystal)
    refused(done, "imaginary modes with 10 supercells: -1.9")
    assert done.stdout.count("THz at X, 2 of 2 potentials of the ensemble") == 2
    assert "converged" not in done.stdout
    done = run([*words, "--allow-imaginary"], soft_crystal)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("(kept)") == 2
    assert "not converged with 10 supercells" in done.stdout
    assert "imaginary modes: -1.9" in done.stdout


def budget_names(record):
    return [one["name"] for one in record["contributions"]]


ALL = ["supercells", "penalty", "model", "mesh", "solver", "range of fc3"]


def test_last_size_of_a_study_has_an_error_budget(finished):
    folder, done = finished
    with_budget = [p for p in points(folder) if p["budget"] is not None]
    assert [p["size"] for p in with_budget] == [max(p["size"] for p in points(folder))]
    (budget,) = (p["budget"] for p in with_budget)
    assert budget_names(budget) == ALL
    assert "Error budget of kappa with 40 supercells at 300 K" in done.stdout
    assert "not included: the exchange-correlation functional" in done.stdout
    # Three points along each axis.
    assert "Note: mesh: inf % of kappa" in done.stdout


@pytest.mark.slow
def test_error_budget_of_a_run_has_the_contribution_of_displacements(
    run, analytic_params, tmp_path
):
    shutil.copy(analytic_params, tmp_path / PARAMS)
    model = ["--mlp-params", f"{MODEL}, ntrain = 20, ntest = 10"]
    words = ["--mesh", "5", "5", "5", "-d", "--uncertainty", "2"]
    done = run([*LOAD, *model, *words], tmp_path)
    assert done.returncode == 0, done.stderr
    content = json.loads((tmp_path / "phono3py_mlp_uncertainty.json").read_text())
    budget = content["budget"]
    assert budget_names(budget) == ALL
    (solver,) = (x for x in budget["contributions"] if x["name"] == "solver")
    # Differences of second order in an amplitude of 0.03 angstrom.
    assert 0 < solver["relative"][0][0] < 0.05
    (line,) = (x for x in done.stdout.splitlines() if "with all of these" in x)
    value, error = (float(x) for x in line.split(": ")[1].split()[:3:2])
    squares = [x["relative"][0][0] ** 2 for x in budget["contributions"]]
    assert error == pytest.approx(value * sum(squares) ** 0.5, abs=1e-3)

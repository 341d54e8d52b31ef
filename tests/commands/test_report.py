"""phono3py-mlp report: the page of a folder, its numbers, the page in a browser."""

import json
import os
import re
import shutil
import subprocess

import h5py
import numpy as np
import pytest
import yaml

from file_schemas import check_files
from phono3py_mlp_plugin.reports.summary import with_error
from small_model import MODEL

pytestmark = pytest.mark.slow

PARAMS = "phono3py_params.yaml"
PAGE = "phono3py_mlp_report.html"
NUMBERS = "phono3py_mlp_report.json"
REPORT = ["phono3py-mlp", "report"]
RUN = ["phono3py-load", "--pypolymlp", PARAMS, "--rd", "8", "--random-seed", "1"]
RUN += ["--mlp-params", f"{MODEL}, ntrain = 20, ntest = 10", "--uncertainty", "3"]
RUN += ["--mesh", "5", "5", "5", "--br", "--sigma", "0.3", "--ts", "100", "300", "600"]

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
OFFLINE = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"]
OFFLINE += ["--no-first-run", "--disable-background-networking", "--disable-sync"]
OFFLINE += ["--disable-component-update", "--hide-scrollbars"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory, analytic_params, run):
    """A folder in which all was run, its report, and what the command printed."""
    folder = tmp_path_factory.mktemp("report")
    shutil.copy(analytic_params, folder / PARAMS)
    done = run(RUN, folder)
    assert done.returncode == 0, done.stderr
    study = ["phono3py-mlp", "converge", PARAMS, "--mesh", "3", "3", "3"]
    study += ["--mlp-params", f"{MODEL}, ntest = 10", "--sizes", "10", "20"]
    assert run([*study, "--members", "2", "--sigma", "0.3"], folder).returncode == 0
    done = run(REPORT, folder)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


@pytest.fixture
def copied(finished, tmp_path):
    """A copy of that folder, to be damaged."""
    return shutil.copytree(finished[0], tmp_path / "copy")


def numbers(folder):
    return json.loads((folder / NUMBERS).read_text())


def refused(done, message):
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("ERROR: ") and message in line


def test_numbers_are_those_of_the_files(finished):
    folder, _ = finished
    found = numbers(folder)
    provenance = yaml.safe_load((folder / "polymlp.yaml").read_text())["phono3py_mlp"]
    for name in ("training", "test"):
        expected = provenance["rmse"][name]
        assert found["errors"]["force_eV_angstrom"][name] == pytest.approx(
            expected["force"], rel=1e-9
        )
        assert found["errors"]["energy_eV_atom"][name] == pytest.approx(
            expected["energy"], rel=1e-5
        )
    assert len(found["errors"]["of_snapshots_eV_angstrom"]) == 100
    with h5py.File(folder / "kappa-m555-s0.3.hdf5") as file:
        kappa = file["kappa"][:].reshape(-1, 3, 6)[0]
    assert np.array(found["kappa"]["kappa_W_mK"]) == pytest.approx(kappa)
    bars = json.loads((folder / "phono3py_mlp_uncertainty.json").read_text())
    assert sorted(found["kappa"]["error_bars_W_mK"]) == ["100", "300", "600"]
    sampling = bars["temperatures"][1]["bars"][0]["sampling"]
    error = found["kappa"]["error_bars_W_mK"]["300"][0]
    assert error > sampling * kappa[1, 0]
    for name in ("frequencies_THz", "mean_free_paths_nm"):
        for c, direction in enumerate(("xx", "yy", "zz")):
            sums = found["cumulative"][name]["kappa_W_mK"][direction]
            assert sums[-1] == pytest.approx(kappa[1, c], rel=1e-9)
    assert found["missing"] == {}
    assert found["provenance"]["option random_seed"] == "1"


def test_files_are_as_the_reference_describes_them(finished):
    folder, _ = finished
    check_files(folder, "convergence", "provenance", "report", "uncertainty")


def test_phonons_are_those_of_the_error_bars(finished):
    """Two ways to the same frequencies: the bands' ends and the ensemble's fit."""
    folder, _ = finished
    ends = {}
    for segment in numbers(folder)["bands"]["force constants"]:
        values = segment["frequencies_THz"]
        ends[segment["from"]], ends[segment["to"]] = values[0], values[-1]
    uncertainty = json.loads((folder / "phono3py_mlp_uncertainty.json").read_text())
    for point in uncertainty["phonons"]:
        if point["label"] != "GAMMA":
            assert ends[point["label"]] == pytest.approx(point["frequencies"], abs=1e-3)


def test_checks_are_printed_and_on_the_page(finished):
    folder, printed = finished
    found = numbers(folder)["checks"]
    # Three points more along each axis would not make the mesh of 5x5x5 fine.
    assert len(found) >= 8
    assert any(check["text"].startswith("mesh: ") for check in found)
    assert not found[-1]["passed"]
    page = (folder / PAGE).read_text()
    for check in found:
        assert check["text"] in printed
        assert check["text"] in page


def test_headline_has_the_error_of_all_contributions(finished):
    folder, _ = finished
    budget = numbers(folder)["error_budget"]
    assert budget["of"] == "the run"
    t = budget["temperatures_K"].index(300.0)
    squares = [c["relative"][t][0] ** 2 for c in budget["contributions"]]
    kappa = numbers(folder)["kappa"]
    value = kappa["kappa_W_mK"][kappa["temperatures_K"].index(300.0)][0]
    error = with_error(value, value * sum(squares) ** 0.5)
    assert f"With the error budget of the run: {error}" in (folder / PAGE).read_text()


def test_pictures_and_nothing_unfinished(finished):
    folder, printed = finished
    names = ["bands", "convergence", "cumulative", "kappa", "parity", "penalties"]
    names += ["snapshots"]
    pictures = sorted(folder.glob("phono3py_mlp_report_*.png"))
    assert [p.stem.rpartition("_")[2] for p in pictures] == names
    assert all(p.name in printed for p in pictures)
    page = (folder / PAGE).read_text()
    for picture in pictures:
        for suffix in (".png", ".svg", ".pdf"):
            assert picture.with_suffix(suffix).is_file()
            assert f'href="{picture.stem}{suffix}"' in page
    assert (folder / PAGE).read_text().count("data:image/png") == len(pictures)
    assert not list(folder.glob(".phono3py*"))


@pytest.mark.real_process
def test_the_same_folder_gives_the_same_page(copied, run):
    before = {p.name: p.read_bytes() for p in copied.glob("phono3py_mlp_report*")}
    assert run(REPORT, copied).returncode == 0
    after = {p.name: p.read_bytes() for p in copied.glob("phono3py_mlp_report*")}
    assert after == before


def test_damaged_files_leave_their_section_empty(copied, run):
    (copied / "fc2.hdf5").write_bytes(b"no HDF5")
    (copied / "kappa-m555-s0.3.hdf5").write_bytes(b"no HDF5")
    (copied / "phono3py_mlp_convergence.json").write_text("{")
    (copied / "phono3py_mlp_uncertainty.json").write_text("{")
    done = run(REPORT, copied)
    assert done.returncode == 0, done.stderr
    missing = numbers(copied)["missing"]
    assert '"fc2.hdf5" cannot be read' in missing["bands"]
    for suffix in (".png", ".svg", ".pdf"):
        found = copied.glob(f"*_report_*{suffix}")
        pictures = {p.stem.rpartition("_")[2] for p in found}
        assert pictures == {"parity", "penalties", "snapshots"}
    assert set(missing) == {"bands", "kappa", "convergence"}
    assert "No kappa in kappa-m555-s0.3.hdf5" in missing["kappa"]
    assert "json is damaged" in missing["convergence"]


def test_files_that_do_not_belong_together_are_told(copied, run):
    with h5py.File(copied / "kappa-m555-s0.3.hdf5", "a") as file:
        file["kappa"][...] *= 1.1
    text = (copied / "polymlp.yaml").read_text()
    changed = text.replace("n_training: 20", "n_training: 200")
    (copied / "polymlp.yaml").write_text(changed)
    assert run(REPORT, copied).returncode == 0
    found = numbers(copied)
    assert "is of another kappa" in found["missing"]["bars"]
    assert "it is another one" in found["missing"]["split"]
    # Without the split there is no test error to judge.
    assert found["error_budget"]["of"] == "the study, 20 supercells"
    assert not any(c["text"].startswith("test error") for c in found["checks"])


def test_what_cannot_be_reported_is_told(copied, run, tmp_path, analytic_params):
    empty = tmp_path / "empty"
    empty.mkdir()
    refused(run(REPORT, empty), "none of phono3py_params.yaml, phono3py.yaml is found")
    assert not list(empty.iterdir())
    shutil.copy(analytic_params, empty / PARAMS)
    refused(run(REPORT, empty), "nothing to report")
    assert [p.name for p in empty.iterdir()] == [PARAMS]
    (copied / "phono3py_mlp_eval_dataset.yaml").write_text("[")
    refused(run(REPORT, copied), "phono3py_mlp_eval_dataset.yaml")


def browser(folder, *words):
    """Run Chromium without a network; return what it printed."""
    environment = {
        k: v for k, v in os.environ.items() if k != "DBUS_SESSION_BUS_ADDRESS"
    }
    done = subprocess.run(
        [CHROMIUM, *OFFLINE, f"--user-data-dir={folder / 'browser'}", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        env=environment,
    )
    return done.stdout, done.stderr


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
@pytest.mark.parametrize("width", [1280, 500])
def test_browser_shows_the_page_without_an_error(copied, width):
    """A copy that tells on itself: the page proper has no script and forbids any."""
    text = (copied / PAGE).read_text()
    script = """<script>
    addEventListener("load", () => {
      const images = [...document.images];
      document.title = JSON.stringify({
        shown: images.filter(i => i.naturalWidth > 0).length,
        wide: images.filter(i => i.getBoundingClientRect().right > innerWidth).length,
        overflow: document.documentElement.scrollWidth - innerWidth,
        requests: performance.getEntriesByType("resource")
          .filter(r => !r.name.startsWith("data:")).length,
        anchors: [...document.querySelectorAll("nav a")]
          .every(a => document.querySelector(a.getAttribute("href"))),
      });
    });</script>"""
    text = re.sub(r"<meta http-equiv[^>]*>", "", text)
    text = text.replace("</body>", script + "</body>")
    (copied / "watched.html").write_text(text)
    page = (copied / "watched.html").as_uri()
    shown, _ = browser(
        copied,
        f"--window-size={width},900",
        "--virtual-time-budget=5000",
        "--dump-dom",
        page,
    )
    (title,) = re.findall(r"<title>(\{.*?\})</title>", shown)
    found = json.loads(title)
    assert found["shown"] == 7
    assert found["anchors"] is True
    assert found["wide"] == found["overflow"] == found["requests"] == 0


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_browser_prints_the_page_and_logs_no_error(copied):
    _, log = browser(
        copied,
        "--enable-logging=stderr",
        "--print-to-pdf=page.pdf",
        "--no-pdf-header-footer",
        (copied / PAGE).as_uri(),
    )
    assert "CONSOLE" not in log
    assert (copied / "page.pdf").read_bytes()[:5] == b"%PDF-"

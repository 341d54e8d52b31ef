"""A campaign computes crystals of a list, once, and collects what they gave."""

from __future__ import annotations

import csv
import json
import shutil

import pytest

from file_schemas import check_files
from small_model import SMALL

LIST = """
options:
  mesh: 3 3 3
  ts: 300
crystals:
  good: {dataset: phono3py_params.yaml, mlp-params: '%s', uncertainty: 3}
  bad: {dataset: other.yaml}
"""


def table(folder):
    with (folder / "salts.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_good_and_bad_crystals(run, folder):
    (folder / "salts.yaml").write_text(LIST % SMALL)
    (folder / "other.yaml").write_text("a: 1\n")
    done = run(["phono3py-mlp", "campaign", "salts.yaml"], folder)
    assert done.returncode == 1
    assert "1 of 2 crystals failed: bad." in done.stderr
    good, bad = table(folder)
    assert good["status"] == "done" and good["formula"] == "NaCl"
    value = float(good["kappa xx, yy, zz (W/m-K)"].split(",")[0])
    assert value > 0 and len(good["+- (68 %)"].split(",")) == 3
    assert bad["status"].startswith("failed: ") and "unit_cell" in bad["status"]
    page = (folder / "salts.html").read_text()
    assert 'href="good/phono3py_mlp_report.html"' in page
    assert 'href="bad/run.log"' in page
    check_files(folder, "campaign", "campaign-table", "report")
    (record, _) = json.loads((folder / "salts.json").read_text())["crystals"]
    assert record["kappa"][0] == pytest.approx(value, rel=1e-3)
    # Mended, the other one alone is computed.
    shutil.copy(folder / "phono3py_params.yaml", folder / "other.yaml")
    text = (
        (folder / "salts.yaml")
        .read_text()
        .replace("other.yaml", "other.yaml, mlp-params: '" + SMALL + "'")
    )
    (folder / "salts.yaml").write_text(text)
    done = run(["phono3py-mlp", "campaign", "salts.yaml", "--jobs", "2"], folder)
    assert done.returncode == 0, done.stdout
    assert "good: computed before" in done.stdout
    assert [row["status"] for row in table(folder)] == ["done", "done"]
    done = run(["phono3py-mlp", "campaign", "salts.yaml", "--part", "2/2"], folder)
    assert "bad: computed before" in done.stdout and "good:" not in done.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nothing.yaml"], "nothing.yaml"),
        (["salts.yaml", "--part", "3/2"], "--part = 3/2; expected i/N"),
        (["salts.yaml", "--part", "x"], "--part = x; expected i/N"),
        (["salts.yaml", "--part", ""], "--part = ; expected i/N"),
        (["salts.yaml", "--jobs", "0"], "--jobs = 0; expected 1 or more"),
        (["broken.yaml"], "not YAML"),
        (["twice.yaml"], "'NaCl' is given twice"),
        (["file.yaml"], "crystal 'file.yaml'; expected the name of a folder"),
        (["table.yaml"], "crystal 'table.csv'; expected the name of a folder"),
    ],
)
def test_what_cannot_be_done_is_one_line(run, folder, words, message):
    (folder / "salts.yaml").write_text(LIST.replace("other", "phono3py_params") % SMALL)
    (folder / "broken.yaml").write_text("a: [1")
    entry = "%s: {dataset: phono3py_params.yaml}\n"
    for name, crystals in (
        ("twice", ["NaCl", "NaCl"]),
        ("file", ["NaCl", "file.yaml"]),
        ("table", ["table.csv"]),
    ):
        lines = ["crystals:\n", *(f"  {entry % crystal}" for crystal in crystals)]
        (folder / f"{name}.yaml").write_text("".join(lines))
    before = sorted(folder.iterdir())
    done = run(["phono3py-mlp", "campaign", *words], folder)
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("ERROR:") and message in line
    assert sorted(folder.iterdir()) == before

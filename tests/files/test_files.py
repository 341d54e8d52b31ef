"""Files are whole or not there; fingerprints know content from name."""

import gzip
import json
import lzma
from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml

from phono3py_mlp_plugin.errors import PotentialError
from phono3py_mlp_plugin.files import (
    STAMP,
    Provenance,
    back_up,
    find_potential,
    fingerprint,
    open_text,
    other_parts,
    potential_files,
    read_provenance,
    read_stamp,
    read_uncertainty,
    replacing,
    write_potential,
)

PROVENANCE = Provenance(
    fingerprint="f",
    calculator="c",
    parameters={"cutoff": 5.0},
    n_training=2,
    n_test=1,
    n_features=3,
    rmse={"test": {"energy": None, "force": 0.1}},
)


class Text:
    elements = ()

    def save(self, path):
        path.write_text("elements: [Na]\n")


def test_file_is_replaced_only_when_all_went_well(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), replacing(path) as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    with replacing(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"


def test_what_was_written_beside_comes_along(tmp_path):
    with replacing(tmp_path / "p.yaml") as temporary:
        temporary.write_text("best")
        temporary.with_name("p.yaml.v01").write_text("first")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["p.yaml", "p.yaml.v01"]


def test_old_file_is_kept(tmp_path):
    path = tmp_path / "fc3.hdf5"
    path.write_text("1")
    backup = back_up(path)
    with replacing(path) as temporary:
        temporary.write_text("2")
    assert backup.name == "fc3.hdf5.bak"
    assert (backup.read_text(), path.read_text()) == ("1", "2")


@pytest.mark.parametrize(
    ("name", "compress"),
    [("a", bytes), ("a.xz", lzma.compress), ("a.gz", gzip.compress)],
)
def test_compressed_text_is_read(tmp_path, name, compress):
    path = tmp_path / name
    path.write_bytes(compress("é\n".encode()))
    with open_text(path) as file:
        assert file.read() == "é\n"


def test_potential_and_provenance_share_a_file(tmp_path):
    path = tmp_path / "polymlp.yaml"
    write_potential(Text(), path, PROVENANCE)
    assert yaml.safe_load(path.read_text())["elements"] == ["Na"]
    assert read_provenance(path) == PROVENANCE
    compressed = Path(f"{path}.xz")
    compressed.write_bytes(lzma.compress(path.read_bytes()))
    assert read_provenance(compressed) == PROVENANCE


@pytest.mark.parametrize("text", ["", "elements: [Na]\n", "phono3py_mlp: 3\n"])
def test_no_provenance_is_none(tmp_path, text):
    path = tmp_path / "polymlp.yaml"
    path.write_text(text)
    assert read_provenance(path) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  test:", "  tested:"),
        ("force: 0.1", "force: small"),
        ("n_training: 2", "n_training: many"),
        ("penalties: []", "penalties:\n  - alpha: <b>"),
        ("split: head-tail", "split: 3"),
    ],
)
def test_damaged_provenance_is_none(tmp_path, old, new):
    path = tmp_path / "polymlp.yaml"
    write_potential(Text(), path, PROVENANCE)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    assert read_provenance(path) is None


@pytest.mark.parametrize(
    "spoil",
    [
        lambda record: record.pop("temperature"),
        lambda record: record["bars"][0].pop("n"),
        lambda record: record.update(kappa="<b>"),
        lambda record: record.update(bars=[3]),
    ],
)
def test_damaged_error_bars_are_none(tmp_path, spoil):
    path = tmp_path / "uncertainty.json"
    bars = [{"sampling": 0.01, "penalty": 0.0, "n": 20}] * 3
    record = {"temperature": 300.0, "kappa": [8.0] * 6, "bars": bars}
    content = {"format_version": 1, "temperatures": [record]}
    path.write_text(json.dumps(content))
    assert read_uncertainty(path) == [record]
    content = json.loads(path.read_text())
    spoil(content["temperatures"][0])
    path.write_text(json.dumps(content))
    assert read_uncertainty(path) == []


def test_potentials_are_found_in_the_order_of_their_names(tmp_path):
    names = ("polymlp.yaml", "phonopy.pmlp", "phono3py.pmlp")
    assert find_potential(names, tmp_path) is None
    for name in ("polymlp.yaml.bak", "polymlp.yaml.v01", "phono3py.pmlp"):
        (tmp_path / name).touch()
    assert find_potential(names, tmp_path).name == "phono3py.pmlp"
    (tmp_path / "phonopy.pmlp.gz").touch()
    assert find_potential(names, tmp_path).name == "phonopy.pmlp.gz"


def test_potential_of_any_suffix_is_found_by_its_name(tmp_path):
    (tmp_path / "model.pt").touch()
    assert find_potential(("model.pt",), tmp_path).name == "model.pt"


def make(folder, *names):
    for name in names:
        (folder / name).touch()


def names_of(files):
    return [file.name for file in files]


def test_the_parts_of_a_hybrid_are_read_by_their_numbers(tmp_path):
    path = tmp_path / "polymlp.yaml"
    assert potential_files(path) == ()
    make(tmp_path, *(f"polymlp.yaml.{n}" for n in range(1, 11)))
    make(tmp_path, "polymlp.yaml.v01", "polymlp.yaml.bak", "other.yaml.1")
    numbers = [int(file.suffix[1:]) for file in potential_files(path)]
    assert numbers == list(range(1, 11))


def test_a_file_that_is_named_is_read_alone(tmp_path):
    make(tmp_path, "polymlp.yaml.1", "polymlp.yaml.2")
    part = tmp_path / "polymlp.yaml.2"
    assert potential_files(part) == (part,)
    assert names_of(other_parts(part)) == ["polymlp.yaml.1"]
    make(tmp_path, "polymlp.yaml")
    whole = tmp_path / "polymlp.yaml"
    assert potential_files(whole) == (whole,)
    # Its name no longer means the parts: there is nothing to point at.
    assert other_parts(part) == other_parts(whole) == ()


@pytest.mark.parametrize(("there", "missing"), [((1, 3), 2), ((2,), 1), ((1, 2, 9), 3)])
def test_a_gap_in_the_parts_is_refused(tmp_path, there, missing):
    make(tmp_path, *(f"a.yaml.{n}" for n in there))
    with pytest.raises(PotentialError) as error:
        potential_files(tmp_path / "a.yaml")
    assert f"a.yaml.{missing} is missing" in str(error.value)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("content", [b"\x00\xff\xfe", b"\xfd7zXZ\x00broken"])
def test_provenance_of_what_cannot_be_read_is_none(tmp_path, content):
    for name in ("polymlp.yaml", "polymlp.yaml.xz"):
        (tmp_path / name).write_bytes(content)
        assert read_provenance(tmp_path / name) is None


def test_stamp_of_force_constants(tmp_path):
    path = tmp_path / "fc2.hdf5"
    with h5py.File(path, "w") as file:
        file["force_constants"] = np.arange(3.0)
    assert read_stamp(path) is None
    with h5py.File(path, "r+") as file:
        file.attrs[STAMP] = "abc"
    assert read_stamp(path) == "abc, without that of its numbers"


def test_fingerprint_follows_every_number():
    content = {"forces": np.zeros((2, 3)), "options": PROVENANCE, "n": None}
    changed = {**content, "forces": np.zeros((2, 3))}
    assert fingerprint(content) == fingerprint(changed)
    changed["forces"][1, 2] = 1e-300
    assert fingerprint(content) != fingerprint(changed)
    assert fingerprint({"a": np.zeros(6)}) != fingerprint({"a": np.zeros((2, 3))})
    with pytest.raises(TypeError, match="object has no fingerprint"):
        fingerprint({"a": object()})

"""YAML of plain values: nothing runs, nothing explodes, good files read the same."""

import gzip
import io
import lzma

import numpy as np
import pytest
import yaml

from phono3py_mlp_plugin.files import (
    PlainLoader,
    each_file_once,
    open_text,
    plain_yaml,
)


def load(text):
    return yaml.load(io.BytesIO(text.encode()), Loader=PlainLoader)  # noqa: S506


def bomb(levels, width=9):
    """Nested lists that stand for ``width ** levels`` values."""
    lines = ["a0: &a0 [" + ", ".join(["1"] * width) + "]"]
    for i in range(1, levels):
        lines.append(f"a{i}: &a{i} [" + ", ".join([f"*a{i - 1}"] * width) + "]")
    return "\n".join(lines)


def test_plain_values_are_those_of_the_safe_loader():
    text = (
        "a: [1, -2.5, 1.0e-3, .nan, true, null, text]\n"
        "b: &b {c: '&*', d: 2024-11-26}\ne: *b\nf: {<<: *b, g: 1}\n"
    )
    assert repr(load(text)) == repr(yaml.safe_load(text))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: !!python/object/apply:os.system ['true']", "could not determine"),
        ("a: !!python/name:os.system ''", "could not determine"),
        ("a: !own x", "could not determine"),
        ("a: 2024-13-45", "2024-13-45 is no date"),
        ("a: 2024-02-30 10:00:00", "is no date"),
        (f"a: {'7' * 6000}", "6000 digits"),
        ("[" * 100_000, "nesting"),
        ("- " * 100_000, "nesting"),
        ("a: &a [1, *a]", "inside of what it stands for"),
        (bomb(10), "aliases stand for"),
        (bomb(10) + "\nmerged: {<<: [{x: *a9}]}", "aliases stand for"),
    ],
)
def test_what_is_no_data_is_told_with_its_line(text, problem):
    with pytest.raises(yaml.MarkedYAMLError) as refused:
        load(text)
    assert problem in str(refused.value.problem)
    assert refused.value.problem_mark is not None


def test_file_is_read_once_while_it_is_looked_at(tmp_path):
    path = tmp_path / "a.yaml"

    def read():
        with path.open("rb") as file:
            return yaml.load(file, Loader=PlainLoader)  # noqa: S506

    path.write_text("a: [1]")
    with each_file_once():
        first = read()
        assert read() is first
        path.write_text("a: [1, 2]")
        assert read() == {"a": [1, 2]}
    assert read() is not first


def test_few_aliases_are_read():
    assert load(bomb(4))["a3"][8][8][8][8] == 1


def test_file_that_unpacks_out_of_proportion_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("phono3py_mlp_plugin.files.plain_yaml._SMALL", 10_000)
    path = tmp_path / "bomb.yaml.xz"
    with lzma.open(path, "wb") as file:
        file.write(b"- 0\n" * 100_000)
    with (
        lzma.open(path, "rb") as file,
        pytest.raises(yaml.MarkedYAMLError, match="unpacks to more than"),
    ):
        yaml.load(file, Loader=PlainLoader)  # noqa: S506


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_large_file_is_read_whoever_opens_it(monkeypatch, tmp_path, suffix):
    """The limit is in proportion to the size of the file, not that of small ones."""
    monkeypatch.setattr(plain_yaml, "_SMALL", 100)
    path = tmp_path / f"large.yaml{suffix}"
    text = "forces: [" + ", ".join(map(repr, np.random.default_rng(0).random(50))) + "]"
    path.write_bytes(gzip.compress(text.encode()) if suffix else text.encode())
    with open_text(path) as file:
        content = yaml.load(file, Loader=PlainLoader)  # noqa: S506
    assert len(content["forces"]) == 50

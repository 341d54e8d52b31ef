"""Options that name files, folders or code count by what is in them."""

import dataclasses
import os
import sys
from types import ModuleType

import numpy as np
import pytest
from phonopy.structure.atoms import PhonopyAtoms

from phono3py_mlp_plugin.errors import UnusableFile
from phono3py_mlp_plugin.files import (
    check_named,
    content_of,
    evaluation_key,
    fingerprint,
    versions_of,
)


@dataclasses.dataclass(frozen=True)
class Options:
    """As a plugin's."""

    model: object = ""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_fingerprint_of_options_follows_the_file_that_they_name(here):
    options = [
        Options("model.pt"),
        Options(str(here / "model.pt")),
        Options(here / "model.pt"),
        Options(("model.pt", "other")),
        Options({"Na": {"file": "model.pt"}}),
        Options("pair_coeff * * model.pt Na Cl"),
        Options("first.pt, model.pt"),
    ]
    seen = []
    for text in ("one", "two", "one"):
        (here / "model.pt").write_text(text)
        seen.append([fingerprint({"options": one}) for one in options])
    one, two, again = seen
    assert one == again
    assert all(a != b for a, b in zip(one, two, strict=True))


def test_folder_of_a_model_counts_by_its_files(here):
    (here / "model" / "weights").mkdir(parents=True)
    file = here / "model" / "weights" / "0"
    file.write_text("one")
    before = content_of("model")
    assert content_of("model") == before
    file.write_text("two")
    changed = content_of("model")
    assert changed != before
    file.rename(file.with_name("1"))
    assert content_of("model") not in (before, changed)


def test_folder_that_the_run_writes_to_is_left_out(here):
    for text in (".", "..", "/", str(here)):
        assert content_of(text) == text


def test_folder_of_too_many_files_counts_by_their_sizes(here, monkeypatch):
    from phono3py_mlp_plugin.files import content

    monkeypatch.setattr(content, "_MOST_FILES", 2)
    (here / "many").mkdir()
    for number in range(3):
        (here / "many" / str(number)).write_text("x")
    before = content_of("many")
    (here / "many" / "0").write_text("xy")
    assert content_of("many") != before


@pytest.mark.parametrize(
    "value", ["native", "4 4", 5.0, None, True, "a\0b", "x" * 5000, "C:d", "m:C", ""]
)
def test_other_options_are_as_they_are(value):
    assert content_of(value) == value
    check_named(Options(value))


def test_numbers_name_no_files(here):
    (here / "4").write_text("x")
    assert content_of("cutoff = 4") == "cutoff = 4"


@pytest.mark.parametrize("place", ["name", "word", "list", "keywords"])
def test_pipe_named_by_an_option_is_refused_before_it_is_opened(here, place):
    os.mkfifo(here / "pipe")
    value = {
        "name": "pipe",
        "word": "model pipe",
        "list": ("a", "pipe"),
        "keywords": {"model": "pipe"},
    }[place]
    with pytest.raises(UnusableFile, match="pipe: a named pipe"):
        check_named(Options(value))
    with pytest.raises(UnusableFile, match="pipe: a named pipe"):
        content_of(value)


def test_code_counts_by_its_version_or_its_source(here, monkeypatch):
    assert content_of("numpy:ndarray")["content"] == {
        "numpy:ndarray": {"numpy": np.__version__}
    }
    module = ModuleType("own_calculator")
    module.__file__ = str(here / "own_calculator.py")
    monkeypatch.setitem(sys.modules, "own_calculator", module)
    found = []
    for text in ("a = 1", "a = 2"):
        (here / "own_calculator.py").write_text(text)
        found.append(content_of("own_calculator:Model"))
    assert found[0] != found[1]


def test_versions_are_of_what_is_installed():
    assert versions_of(["numpy", "no-such-distribution"]) == {"numpy": np.__version__}


def test_kept_evaluations_are_of_one_potential_and_these_supercells():
    def cell(symbol="Na", x=0.0, length=4.0):
        return PhonopyAtoms(
            cell=np.eye(3) * length, positions=[[x, 0, 0]], symbols=[symbol]
        )

    keys = [
        evaluation_key("p", [cell()]),
        evaluation_key("q", [cell()]),
        evaluation_key("p", [cell("K")]),
        evaluation_key("p", [cell(x=0.1)]),
        evaluation_key("p", [cell(length=5.0)]),
        evaluation_key("p", [cell(), cell()]),
    ]
    assert len(set(keys)) == len(keys)
    assert evaluation_key("p", [None, cell()]) == keys[0]

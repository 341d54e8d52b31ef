"""A list of crystals becomes commands; what is wrong in it is named."""

from __future__ import annotations

import pytest

from phono3py_mlp_plugin.errors import DatasetError, ParameterError
from phono3py_mlp_plugin.workflow import (
    CrystalResult,
    is_finished,
    read_result,
    read_tasks,
    write_result,
)


@pytest.fixture
def folder(tmp_path):
    for name in ("Al.vasp", "nacl.yaml", "emt.yaml"):
        (tmp_path / name).write_text("content")
    return tmp_path


def commands(folder, crystal, options=None):
    (task,) = read_tasks(
        {"options": options, "crystals": {"X": crystal}}, folder, "list.yaml"
    )
    return [list(command) for command in task.commands]


def test_options_become_words(folder):
    (command,) = commands(
        folder,
        {"cell": "Al.vasp", "mesh": "7 7 7", "relax": False, "--ts": [100, 300.5]},
        {"dim": "2 2 2", "mesh": 11, "relax": True, "sigma": None, "teach": 10},
    )
    cell = str(folder / "Al.vasp")
    assert command[:4] == ["phono3py-mlp", "kappa", "-c", cell]
    assert command[4:] == [
        *["--dim", "2", "2", "2", "--mesh", "7", "7", "7", "--teach", "10"],
        *["--ts", "100", "300.5"],
    ]


def test_text_is_one_word_and_files_have_paths(folder):
    load, report = commands(
        folder,
        {"dataset": "nacl.yaml", "mlp-params": "preset = compact, cutoff = 5"},
        {"force-calculator-options": "@emt.yaml", "mesh": "40", "amplitude": "0.03"},
    )
    path = str(folder / "nacl.yaml")
    assert load == [
        *["phono3py", path, "--pypolymlp"],
        *["--force-calculator-options", f"@{folder / 'emt.yaml'}", "--mesh", "40"],
        *["--amplitude", "0.03", "--mlp-params", "preset = compact, cutoff = 5"],
        "--br",
    ]
    assert report == ["phono3py-mlp", "report", path]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (["Al"], "no mapping; expected"),
        ({"crystals": {}}, "there are no crystals"),
        ({"crystal": {}}, "'crystal' is not known"),
        ({"crystals": {"a/b": {"cell": "Al.vasp"}}}, "'a/b'; expected letters"),
        ({"crystals": {"..": {"cell": "Al.vasp"}}}, "'..'; expected letters"),
        ({"crystals": {"a" * 256: {"cell": "Al.vasp"}}}, ", 255 at most"),
        (
            {"crystals": {1: {"cell": "Al.vasp"}, "1": {"cell": "Al.vasp"}}},
            "crystal '1' again; expected each once",
        ),
        (
            {"crystals": {"X": {"cell": "Al.vasp", "mesh": "1\0"}}},
            "expected text on one line",
        ),
        ({"crystals": {"X": {"mesh": 3}}}, "X: no input; expected 'cell'"),
        (
            {"crystals": {"X": {"cell": "Al.vasp", "dataset": "nacl.yaml"}}},
            "X: cell and dataset; expected",
        ),
        ({"crystals": {"X": {"cell": "B.vasp"}}}, '"B.vasp" is not found'),
        ({"crystals": {"X": "Al.vasp"}}, "'Al.vasp'; expected options by name"),
        (
            {"crystals": {"X": {"cell": "Al.vasp", "mesh": {"a": 1}}}},
            "X: mesh: {'a': 1}; expected text, numbers",
        ),
        (
            {"crystals": {"X": {"cell": "Al.vasp", "ts": [1, None]}}},
            "X: ts: None; expected text, numbers",
        ),
        ({"options": 3, "crystals": {"X": {"cell": "Al.vasp"}}}, "options: 3;"),
    ],
)
def test_what_is_wrong_is_named(folder, content, message):
    with pytest.raises((DatasetError, ParameterError)) as error:
        read_tasks(content, folder, "list.yaml")
    assert message in str(error.value)
    assert str(error.value).startswith("list.yaml")


def test_a_crystal_is_finished_until_its_command_or_files_change(folder):
    def task(mesh):
        content = {"crystals": {"X": {"cell": "Al.vasp", "mesh": mesh}}}
        return read_tasks(content, folder, "list.yaml")[0]

    first = task(3)
    done = CrystalResult("X", "done", 1.0, "", "Al", 300.0, (1.0, 2.0, 3.0), (0.1,), 1)
    assert not is_finished(first, folder)
    write_result(done, first, folder)
    assert is_finished(first, folder)
    assert read_result(first, folder) == done
    assert not is_finished(task(4), folder)
    (folder / "Al.vasp").write_text("other")
    assert not is_finished(task(3), folder)
    write_result(CrystalResult("X", "failed", error="no"), first, folder)
    assert not is_finished(first, folder)
    (folder / "campaign.json").write_text("{}")
    assert read_result(first, folder) == CrystalResult("X")

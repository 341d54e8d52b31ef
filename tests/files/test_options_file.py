"""Options in the text of a command, and in YAML files named there."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from phono3py_mlp_plugin.errors import ParameterError
from phono3py_mlp_plugin.files import read_options, text_of_options
from phono3py_mlp_plugin.options import KEYWORDS, parse_options
from phono3py_mlp_plugin.workflow import request_calculator, request_force_constants

YAML = """
small: 1e-3
integer: 3
nothing: null
tilde: ~
yes_or_no: true
word: no
date: 2026-11-27
quoted: "17"
list: [a, 2, 1E+2, [false]]
table: {x: 1, y: {z: .5}}
"""
VALUES = {
    "small": 1e-3,
    "integer": 3,
    "nothing": None,
    "tilde": None,
    "yes_or_no": True,
    "word": "no",
    "date": "2026-11-27",
    "quoted": "17",
    "list": ["a", 2, 100.0, [False]],
    "table": {"x": 1, "y": {"z": 0.5}},
}
JSON = '{"small": 1e-3, "list": ["a", null, true], "quoted": "17"}'


@dataclass(frozen=True)
class Open:
    keywords: dict[str, Any] = field(default_factory=dict, metadata={KEYWORDS: True})


@dataclass(frozen=True)
class Typed:
    pair: tuple[float, ...] = ()
    energies: dict[str, float] | None = None
    name: str = ""
    flag: bool = False
    number: float = 0.0


def written(tmp_path, text, name="options.yaml"):
    path = tmp_path / name
    path.write_text(text)
    return path


def keywords(text):
    return parse_options(read_options(text, "here"), Open, "here").keywords


def test_a_yaml_file_gives_values_of_the_types_of_json(tmp_path):
    assert keywords(f"@{written(tmp_path, YAML)}") == VALUES


def test_a_json_file_is_read_as_well(tmp_path):
    assert keywords(f"@{written(tmp_path, JSON, 'options.json')}") == {
        "small": 1e-3,
        "list": ["a", None, True],
        "quoted": "17",
    }


def test_a_compressed_file_is_read_as_well(tmp_path):
    import gzip

    path = tmp_path / "options.yaml.gz"
    path.write_bytes(gzip.compress(b"a: 1\n"))
    assert keywords(f"@{path}") == {"a": 1}


def test_other_options_stand_beside_a_file(tmp_path, monkeypatch):
    written(tmp_path, "a: 1")
    written(tmp_path, "b: x", "two.yaml")
    monkeypatch.chdir(tmp_path)
    text = "@options.yaml, c = [1, 2], @ 'two.yaml'"
    assert keywords(text) == {"a": 1, "b": "x", "c": [1, 2]}


def test_an_empty_file_gives_no_options(tmp_path):
    assert keywords(f"@{written(tmp_path, '# nothing')}") == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x = 1e-3", 1e-3),
        ("x = -2", -2),
        ("x = true", True),
        ("x = False", False),
        ("x = null", None),
        ("x = None", None),
        ("x = no", "no"),
        ("x = a b", "a b"),
        ("x = 'a, b = c'", "a, b = c"),
        ('x = "say \\"a, b\\""', 'say "a, b"'),
        ("x = it's, y = 1", "it's"),
        ("x = model(1,2).pt", None),
        ("x = [1, 2.5, 'a, b', null]", [1, 2.5, "a, b", None]),
        ("x = [true, False, None, no]", [True, False, "None", "no"]),
        ("x = {'a': [1, 2], 'b': {'c': None}}", {"a": [1, 2], "b": {"c": None}}),
        ("x = {a: [1e-3, b], c: d}", {"a": [1e-3, "b"], "c": "d"}),
        ("x = (1, 2)", (1, 2)),
        ("x = path/to/a=b.pt", "path/to/a=b.pt"),
        ("x = 1j", "1j"),
        ("x = ase.calculators.emt:EMT", "ase.calculators.emt:EMT"),
    ],
)
def test_values_on_the_command_line_are_those_of_json_or_text(text, expected):
    if expected is None and "(" in text:
        # A comma outside quotes separates items.
        with pytest.raises(ParameterError, match="not of the form"):
            keywords(text)
    else:
        assert keywords(text)["x"] == expected
        assert type(keywords(text)["x"]) is type(expected)


@pytest.mark.parametrize(
    "text",
    [
        "pair = 1 2, energies = Na -1 Cl 2.5, name = a, flag = yes, number = 1e-3",
        'pair = [1, 2], energies = {"Na": -1, "Cl": 2.5}, name = "a", flag = true, '
        "number = 0.001",
        "@FILE",
    ],
)
def test_options_with_types_are_the_same_from_text_lists_and_files(tmp_path, text):
    path = written(
        tmp_path,
        "pair: [1, 2]\nenergies: {Na: -1, Cl: 2.5}\nname: a\nflag: true\nnumber: 1e-3",
    )
    values = read_options(text.replace("@FILE", f"@{path}"), "here")
    assert parse_options(values, Typed, "here") == Typed(
        (1.0, 2.0), {"Na": -1.0, "Cl": 2.5}, "a", True, 1e-3
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("- a\n- b", "holds a list; expected a mapping"),
        ("just text", "holds a str; expected a mapping"),
        ("1: 2", "expected a mapping of names"),
        ("a: 1\na: 2", "line 1: 'a' is given twice"),
        ("a: [1, 2", "expected YAML"),
        ("a: !!python/name:os.system", "expected YAML"),
        ("a: \x00", "expected YAML"),
        ("a: {1, 2}", None),
    ],
)
def test_a_file_that_is_no_mapping_is_refused_in_one_line(tmp_path, content, message):
    path = written(tmp_path, content)
    if message is None:
        assert keywords(f"@{path}") == {"a": {1: None, 2: None}}
        return
    with pytest.raises(ParameterError, match=message) as error:
        read_options(f"@{path}", "--mlp-params")
    assert "\n" not in str(error.value)
    assert str(error.value).startswith(f"--mlp-params: @{path}")


def test_files_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(ParameterError, match=r"nowhere.yaml: .*No such file"):
        read_options(f"@{tmp_path}/nowhere.yaml", "here")
    with pytest.raises(ParameterError, match="a folder"):
        read_options(f"@{tmp_path}", "here")
    for name in ("", " ", "~nobody-has-this-name/x", "a\nb", "a\0b", "x" * 5000):
        with pytest.raises(ParameterError) as error:
            read_options(f"@{name}", "here")
        assert len(str(error.value).splitlines()) == 1
        assert str(error.value).startswith("here: @")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = 1, @FILE", "'a' is given twice"),
        ("@FILE, @FILE", "'a' is given twice"),
        ("x = [1, 2", r"has an open \["),
        ("x = 'a", "has an open '"),
        ("x = [1; 2}", r"has an open \["),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path, text, message):
    path = written(tmp_path, "a: 1")
    with pytest.raises(ParameterError, match=message):
        keywords(text.replace("FILE", str(path)))


def test_wrong_types_in_a_file_are_refused(tmp_path):
    for content, message in (
        ("number: true", "number = True; expected a number"),
        ("name: [a]", r"expected a text"),
        ("pair: {a: 1}", "expected"),
        ("energies: [1, 2]", "expected names and values"),
        ("numbr: 1", "Did you mean 'number'"),
    ):
        values = read_options(f"@{written(tmp_path, content)}", "here")
        with pytest.raises(ParameterError, match=message):
            parse_options(values, Typed, "here")


def test_every_calculator_and_solver_takes_a_file(tmp_path):
    path = written(tmp_path, "cutoff: 5\ngtinv_maxl: [2, 2]\nntrain: 20")
    request = request_calculator("pypolymlp", f"@{path}, ntest = 5")
    assert request.options.gtinv_maxl == (2, 2)
    assert (request.split.ntrain, request.split.ntest) == (20, 5)
    cutoff = written(tmp_path, "cutoff: 4.5", "solver.yaml")
    solvers = request_force_constants("symfc|symfc", f"@{cutoff} | @{cutoff}")
    assert (solvers.fc2.cutoff, solvers.fc3.cutoff) == ({2: 4.5}, {3: 4.5})


def test_solvers_of_phono3py_see_the_content_of_a_file(tmp_path):
    path = written(tmp_path, "cutoff: 4.5\nuse_mkl: true\nvalues: [-1, 8]")
    text = text_of_options(f"@{path}|cutoff = 3", "here")
    assert text == "cutoff = 4.5, use_mkl = true, values = -1 8 | cutoff = 3"
    assert text_of_options("cutoff = 3", "here") == "cutoff = 3"
    assert text_of_options(None, "here") is None

"""The reference, which is written by the package itself, leaves nothing out."""

from __future__ import annotations

import dataclasses
import doctest
import inspect
import re
from pathlib import Path

import h5py
import numpy as np
import pytest
from jsonschema import Draft202012Validator

import phono3py_mlp_plugin
from analytic_crystal import analytic_crystal
from file_schemas import check_files, schemas
from phono3py_mlp_plugin.convergence import Point, Verdict
from phono3py_mlp_plugin.files import Provenance, write_columnar
from phono3py_mlp_plugin.host.reading import content_of_crystal
from phono3py_mlp_plugin.parallel.store import write_command
from phono3py_mlp_plugin.ranges import Range
from phono3py_mlp_plugin.uncertainty import Contribution, ErrorBar, ErrorBudget
from phono3py_mlp_plugin.workflow import CrystalResult, PhononsAt, PotentialHealth
from reference_pages import fields, markdown, names, options, parameters

DOCS = Path(__file__).parents[2] / "docs"
REFERENCE = DOCS / "reference"
COMMANDS = list(options.parsers())


def directives(page, name):
    """Return argument and body of the directives of a page."""
    text = (REFERENCE / page).read_text(encoding="utf-8")
    pattern = rf"^```{{{name}}} (.+)\n((?:.*\n)*?)```$"
    return re.findall(pattern, text, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_of_a_command_is_in_the_reference_once(command):
    expected = [options.name_of(one) for one in options.shown(command)]
    listed = []
    for argument, body in directives("options.md", "options"):
        if argument == command:
            listed += body.split() or expected
    assert sorted(listed) == sorted(expected)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_says_what_it_does(command):
    text = options.options_of(command)
    for action in options.shown(command):
        assert action.help, f"{command} {action.dest} has no help"
        assert options.name_of(action) in text


def test_options_added_to_phono3py_are_explained_in_prose():
    """The reference lists them; another page says what they are for."""
    pages = [one for one in DOCS.rglob("*.md") if REFERENCE not in one.parents]
    prose = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    for action in options.shown(options.PHONO3PY):
        name = options.name_of(action)
        assert re.search(rf"{name}(?![\w-])", prose), name


@pytest.mark.parametrize("plugins", parameters.records())
def test_every_parameter_of_a_plugin_says_what_it_means(plugins):
    record = parameters.records()[plugins]
    text = parameters.parameters_of(plugins)
    for field in dataclasses.fields(record):
        assert field.metadata.get("help"), field.name
        assert f"```{{option}} {field.name}\n" in text or field.name == "keywords"
    listed = [argument for argument, _ in directives("parameters.md", "parameters")]
    assert plugins in listed or not dataclasses.fields(record)


def test_parameters_that_are_lengths_or_memory_have_a_unit():
    units = {"a positive length in angstrom": "angstrom", "a positive size in GB": "GB"}
    for plugins, record in parameters.records().items():
        hints = inspect.get_annotations(record, eval_str=True)
        text = parameters.parameters_of(plugins)
        for name, hint in hints.items():
            for one in parameters._ranges(hint):
                assert isinstance(one, Range)
                entry = text.partition(f"```{{option}} {name}\n")[2].partition("```")[0]
                assert units.get(one.expected, "Type") in entry


def test_every_public_name_is_in_the_reference():
    kinds = names.by_kind()
    listed = [name for group in kinds.values() for name in group]
    public = {n for n in phono3py_mlp_plugin.__all__ if not n.startswith("__")}
    assert public <= set(listed) and len(listed) == len(set(listed))
    shown = {
        argument
        for page in ("api.md", "contracts.md")
        for argument, _ in directives(page, "public")
    }
    assert shown == set(kinds)


@pytest.mark.parametrize("name", schemas())
def test_schemas_are_closed_and_every_field_is_described(name):
    """Then a field that is not described is an error where a file is compared."""
    schema = schemas()[name]
    Draft202012Validator.check_schema(schema)
    if name != "common":
        # Fields without a description raise an error.
        assert fields.fields_of(name)
        assert [name] == [
            one for one, _ in directives("files.md", "fields") if one == name
        ]

    def check(node):
        if isinstance(node, dict):
            if "properties" in node:
                assert node["additionalProperties"] is False
                assert set(node["required"]) <= set(node["properties"])
            for one in node.values():
                check(one)
        if isinstance(node, list):
            for one in node:
                check(one)

    check(schema)


COMMON = schemas()["common"]["$defs"]
CONVERGENCE = schemas()["convergence"]["properties"]
BUDGET = COMMON["budget"]


@pytest.mark.parametrize(
    ("record", "described"),
    [
        (ErrorBar, COMMON["bar"]),
        (PhononsAt, COMMON["phonons"]),
        (ErrorBudget, BUDGET),
        (Contribution, BUDGET["properties"]["contributions"]["items"]),
        (Point, CONVERGENCE["points"]["items"]),
        (Verdict, CONVERGENCE["verdicts"]["additionalProperties"]),
        (PotentialHealth, schemas()["health"]["properties"]["health"]),
        (CrystalResult, schemas()["campaign-table"]["properties"]["crystals"]["items"]),
        (Provenance, schemas()["provenance"]),
    ],
)
def test_fields_of_a_file_are_those_of_its_record(record, described):
    assert set(described["properties"]) == {f.name for f in dataclasses.fields(record)}


def test_the_command_of_parts_has_its_schema(tmp_path):
    write_command(tmp_path, ["phono3py", "phono3py_params.yaml", "--part", "1/2"])
    check_files(tmp_path, "command")


def in_file(path):
    """Return the names of attributes and arrays of an HDF5 file."""
    with h5py.File(path) as file:
        names_in = [f"attribute `{name}" for name in file.attrs]
        file.visit(names_in.append)
        return [name for name in names_in if not isinstance(file.get(name), h5py.Group)]


def test_arrays_of_a_dataset_in_hdf5_are_in_the_reference(tmp_path):
    crystal = analytic_crystal()
    contents = [content_of_crystal(crystal)]
    crystal.generate_displacements(distance=0.03)
    number = len(crystal.supercells_with_displacements)
    crystal.forces = np.zeros((number, len(crystal.supercell), 3))
    contents.append(content_of_crystal(crystal))
    text = (REFERENCE / "files.md").read_text(encoding="utf-8")
    for content in contents:
        path = tmp_path / "dataset.h5"
        write_columnar(content, path)
        found = in_file(path)
        assert len(found) > 5
        assert [name for name in found if f"{name}`" not in text] == []


def test_texts_of_help_become_markdown():
    for module in (markdown, names):
        assert doctest.testmod(module).failed == 0

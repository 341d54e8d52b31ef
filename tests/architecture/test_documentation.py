"""What is documented is what there is."""

import inspect
import re
import tomllib
from pathlib import Path

import pytest
import yaml

from phono3py_mlp_plugin import hookspecs
from phono3py_mlp_plugin.contracts import ForceCalculator, ForceConstantsSolver

DOCS = Path(__file__).parents[2] / "docs"
HOOKS = [name for name in vars(hookspecs) if name.startswith("phono3py_mlp_force")]


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_documented_with_its_signature(hook):
    text = (DOCS / "plugins.md").read_text()
    assert (
        f"{hook}{inspect.signature(getattr(hookspecs, hook), eval_str=False)}" in text
    )


@pytest.mark.parametrize("record", [ForceCalculator, ForceConstantsSolver])
def test_every_field_of_the_records_is_documented(record):
    text = (DOCS / "plugins.md").read_text()
    for name in record.__dataclass_fields__:
        assert f"`{name}`" in text


def test_calculators_by_name_are_documented_with_package_and_model():
    from phono3py_mlp_plugin.calculators.ase.libraries import LIBRARIES

    text = (DOCS / "calculators.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    for library in LIBRARIES:
        (row,) = [line for line in rows if f"`{library.name}`" in line.split("|")[1]][
            :1
        ]
        assert library.package in row
        assert f"`{library.model}`" in row or not library.model


def test_the_citation_has_the_version_of_the_package():
    root = Path(__file__).parents[2]
    citation = yaml.safe_load((root / "CITATION.cff").read_text())
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    assert citation["version"] == project["version"]
    assert citation["license"] == project["license"]


@pytest.mark.parametrize("name", ["tests.yml", "nightly.yml"])
def test_workflows_run_what_exists(name):
    root = Path(__file__).parents[2]
    text = (root / ".github" / "workflows" / name).read_text()
    jobs = yaml.safe_load(text)["jobs"]
    targets = re.findall(r"make ([\w-]+)", text)
    makefile = (root / "Makefile").read_text()
    assert all(re.search(rf"^{t}:", makefile, re.MULTILINE) for t in targets)
    for folder in re.findall(r"tests/\w+", text):
        assert (root / folder).is_dir()
    assert all("runs-on" in job for job in jobs.values())

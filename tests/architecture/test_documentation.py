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
WORKFLOWS = sorted((DOCS.parent / ".github" / "workflows").glob("*.yml"))
HOOKS = [name for name in vars(hookspecs) if name.startswith("phono3py_mlp_force")]


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_documented_with_its_signature(hook):
    text = (DOCS / "howto" / "plugins.md").read_text()
    assert (
        f"{hook}{inspect.signature(getattr(hookspecs, hook), eval_str=False)}" in text
    )


@pytest.mark.parametrize("record", [ForceCalculator, ForceConstantsSolver])
def test_every_field_of_the_records_is_documented(record):
    text = (DOCS / "howto" / "plugins.md").read_text()
    for name in record.__dataclass_fields__:
        assert f"`{name}`" in text


def test_calculators_by_name_are_documented_with_package_and_model():
    from phono3py_mlp_plugin.calculators.ase.libraries import LIBRARIES

    text = (DOCS / "howto" / "potentials.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    for library in LIBRARIES:
        (row,) = [line for line in rows if f"`{library.name}`" in line.split("|")[1]][
            :1
        ]
        assert library.package in row
        assert f"`{library.model}`" in row or not library.model


def test_the_citation_has_licence_and_authors_of_the_package():
    root = Path(__file__).parents[2]
    citation = yaml.safe_load((root / "CITATION.cff").read_text())
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    assert citation["license"] == project["license"]
    assert citation["authors"] == project["authors"]


def test_every_requirement_is_tested_with_its_oldest_version():
    root = Path(__file__).parents[2]
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    lines = (root / "tools" / "constraints" / "oldest.txt").read_text().splitlines()
    pinned = {line.partition("==")[0] for line in lines}
    assert {name.partition(">=")[0] for name in project["dependencies"]} <= pinned


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_run_what_exists(path):
    root = Path(__file__).parents[2]
    text = path.read_text()
    jobs = yaml.safe_load(text)["jobs"]
    targets = re.findall(r"make ([\w-]+)", text)
    makefile = (root / "Makefile").read_text()
    assert all(re.search(rf"^{t}:", makefile, re.MULTILINE) for t in targets)
    for name in re.findall(r"(?:tests|tools|template)/[\w./]+\w", text):
        assert (root / name).exists()
    assert all("runs-on" in job for job in jobs.values())

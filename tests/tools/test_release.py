"""A release is refused unless all files agree on it."""

import datetime
import hashlib
import re
import shutil
import tomllib
from pathlib import Path

import pytest
import release
import yaml

ROOT = Path(__file__).parents[2]
DATE = datetime.date(2027, 1, 31)
ADDRESS = "https://example.org/someone/phono3py-mlp-plugin"


@pytest.fixture
def clone(tmp_path):
    """The files that a release concerns, with an address and one change."""
    for name in ("pyproject.toml", "CITATION.cff"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "CHANGELOG.md").write_text(
        "# Changelog\n\n## [Unreleased]\n\n### Added\n\n- A change.\n"
    )
    edit(tmp_path, "pyproject.toml", r'^repository = ".*"', f'repository = "{ADDRESS}"')
    return tmp_path


def edit(folder, name, pattern, replacement):
    path = folder / name
    text, n = re.subn(pattern, replacement, path.read_text(), flags=re.MULTILINE)
    assert n == 1
    path.write_text(text)


def test_prepared_release_is_accepted(clone, capsys):
    assert release.main(["prepare", "0.2.0", "--date", "2027-01-31"], clone) == 0
    assert release.main(["check", "v0.2.0"], clone) == 0
    assert capsys.readouterr().err == ""
    text = (clone / "CHANGELOG.md").read_text()
    assert "## [Unreleased]\n\n## [0.2.0] - 2027-01-31\n\n### Added" in text
    citation = yaml.safe_load((clone / "CITATION.cff").read_text())
    assert citation["version"] == "0.2.0"
    assert citation["date-released"] == "2027-01-31"
    assert citation["repository-code"] == ADDRESS


def test_second_release_replaces_the_citation_and_keeps_the_first_part(clone):
    assert release.prepare(clone, "0.2.0", DATE) == []
    edit(clone, "CHANGELOG.md", r"^## \[Unreleased\]$", "## [Unreleased]\n\n- More.")
    assert release.prepare(clone, "0.3.0", DATE) == []
    assert list(release.check(clone, "v0.3.0")) == []
    assert "## [0.2.0] - 2027-01-31" in (clone / "CHANGELOG.md").read_text()


@pytest.mark.parametrize(
    ("version", "problem"),
    [("v0.2", "expected a version"), ("0.2.0", "nothing is unreleased")],
)
def test_release_that_cannot_be_prepared_changes_nothing(clone, version, problem):
    if version == "0.2.0":
        release.prepare(clone, "0.1.0", DATE)
    before = {path.name: path.read_bytes() for path in clone.iterdir()}
    (message,) = release.prepare(clone, version, DATE)
    assert problem in message
    assert {path.name: path.read_bytes() for path in clone.iterdir()} == before


@pytest.mark.parametrize(
    ("name", "pattern", "replacement", "problem"),
    [
        ("pyproject.toml", r'^repository = ".*"', 'repository = "https://x.invalid/y"',
         "expected the address"),
        ("CHANGELOG.md", r"\[0\.2\.0\]", "[0.1.9]", "newest dated version = 0.1.9"),
        ("CHANGELOG.md", r" - 2027-01-31", "", "newest dated version = none"),
        ("CITATION.cff", r'^version: .*', 'version: "0.1.9"', "version = 0.1.9"),
        ("CITATION.cff", r'^date-released: .*\n', "", "date-released = none"),
    ],
)  # fmt: skip
def test_files_that_disagree_are_refused_by_name(
    clone, capsys, name, pattern, replacement, problem
):
    release.prepare(clone, "0.2.0", DATE)
    edit(clone, name, pattern, replacement)
    assert release.main(["check", "v0.2.0"], clone) == 1
    lines = capsys.readouterr().err.splitlines()
    assert any(line.startswith(f"ERROR: {name}") and problem in line for line in lines)


@pytest.mark.parametrize("tag", ["0.2.0", "v0.2", "vnext", "v0.2.0.post1"])
def test_tags_that_are_no_version_are_refused(clone, tag):
    release.prepare(clone, "0.2.0", DATE)
    (problem,) = release.check(clone, tag)
    assert problem.startswith(f"tag = {tag}; expected v and a version")


def test_address_of_the_repository_is_written_once():
    address = release.repository(ROOT)
    if not release.is_placeholder(address):
        pytest.skip("It has been filled in.")
    assert (ROOT / "pyproject.toml").read_text().count(address) == 1
    assert "repository.invalid" not in (ROOT / "CITATION.cff").read_text()


def test_recipe_is_that_of_an_sdist_and_requires_what_the_package_does(
    tmp_path, capsys
):
    sdist = tmp_path / "phono3py_mlp_plugin-0.2.0.tar.gz"
    sdist.write_bytes(b"content")
    assert release.main(["recipe", str(sdist), "somebody"]) == 0
    printed = capsys.readouterr().out
    assert "@" not in printed
    recipe = yaml.safe_load(printed)
    assert recipe["context"]["version"] == "0.2.0"
    (command,) = recipe["build"]["python"]["entry_points"]
    assert command.startswith("phono3py-mlp = phono3py_mlp_plugin.")
    assert recipe["source"]["sha256"] == hashlib.sha256(b"content").hexdigest()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    needed = {re.sub(r"\W.*", "", name): name for name in recipe["requirements"]["run"]}
    # conda-forge has the toolkits for windows in a package of their own.
    needed["matplotlib"] = recipe["requirements"]["run"][2].replace("-base", "")
    for requirement in project["project"]["dependencies"]:
        name, version = requirement.split(">=")
        assert needed[name] == f"{name} >={version}"
    built = [name.replace(" ", "") for name in recipe["requirements"]["host"][2:]]
    assert built == project["build-system"]["requires"]


def test_recipe_without_an_sdist_is_refused_in_one_line(tmp_path, capsys):
    assert release.main(["recipe", str(tmp_path / "none.tar.gz"), "somebody"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("expected an sdist. Run 'make dist'.")

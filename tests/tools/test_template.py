"""The template yields packages whose tests pass as they are."""

import ast
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

jinja2 = pytest.importorskip("jinja2")

TEMPLATE = Path(__file__).parents[2] / "template"
KINDS = ("force calculator", "solver", "both")
ANSWERS = {
    "plugin": "my_springs",
    "summary": "springs between neighbours",
    "author": "Somebody",
    "package": "phono3py-mlp-my-springs",
    "module": "phono3py_mlp_my_springs",
}


def render(kind, folder):
    """Write what copier writes with these answers."""
    environment = jinja2.Environment(keep_trailing_newline=True)
    answers = {**ANSWERS, "kind": kind}
    for path in (TEMPLATE / "project").rglob("*"):
        if path.is_dir():
            continue
        name = str(path.relative_to(TEMPLATE / "project")).removesuffix(".jinja")
        target = folder / environment.from_string(name).render(answers)
        if not target.suffix and not target.name.startswith("."):
            # Its name is empty: it is not part of this kind.
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        text = path.read_text()
        if path.suffix == ".jinja":
            text = environment.from_string(text).render(answers)
        target.write_text(text)
    return folder


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("kind", KINDS)
def test_package_of_each_kind_is_complete_and_formatted(kind, tmp_path):
    found = contents(render(kind, tmp_path))
    module = "src/phono3py_mlp_my_springs"
    assert (f"{module}/calculator.py" in found) == (kind != "solver")
    assert (f"{module}/solver.py" in found) == (kind != "force calculator")
    assert not [name for name, text in found.items() if "{%" in text or "{{ m" in text]
    for name, text in found.items():
        if name.endswith(".py"):
            ast.parse(text, name)
    project = tomllib.loads(found["pyproject.toml"])
    assert project["project"]["name"] == "phono3py-mlp-my-springs"
    assert yaml.safe_load(found[".github/workflows/tests.yml"])["jobs"]
    rules = ["--select", "E,F,I,B,UP,D", "--ignore", "D203,D213,D10,E501"]
    for command in (["check", *rules], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--isolated", "."],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_tests_of_a_new_package_pass(kind, tmp_path):
    package = render(kind, tmp_path / "package")
    site = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--no-deps", "--quiet"]
    install += ["--no-build-isolation", "--target", str(site), str(package)]
    subprocess.run(install, check=True)
    path = [str(site), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=package,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_copier_writes_what_is_tested(kind, tmp_path):
    copier = pytest.importorskip("copier")
    answers = {name: ANSWERS[name] for name in ("plugin", "summary", "author")}
    copier.run_copy(
        str(TEMPLATE), tmp_path / "copied", data={**answers, "kind": kind}, quiet=True
    )
    assert contents(tmp_path / "copied") == contents(render(kind, tmp_path / "here"))


@pytest.mark.parametrize(
    "wrong",
    [{"plugin": "My plugin"}, {"plugin": "1st"}, {"summary": 'a "b"'}, {"author": " "}],
)
def test_answers_that_would_not_work_are_refused(wrong, tmp_path):
    copier = pytest.importorskip("copier")
    answers = {name: ANSWERS[name] for name in ("plugin", "summary", "author")}
    with pytest.raises(ValueError, match="expected"):
        copier.run_copy(
            str(TEMPLATE),
            tmp_path,
            data={**answers, "kind": "both", **wrong},
            quiet=True,
        )

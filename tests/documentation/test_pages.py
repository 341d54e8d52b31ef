"""Pages show what there is: options and files that exist, messages as printed."""

import ast
import re
import tomllib

import pytest

from documentation.blocks import DOCS, ROOT, blocks, commands, pages
from phono3py_mlp_plugin.cli import main
from phono3py_mlp_plugin.host.bindings import (
    SCATTERING_BINDINGS,
    SYMMETRY_BINDINGS,
    bindings,
)

LANGUAGES = {"bash", "fish", "json", "python", "text", "toml", "yaml", "zsh"}
PAGES = [pytest.param(path, id=str(path.relative_to(ROOT))) for path in pages()]


@pytest.mark.parametrize("page", PAGES)
def test_blocks_say_what_they_are_so_that_output_is_no_code(page):
    for block in blocks(page):
        # A directive of Sphinx begins with a brace.
        known = block.language in LANGUAGES or block.language.startswith("{")
        assert known, f"{block}: language = {block.language!r}"


@pytest.mark.parametrize("page", PAGES)
def test_python_that_is_shown_is_python(page):
    for block in blocks(page, "python"):
        ast.parse(block.text, str(block))


@pytest.fixture(scope="module")
def options_of(run, tmp_path_factory):
    """The options that ``--help`` of a command lists."""
    folder = tmp_path_factory.mktemp("help")
    known = {}

    def options(name):
        if name not in known:
            done = run([*name.split(), "--help"], folder)
            assert done.returncode == 0, done.stderr
            known[name] = set(re.findall(r"(?<![\w-])--?[a-zA-Z][\w-]*", done.stdout))
        return known[name]

    return options


OF_PHONO3PY = ("kappa", "converge", "forecast")


@pytest.mark.parametrize("page", PAGES)
def test_options_of_the_commands_that_are_shown_exist(page, options_of):
    for block in blocks(page, "bash"):
        for name, *words in commands(block.text):
            known = set()
            if name == "phono3py-mlp":
                known |= options_of(f"{name} {words[0]}")
            if name != "phono3py-mlp" or words[0] in OF_PHONO3PY:
                known |= options_of("phono3py") | options_of("phono3py-init")
            given = {
                word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)
            }
            assert given <= known, f"{block}: {' '.join([name, *words])}"


def test_commands_that_are_shown_use_the_name_that_phono3py_recommends():
    for page in pages():
        for block in blocks(page, "bash"):
            assert "phono3py-load" not in block.text, block


@pytest.mark.parametrize("page", PAGES)
def test_links_to_files_lead_to_files(page):
    # Sphinx checks those of docs/; README is read in the repository, too.
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        if "://" not in target and not target.startswith("mailto:"):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_what_is_installed_by_name_is_declared():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found = []
    for page in pages():
        for block in blocks(page, "bash"):
            found += re.findall(r"phono3py-mlp-plugin\[([\w,-]+)\]", block.text)
    extras = {extra for text in found for extra in text.split(",")}
    assert extras and extras <= set(project["optional-dependencies"])


def test_targets_of_make_that_are_shown_exist():
    makefile = (ROOT / "Makefile").read_text()
    for page in pages():
        for block in blocks(page, "bash"):
            for target in re.findall(r"^make (?:\w+=\S+ )?([\w-]+)", block.text, re.M):
                assert re.search(rf"^{target}:", makefile, re.M), f"{block}: {target}"


def _texts_of_source():
    """Constant parts of all string literals; what is formatted becomes a gap."""
    texts = []
    for path in sorted((ROOT / "src").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                parts = [
                    part.value if isinstance(part, ast.Constant) else "\0"
                    for part in node.values
                ]
                texts.append("".join(parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
    return "\n".join(texts)


def test_messages_of_troubleshooting_are_those_that_are_printed():
    text = (DOCS / "howto" / "troubleshooting.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    source = _texts_of_source()
    # Printed by phono3py.
    source += "WARNING: 'phono3py-load' is deprecated."
    assert len(rows) > 40
    missing = [
        part.strip()
        for row in rows
        for message in re.findall(r"`([^`]+)`", row.split(" | ")[0])
        for part in message.split("...")
        if part.strip() not in source
    ]
    assert not missing


def test_every_binding_is_in_the_proposal_to_phono3py():
    text = (DOCS / "upstream.md").read_text()
    listed = set()
    for module, table in re.findall(r"^\*\*`(.+)`\*\*\n\n((?:\|.*\n)+)", text, re.M):
        names = re.findall(r"^\| `([\w.]+)` \|", table, re.MULTILINE)
        listed |= {f"{module}:{name}" for name in names}
    replaced = {
        str(binding)
        for group in (
            bindings(),
            SCATTERING_BINDINGS,
            SYMMETRY_BINDINGS,
        )
        for binding in group
    }
    assert replaced == listed


def test_modules_named_on_the_way_of_a_dataset_exist():
    text = (DOCS / "explanation" / "architecture.md").read_text()
    package = ROOT / "src" / "phono3py_mlp_plugin"
    names = re.findall(r"`((?:\w+/)*\w+\.py|(?:\w+/)+)`", text)
    assert len(names) > 30
    for name in names:
        assert any(package.rglob(name.rstrip("/"))), name


def test_every_subcommand_is_shown(capsys):
    main(["--help"])
    names = re.findall(r"^    ([a-z]+)(?:  |$)", capsys.readouterr().out, re.MULTILINE)
    assert "kappa" in names
    text = "\n".join(page.read_text() for page in pages())
    for name in names:
        assert f"phono3py-mlp {name}" in text

"""Prepare a release, and check that all files agree on it.

    python tools/release.py prepare VERSION [--date YYYY-MM-DD]
    python tools/release.py check TAG
    python tools/release.py recipe SDIST MAINTAINER

``prepare`` dates the unreleased part of ``CHANGELOG.md`` and writes version, date and
address into ``CITATION.cff``. ``check`` writes nothing and ends with 1 if the tag does
not name the version of both files, or if the address of the repository, which is
written in ``pyproject.toml``, is still a placeholder. ``recipe`` prints the recipe for
conda-forge of a built sdist. Only the standard library is used.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import re
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
UNRELEASED = "## [Unreleased]"
# Reserved for names that belong to nobody, by RFC 2606.
PLACEHOLDER = ".invalid"

_VERSION = re.compile(r"\d+\.\d+\.\d+((a|b|rc)\d+)?")
_HEADING = re.compile(
    r"^## \[(?P<version>[^\]]+)\](?: - (?P<date>\d{4}-\d\d-\d\d))?$", re.MULTILINE
)


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(required=True, dest="command")
    prepared = commands.add_parser(
        "prepare", help="date the changelog and the citation"
    )
    prepared.add_argument("version")
    prepared.add_argument(
        "--date", type=datetime.date.fromisoformat, default=datetime.date.today()
    )
    checked = commands.add_parser("check", help="check that all files agree on a tag")
    checked.add_argument("tag", help="v and the version, such as v0.1.0")
    printed = commands.add_parser("recipe", help="print the recipe for conda-forge")
    printed.add_argument("sdist", type=Path)
    printed.add_argument("maintainer", help="name on GitHub")
    args = parser.parse_args(arguments)
    problems = []
    if args.command == "prepare":
        problems = prepare(root, args.version, args.date)
    elif args.command == "check":
        problems = list(check(root, args.tag))
    elif not args.sdist.is_file():
        problems = [f"{args.sdist}: no file; expected an sdist. Run 'make dist'."]
    else:
        print(recipe(root, args.sdist, args.maintainer), end="")
    for problem in problems:
        print(f"ERROR: {problem}", file=sys.stderr)
    return 1 if problems else 0


def project_file(root: Path) -> dict[str, Any]:
    """Return the content of ``pyproject.toml``."""
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))


def repository(root: Path) -> str:
    """Return the address of the repository."""
    hooks = project_file(root)["tool"]["hatch"]["metadata"]["hooks"]
    return str(hooks["custom"]["repository"])


def is_placeholder(address: str) -> bool:
    """Return whether an address is one that belongs to nobody.

    Examples
    --------
    >>> is_placeholder("https://repository.invalid/package")
    True
    """
    host = address.partition("://")[2].partition("/")[0]
    return not host or host.endswith(PLACEHOLDER)


def prepare(root: Path, version: str, date: datetime.date) -> list[str]:
    """Write version and date into both files; return what prevents it."""
    changelog, citation = root / "CHANGELOG.md", root / "CITATION.cff"
    text = changelog.read_text(encoding="utf-8")
    if not _VERSION.fullmatch(version):
        return [f"version = {version}; expected a version such as 0.1.0."]
    if not unreleased(text).strip():
        return ["CHANGELOG.md: nothing is unreleased; expected changes to release."]
    if any(match["version"] == version for match in _HEADING.finditer(text)):
        return [f"CHANGELOG.md: {version} is there already; expected a new version."]
    heading = f"{UNRELEASED}\n\n## [{version}] - {date}"
    changelog.write_text(text.replace(UNRELEASED, heading, 1), encoding="utf-8")
    fields = {"version": version, "date-released": date.isoformat()}
    if not is_placeholder(repository(root)):
        fields["repository-code"] = repository(root)
    citation.write_text(
        with_fields(citation.read_text(encoding="utf-8"), fields), encoding="utf-8"
    )
    return []


def unreleased(changelog: str) -> str:
    """Return the part of the changelog that no version contains."""
    _, _, after = changelog.partition(UNRELEASED)
    following = _HEADING.search(after)
    return after[: following.start()] if following else after


def with_fields(citation: str, fields: dict[str, str]) -> str:
    """Return a citation file with these fields, after the licence if they are new."""
    for name, value in fields.items():
        line = f'{name}: "{value}"'
        old = re.compile(rf"^{name}:.*$", re.MULTILINE)
        if old.search(citation):
            citation = old.sub(line, citation, count=1)
        else:
            citation = re.sub(
                r"^license:.*$",
                rf"\g<0>\n{line}",
                citation,
                count=1,
                flags=re.MULTILINE,
            )
    return citation


def check(root: Path, tag: str) -> Iterator[str]:
    """Yield what is wrong with a release, one line each."""
    version = tag.removeprefix("v")
    if version == tag or not _VERSION.fullmatch(version):
        yield f"tag = {tag}; expected v and a version, such as v0.1.0."
        return
    if is_placeholder(repository(root)):
        yield (
            "pyproject.toml: [tool.hatch.metadata.hooks.custom] repository = "
            f"{repository(root)}; expected the address of the repository. Fill it in."
        )
    text = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = list(_HEADING.finditer(text))
    dated = next((match for match in headings if match["date"]), None)
    newest = dated["version"] if dated else "none"
    if newest != version:
        yield (
            f"CHANGELOG.md: newest dated version = {newest}; expected {version}. Run "
            f"'python tools/release.py prepare {version}'."
        )
    citation = (root / "CITATION.cff").read_text(encoding="utf-8")
    expected = {"version": version, "date-released": dated["date"] if dated else ""}
    for name, value in expected.items():
        found = re.search(rf'^{name}: *"?([^"\n]*)"?$', citation, re.MULTILINE)
        if found is None or found[1] != value:
            yield (
                f"CITATION.cff: {name} = {found[1] if found else 'none'}; expected "
                f"{value or 'the date of the changelog'}."
            )


def recipe(root: Path, sdist: Path, maintainer: str) -> str:
    """Return the recipe for conda-forge of an sdist."""
    text = (root / "recipe" / "recipe.yaml").read_text(encoding="utf-8")
    _, _, body = text.partition("schema_version")
    ((command, function),) = project_file(root)["project"]["scripts"].items()
    values = {
        "COMMAND": f"{command} = {function}",
        "VERSION": sdist.name.removesuffix(".tar.gz").rpartition("-")[2],
        "REPOSITORY": repository(root),
        "SHA256": hashlib.sha256(sdist.read_bytes()).hexdigest(),
        "MAINTAINER": maintainer,
    }
    for name, value in values.items():
        body = body.replace(f"@{name}@", value)
    return f"schema_version{body}"


if __name__ == "__main__":
    sys.exit(main())

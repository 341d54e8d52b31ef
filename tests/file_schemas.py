"""The files that commands write, compared with the schemas of the documentation."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

SCHEMAS = Path(__file__).parents[1] / "docs" / "reference" / "schemas"

# What a file must contain to be that of a campaign, whose name is the user's.
_TABLE = '"crystals"'


def schemas() -> dict[str, Any]:
    """Return all schemas by name."""
    return {
        path.name.removesuffix(".schema.json"): json.loads(path.read_text())
        for path in sorted(SCHEMAS.iterdir())
    }


@functools.cache
def _validators() -> dict[str, Draft202012Validator]:
    found = schemas()
    resources = [(one["$id"], Resource.from_contents(one)) for one in found.values()]
    registry = Registry().with_resources(resources)
    return {
        name: Draft202012Validator(schema, registry=registry)
        for name, schema in found.items()
    }


def check_files(folder: Path, *expected: str) -> None:
    """Compare all files below a folder with their schemas.

    Parameters
    ----------
    folder : Path
    expected : str
        Names of schemas of which there must be a file.
    """
    found = set()
    for path in sorted(folder.rglob("*")):
        kind, content = _read(path)
        if kind:
            found.add(kind)
            errors = [
                f"{path.name}: {error.json_path}: {error.message[:200]}"
                for error in _validators()[kind].iter_errors(content)
            ]
            assert not errors, "\n".join(errors)
    assert found >= set(expected), f"found {sorted(found)} alone"


def _read(path: Path) -> tuple[str, Any]:
    """Return the schema of a file and its content, or an empty name."""
    if path.name == "polymlp.yaml":
        content = yaml.load(path.read_text(), Loader=yaml.CSafeLoader)
        return "provenance", content["phono3py_mlp"]
    if path.suffix != ".json":
        return "", None
    kind = path.stem.removeprefix("phono3py_mlp_")
    text = path.read_text()
    if _TABLE in text:
        kind = "campaign-table"
    assert kind in _validators(), f"{path.name} has no schema"
    return kind, json.loads(text)

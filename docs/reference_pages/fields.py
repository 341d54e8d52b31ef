"""Fields of files, from their JSON schemas."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from reference_pages.markdown import code, table

_SUFFIX = ".schema.json"

SCHEMAS = Path(__file__).parents[1] / "reference" / "schemas"

# Names of what has any name, such as a temperature.
_ANY = "NAME"


def schema_of(name: str) -> dict[str, Any]:
    """Return a JSON schema.

    Raises
    ------
    LookupError
        If there is no such schema.
    """
    path = SCHEMAS / f"{name}{_SUFFIX}"
    if not path.is_file():
        raise LookupError(f"{path}: no such schema.")
    schema: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return schema


def fields_of(name: str, _: Sequence[str] = ()) -> str:
    """Return the fields of a schema as a table in Markdown.

    Descriptions may contain Markdown.

    Raises
    ------
    LookupError
        If there is no such schema, or a field has no description.
    """
    rows = list(_rows(schema_of(name), ""))
    return table([("field", "type", "meaning"), *rows])


def _rows(node: Mapping[str, Any], path: str) -> Iterator[tuple[str, str, str]]:
    """Yield the fields of an object, each before those within it."""
    fields = dict(node.get("properties", {}))
    free = node.get("additionalProperties")
    if isinstance(free, Mapping):
        # A field with any name.
        fields[_ANY] = free
    for name, field in fields.items():
        where = f"{path}{name}"
        inner = _resolved(field)
        text = field.get("description") or inner.get("description")
        if text is None and name != _ANY:
            raise LookupError(f"{where} has no description.")
        if text is not None:
            if name != _ANY and name not in node["required"]:
                text = f"Optional. {text}"
            yield code(where), _type(field), text.replace("|", "\\|")
        while inner.get("type") == "array":
            where, inner = f"{where}[]", _resolved(inner["items"])
        yield from _rows(inner, f"{where}.")


def _resolved(node: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a node that is not null, or the definition that it refers to."""
    if "anyOf" in node:
        node = next(one for one in node["anyOf"] if one.get("type") != "null")
    while "$ref" in node:
        file, _, place = node["$ref"].partition("#/$defs/")
        node = schema_of(file.removesuffix(_SUFFIX))["$defs"][place]
    return node


def _type(field: Mapping[str, Any]) -> str:
    """Return the type of a field with the shape of its arrays."""
    inner, shape = _resolved(field), []
    while inner.get("type") == "array":
        shape.append(str(inner.get("maxItems", "n")))
        inner = _resolved(inner["items"])
    if "const" in inner:
        return code(json.dumps(inner["const"]))
    if "enum" in inner:
        return " or ".join(code(json.dumps(value)) for value in inner["enum"])
    kinds = inner["type"]
    name = kinds if isinstance(kinds, str) else " or ".join(kinds)
    if "anyOf" in field:
        name = f"{name} or null"
    return f"{name} ({', '.join(shape)})" if shape else name

"""Directives that write the reference from the package itself.

``{options}`` lists the options of a command, ``{parameters}`` those of a plugin,
``{fields}`` what is in a file according to its JSON schema, and ``{public}`` the public
names of a kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from reference_pages import fields, names, options, parameters


class _Written(SphinxDirective):
    """Markdown that a function returns for the arguments and the lines of the body."""

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return the nodes of the Markdown."""
        try:
            text = self.write(self.arguments[0], list(self.content))
        except LookupError as error:
            raise self.error(str(error)) from error
        return self.parse_text_to_nodes(text)


class Options(_Written):
    """``{options} COMMAND``: all options, or those named in the body."""

    write = staticmethod(options.options_of)


class Parameters(_Written):
    """``{parameters} PLUGIN``: a table of the parameters of a plugin."""

    write = staticmethod(parameters.parameters_of)


class Fields(_Written):
    """``{fields} FILE``: a table of the fields of a JSON schema."""

    write = staticmethod(fields.fields_of)


class Public(_Written):
    """``{public} KIND``: public names of a kind, from their docstrings.

    Those named in the body, or all that no other directive of the page names.
    """

    def write(self, kind: str, body: Sequence[str]) -> str:
        """Return directives of autodoc."""
        if body:
            return names.names_of(kind, body)
        page = Path(self.env.doc2path(self.env.docname)).read_text(encoding="utf-8")
        others = names.others_of(kind, page)
        return names.names_of(kind, others) if others else ""


def setup(app: Any) -> dict[str, bool]:
    """Add the directives, and shorten signatures."""
    app.setup_extension("sphinx.ext.autodoc")
    for directive in (Options, Parameters, Fields, Public):
        app.add_directive(directive.__name__.lower(), directive)
    app.connect("autodoc-process-signature", names.short_signature)
    return {"parallel_read_safe": True}

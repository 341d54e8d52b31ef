"""HTML page of a report, which contains all figures.

It is built as a tree of elements and not from strings, so that text from files is
always escaped.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from phono3py_mlp_plugin.workflow import Check

# No scripts, and no fonts or images from other places.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

_STYLE = """
:root { --text: #1b1f24; --faint: #57606a; --line: #d0d7de; --good: #116329;
        --look: #9a3412; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 54rem; padding: 1.5rem; color: var(--text);
       font: 16px/1.5 system-ui, sans-serif; background: #fff; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .5rem; border-bottom: 1px solid var(--line); }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; list-style: none;
         padding: 0; }
a { color: #0550ae; }
figure { margin: 1rem 0; break-inside: avoid; }
figure img { max-width: 100%; height: auto; display: block; }
figcaption, .faint { color: var(--faint); font-size: .9rem; }
.downloads { margin: .25rem 0 0; font-size: .9rem; color: var(--faint); }
.headline { font-size: 1.15rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .3rem .75rem .3rem 0;
         border-bottom: 1px solid var(--line); overflow-wrap: break-word; }
th { white-space: nowrap; font-weight: 600; }
.facts th { width: 40%; white-space: normal; font-weight: 400; }
.facts td, .facts th { overflow-wrap: anywhere; }
.good, .look { font-weight: 600; white-space: nowrap; width: 3rem; }
.good { color: var(--good); }
.look { color: var(--look); }
@page { size: A4; margin: 18mm; }
@media print {
  body { max-width: none; padding: 0; font-size: 11pt; }
  nav, .downloads { display: none; }
  figure img { max-height: 10.5cm; width: auto; }
  h2, section > p { break-after: avoid; }
  tr { break-inside: avoid; }
}
"""


@dataclass(frozen=True)
class Picture:
    """A figure of the page.

    Attributes
    ----------
    png : bytes
    alt : str
        Description for readers who cannot see the figure.
    caption : str
    files : tuple of str
        Names of the files of the figure in the folder of the page.
    """

    png: bytes
    alt: str
    caption: str
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Link:
    """A cell of a table that leads to another page."""

    text: str
    address: str


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes
    ----------
    name : str
        Anchor of the section.
    title : str
    pictures : list of Picture
    notes : list of str
    table : list of tuple of str
        Rows of the table; the first one is the header.
    """

    name: str
    title: str
    pictures: list[Picture] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    table: list[tuple[str, ...]] = field(default_factory=list)


def make_page(
    title: str,
    headlines: Sequence[str],
    checks: Sequence[Check],
    sections: Sequence[Section],
    facts: Sequence[tuple[str, str]],
) -> bytes:
    """Return the page as UTF-8.

    Parameters
    ----------
    title : str
    headlines : sequence of str
        Main results.
    checks : sequence of Check
    sections : sequence of Section
    facts : sequence of tuple
        Names and values that describe the origin of the results.
    """
    root, body = _page(title, headlines)
    _contents(body, [("checks", "Checks"), *((s.name, s.title) for s in sections)])
    main = SubElement(body, "main")
    _checks(main, checks)
    for section in sections:
        _section(main, section)
    part = _part(main, "provenance", "Provenance")
    _table(part, [("what", "value"), *facts], "facts")
    return _markup(root)


def make_index(
    title: str, headlines: Sequence[str], rows: Sequence[tuple[str | Link, ...]]
) -> bytes:
    """Return a page with a table that leads to other pages, as UTF-8.

    Parameters
    ----------
    title : str
    headlines : sequence of str
    rows : sequence of tuple
        Rows of the table; the first one is the header.
    """
    root, body = _page(title, headlines)
    _table(SubElement(body, "main"), rows)
    return _markup(root)


def _page(title: str, headlines: Sequence[str]) -> tuple[Element, Element]:
    """Return the root and the body of a page with its headlines."""
    root = Element("html", lang="en")
    head = SubElement(root, "head")
    SubElement(head, "meta", charset="utf-8")
    SubElement(
        head, "meta", {"http-equiv": "Content-Security-Policy", "content": _POLICY}
    )
    SubElement(
        head, "meta", name="viewport", content="width=device-width, initial-scale=1"
    )
    _text(head, "title", title)
    _text(head, "style", _STYLE)
    body = SubElement(root, "body")
    header = SubElement(body, "header")
    _text(header, "h1", title)
    for line in headlines:
        _text(header, "p", line, "headline")
    return root, body


def _markup(root: Element) -> bytes:
    markup = ElementTree.tostring(root, encoding="unicode", method="html")
    return f"<!DOCTYPE html>\n{markup}\n".encode()


def _text(parent: Element, tag: str, text: str, kind: str | None = None) -> Element:
    element = SubElement(parent, tag, {} if kind is None else {"class": kind})
    # Text from a damaged file may contain characters that are not allowed in HTML.
    element.text = "".join(c if c.isprintable() or c in "\n\t" else "?" for c in text)
    return element


def _contents(body: Element, entries: Sequence[tuple[str, str]]) -> None:
    items = SubElement(SubElement(body, "nav", {"aria-label": "Contents"}), "ul")
    for name, title in [*entries, ("provenance", "Provenance")]:
        _text(SubElement(items, "li"), "a", title).set("href", f"#{name}")


def _part(main: Element, name: str, title: str) -> Element:
    part = SubElement(main, "section", id=name)
    _text(part, "h2", title)
    return part


def _checks(main: Element, checks: Sequence[Check]) -> None:
    part = _part(main, "checks", "Checks")
    if not checks:
        _text(part, "p", "There is neither a potential nor fc2 to check.", "faint")
        return
    table = SubElement(SubElement(part, "div", {"class": "scroll"}), "table")
    for check in checks:
        row = SubElement(table, "tr")
        verdict = ("ok", "good") if check.passed else ("look", "look")
        _text(row, "td", *verdict)
        cell = _text(row, "td", check.text)
        if not check.passed and check.remedy:
            _text(cell, "div", check.remedy, "faint")


def _section(main: Element, section: Section) -> None:
    part = _part(main, section.name, section.title)
    for note in section.notes:
        _text(part, "p", note, "faint")
    for picture in section.pictures:
        figure = SubElement(part, "figure")
        data = base64.b64encode(picture.png).decode("ascii")
        SubElement(figure, "img", src=f"data:image/png;base64,{data}", alt=picture.alt)
        _text(figure, "figcaption", picture.caption)
        if picture.files:
            _downloads(figure, picture.files)
    if section.table:
        _table(part, section.table)


def _downloads(figure: Element, files: Sequence[str]) -> None:
    """Add links to the files of a figure, which lie beside the page."""
    line = _text(figure, "p", "Download: ", "downloads")
    for name in files:
        link = _text(line, "a", name.rpartition(".")[2].upper())
        link.set("href", name)
        link.set("download", name)
        link.tail = " "


def _table(
    part: Element, rows: Sequence[tuple[str | Link, ...]], kind: str = ""
) -> None:
    scroll = SubElement(part, "div", {"class": "scroll"})
    table = SubElement(scroll, "table", {"class": kind} if kind else {})
    head = SubElement(SubElement(table, "thead"), "tr")
    for cell in rows[0]:
        _cell(head, "th", cell).set("scope", "col")
    body = SubElement(table, "tbody")
    for first, *others in rows[1:]:
        row = SubElement(body, "tr")
        _cell(row, "th", first).set("scope", "row")
        for cell in others:
            _cell(row, "td", cell)


def _cell(row: Element, tag: str, content: str | Link) -> Element:
    if isinstance(content, str):
        return _text(row, tag, content)
    cell = SubElement(row, tag)
    _text(cell, "a", content.text).set("href", content.address)
    return cell

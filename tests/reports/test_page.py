"""The page: escaped, without anything from elsewhere."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from phono3py_mlp_plugin.reports.page import Picture, Section, make_page
from phono3py_mlp_plugin.workflow import Check

HOSTILE = "<script>alert('x')</script>\"&' <img src=http://example.org/x onerror=y>"


SECTION = Section(
    "a",
    "A",
    [Picture(b"png", "alt", "caption", ("a.svg",))],
    ["note"],
    [("a", "b"), ("c", "d")],
)


class Reader(HTMLParser):
    """What a browser would make of a text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.sources = set(), set(), []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.sources += [value for name, value in attrs if name == "src"]


def page(**changes):
    given = {
        "title": "NaCl",
        "headlines": ["Kappa at 300 K: 8.2 W/m-K."],
        "checks": [Check(True, "fine"), Check(False, "not fine", "Mend it.")],
        "sections": [Section("kappa", "Thermal conductivity", notes=["A note."])],
        "facts": [("symfc", "1.8.0")],
        **changes,
    }
    return make_page(**given).decode()


@pytest.mark.parametrize(
    "changes",
    [
        {"title": HOSTILE},
        {"headlines": [HOSTILE]},
        {"checks": [Check(False, HOSTILE, HOSTILE)]},
        {"facts": [(HOSTILE, HOSTILE)]},
        {
            "sections": [
                Section(
                    HOSTILE,
                    HOSTILE,
                    [Picture(b"png", HOSTILE, HOSTILE, (HOSTILE,))],
                    [HOSTILE],
                    [(HOSTILE, HOSTILE), (HOSTILE, HOSTILE)],
                )
            ]
        },
    ],
)
def test_what_comes_from_files_is_never_markup(changes):
    text = page(**changes)
    assert "alert(" in text
    expected = Reader(page(sections=[SECTION]))
    found = Reader(text)
    assert found.tags <= expected.tags
    assert found.attributes <= expected.attributes
    assert all(source.startswith("data:") for source in found.sources)


def test_control_characters_are_replaced():
    assert "a?b" in page(headlines=["a\x00b"])


def test_verdicts_are_words_and_remedies_are_given_where_they_are_needed():
    text = page()
    assert re.search(r'class="good">ok<.*fine', text)
    assert re.search(r'class="look">look<.*not fine.*Mend it\.', text)


def test_the_page_needs_nothing_from_elsewhere():
    picture = Picture(np.arange(9, dtype=np.uint8).tobytes(), "alt", "caption")
    text = page(sections=[Section("a", "A", [picture])])
    assert "default-src 'none'" in text
    assert set(re.findall(r'src="([a-z]+):', text)) == {"data"}
    assert "http://" not in text and "https://" not in text
    assert "url(" not in text and "@import" not in text


def test_files_of_figures_can_be_downloaded():
    picture = Picture(b"png", "alt", "caption", ("a.png", "a.svg"))
    text = page(sections=[Section("a", "A", [picture])])
    assert re.findall(r'href="(a\.\w+)" download="(a\.\w+)">(\w+)<', text) == [
        ("a.png", "a.png", "PNG"),
        ("a.svg", "a.svg", "SVG"),
    ]


def test_contents_lead_to_every_section():
    text = page()
    for name in re.findall(r'href="#([^"]+)"', text):
        assert f'id="{name}"' in text


def test_numbers_in_tables_are_not_broken_into_lines():
    """A column may not become narrower than its longest number."""
    rules = re.findall(r"([^{}]+)\{([^}]*)\}", page())
    cells = [rule for names, rule in rules if names.strip().split(", ") == ["th", "td"]]
    assert cells and not any("anywhere" in rule for rule in cells)

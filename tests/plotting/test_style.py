"""Style of figures: that of this package, and that of a user's file."""

import logging
import os
import re
import sys

import matplotlib
import numpy as np
import pytest

from phono3py_mlp_plugin.errors import MLPError
from phono3py_mlp_plugin.plotting import (
    STYLE_FILE,
    Style,
    new_figure,
    new_panels,
    read_style,
    render,
)


def drawn(style):
    with style.applied():
        figure = new_figure(3.0)
        axes = figure.subplots()
        axes.plot([1, 2])
        axes.set_xlabel("κ of Å")
        return figure, render(figure)


@pytest.fixture(scope="module")
def default():
    """The files of a figure in the style of the package."""
    return drawn(Style())[1]


def test_text_of_vector_files_is_text(default):
    files = default
    assert "κ of Å" in files[".svg"].decode()
    # TrueType fonts, which programs for drawing can edit.
    assert b"/FontFile2" in files[".pdf"] and b"/Type3" not in files[".pdf"]


def test_a_matplotlibrc_changes_no_figure(default):
    with matplotlib.rc_context({"font.size": 30, "svg.fonttype": "path"}):
        assert drawn(Style())[1] == default
        assert matplotlib.rcParams["font.size"] == 30


@pytest.mark.slow
def test_settings_of_a_file_are_used(tmp_path):
    text = """# for one column
    figure.figsize: 3.4, 2.4   # inches
    font.family: serif

    axes.prop_cycle: cycler(color=["#ff0000", "#00ff00"])
    axes.edgecolor: "#0000ff"
    """
    (tmp_path / STYLE_FILE).write_text(text)
    figure, files = drawn(read_style(tmp_path))
    assert figure.get_size_inches() == pytest.approx([3.4, 1.5])
    assert figure.axes[0].lines[0].get_color() == "#ff0000"
    svg = files[".svg"].decode()
    assert "#0000ff" in svg and "serif" in svg
    assert matplotlib.rcParams["font.family"] == ["sans-serif"]


@pytest.mark.parametrize(
    ("settings", "stacked"),
    [
        ({}, False),
        ({"figure.figsize": (3.4, 3.2), "font.size": 8}, True),
        ({"figure.figsize": (7.0, 3.2)}, False),
        ({"font.size": 16}, True),
    ],
)
def test_panels_are_above_each_other_in_narrow_figures(settings, stacked):
    with Style(settings).applied():
        figure, (first, second) = new_panels(3.0, 2)
        figure.draw_without_rendering()
    above = first.get_position().y0 > second.get_position().y1
    assert bool(above) is stacked
    beside = first.get_position().x1 < second.get_position().x0
    assert bool(beside) is not stacked


def test_without_a_file_the_style_is_that_of_the_package(tmp_path):
    assert read_style(tmp_path) == Style()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("font.size: 8\nfontsize: 12", "line 2 = 'fontsize: 12'"),
        ("font.sise: 12", "Did you mean 'font.size'?"),
        ("font.size: large one", "line 1"),
        ("font.size 12", "expected 'name: value'"),
        ("font.size: 8\nfont.size: 9", "line 2 = 'font.size' again"),
        ("savefig.format: eps", "no effect"),
        ("backend: pdf", "no effect"),
        # matplotlib searches all fonts of the machine twice.
        pytest.param(
            "font.family: No Such Font", "No Such Font", marks=pytest.mark.slow
        ),
        ("figure.figsize: 0, 0", "expected settings"),
        ("figure.figsize: 0.2, 0.2", "expected settings"),
        ("savefig.dpi: 100000", "expected settings"),
        ("axes.prop_cycle: cycler(color=['no colour'])", "line 1"),
        ("font.size: -3", "(negative)"),
        ("font.size: inf", "(not a finite number)"),
        ("lines.markersize: inf", "(not a finite number)"),
        ("lines.dashed_pattern: nan, 1", "(not a finite number)"),
        ("errorbar.capsize: -1", "(negative)"),
        ("legend.fontsize: 900", "expected settings"),
        ("figure.dpi: 0", "no effect"),
        ("svg.image_inline: False", "no effect"),
        ("pgf.rcfonts: False", "no effect"),
        ("\x00", "line 1"),
        ("font.size: " + "9" * 600_000, "cannot be read"),
        (b"\xff\xfe font.size: 12", "cannot be read"),
        (None, "a folder"),
        ("fifo", "a named pipe"),
        ("link", "not there"),
    ],
)
def test_what_is_no_style_is_refused_on_one_line(tmp_path, text, told):
    path = tmp_path / STYLE_FILE
    if text is None:
        path.mkdir()
    elif text == "fifo":
        os.mkfifo(path)
    elif text == "link":
        path.symlink_to("nowhere")
    else:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(MLPError) as caught:
        read_style(tmp_path)
    message = str(caught.value)
    assert told in message and STYLE_FILE in message and "\n" not in message
    assert message.endswith(".")
    assert not logging.getLogger("matplotlib").handlers


def test_a_style_of_an_editor_of_windows_is_read(tmp_path):
    (tmp_path / STYLE_FILE).write_bytes(b"\xef\xbb\xbffont.size: 8\r\n")
    assert read_style(tmp_path) == Style({"font.size": 8.0})


def test_a_missing_matplotlib_is_told_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for attempt in (lambda: read_style(tmp_path), Style().applied().__enter__):
        with pytest.raises(MLPError, match="pip install matplotlib") as caught:
            attempt()
        assert "\n" not in str(caught.value)


def lightness(colour):
    """CIE lightness of a colour, which a grey print shows."""
    rgb = np.array(matplotlib.colors.to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return 116 * np.cbrt(linear @ [0.2126, 0.7152, 0.0722] + 1e-9) - 16


def test_first_colours_differ_in_brightness():
    with Style().applied():
        colours = matplotlib.rcParams["axes.prop_cycle"].by_key()["color"]
    values = sorted(lightness(colour) for colour in colours[:3])
    # A difference of 20 is seen at a glance; that of just noticeable greys is 2.
    assert min(np.diff(values)) > 20


def test_files_have_no_dates_and_versions(default):
    for content in default.values():
        assert not re.search(rb"(Creat(ion)?Date|dc:date|Matplotlib)", content)

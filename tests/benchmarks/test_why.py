"""The figure of the README shows the results that are recorded."""

import json

import pytest

from phono3py_mlp_plugin.plotting import Style

why = pytest.importorskip("why", reason="not in the source package")


def test_figure_shows_the_recorded_results():
    ours, both = (json.loads(path.read_text()) for path in (why.STUDY, why.HOST))
    with Style().applied():
        left, right = why.draw(ours, both).axes
    curves = [list(line.get_ydata()) for line in left.lines]
    assert ours["kappa"] in curves and both["host_kappa"] in curves
    # Thin lines of 95 % and those with caps of 68 %.
    assert len(left.collections) == 2
    widths = [bar.get_width() for bar in right.patches]
    assert widths == pytest.approx([both["host_s"], both["ours_s"]])


def test_text_of_the_figure_can_be_searched():
    svg = why.FIGURE.with_suffix(".svg").read_text()
    for text in ("this package", "phono3py with pypolymlp", "training supercells"):
        assert text in svg

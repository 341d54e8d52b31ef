"""The figure of the README shows the results that are recorded."""

import json

import pytest

from phono3py_mlp_plugin.plotting import Style

why = pytest.importorskip("why", reason="not in the source package")


def test_figure_shows_the_recorded_results():
    results = json.loads(why.RESULTS.read_text())
    with Style().applied():
        left, right = why.draw(results).axes
    curves = [list(line.get_ydata()) for line in left.lines]
    assert results["ours_kappa"] in curves and results["host_kappa"] in curves
    # Thin lines of 95 % and those with caps of 68 %.
    assert len(left.collections) == 2
    widths = [bar.get_width() for bar in right.patches]
    assert widths == pytest.approx([results["host_s"], results["ours_s"]])


def test_text_of_the_figure_can_be_searched():
    svg = why.FIGURE.with_suffix(".svg").read_text()
    for text in ("this package", "phono3py with pypolymlp", "training supercells"):
        assert text in svg

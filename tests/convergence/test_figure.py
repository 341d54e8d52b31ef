"""The figure of a study."""

from dataclasses import replace

import matplotlib.colors
import numpy as np
import pytest

from phono3py_mlp_plugin.convergence import draw_convergence
from phono3py_mlp_plugin.convergence.file import (
    LastStudy,
    read_last_study,
    write_convergence,
)
from phono3py_mlp_plugin.plotting import Style, mesh_text
from study_points import point

STUDY = [
    replace(point(n, k, scatter=s), mesh=[11.0, 11.0, 11.0])
    for n, k, s in ((5, 9.0, 0.1), (10, 8.1, 0.02), (20, 8.0, 0.01))
]


@pytest.fixture(autouse=True)
def style():
    with Style().applied():
        yield


def test_heading_has_crystal_temperature_mesh_and_level():
    figure = draw_convergence(STUDY, formula="Al2O3")
    mesh = mesh_text([11, 11, 11])
    assert figure.get_suptitle() == (
        f"Al$_{{2}}$O$_{{3}}$, 300 K, {mesh}, 68 % (caps) and 95 % intervals"
    )
    above, below = figure.axes
    assert above.get_ylabel() == "κ (W m$^{-1}$ K$^{-1}$)"
    assert below.get_ylabel() == "force error (meV/Å)"


def test_meshes_that_differ_are_in_no_heading():
    others = [replace(p, mesh=[5.0] * 3, label="mesh = 5") for p in STUDY]
    for points in ([*STUDY, *others], [replace(p, mesh=None) for p in STUDY]):
        assert "mesh" not in draw_convergence(points).get_suptitle()


def test_tolerance_is_a_band_around_the_last_value():
    (band,) = draw_convergence(STUDY, tolerance=0.02).axes[0].patches
    path = band.get_path().transformed(band.get_patch_transform())
    low, high = path.get_extents().intervaly
    assert (low, high) == pytest.approx((8.0 * 0.98, 8.0 * 1.02))
    assert not draw_convergence(STUDY).axes[0].patches


def test_intervals_are_those_of_the_points():
    above = draw_convergence(STUDY).axes[0]
    for bars, level in zip(above.collections, (0.95, 0.68), strict=True):
        for segment, one in zip(bars.get_segments(), STUDY, strict=True):
            expected = one.error_bar().interval(one.kappa[0][0], level)
            assert segment[:, 1] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("sizes", "labels"),
    [
        ([20], ["20"]),
        ([5, 10, 20, 40, 80], ["5", "10", "20", "40", "80"]),
        # From the largest down, as far as labels do not touch.
        (list(range(10, 101, 10)), [*map(str, range(10, 81, 10)), "100"]),
    ],
)
def test_sizes_are_labelled_as_far_as_they_fit(sizes, labels):
    below = draw_convergence([point(n, 8.0) for n in sizes]).axes[1]
    assert sorted(t.get_text() for t in below.get_xticklabels()) == sorted(labels)
    low, high = below.get_xlim()
    assert low < sizes[0] and high > sizes[-1]


def test_variants_and_orders_differ_by_more_than_their_colour():
    points = [
        point(n, k, label=label, order=order)
        for label, k in (("a = 1", 8.0), ("a = 2", 9.0))
        for order in (0, 1)
        for n in (10, 20)
    ]
    above = draw_convergence(points).axes[0]
    curves = [line for line in above.lines if len(line.get_xdata()) == 2]
    curves = [line for line in curves if line.get_linestyle() != "None"]
    looks = {(line.get_marker(), line.get_linestyle()) for line in curves}
    colours = {matplotlib.colors.to_hex(line.get_color()) for line in curves}
    assert len(looks) == len(colours) == 4
    legend = [text.get_text() for text in above.get_legend().get_texts()]
    assert legend == ["a = 1", "a = 1, order 1", "a = 2", "a = 2, order 1"]


def test_points_of_a_failed_ensemble_are_drawn_without_intervals():
    failed = replace(STUDY[0], members=[[[np.nan] * 6]])
    draw_convergence([failed]).draw_without_rendering()


def test_last_study_is_read_back_and_damage_is_none(tmp_path):
    path = tmp_path / "phono3py_mlp_convergence.json"
    study = LastStudy(0.02, ["a", "b"])
    write_convergence(path, [], {}, study)
    assert read_last_study(path) == study
    for damaged in ('"tolerance": "small"', '"tolerance": -1', '"tolerance": NaN'):
        text = path.read_text().replace('"tolerance": 0.02', damaged)
        (tmp_path / "damaged.json").write_text(text)
        assert read_last_study(tmp_path / "damaged.json") is None
    write_convergence(path, [], {})
    assert read_last_study(path) is None

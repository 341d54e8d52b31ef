"""Figures draw the numbers that they are given."""

import numpy as np
import pytest
from matplotlib.text import Text

from phono3py_mlp_plugin.contracts import RidgePenalty
from phono3py_mlp_plugin.files import KappaFile
from phono3py_mlp_plugin.plotting import Style, render
from phono3py_mlp_plugin.plotting.text import TIMES
from phono3py_mlp_plugin.reports import figures
from phono3py_mlp_plugin.reports.contents import Bands, Contents, Snapshots
from phono3py_mlp_plugin.uncertainty import ErrorBar
from phono3py_mlp_plugin.workflow import PathSegment

RNG = np.random.default_rng(0)


def snapshots(n=12, wrong=4):
    forces = RNG.normal(scale=0.05, size=(n, 8, 3))
    predicted = forces + RNG.normal(scale=1e-4, size=forces.shape)
    predicted[wrong] += 0.01
    energies = RNG.normal(size=n)
    rows = np.arange(n)
    return Snapshots(
        forces, predicted, energies, energies + 1e-6, rows[: n - 4], rows[n - 2 :]
    )


def kappa_file(anisotropic=False):
    temperatures = np.array([0.0, 100.0, 300.0, 900.0])
    weights = np.array([1.0, 6.0, 9.0])
    frequencies = RNG.uniform(0, 8, size=(3, 6))
    modes = RNG.uniform(size=(4, 3, 6, 6))
    if not anisotropic:
        modes[..., 1:3] = modes[..., :1]
    kappa = modes.sum(axis=(1, 2)) / weights.sum()
    paths = RNG.uniform(1, 100, size=(4, 3, 6))
    paths[:, 0, :3] = np.nan
    return KappaFile(
        "kappa.hdf5", (3, 3, 3), temperatures, kappa, weights, frequencies, modes, paths
    )


@pytest.fixture(autouse=True)
def style():
    """Figures are drawn as a report draws them."""
    with Style().applied():
        yield


def heading(figure):
    return figure.get_suptitle()


def texts(figure):
    """All text of a figure by what it is."""
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def test_outliers_are_named_by_their_number():
    found = snapshots()
    assert found.outliers() == [4]
    (axes,) = figures.draw_snapshot_errors(found).axes
    assert [text.get_text() for text in axes.texts] == ["5"]
    drawn = np.concatenate([line.get_ydata() for line in axes.lines])
    assert sorted(drawn) == pytest.approx(sorted(1000 * found.force_errors()))


def test_parity_tells_errors_by_set():
    found = snapshots()
    forces, energies = figures.draw_parity(found).axes
    labels = [text.get_text() for text in forces.get_legend().get_texts()]
    rows = found.test
    difference = found.predicted_forces[rows] - found.forces[rows]
    expected = 1000 * np.sqrt(np.mean(difference**2))
    assert labels[1] == f"test: {expected:.3g}"
    assert [label.split(":")[0] for label in labels] == ["training", "test", "not used"]
    assert energies.get_legend().get_texts()[0].get_text() == "training: 1"


def test_failed_penalties_are_marked():
    penalties = [RidgePenalty(1e-3, None, None), RidgePenalty(1.0, 2e-3, 3e-3)]
    (axes,) = figures.draw_penalties(penalties, 1.0).axes
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["training", "test", "no solution", "chosen"]
    test = axes.lines[1].get_ydata()
    assert np.isnan(test[0]) and test[1] == 3e-3


@pytest.mark.parametrize("anisotropic", [False, True])
def test_cumulative_kappa_ends_at_kappa(anisotropic):
    kappa = kappa_file(anisotropic)
    contents = Contents("X", 1, kappa=kappa)
    directions = contents.directions()
    assert directions == ([0, 1, 2] if anisotropic else [0])
    for axes in figures.draw_cumulative(kappa, 2, directions).axes:
        ends = [line.get_ydata()[-1] for line in axes.lines]
        assert ends == pytest.approx(kappa.kappa[2, directions])


def test_kappa_has_its_error_bars():
    kappa = kappa_file()
    bar = ErrorBar(0.01, 0.0, 1000)
    contents = Contents("X", 1, kappa=kappa, bars={300.0: [bar] * 3})
    above, below = figures.draw_kappa(contents).axes
    assert above.lines[0].get_xdata() == pytest.approx([100, 300, 900])
    errors = below.lines[0].get_ydata()
    assert errors[1] == pytest.approx(0.995, abs=0.002)
    assert np.isnan(errors[[0, 2]]).all()


def test_kappa_of_zero_is_drawn_without_its_error():
    kappa = kappa_file()
    kappa.kappa[:], kappa.mode_kappa[:], kappa.mean_free_paths[:] = 0, 0, np.nan
    bar = ErrorBar(np.inf, np.inf, 20)
    contents = Contents("X", 1, kappa=kappa, bars={300.0: [bar] * 3})
    figures.draw_kappa(contents).draw_without_rendering()
    figures.draw_cumulative(kappa, 2, [0]).draw_without_rendering()


@pytest.mark.parametrize("highest", [0.0, -1.0])
def test_kappa_is_drawn_if_no_frequency_is_above_zero(highest):
    kappa = kappa_file()
    kappa.frequencies[:] = highest
    axes, _ = figures.draw_cumulative(kappa, 2, [0]).axes
    assert axes.get_xlim() == (0.0, 1.0)


def test_band_path_breaks_are_labelled():
    def segment(start, end):
        return PathSegment((start, np.zeros(3)), (end, np.ones(3)))

    path = [segment("GAMMA", "U"), segment("K", "X_1")]
    x = [np.linspace(0, 1, 5)] * 2
    values = [RNG.uniform(-1, 5, size=(5, 3)) for _ in path]
    dos = (np.linspace(0, 5, 9), RNG.uniform(size=9))
    bands = Bands(path, x, {"force constants": values}, {"force constants": dos})
    axes, side = figures.draw_bands(bands).axes
    labels = [tick.get_text() for tick in axes.get_xticklabels()]
    assert labels == ["Γ", "U|K", "X$_{1}$"]
    low, high = axes.get_ylim()
    assert low < min(v.min() for v in values) and high > max(v.max() for v in values)
    assert side.lines[0].get_ydata() == pytest.approx(dos[0])


def test_the_same_figure_gives_the_same_bytes():
    found = snapshots()
    first = render(figures.draw_snapshot_errors(found))
    assert list(first) == [".png", ".svg", ".pdf"]
    assert render(figures.draw_snapshot_errors(found)) == first


def test_points_of_the_test_set_are_drawn_over_those_of_the_training_set():
    for axes in figures.draw_parity(snapshots()).axes:
        order = {
            line.get_label().split(":")[0]: line.get_zorder() for line in axes.lines
        }
        assert order["test"] > order["training"] > order["not used"]


def all_figures(n_atoms=8, n=12, anisotropic=False):
    """One figure of each kind."""
    kappa = kappa_file(anisotropic)
    bar = ErrorBar(0.01, 0.0, 20)
    contents = Contents("AlN", 1, kappa=kappa, bars={300.0: [bar] * 3})
    forces = RNG.normal(scale=0.05, size=(n, n_atoms, 3))
    energies = RNG.normal(size=n)
    found = Snapshots(
        forces,
        forces + 1e-4,
        energies,
        energies + 1e-6,
        np.arange(n - 1),
        np.arange(n - 1, n),
    )
    segment = PathSegment(("GAMMA", np.zeros(3)), ("X", np.ones(3)))
    values = np.linspace(0, 5, 5 * 3 * n_atoms).reshape(5, -1)
    dos = (np.linspace(0, 5, 9), np.ones(9))
    bands = Bands(
        [segment],
        [np.linspace(0, 1, 5)],
        {"force constants": [values]},
        {"force constants": dos},
    )
    penalties = [RidgePenalty(1e-3, 1e-3, 2e-3), RidgePenalty(1.0, 2e-3, 3e-3)]
    return {
        "kappa": figures.draw_kappa(contents),
        "cumulative": figures.draw_cumulative(kappa, 2, contents.directions(), "AlN"),
        "parity": figures.draw_parity(found, "AlN"),
        "snapshots": figures.draw_snapshot_errors(found, "AlN"),
        "penalties": figures.draw_penalties(penalties, 1.0, "AlN"),
        "bands": figures.draw_bands(bands, "AlN"),
    }


@pytest.mark.parametrize("anisotropic", [False, True])
def test_units_are_signs_and_headings_say_what_the_data_are_of(anisotropic):
    drawn = all_figures(anisotropic=anisotropic)
    for name, figure in drawn.items():
        assert heading(figure).startswith("AlN"), name
        for text in texts(figure):
            assert not {"kappa", "angstrom", "micro", "W/m-K"} & set(text.split()), text
            assert "angstrom" not in text, text
    # Crystal, mesh and level of the intervals; the temperature where there is one.
    assert (
        heading(drawn["kappa"])
        == f"AlN, mesh 3{TIMES}3{TIMES}3, 68 % (caps) and 95 % intervals"
    )
    assert heading(drawn["cumulative"]) == f"AlN, 300 K, mesh 3{TIMES}3{TIMES}3"
    assert drawn["kappa"].axes[0].get_ylabel() == "κ (W m$^{-1}$ K$^{-1}$)"
    assert "meV/Å" in drawn["parity"].axes[0].get_ylabel()


def test_smallest_data_can_be_drawn():
    """A crystal of one atom, and a dataset of a single pair of supercells."""
    for figure in all_figures(n_atoms=1, n=2).values():
        figure.draw_without_rendering()


def test_curves_differ_by_more_than_their_colour():
    axes = figures.draw_kappa(Contents("X", 1, kappa=kappa_file(True))).axes[0]
    looks = {(line.get_marker(), line.get_linestyle()) for line in axes.lines}
    assert len(looks) == len(axes.lines) == 3


def test_intervals_of_both_levels_are_drawn():
    kappa = kappa_file()
    bar = ErrorBar(0.01, 0.0, 1000)
    contents = Contents("X", 1, kappa=kappa, bars={300.0: [bar] * 3})
    axes = figures.draw_kappa(contents).axes[0]
    lengths = []
    for bars in axes.collections:
        (drawn,) = (segment for segment in bars.get_segments() if len(segment))
        assert drawn[:, 0] == pytest.approx(300)
        lengths.append(drawn[1, 1] - drawn[0, 1])
    # Quantiles of the normal distribution, of Student's with 999 degrees of freedom.
    assert max(lengths) / min(lengths) == pytest.approx(1.960 / 0.9945, rel=2e-3)


def labels_of(axis):
    return [tick.get_text() for tick in axis.get_ticklabels()]


@pytest.mark.parametrize("ratio", [1.02, 1.3, 2.0, 7.0, 100.0, 1e9])
def test_logarithmic_axes_have_plain_labels_whatever_their_range(ratio):
    kappa = kappa_file()
    kappa.kappa[1:] = np.geomspace(8.0 * ratio, 8.0, 3)[:, None]
    axes = figures.draw_kappa(Contents("X", 1, kappa=kappa)).axes[0]
    axes.figure.draw_without_rendering()
    assert labels_of(axes.xaxis) == ["100", "200", "500", "1000"]
    labels = labels_of(axes.yaxis)
    assert 3 <= len(labels) <= 8 and len(set(labels)) == len(labels)
    assert all(labels)


def modes_at_rest():
    """A kappa file in which one mode has no velocity but for rounding errors."""
    kappa = kappa_file()
    kappa.mean_free_paths[:] = np.linspace(1, 100, 18).reshape(3, 6)
    kappa.mean_free_paths[:, 0, :3] = [0.0, 1e-9, 1e-7]
    kappa.mode_kappa[:, 0, :3] = 0.0
    kappa.kappa[:] = kappa.mode_kappa.sum(axis=(1, 2)) / kappa.weights.sum()
    return kappa


def test_mean_free_paths_are_drawn_where_they_contribute():
    kappa = modes_at_rest()
    axes = figures.draw_cumulative(kappa, 2, [0]).axes[1]
    low, high = axes.get_xlim()
    # The shortest path of a mode with a velocity is 1 + 3 * 99 / 17 = 18.5 nm.
    assert 10 < low < 18.5 and 100 < high < 150
    (line,) = axes.lines
    assert line.get_drawstyle() == "steps-post"
    # The curve reaches the end of the axis, at the whole of kappa.
    assert line.get_xdata()[-1] >= high * (1 - 1e-9)
    assert line.get_ydata()[-1] == pytest.approx(kappa.kappa[2, 0])


def test_modes_that_are_not_scattered_are_counted_at_the_end():
    kappa = modes_at_rest()
    kappa.mean_free_paths[:, 2, 5] = np.inf
    x, sums = figures.cumulative(kappa.mean_free_paths[2], kappa.mode_kappa[2, ..., 0])
    assert np.isfinite(x).all() and sums[0] == 0
    assert sums[-1] == pytest.approx(kappa.mode_kappa[2, ..., 0].sum())

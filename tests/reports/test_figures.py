"""Figures draw the numbers that they are given."""

import io

import numpy as np
import pytest

from phono3py_mlp_plugin.contracts import RidgePenalty
from phono3py_mlp_plugin.files import KappaFile
from phono3py_mlp_plugin.plotting import save
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


def png(figure):
    room = io.BytesIO()
    save(figure, room)
    return room.getvalue()


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
    assert png(figures.draw_kappa(contents))
    assert png(figures.draw_cumulative(kappa, 2, [0]))


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
    first = png(figures.draw_parity(found))
    assert first[:4] == b"\x89PNG"
    assert png(figures.draw_parity(found)) == first

"""Figures of a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from phono3py_mlp_plugin.contracts import FloatArray, RidgePenalty
from phono3py_mlp_plugin.files import KappaFile
from phono3py_mlp_plugin.plotting import DIRECTIONS, new_figure
from phono3py_mlp_plugin.reports.contents import Bands, Contents, Snapshots

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Colours that can be distinguished by colour-blind readers and in greyscale.
_BLUE, _ORANGE, _GREEN = "#0072b2", "#d55e00", "#009e73"
_COLOURS = (_BLUE, _ORANGE, _GREEN)
_GREY = "0.6"

# Ratio of the largest to the smallest error above which an axis is logarithmic.
_DECADE = 5.0


def draw_parity(snapshots: Snapshots) -> Figure:
    """Draw errors of forces and energies against first principles."""
    with_energies = snapshots.energies is not None
    figure = new_figure(3.4)
    axes = figure.subplots(1, 2 if with_energies else 1, squeeze=False)[0]
    sets = _sets(snapshots)
    for name, rows, colour, marker in sets:
        forces = snapshots.forces[rows].ravel()
        errors = 1000 * (snapshots.predicted_forces[rows].ravel() - forces)
        axes[0].plot(
            forces,
            errors,
            marker,
            markersize=2,
            markeredgewidth=0,
            alpha=0.4,
            color=colour,
            label=f"{name}: {_rms(errors):.3g}",
            rasterized=True,
            zorder=_zorder(name),
        )
    axes[0].set_xlabel("force of first principles (eV/angstrom)")
    axes[0].set_ylabel("error of the potential (meV/angstrom)")
    _reserve_space_for_legend(axes[0])
    _add_legend(axes[0], "rms (meV/angstrom)")
    if snapshots.energies is not None and snapshots.predicted_energies is not None:
        for name, rows, colour, marker in sets:
            energies = 1000 * snapshots.energies[rows]
            errors = 1e6 * (
                snapshots.predicted_energies[rows] - snapshots.energies[rows]
            )
            axes[1].plot(
                energies,
                errors,
                marker,
                markersize=4,
                markeredgewidth=0,
                color=colour,
                label=f"{name}: {_rms(errors):.3g}",
            )
        axes[1].set_xlabel("energy about its mean (meV/atom)")
        axes[1].set_ylabel("error of the potential (microeV/atom)")
        _reserve_space_for_legend(axes[1])
        _add_legend(axes[1], "rms (microeV/atom)")
    return figure


def draw_snapshot_errors(snapshots: Snapshots) -> Figure:
    """Draw the error of each snapshot, with the numbers of outliers."""
    figure = new_figure(2.8)
    axes = figure.subplots()
    errors = 1000 * snapshots.force_errors()
    for name, rows, colour, marker in _sets(snapshots):
        axes.plot(
            rows + 1, errors[rows], marker, markersize=5, color=colour, label=name
        )
    for k in snapshots.outliers():
        axes.annotate(
            str(k + 1),
            (k + 1, errors[k]),
            textcoords="offset points",
            xytext=(5, 3),
            fontsize="small",
        )
    axes.set_ylim(bottom=0, top=1.4 * errors.max())
    axes.set_xlabel("snapshot, as numbered in the dataset")
    axes.set_ylabel("rms force error\n(meV/angstrom)")
    _add_legend(axes, columns=3)
    return figure


def draw_penalties(penalties: Sequence[RidgePenalty], chosen: float | None) -> Figure:
    """Draw errors of training and test set against the ridge penalty."""
    figure = new_figure(3.0)
    axes = figure.subplots()
    alphas = np.array([p.alpha for p in penalties])
    errors = {
        "training": [p.rmse_training for p in penalties],
        "test": [p.rmse_test for p in penalties],
    }
    for (name, values), colour, style in zip(
        errors.items(), (_BLUE, _ORANGE), ("o-", "s--"), strict=True
    ):
        known = np.array([np.nan if v is None else v for v in values], dtype="double")
        axes.plot(alphas, known, style, color=colour, markersize=5, label=name)
    failed = alphas[[p.rmse_test is None for p in penalties]]
    for k, alpha in enumerate(failed):
        axes.axvline(
            alpha, color=_GREY, linestyle=":", label=None if k else "no solution"
        )
    if chosen is not None:
        axes.axvline(chosen, color=_GREEN, linewidth=1, label="chosen")
    axes.set_xscale("log")
    axes.set_yscale("log" if _spread(errors) > _DECADE else "linear")
    axes.set_xlabel("ridge penalty")
    axes.set_ylabel("weighted rms error")
    _add_legend(axes)
    return figure


def draw_bands(bands: Bands) -> Figure:
    """Draw phonon bands and densities of states for each source of fc2."""
    figure = new_figure(3.8)
    axes, side = figure.subplots(1, 2, sharey=True, width_ratios=(4, 1))
    styles = {
        "force constants": {"color": _BLUE, "linewidth": 1.2},
        "first principles": {"color": _ORANGE, "linewidth": 1.2, "linestyle": "--"},
    }
    for name, segments in bands.frequencies.items():
        begin = 0.0
        for k, (x, values) in enumerate(zip(bands.distances, segments, strict=True)):
            lines = axes.plot(begin + x, values, **styles[name])
            if k == 0:
                lines[0].set_label(_SOURCES[name])
            begin += x[-1]
        frequencies, density = bands.dos[name]
        side.plot(density, frequencies, **styles[name])
    positions, labels = _ticks(bands)
    axes.set_xticks(positions, labels)
    for position in positions:
        axes.axvline(position, color=_GREY, linewidth=0.5)
    axes.axhline(0, color=_GREY, linewidth=0.5)
    axes.set_xlim(0, positions[-1])
    frequencies = np.concatenate(
        [f.ravel() for fs in bands.frequencies.values() for f in fs]
    )
    lowest, highest = frequencies.min(), frequencies.max()
    margin = 0.04 * (highest - lowest)
    axes.set_ylim(min(lowest - margin, 0), highest + margin)
    axes.set_ylabel("frequency (THz)")
    side.set_xlabel("DOS (1/THz)")
    side.set_xlim(left=0)
    figure.legend(
        *axes.get_legend_handles_labels(),
        loc="outside upper center",
        ncols=2,
        frameon=False,
        fontsize="small",
    )
    return figure


def draw_kappa(contents: Contents) -> Figure:
    """Draw kappa as a function of temperature, with error bars."""
    kappa = contents.kappa
    assert kappa is not None
    figure = new_figure(4.2 if contents.bars else 3.4)
    if contents.bars:
        axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    else:
        axes = below = figure.subplots()
    known = kappa.temperatures > 0
    temperatures = kappa.temperatures[known]
    directions = contents.directions()
    for c in directions:
        values = kappa.kappa[known, c]
        errors = np.array(
            [
                contents.bars[t][c].half_width(v) if t in contents.bars else np.nan
                for t, v in zip(temperatures.tolist(), values.tolist(), strict=True)
            ]
        )
        label = DIRECTIONS[c] if len(directions) > 1 else None
        axes.errorbar(
            temperatures,
            values,
            yerr=errors if np.isfinite(errors).any() else None,
            marker="o",
            markersize=4,
            linewidth=1,
            capsize=3,
            color=_COLOURS[c],
            label=label,
        )
        if contents.bars:
            style = {"color": _COLOURS[c], "linewidth": 1, "markersize": 4}
            relative = np.full(len(values), np.nan)
            np.divide(100 * errors, values, out=relative, where=values > 0)
            relative[~np.isfinite(relative)] = np.nan
            below.plot(temperatures, relative, "o-", **style)
    if len(temperatures) > 2 and (kappa.kappa[known][:, directions] > 0).all():
        axes.set_xscale("log")
        axes.set_yscale("log")
        _plain_ticks(axes, temperatures)
    if contents.bars:
        below.set_ylabel("68 % error\nbar (%)")
        below.set_ylim(0, 1.2 * below.get_ylim()[1])
    below.set_xlabel("temperature (K)")
    axes.set_ylabel("kappa (W/m-K)")
    if len(directions) > 1:
        _add_legend(axes)
    return figure


def draw_cumulative(
    kappa: KappaFile, temperature: int, directions: list[int]
) -> Figure:
    """Draw cumulative kappa as a function of frequency and mean free path."""
    assert kappa.mode_kappa is not None
    paths = kappa.mean_free_paths
    figure = new_figure(3.2)
    axes = figure.subplots(1, 1 if paths is None else 2, sharey=True, squeeze=False)[0]
    parts = kappa.mode_kappa[temperature] / kappa.weights.sum()
    for c in directions:
        label = DIRECTIONS[c]
        style = {"color": _COLOURS[c], "linewidth": 1.2, "label": label}
        axes[0].plot(*cumulative(kappa.frequencies, parts[..., c]), **style)
        if paths is not None:
            axes[1].plot(*cumulative(paths[temperature], parts[..., c]), **style)
    axes[0].set_xlabel("frequency (THz)")
    axes[0].set_ylabel("cumulative kappa (W/m-K)")
    axes[0].set_xlim(left=0)
    axes[0].set_ylim(bottom=0)
    if paths is not None:
        axes[1].set_xlabel("mean free path (nm)")
        if (paths[temperature] > 0).any():
            axes[1].set_xscale("log")
    if len(directions) > 1:
        _add_legend(axes[0])
    return figure


def cumulative(keys: FloatArray, parts: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return sorted keys and the sum of the parts up to each key.

    Parts whose key is not finite are included in all sums.

    Examples
    --------
    >>> keys, sums = cumulative(np.array([[2.0, 1.0]]), np.array([[3.0, 4.0]]))
    >>> keys.tolist(), sums.tolist()
    ([1.0, 2.0], [4.0, 7.0])
    """
    keys, parts = keys.ravel(), parts.ravel()
    known = np.isfinite(keys)
    order = np.argsort(keys[known], kind="stable")
    sums = parts[~known].sum() + np.cumsum(parts[known][order])
    return keys[known][order], np.asarray(sums)


_SOURCES = {
    "force constants": "fc2.hdf5",
    "first principles": "symfc on the first-principles forces",
}


def _sets(snapshots: Snapshots) -> list[tuple[str, Any, str, str]]:
    """Return name, indices, colour and marker of the sets of snapshots."""
    used = np.concatenate([snapshots.training, snapshots.test])
    others = np.setdiff1d(np.arange(len(snapshots.forces)), used)
    sets = [
        ("training", snapshots.training, _BLUE, "o"),
        ("test", snapshots.test, _ORANGE, "s"),
        ("not used" if len(used) else "all", others, _GREY, "^"),
    ]
    return [entry for entry in sets if len(entry[1])]


def _zorder(name: str) -> int:
    """Return the drawing order of the points of a set; test points are on top."""
    return {"test": 4, "training": 3}.get(name, 2)


def _rms(values: FloatArray) -> float:
    return float(np.sqrt(np.mean(values**2)))


def _ticks(bands: Bands) -> tuple[list[float], list[str]]:
    """Return positions and labels of the ends of segments, with breaks as ``U|K``."""
    positions, labels = [0.0], [_label(bands.path[0].start[0])]
    for k, (segment, x) in enumerate(zip(bands.path, bands.distances, strict=True)):
        positions.append(positions[-1] + float(x[-1]))
        label = _label(segment.end[0])
        if k + 1 < len(bands.path) and bands.path[k + 1].start[0] != segment.end[0]:
            label += "|" + _label(bands.path[k + 1].start[0])
        labels.append(label)
    return positions, labels


def _label(name: str) -> str:
    """Return a label with Greek letters and subscripts."""
    letter, _, index = name.partition("_")
    letter = {"GAMMA": "Γ", "SIGMA": "Σ", "DELTA": "Δ", "LAMBDA": "Λ"}.get(
        letter, letter
    )
    return f"{letter}$_{{{index}}}$" if index else letter


def _plain_ticks(axes: Any, temperatures: FloatArray) -> None:
    """Label logarithmic axes with plain numbers that do not overlap."""
    from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(ScalarFormatter())
        axis.set_minor_formatter(NullFormatter())
    axes.set_xlim(0.9 * temperatures.min(), 1.1 * temperatures.max())


def _spread(errors: Mapping[str, Sequence[float | None]]) -> float:
    """Return the ratio of the largest to the smallest error."""
    known = [v for values in errors.values() for v in values if v]
    return max(known) / min(known) if known else 1.0


def _reserve_space_for_legend(axes: Any) -> None:
    """Extend the axis of errors, so that the legend does not cover points."""
    low, high = axes.get_ylim()
    largest = max(-low, high)
    axes.set_ylim(-largest, 2.0 * largest)


def _add_legend(axes: Any, title: str | None = None, columns: int = 1) -> None:
    axes.legend(
        loc="upper left" if title or columns > 1 else "best",
        ncols=columns,
        frameon=False,
        fontsize="small",
        title=title,
        title_fontsize="small",
        markerscale=2 if title and "angstrom" in title else 1,
    )

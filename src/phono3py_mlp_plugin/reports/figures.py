"""Figures of a report.

They are drawn with the style that is applied; see `plotting.Style`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from phono3py_mlp_plugin.contracts import FloatArray, RidgePenalty
from phono3py_mlp_plugin.convergence import draw_convergence
from phono3py_mlp_plugin.files import KappaFile
from phono3py_mlp_plugin.plotting import (
    DIRECTIONS,
    GREY,
    KAPPA,
    LEVELS,
    LEVELS_TEXT,
    LINES,
    MARKERS,
    add_error_bars,
    add_heading,
    formula_text,
    mesh_text,
    new_figure,
    new_panels,
    set_log_axis,
)
from phono3py_mlp_plugin.reports.contents import Bands, Contents, Snapshots

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Ratio of the largest to the smallest error above which an axis is logarithmic.
_DECADE = 5.0

# Modes with the shortest mean free paths, whose part of kappa is below this, are left
# out of the axis: paths of modes at rest are rounding errors of zero.
_NEGLIGIBLE = 1e-3

# Number of temperatures above which they are drawn without markers.
_MANY = 30

# Space beyond the ends of a logarithmic axis.
_SPACE = 1.15


NAMES = (
    "bands",
    "convergence",
    "cumulative",
    "kappa",
    "parity",
    "penalties",
    "snapshots",
)
"""Figures of a report."""


def draw(contents: Contents, name: str) -> Figure | None:
    """Draw a figure of a report, one of `NAMES`; return None if there are no data."""
    kappa, snapshots, formula = contents.kappa, contents.snapshots, contents.formula
    if name == "convergence" and contents.points:
        return draw_convergence(
            contents.points, formula=formula, tolerance=contents.tolerance
        )
    if name == "bands" and contents.bands is not None:
        return draw_bands(contents.bands, formula)
    if name == "parity" and snapshots is not None:
        return draw_parity(snapshots, formula)
    if name == "snapshots" and snapshots is not None:
        return draw_snapshot_errors(snapshots, formula)
    if name == "kappa" and kappa is not None:
        return draw_kappa(contents)
    if name == "cumulative" and kappa is not None and kappa.mode_kappa is not None:
        index = contents.room_temperature()
        return draw_cumulative(kappa, index, contents.directions(), formula)
    training = contents.provenance
    if name == "penalties" and training is not None and training.penalties:
        return draw_penalties(training.ridge_path(), training.alpha, formula)
    return None


def draw_parity(snapshots: Snapshots, formula: str = "") -> Figure:
    """Draw errors of forces and energies against first principles."""
    figure, axes = new_panels(3.4, 1 if snapshots.energies is None else 2)
    _draw_errors(
        axes[0],
        snapshots,
        snapshots.forces,
        1000 * (snapshots.predicted_forces - snapshots.forces),
        "meV/Å",
    )
    axes[0].set_xlabel("force of first principles (eV/Å)")
    if snapshots.energies is not None and snapshots.predicted_energies is not None:
        _draw_errors(
            axes[1],
            snapshots,
            1000 * snapshots.energies,
            1e6 * (snapshots.predicted_energies - snapshots.energies),
            "µeV/atom",
        )
        axes[1].set_xlabel("energy about its mean (meV/atom)")
    n_atoms = snapshots.forces.shape[1]
    add_heading(figure, formula_text(formula), f"supercells of {n_atoms} atoms")
    return figure


def _draw_errors(
    axes: Any, snapshots: Snapshots, given: FloatArray, errors: FloatArray, unit: str
) -> None:
    """Draw errors of each set of snapshots, with their root mean square."""
    for name, rows, style in _sets(snapshots):
        many = errors[rows].size > 1000
        axes.plot(
            given[rows].ravel(),
            errors[rows].ravel(),
            **style,
            markersize=2 if many else 4,
            alpha=0.6 if many else 1.0,
            label=f"{name}: {_rms(errors[rows]):.3g}",
            # A hundred thousand points are not drawn one by one in SVG and PDF files.
            rasterized=many,
        )
    axes.set_ylabel(f"error of the potential ({unit})")
    _reserve_space_for_legend(axes)
    axes.legend(loc="upper left", title=f"rms ({unit})", markerscale=1.5)


def draw_snapshot_errors(snapshots: Snapshots, formula: str = "") -> Figure:
    """Draw the error of each snapshot, with the numbers of outliers."""
    from matplotlib.ticker import MaxNLocator

    figure = new_figure(2.8)
    axes = figure.subplots()
    errors = 1000 * snapshots.force_errors()
    for name, rows, style in _sets(snapshots):
        axes.plot(rows + 1, errors[rows], **style, label=name)
    for k in snapshots.outliers():
        axes.annotate(
            str(k + 1),
            (k + 1, errors[k]),
            textcoords="offset points",
            xytext=(5, 3),
            fontsize="small",
        )
    axes.set_ylim(bottom=0, top=1.4 * errors.max() or 1.0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("snapshot, as numbered in the dataset")
    axes.set_ylabel("rms force error (meV/Å)")
    axes.legend(loc="upper left", ncols=3)
    n_atoms = snapshots.forces.shape[1]
    add_heading(figure, formula_text(formula), f"supercells of {n_atoms} atoms")
    return figure


def draw_penalties(
    penalties: Sequence[RidgePenalty], chosen: float | None, formula: str = ""
) -> Figure:
    """Draw errors of training and test set against the ridge penalty."""
    figure = new_figure(3.0)
    axes = figure.subplots()
    alphas = np.array([p.alpha for p in penalties])
    errors = {
        "training": [p.rmse_training for p in penalties],
        "test": [p.rmse_test for p in penalties],
    }
    for (name, values), colour, style in zip(
        errors.items(), ("C0", "C1"), ("o-", "s--"), strict=True
    ):
        known = np.array([np.nan if v is None else v for v in values], dtype="double")
        axes.plot(alphas, known, style, color=colour, label=name)
    failed = alphas[[p.rmse_test is None for p in penalties]]
    for k, alpha in enumerate(failed):
        axes.axvline(
            alpha, color=GREY, linestyle=":", label=None if k else "no solution"
        )
    if chosen is not None:
        axes.axvline(chosen, color="C2", linewidth=1, label="chosen")
    axes.set_xscale("log")
    if _spread(errors) > _DECADE:
        axes.set_yscale("log")
        set_log_axis(axes.yaxis, axes.get_ylim())
    axes.set_xlabel("ridge penalty")
    axes.set_ylabel("weighted rms error")
    axes.legend()
    add_heading(figure, formula_text(formula))
    return figure


def draw_bands(bands: Bands, formula: str = "") -> Figure:
    """Draw phonon bands and densities of states for each source of fc2."""
    figure = new_figure(3.8)
    axes, side = figure.subplots(1, 2, sharey=True, width_ratios=(4, 1))
    styles: dict[str, dict[str, Any]] = {
        "force constants": {"color": "C0"},
        "first principles": {"color": "C1", "linestyle": "--"},
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
        axes.axvline(position, color=GREY, linewidth=0.5)
    axes.axhline(0, color=GREY, linewidth=0.5)
    axes.set_xlim(0, positions[-1])
    frequencies = np.concatenate(
        [f.ravel() for fs in bands.frequencies.values() for f in fs]
    )
    lowest, highest = frequencies.min(), frequencies.max()
    margin = 0.04 * (highest - lowest)
    axes.set_ylim(min(lowest - margin, 0), highest + margin)
    axes.set_ylabel("frequency (THz)")
    side.set_xlabel("DOS\n(1/THz)")
    side.set_xlim(left=0)
    handles = axes.get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=2)
    add_heading(figure, formula_text(formula))
    return figure


def draw_kappa(contents: Contents) -> Figure:
    """Draw kappa as a function of temperature, with error bars."""
    kappa = contents.kappa
    assert kappa is not None
    figure = new_figure(4.4 if contents.bars else 3.4)
    if contents.bars:
        axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    else:
        axes = below = figure.subplots()
    known = kappa.temperatures > 0
    temperatures = kappa.temperatures[known]
    directions = contents.directions()
    for k, c in enumerate(directions):
        values = kappa.kappa[known, c]
        bars = [contents.bars.get(t) for t in temperatures.tolist()]
        intervals = [
            [
                (np.nan, np.nan) if bar is None else bar[c].interval(value, level)
                for bar, value in zip(bars, values.tolist(), strict=True)
            ]
            for level in LEVELS
        ]
        marker = MARKERS[k] if len(temperatures) <= _MANY else ""
        style = {"color": f"C{k}", "marker": marker, "linestyle": LINES[k]}
        label = DIRECTIONS[c] if len(directions) > 1 else None
        add_error_bars(axes, temperatures, values, intervals, label=label, **style)
        if contents.bars:
            below.plot(temperatures, _percent(intervals[0], values), **style)
    if len(temperatures) > 2 and (kappa.kappa[known][:, directions] > 0).all():
        axes.set_xscale("log")
        axes.set_yscale("log")
        ends = temperatures.min() / _SPACE, temperatures.max() * _SPACE
        set_log_axis(axes.xaxis, ends)
        set_log_axis(axes.yaxis, axes.get_ylim())
    if contents.bars:
        below.set_ylabel("68 % interval\n(± % of κ)")
        below.set_ylim(0, 1.2 * below.get_ylim()[1])
    below.set_xlabel("temperature (K)")
    axes.set_ylabel(KAPPA)
    if len(directions) > 1:
        axes.legend()
    levels = LEVELS_TEXT if contents.bars else ""
    add_heading(figure, formula_text(contents.formula), mesh_text(kappa.mesh), levels)
    return figure


def _percent(
    intervals: Sequence[tuple[float, float]], values: FloatArray
) -> FloatArray:
    """Return half widths of intervals in percent, NaN where they are not known."""
    percent = np.full(len(values), np.nan)
    halves = np.diff(np.array(intervals, dtype="double"), axis=1)[:, 0] / 2
    known = np.isfinite(halves) & (values > 0)
    percent[known] = 100 * halves[known] / values[known]
    return percent


def draw_cumulative(
    kappa: KappaFile, temperature: int, directions: list[int], formula: str = ""
) -> Figure:
    """Draw cumulative kappa as a function of frequency and mean free path.

    Parameters
    ----------
    kappa : KappaFile
    temperature : int
        Index of the temperature.
    directions : list of int
    formula : str
    """
    assert kappa.mode_kappa is not None
    paths = kappa.mean_free_paths
    figure, axes = new_panels(3.3, 1 if paths is None else 2, sharey=True)
    parts = kappa.mode_kappa[temperature] / kappa.weights.sum()
    shown = [] if paths is None else [paths[temperature]]
    for k, c in enumerate(directions):
        label = DIRECTIONS[c] if len(directions) > 1 else None
        for one, keys in zip(axes, [kappa.frequencies, *shown], strict=True):
            x, sums = cumulative(keys, parts[..., c])
            if not len(x):
                continue
            # Each mode is a step, and the curve reaches the end of the axis.
            x, sums = np.append(x, _SPACE * x[-1]), np.append(sums, sums[-1])
            one.step(
                x, sums, where="post", color=f"C{k}", linestyle=LINES[k], label=label
            )
    axes[0].set_xlabel("frequency (THz)")
    for one in axes:
        place = one.get_subplotspec()
        if place is not None and place.is_first_col():
            one.set_ylabel(f"cumulative {KAPPA}")
    # At the Gamma point alone there are none above zero.
    highest = float(kappa.frequencies.max())
    axes[0].set_xlim(0, _SPACE * highest if highest > 0 else 1.0)
    axes[0].set_ylim(bottom=0)
    if paths is not None:
        axes[1].set_xlabel("mean free path (nm)")
        limits = _path_limits(paths[temperature], parts[..., directions])
        if limits is not None:
            axes[1].set_xscale("log")
            set_log_axis(axes[1].xaxis, limits)
    if len(directions) > 1:
        axes[0].legend()
    at = f"{kappa.temperatures[temperature]:g} K"
    add_heading(figure, formula_text(formula), at, mesh_text(kappa.mesh))
    return figure


def _path_limits(paths: FloatArray, parts: FloatArray) -> tuple[float, float] | None:
    """Return the range of mean free paths (nm) that contribute to kappa."""
    starts, ends = [], []
    for c in range(parts.shape[-1]):
        x, sums = cumulative(paths, parts[..., c])
        contributing = x[(sums > _NEGLIGIBLE * sums[-1:]) & (x > 0)]
        if len(contributing):
            starts.append(contributing[0])
            ends.append(x[-1])
    if not starts:
        return None
    return float(min(starts) / _SPACE), float(max(ends) * _SPACE)


def cumulative(keys: FloatArray, parts: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return sorted keys and the sum of the parts up to each key.

    Parts whose key is not finite are included in the last sum only.

    Examples
    --------
    >>> keys, sums = cumulative(np.array([[2.0, 1.0]]), np.array([[3.0, 4.0]]))
    >>> keys.tolist(), sums.tolist()
    ([1.0, 2.0], [4.0, 7.0])
    """
    keys, parts = keys.ravel(), parts.ravel()
    known = np.isfinite(keys)
    order = np.argsort(keys[known], kind="stable")
    sums = np.cumsum(parts[known][order])
    if len(sums):
        sums[-1] += parts[~known].sum()
    return keys[known][order], np.asarray(sums)


_SOURCES = {
    "force constants": "fc2.hdf5",
    "first principles": "symfc on the forces of the dataset",
}


def _sets(snapshots: Snapshots) -> list[tuple[str, Any, dict[str, Any]]]:
    """Return name, indices and markers of the sets of snapshots.

    Points of the test set are drawn on top, then those of the training set.
    """
    used = np.concatenate([snapshots.training, snapshots.test])
    others = np.setdiff1d(np.arange(len(snapshots.forces)), used)
    rest = "not used" if len(used) else "all"
    sets = [
        ("training", snapshots.training, {"color": "C0", "marker": "o", "zorder": 3}),
        ("test", snapshots.test, {"color": "C1", "marker": "s", "zorder": 4}),
        (rest, others, {"color": GREY, "marker": "^", "zorder": 2}),
    ]
    line = {"linestyle": "none", "markeredgewidth": 0}
    return [(name, rows, {**style, **line}) for name, rows, style in sets if len(rows)]


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


def _spread(errors: Mapping[str, Sequence[float | None]]) -> float:
    """Return the ratio of the largest to the smallest error."""
    known = [v for values in errors.values() for v in values if v]
    return max(known) / min(known) if known else 1.0


def _reserve_space_for_legend(axes: Any) -> None:
    """Extend the axis of errors, so that the legend does not cover points."""
    low, high = axes.get_ylim()
    largest = max(-low, high)
    axes.set_ylim(-largest, 2.0 * largest)

"""Figure of kappa as a function of the number of supercells, with error bars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from phono3py_mlp_plugin.convergence.point import Point
from phono3py_mlp_plugin.plotting import (
    DIRECTIONS,
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
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Space beyond the smallest and the largest number of supercells.
_SPACE = 1.15

# Smallest distance of two labels, relative to the length of the axis.
_DISTANCE = 0.05


def draw_convergence(
    points: Sequence[Point],
    index: int = 0,
    *,
    formula: str = "",
    tolerance: float | None = None,
) -> Figure:
    """Draw kappa and force errors against the number of supercells.

    Parameters
    ----------
    points : sequence of Point
    index : int
        Index of the temperature.
    formula : str
        Chemical formula, for the heading.
    tolerance : float, optional
        Accepted relative change of kappa, drawn as a band around the last value.
    """
    figure = new_figure(6.4)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    groups = _groups(points)
    directions = _distinct(points, index)
    curve = 0
    for k, (name, group) in enumerate(groups.items()):
        # Curves of other variants beside each other and not on top of each other.
        shift = 1 + 0.024 * (k / (len(groups) - 1) - 0.5) if len(groups) > 1 else 1.0
        for c in directions:
            direction = DIRECTIONS[c] if len(directions) > 1 else ""
            label = " ".join(x for x in (name, direction) if x)
            _draw_kappa(above, group, (index, c), shift, curve, label)
            if tolerance is not None:
                value = group[-1].kappa[index][c]
                above.axhspan(
                    value * (1 - tolerance),
                    value * (1 + tolerance),
                    color=f"C{curve % len(MARKERS)}",
                    alpha=0.15,
                    linewidth=0,
                    label=None if curve else f"±{100 * tolerance:g} %: tolerance",
                )
            curve += 1
        _draw_force_errors(below, group, k, name)
    above.set_ylabel(KAPPA)
    if above.get_legend_handles_labels()[0]:
        above.legend()
    below.legend()
    below.set_ylim(bottom=0)
    below.set_ylabel("force error (meV/Å)")
    below.set_xlabel("training supercells")
    _set_sizes(below, sorted({p.size for p in points}))
    meshes = {None if p.mesh is None else tuple(p.mesh) for p in points}
    add_heading(
        figure,
        formula_text(formula),
        f"{points[0].temperatures[index]:g} K",
        mesh_text(meshes.pop()) if len(meshes) == 1 else "",
        LEVELS_TEXT,
    )
    return figure


def _groups(points: Sequence[Point]) -> dict[str, list[Point]]:
    """Return the points of each variant and order by their name."""
    groups: dict[str, list[Point]] = {}
    for point in points:
        order = f"order {point.order}" if point.order else ""
        name = ", ".join(text for text in (point.label, order) if text)
        groups.setdefault(name, []).append(point)
    return groups


def _draw_kappa(
    axes: Any,
    group: Sequence[Point],
    element: tuple[int, int],
    shift: float,
    curve: int,
    label: str,
) -> None:
    """Draw an element of kappa, ``(temperature, direction)``, with its intervals."""
    index, c = element
    values = np.array([p.kappa[index][c] for p in group])
    intervals = [
        [
            p.error_bar(index, c).interval(value, level)
            for p, value in zip(group, values.tolist(), strict=True)
        ]
        for level in LEVELS
    ]
    add_error_bars(
        axes,
        shift * np.array([p.size for p in group], dtype="double"),
        values,
        intervals,
        color=f"C{curve % len(MARKERS)}",
        marker=MARKERS[curve % len(MARKERS)],
        linestyle=LINES[curve % len(LINES)],
        label=label or None,
    )


def _draw_force_errors(axes: Any, group: Sequence[Point], k: int, name: str) -> None:
    """Draw errors of forces on the test set and on supercells left out."""
    sizes = [p.size for p in group]
    end = f", {name}" if name else ""
    errors = {
        "test set": ([1000 * p.rmse_test for p in group], {"marker": "s"}),
        "left out": (
            [1000 * p.left_out for p in group],
            {"marker": "^", "linestyle": "--", "markerfacecolor": "none"},
        ),
    }
    for kind, (values, style) in errors.items():
        axes.plot(
            sizes, values, color=f"C{k % len(MARKERS)}", label=f"{kind}{end}", **style
        )


def _set_sizes(axes: Any, sizes: Sequence[int]) -> None:
    """Label a logarithmic axis with the numbers of supercells, as far as they fit."""
    low, high = sizes[0] / _SPACE, sizes[-1] * _SPACE
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    labelled: list[int] = []
    for size in reversed(sizes):
        distance = np.log(labelled[-1] / size) if labelled else np.inf
        if distance > _DISTANCE * np.log(high / low):
            labelled.append(size)
    axes.set_xticks(labelled, [str(n) for n in labelled])
    axes.minorticks_off()


def _distinct(points: Sequence[Point], index: int) -> list[int]:
    """Return the directions whose values of kappa are distinct."""
    values = np.array([p.diagonal(index) for p in points])
    distinct: list[int] = []
    for c in range(3):
        if not any(
            np.allclose(values[:, c], values[:, d], rtol=1e-4) for d in distinct
        ):
            distinct.append(c)
    return distinct

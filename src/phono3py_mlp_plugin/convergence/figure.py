"""Figure of kappa as a function of the number of supercells, with error bars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from phono3py_mlp_plugin.convergence.point import Point
from phono3py_mlp_plugin.plotting import DIRECTIONS, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_convergence(points: Sequence[Point], index: int = 0) -> Figure:
    """Draw kappa and force errors against the number of supercells.

    Parameters
    ----------
    points : sequence of Point
    index : int
        Index of the temperature.
    """
    figure = new_figure(6.4)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    groups = dict.fromkeys((p.label, p.order) for p in points)
    anisotropic = len(_distinct(points, index)) > 1
    shift = np.linspace(-0.012, 0.012, len(groups)) if len(groups) > 1 else [0.0]
    for k, (label, order) in enumerate(groups):
        group = [p for p in points if (p.label, p.order) == (label, order)]
        name = ", ".join(x for x in (label, f"order {order}" if order else "") if x)
        sizes = np.array([p.size for p in group], dtype="double")
        for c in _distinct(group, index):
            values = [p.kappa[index][c] for p in group]
            errors = [
                p.error_bar(index, c).half_width(v)
                for p, v in zip(group, values, strict=True)
            ]
            direction = DIRECTIONS[c] if anisotropic else ""
            above.errorbar(
                sizes * (1 + shift[k]),
                values,
                yerr=errors,
                marker="o",
                markersize=4,
                capsize=3,
                linewidth=1,
                label=" ".join(x for x in (name, direction) if x) or "dataset",
            )
        style = {"color": f"C{k}", "linewidth": 1, "markersize": 4}
        test = [1000 * p.rmse_test for p in group]
        out = [1000 * p.left_out for p in group]
        below.plot(sizes, test, "s-", label="test set" if k == 0 else None, **style)
        below.plot(sizes, out, "^--", label="left out" if k == 0 else None, **style)
    above.set_ylabel(f"kappa at {points[0].temperatures[index]:g} K (W/m-K)")
    if len(groups) > 1 or anisotropic:
        above.legend(fontsize="small", frameon=False)
    below.legend(fontsize="small", frameon=False)
    below.set_ylabel("force error (meV/angstrom)")
    below.set_xlabel("training supercells")
    below.set_xscale("log")
    ticks = sorted({p.size for p in points})
    below.set_xticks(ticks, [str(n) for n in ticks])
    below.minorticks_off()
    return figure


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

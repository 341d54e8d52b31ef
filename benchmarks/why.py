"""Draw kappa against the number of supercells, and the time that it takes.

    python benchmarks/why.py

The results are those of ``benchmarks/convergence.py``, which ran all calculations in
turn on one machine. On the left, kappa of NaCl with its error bars from a single study
(``phono3py-mlp converge``), and kappa of plain phono3py with pypolymlp, which gives no
error bars. On the right, the time of the whole calculation for all sizes: training,
force constants and kappa. The figure is ``docs/figures/why.svg`` and ``.png``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
from engine import ROOT

from convergence import RESULTS
from phono3py_mlp_plugin.plotting import (
    KAPPA,
    LEVELS,
    LEVELS_TEXT,
    Style,
    add_error_bars,
    add_heading,
    mesh_text,
    new_figure,
    render,
)
from phono3py_mlp_plugin.uncertainty import interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURE = ROOT / "docs" / "figures" / "why"


def intervals_of(results: dict[str, Any]) -> list[list[tuple[float, float]]]:
    """Return the intervals of kappa of both levels, ``[level][point]``."""
    points = zip(
        results["ours_kappa"], results["ours_scatter"], results["sizes"], strict=True
    )
    bars = list(points)
    return [[interval(*bar, level) for bar in bars] for level in LEVELS]


def draw(results: dict[str, Any]) -> Figure:
    """Draw both panels from the results of ``benchmarks/convergence.py``."""
    figure = new_figure(2.9)
    axes, right = figure.subplots(1, 2, width_ratios=(4, 3))
    style = {"color": "C0", "marker": "o", "linestyle": "-"}
    add_error_bars(
        axes,
        np.array(results["sizes"], dtype="double"),
        np.array(results["ours_kappa"]),
        intervals_of(results),
        label="this package",
        zorder=3,
        **style,
    )
    axes.plot(
        # Beside the others, which they would hide.
        1.04 * np.array(results["sizes"]),
        results["host_kappa"],
        marker="s",
        linestyle="none",
        color="C1",
        label="phono3py with pypolymlp",
        zorder=4,
    )
    axes.set_xscale("log")
    axes.set_xticks(results["sizes"], [str(size) for size in results["sizes"]])
    axes.minorticks_off()
    axes.set_xlabel("training supercells", fontsize="small")
    axes.set_ylabel(KAPPA)
    axes.legend(loc="upper right")
    seconds = {
        "phono3py with\npypolymlp": results["host_s"],
        "this package": results["ours_s"],
    }
    notes = ["no error bars", "with error bars"]
    bars = right.barh(list(seconds), list(seconds.values()), color=["C1", "C0"])
    texts = [
        f" {value:.0f} s,\n {note}"
        for value, note in zip(seconds.values(), notes, strict=True)
    ]
    right.bar_label(bars, texts, fontsize="small")
    right.set_xlim(0, 1.8 * results["host_s"])
    right.invert_yaxis()
    right.tick_params(axis="y", length=0)
    sizes = ", ".join(map(str, results["sizes"]))
    right.set_xlabel(
        f"time from forces to κ (s),\n{sizes} supercells", fontsize="small"
    )
    add_heading(figure, "NaCl", "300 K", mesh_text((11, 11, 11)), LEVELS_TEXT)
    return figure


def main() -> None:
    """Draw the figure."""
    with Style().applied():
        files = render(draw(json.loads(RESULTS.read_text())))
    for suffix in (".png", ".svg"):
        FIGURE.with_suffix(suffix).write_bytes(files[suffix])


if __name__ == "__main__":
    main()

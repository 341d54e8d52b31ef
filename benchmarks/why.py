"""Draw kappa against the number of supercells, and the time that it takes.

    python benchmarks/why.py [--draw]

Data: NaCl, the hundred 64-atom supercells of phono3py's example NaCl-rd, default
model, tested on the last 20, kappa at 300 K on 11x11x11. On the left, kappa with its
error bars from a single study (``phono3py-mlp converge``), and kappa of plain phono3py
with pypolymlp, which gives no error bars. On the right, the time of the whole
calculation for 20, 40, 60 and 80 supercells: training, force constants and kappa.

The study is run here, in a few minutes, and written to ``benchmarks/results/why.json``;
if it is there, it is not run again. Values of plain phono3py and all times are those of
``benchmarks/convergence.py``, for which both ran in turn on the same machine. The
figure is ``docs/figures/why.svg`` and ``.png``; ``--draw`` runs nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from engine import ROOT, machine, nacl_params

from phono3py_mlp_plugin.convergence import Point
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

RESULTS = ROOT / "benchmarks" / "results"
STUDY = RESULTS / "why.json"
HOST = RESULTS / "convergence.json"
FIGURE = ROOT / "docs" / "figures" / "why"
PARAMS = "phono3py_params.yaml"
SIZES = (5, 10, 20, 40, 80)
# Those of benchmarks/convergence.py.
HOST_SIZES = (20, 40, 60, 80)
TEST = 20
MESH = (11, 11, 11)


def study() -> dict[str, Any]:
    """Run the study; return kappa (W/m-K) and its scatter by number of supercells."""
    command = Path(sys.executable).parent / "phono3py-mlp"
    words = [str(command), "converge", PARAMS, "--mesh", *map(str, MESH)]
    words += ["--uncertainty-mesh", "9", "9", "9", "--members", "8"]
    words += ["--sizes", *map(str, SIZES), "--mlp-params", f"ntest = {TEST}"]
    # Every size is wanted.
    words += ["--tolerance", "1e-6"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(nacl_params(), folder / PARAMS)
        process = subprocess.Popen(words, cwd=folder)
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise SystemExit("ERROR: the study failed; see its message above.")
        content = json.loads((folder / "phono3py_mlp_convergence.json").read_text())
    return summary(content["points"], usage.ru_utime + usage.ru_stime)


def summary(records: list[dict[str, Any]], seconds: float) -> dict[str, Any]:
    """Return what is drawn of the points of a study, and its processor time."""
    points = [Point.from_record(record) for record in records]
    return {
        "machine": machine(),
        "processor_s": seconds,
        "sizes": [point.size for point in points],
        "kappa": [point.kappa[0][0] for point in points],
        "scatter": [point.error_bar(0, 0).total for point in points],
    }


def intervals_of(ours: dict[str, Any]) -> list[list[tuple[float, float]]]:
    """Return the intervals of kappa of both levels, ``[level][point]``."""
    points = list(zip(ours["kappa"], ours["scatter"], ours["sizes"], strict=True))
    return [[interval(*point, level) for point in points] for level in LEVELS]


def draw(ours: dict[str, Any], both: dict[str, Any]) -> Figure:
    """Draw both panels.

    Parameters
    ----------
    ours : dict
        Result of the study.
    both : dict
        Results of ``benchmarks/convergence.py``.
    """
    figure = new_figure(2.9)
    axes, right = figure.subplots(1, 2, width_ratios=(4, 3))
    style = {"color": "C0", "marker": "o", "linestyle": "-"}
    add_error_bars(
        axes,
        np.array(ours["sizes"], dtype="double"),
        np.array(ours["kappa"]),
        intervals_of(ours),
        label="this package",
        zorder=3,
        **style,
    )
    axes.plot(
        # Beside the others, which they would hide.
        1.04 * np.array(HOST_SIZES),
        both["host_kappa"],
        marker="s",
        linestyle="none",
        color="C1",
        label="phono3py with pypolymlp",
        zorder=4,
    )
    axes.set_xscale("log")
    axes.set_xticks(SIZES, [str(size) for size in SIZES])
    axes.minorticks_off()
    axes.set_xlabel("training supercells", fontsize="small")
    axes.set_ylabel(KAPPA)
    axes.legend(loc="upper right")
    seconds = {
        "phono3py with\npypolymlp": both["host_s"],
        "this package": both["ours_s"],
    }
    notes = ["no error bars", "with error bars"]
    bars = right.barh(list(seconds), list(seconds.values()), color=["C1", "C0"])
    texts = [
        f" {value:.0f} s,\n {note}"
        for value, note in zip(seconds.values(), notes, strict=True)
    ]
    right.bar_label(bars, texts, fontsize="small")
    right.set_xlim(0, 1.8 * both["host_s"])
    right.invert_yaxis()
    right.tick_params(axis="y", length=0)
    sizes = ", ".join(map(str, HOST_SIZES))
    right.set_xlabel(
        f"time from forces to κ (s),\n{sizes} supercells", fontsize="small"
    )
    add_heading(figure, "NaCl", "300 K", mesh_text(MESH), LEVELS_TEXT)
    return figure


def main() -> None:
    """Run the study if there are no results of it, and draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draw", action="store_true", help="run nothing")
    args = parser.parse_args()
    if not (args.draw or STUDY.is_file()):
        STUDY.write_text(json.dumps(study(), indent=1) + "\n")
    ours, both = (json.loads(path.read_text()) for path in (STUDY, HOST))
    with Style().applied():
        files = render(draw(ours, both))
    for suffix in (".png", ".svg"):
        FIGURE.with_suffix(suffix).write_bytes(files[suffix])


if __name__ == "__main__":
    main()

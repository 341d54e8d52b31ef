"""Tables and figure of the calibration for the documentation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import ndtri, stdtr

from zoo.statistics import (
    TRACE,
    Case,
    Row,
    Stop,
    cases_of,
    model_bias,
    row_of,
    stops_of,
)

_COLUMNS = ("cases", "68 %", "95 %", "mean z", "rms z", "CRPS", "ratio")

TOLERANCES = (0.005, 0.01, 0.02, 0.05)


def write(results: Mapping[str, Any], folder: Path) -> None:
    """Write the tables and the figure into a folder."""
    folder.mkdir(exist_ok=True)
    complete = finished(results)
    (folder / "calibration.md").write_text(tables(complete) + "\n")
    draw(complete, folder / "calibration.png")


def finished(results: Mapping[str, Any]) -> dict[str, Any]:
    """Return the crystals that have a reference and at least one order."""
    return {
        name: entry
        for name, entry in results.items()
        if "reference" in entry and entry["points"]
    }


def tables(results: Mapping[str, Any]) -> str:
    """Return all tables as Markdown."""
    parts = [
        "<!-- Written by benchmarks/calibration.py -->",
        "Intervals against the same model, mean of the three directions:",
        crystal_table(results),
        "The same by the number of supercells:",
        size_table(results),
        "Single directions of anisotropic crystals:",
        direction_table(results),
        "Root mean square error and error bar (standard deviation) in percent of kappa "
        "for each number of supercells; the error of the forces of left-out supercells "
        "with the largest number, in percent of the rms force; the difference of the "
        "model from the exact kappa in percent with its error bar in parentheses; and "
        "the coverage of the exact kappa by the intervals as printed:",
        exact_table(results),
        "Verdicts of studies with several tolerances:",
        verdict_table(results),
    ]
    return "\n\n".join(parts)


def trace_cases(results: Mapping[str, Any]) -> list[Case]:
    """Return the cases of the mean of xx, yy and zz of all crystals."""
    return [
        case
        for name, entry in results.items()
        for case in cases_of(name, entry)
        if case.component == TRACE
    ]


def _sizes(cases: Sequence[Case]) -> list[int]:
    return sorted({case.size for case in cases})


def crystal_table(results: Mapping[str, Any]) -> str:
    """Return the coverage of each crystal, against the same model."""
    head = [
        "",
        "structure",
        "cases",
        "68 %",
        "95 %",
        "mean z",
        "rms z",
        "CRPS",
        "ratio",
    ]
    cases = trace_cases(results)
    rows = []
    for name, entry in results.items():
        row = row_of([c for c in cases if c.crystal == name])
        rows.append([name, entry["setting"]["structure"], *_cells(row)])
    rows.append(["**all**", "", *_cells(row_of(cases))])
    return _markdown(head, rows)


def size_table(results: Mapping[str, Any]) -> str:
    """Return the coverage for each number of supercells."""
    head = ["supercells", *_COLUMNS]
    cases = trace_cases(results)
    rows = [
        [str(size), *_cells(row_of([c for c in cases if c.size == size]))]
        for size in sorted({c.size for c in cases})
    ]
    return _markdown(head, rows)


def direction_table(results: Mapping[str, Any]) -> str:
    """Return the coverage of single directions of anisotropic crystals."""
    head = [
        "",
        "direction",
        "cases",
        "68 %",
        "95 %",
        "mean z",
        "rms z",
        "CRPS",
        "ratio",
    ]
    rows = []
    for name, entry in results.items():
        cases = [c for c in cases_of(name, entry) if c.component != TRACE]
        for component in sorted({c.component for c in cases}):
            row = row_of([c for c in cases if c.component == component])
            rows.append([name, ("xx", "yy", "zz")[component], *_cells(row)])
    return _markdown(head, rows)


def exact_table(results: Mapping[str, Any]) -> str:
    """Return errors and bars, and the distance from the exact kappa."""
    sizes = _sizes(trace_cases(results))
    head = [
        "",
        *(f"{n}: error, bar" for n in sizes),
        "unexplained",
        "model - exact",
        "68 %",
        "95 %",
    ]
    rows = []
    for name, entry in results.items():
        cases = [c for c in cases_of(name, entry) if c.component == TRACE]
        cells = [name]
        for size in sizes:
            row = row_of([c for c in cases if c.size == size])
            cells.append(f"{_percent(row.error)}, {_percent(row.bar)}")
        reference = entry["reference"]
        cells.append(_percent(reference["left_out"] / reference["rms_force"]))
        bias = model_bias(entry)
        if bias is None:
            cells += ["", "", ""]
        else:
            exact = row_of(cases, exact=True)
            cells.append(f"{_percent(bias[0], sign=True)}({_percent(bias[1])})")
            cells += [f"{100 * inside:.0f}" for inside in exact.inside]
        rows.append(cells)
    return _markdown(head, rows)


def verdict_table(results: Mapping[str, Any]) -> str:
    """Return how often verdicts are right, for several tolerances."""
    head = [
        "tolerance",
        "studies",
        "converged",
        "right",
        "right, exact",
        "more needed",
        "right within a factor of 2",
        "misfit",
        "right",
        "missed",
    ]
    rows = []
    for tolerance in TOLERANCES:
        stops = [
            stop
            for name, entry in results.items()
            for stop in stops_of(name, entry, tolerance)
        ]
        converged = [s for s in stops if s.converged]
        known = [s for s in converged if np.isfinite(s.from_exact)]
        noted = [s for s in stops if s.has_misfit and np.isfinite(s.from_exact)]
        asked = [s for s in stops if s.needed is not None and s.sufficient is not None]
        rows.append(
            [
                f"{100 * tolerance:g} %",
                str(len(stops)),
                str(len(converged)),
                _share([s.error < tolerance for s in converged]),
                _share([s.from_exact < tolerance for s in known]),
                str(len(asked)),
                _share([_is_near(s) for s in asked]),
                str(len(noted)),
                _share([s.from_exact > tolerance for s in noted]),
                str(sum(s.from_exact > tolerance for s in known if not s.has_misfit)),
            ]
        )
    return _markdown(head, rows)


def _is_near(stop: Stop) -> bool:
    """Return whether the number needed is right; sizes are factors of two apart."""
    assert stop.needed is not None and stop.sufficient is not None
    return stop.sufficient / 4 < stop.needed <= 2 * stop.sufficient


def _share(are_right: Sequence[bool]) -> str:
    if not are_right:
        return ""
    right = sum(are_right)
    return f"{right} ({100 * right / len(are_right):.0f} %)"


def _cells(row: Row) -> list[str]:
    return [
        str(row.n),
        f"{100 * row.inside[0]:.0f}",
        f"{100 * row.inside[1]:.0f}",
        f"{row.mean_z:+.2f}",
        f"{row.rms_z:.2f}",
        _percent(row.crps),
        f"{row.ratio:.2f}",
    ]


def _percent(value: float, *, sign: bool = False) -> str:
    """Return a fraction in percent with two significant digits."""
    percent = 100 * value
    digits = max(0, 1 - int(np.floor(np.log10(abs(percent))))) if percent else 1
    return f"{percent:{'+' if sign else ''}.{digits}f}"


def _markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def draw(results: Mapping[str, Any], path: Path) -> None:
    """Draw coverage of each crystal, the distribution of z, and errors against bars."""
    from matplotlib.figure import Figure

    cases = trace_cases(results)
    figure = Figure(figsize=(10, 6.4), layout="constrained", dpi=130)
    axes = figure.subplot_mosaic(
        [["coverage", "z"], ["coverage", "errors"]], width_ratios=(1, 1.15)
    )
    _draw_coverage(axes["coverage"], cases)
    _draw_distribution(axes["z"], cases)
    _draw_errors(axes["errors"], cases)
    figure.savefig(path)


def _draw_coverage(axis: Any, cases: Sequence[Case]) -> None:
    names = list(dict.fromkeys(c.crystal for c in cases))
    for level, color, low in ((0, "C0", 0.5), (1, "C3", 0.85)):
        nominal = (0.68, 0.95)[level]
        shares = [
            row_of([c for c in cases if c.crystal == name]).inside[level]
            for name in names
        ]
        axis.axvline(100 * nominal, color=color, linewidth=1)
        axis.axvline(100 * low, color=color, linewidth=1, linestyle=":")
        axis.plot(
            100 * np.array(shares),
            # Apart, because both may be 100 %.
            np.arange(len(names)) + 0.3 * level - 0.15,
            "os"[level],
            color=color,
            label=f"{100 * nominal:.0f} % intervals",
        )
    axis.set_yticks(range(len(names)), names)
    axis.invert_yaxis()
    axis.set_xlim(-2, 102)
    axis.set_xlabel("intervals that contain the reference (%)")
    axis.legend(loc="lower left", fontsize="small")
    axis.grid(axis="y", linewidth=0.3)


def normal_scores(cases: Sequence[Case]) -> Any:
    """Return z as the normal deviates with the same probability."""
    z = np.array([c.error / c.expected for c in cases])
    degrees = np.array([c.size - 1 for c in cases])
    return ndtri(np.clip(stdtr(degrees, z), 1e-12, 1 - 1e-12))


def _draw_distribution(axis: Any, cases: Sequence[Case]) -> None:
    bins = np.linspace(-4, 4, 17)
    for size, color in zip(_sizes(cases), ("C0", "C1", "C2", "C3"), strict=False):
        scores = normal_scores([c for c in cases if c.size == size])
        axis.hist(
            np.clip(scores, -3.99, 3.99),
            bins,
            density=True,
            histtype="step",
            color=color,
            label=f"{size} supercells",
        )
    x = np.linspace(-4, 4, 200)
    axis.plot(x, np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi), "k", linewidth=1)
    axis.set_xlabel("error in units of the bar (as a normal deviate)")
    axis.set_ylabel("density")
    axis.legend(fontsize="small")


def _draw_errors(axis: Any, cases: Sequence[Case]) -> None:
    names = list(dict.fromkeys(c.crystal for c in cases))
    for size, marker in zip(_sizes(cases), "o^sD", strict=False):
        rows = [
            row_of([c for c in cases if c.crystal == name and c.size == size])
            for name in names
        ]
        axis.plot(
            [100 * row.bar for row in rows],
            [100 * row.error for row in rows],
            marker,
            markersize=4,
            label=f"{size} supercells",
        )
    ends = np.array(axis.get_xlim())
    ends = np.array([max(ends[0], 1e-3), ends[1]])
    axis.plot(ends, ends, "k", linewidth=1)
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xlabel("error bar (rms over orders, % of kappa)")
    axis.set_ylabel("error (rms, %)")
    axis.legend(fontsize="small")

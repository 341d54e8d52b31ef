"""Writing of a report: HTML page, figures and JSON file."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from phono3py_mlp_plugin.contracts import FloatArray
from phono3py_mlp_plugin.files import write_whole
from phono3py_mlp_plugin.plotting import (
    DIRECTIONS,
    SUFFIXES,
    Style,
    read_style,
    render,
)
from phono3py_mlp_plugin.reports import figures
from phono3py_mlp_plugin.reports.contents import Contents, Snapshots
from phono3py_mlp_plugin.reports.page import Picture, Section, make_page
from phono3py_mlp_plugin.uncertainty import ErrorBudget
from phono3py_mlp_plugin.workflow import budget_notes, budget_table

if TYPE_CHECKING:
    pass

_STEM = "phono3py_mlp_report"

# Number of points of cumulative kappa that are written.
_GRID = 201

# Number of rows above which a table is shortened.
_MANY = 12


def report_files(contents: Contents, style: Style) -> dict[str, bytes]:
    """Return the page, the numbers (JSON) and the figures by file name.

    Figures are PNG, SVG and PDF files.
    """
    sections, pictures = _SectionBuilder(contents, style).sections()
    title = f"{contents.formula}: from supercells to thermal conductivity"
    page = make_page(
        title, _headlines(contents), contents.checks, sections, contents.facts
    )
    numbers = json.dumps(_numbers(contents), indent=1) + "\n"
    return {
        f"{_STEM}.html": page,
        f"{_STEM}.json": numbers.encode(),
        **pictures,
    }


def write_report(contents: Contents, folder: Path) -> list[Path]:
    """Write the page, the numbers and the figures; return the paths of all files.

    Figures have the style of the folder, see `read_style`. Either all files are written
    or none.

    Raises
    ------
    ParameterError, UnusableFile
        If the style file cannot be used.
    """
    files = report_files(contents, read_style(folder))
    write_whole({folder / name: content for name, content in files.items()})
    # Figures of an earlier report would contradict this one.
    for picture in figures.NAMES:
        for name in _names_of_files(picture):
            if name not in files:
                (folder / name).unlink(missing_ok=True)
    return [folder / name for name in files]


def _names_of_files(picture: str) -> list[str]:
    return [f"{_STEM}_{picture}{suffix}" for suffix in SUFFIXES]


def _headlines(contents: Contents) -> list[str]:
    """Return kappa with its error bar, and the number of failed checks."""
    lines = []
    if contents.kappa is not None:
        t = contents.room_temperature()
        temperature = float(contents.kappa.temperatures[t])
        values = _joined(contents, [_with_bar(contents, t, c) for c in range(3)])
        lines.append(f"Kappa at {temperature:g} K: {values} W/m-K.")
        lines += _total_error(contents)
    failed = sum(not check.passed for check in contents.checks)
    if contents.checks:
        lines.append(
            f"{failed} of {len(contents.checks)} checks need attention."
            if failed
            else f"All {len(contents.checks)} checks are passed."
        )
    if "budget" in contents.missing:
        lines.append(contents.missing["budget"])
    return lines


def _total_error(contents: Contents) -> list[str]:
    """Return kappa with the error of all contributions that are known."""
    if contents.budget is None or contents.kappa is None:
        return []
    budget, of_what = contents.budget
    t = contents.room_temperature()
    if contents.kappa.temperatures[t] == 0:
        return []
    total = budget.total(budget.room_temperature)
    kappa = contents.kappa.kappa[t]
    texts = [with_error(float(kappa[c]), float(total[c] * kappa[c])) for c in range(3)]
    return [f"With the error budget of {of_what}: {_joined(contents, texts)} W/m-K."]


def _with_bar(contents: Contents, t: int, c: int) -> str:
    """Return kappa at a temperature and in a direction, with its error bar if known."""
    assert contents.kappa is not None
    value = float(contents.kappa.kappa[t, c])
    temperature = float(contents.kappa.temperatures[t])
    if temperature not in contents.bars:
        return _four_digits(value)
    return with_error(value, contents.bars[temperature][c].half_width(value))


def _source(contents: Contents) -> str:
    """Return what the error bars of kappa are due to."""
    if contents.models:
        return (
            f"the scatter of the models {', '.join(contents.models)}, the first of "
            "which kappa is of; neither errors against first principles nor those of "
            "a training"
        )
    return "the choice of supercells and penalty, without errors of the model"


def _joined(contents: Contents, texts: Sequence[str]) -> str:
    """Return texts of xx, yy and zz for distinct directions, named if several."""
    directions = contents.directions()
    if len(directions) == 1:
        return texts[directions[0]]
    return ", ".join(f"{texts[c]} ({DIRECTIONS[c]})" for c in directions)


def with_error(value: float, error: float) -> str:
    """Return a value and its error as text, with two digits of the error.

    Examples
    --------
    >>> with_error(26.2957, 0.1098), with_error(8.4813, 0.0)
    ('26.30 +- 0.11', '8.481 +- 0')
    """
    if not (error > 0 and math.isfinite(error)):
        return f"{_four_digits(value)} +- {error:g}"
    decimals = max(0, 1 - math.floor(math.log10(error)))
    return f"{value:.{decimals}f} +- {error:.{decimals}f}"


def _four_digits(value: float) -> str:
    """Return a number with four digits, zeros at the end included.

    Examples
    --------
    >>> _four_digits(12.696), _four_digits(9.6), _four_digits(1234.5)
    ('12.70', '9.600', '1234')
    """
    return f"{value:#.4g}".rstrip(".")


def _shown(temperatures: FloatArray) -> list[bool]:
    """Return which temperatures (K) a table shows: multiples of 100 if there are many.

    Examples
    --------
    >>> temperatures = np.arange(0.0, 1001.0, 10.0)
    >>> temperatures[_shown(temperatures)].tolist()[:3]
    [100.0, 200.0, 300.0]
    >>> _shown(np.array([0.0, 77.0]))
    [True, True]
    """
    hundreds = (temperatures > 0) & (temperatures % 100 == 0)
    if len(temperatures) <= _MANY or not hundreds.any():
        return [True] * len(temperatures)
    return [bool(value) for value in hundreds]


class _SectionBuilder:
    """Builds the sections of a report and their figures."""

    def __init__(self, contents: Contents, style: Style) -> None:
        self._contents = contents
        self._style = style
        self._files: dict[str, bytes] = {}

    def sections(self) -> tuple[list[Section], dict[str, bytes]]:
        """Return the sections, and the files of the figures by name."""
        sections = [
            self._kappa(),
            self._budget(),
            self._cumulative(),
            self._convergence(),
            self._parity(),
            self._penalties(),
            self._bands(),
        ]
        return sections, self._files

    def _picture(self, name: str, alt: str, caption: str) -> Picture:
        with self._style.applied():
            figure = figures.draw(self._contents, name)
            assert figure is not None
            contents = render(figure)
        names = _names_of_files(name)
        self._files.update(zip(names, contents.values(), strict=True))
        return Picture(contents[".png"], alt, caption, tuple(names))

    def _empty(self, name: str, title: str, key: str) -> Section:
        return Section(name, title, notes=[self._contents.missing.get(key, "None.")])

    def _kappa(self) -> Section:
        contents = self._contents
        title = "Thermal conductivity"
        if contents.kappa is None:
            return self._empty("kappa", title, "kappa")
        mesh = "x".join(map(str, contents.kappa.mesh))
        directions = contents.directions()
        caption = f"{contents.kappa.name}, mesh {mesh}."
        if contents.bars:
            caption += (
                " Error bars with caps: 68 % intervals due to "
                f"{_source(contents)}; thin lines: 95 % intervals."
            )
        shown = _shown(contents.kappa.temperatures)
        if not all(shown):
            caption += f" All {len(shown)} temperatures are in {_STEM}.json."
        picture = self._picture(
            "kappa",
            "Thermal conductivity against temperature",
            caption,
        )
        head = ("T (K)", *(f"kappa_{DIRECTIONS[c]} (W/m-K)" for c in directions))
        if len(directions) == 1:
            head = ("T (K)", "kappa (W/m-K)")
        rows = []
        for t, temperature in enumerate(contents.kappa.temperatures.tolist()):
            if not shown[t]:
                continue
            cells = (_with_bar(contents, t, c) for c in directions)
            rows.append((f"{temperature:g}", *cells))
        notes = [contents.missing["bars"]] if "bars" in contents.missing else []
        return Section("kappa", title, [picture], notes, [head, *rows])

    def _budget(self) -> Section:
        title = "Error budget"
        if self._contents.budget is None:
            return self._empty("budget", title, "budget")
        budget, of_what = self._contents.budget
        temperature = budget.temperatures[budget.room_temperature]
        head, *rows = budget_table(budget)
        return Section(
            "budget",
            title,
            [],
            [
                f"Contributions to the error of kappa of {of_what}, at {temperature:g} "
                "K in percent of kappa (half widths of 68 % intervals).",
                *(f"{note[0].upper()}{note[1:]}." for note in budget_notes(budget)),
            ],
            [("contribution", *head[1:4], "estimated from"), *rows],
        )

    def _cumulative(self) -> Section:
        contents = self._contents
        title = "Cumulative conductivity"
        kappa = contents.kappa
        if kappa is None:
            return self._empty("cumulative", title, "kappa")
        if kappa.mode_kappa is None:
            return self._empty("cumulative", title, "cumulative")
        t = contents.room_temperature()
        temperature = kappa.temperatures[t]
        picture = self._picture(
            "cumulative",
            "Cumulative conductivity against frequency and mean free path",
            "Conductivity of the modes below a frequency and below a mean free path, "
            f"at {temperature:g} K. Each mode of the mesh is a step. The shortest mean "
            "free paths, which contribute 0.1 % together, are not shown.",
        )
        return Section("cumulative", title, [picture])

    def _convergence(self) -> Section:
        contents = self._contents
        points = contents.points
        title = "Convergence"
        if not points:
            return self._empty("convergence", title, "convergence")
        picture = self._picture(
            "convergence",
            "Kappa and force errors against the number of training supercells",
            "Above: kappa with its intervals, at the first temperature of the study; "
            "the band is the tolerance around the last value. Below: force errors on "
            "the test set, and on supercells left out.",
        )
        return Section("convergence", title, [picture])

    def _parity(self) -> Section:
        contents = self._contents
        title = "Errors of the potential"
        snapshots = contents.snapshots
        if snapshots is None:
            return self._empty("errors", title, "parity")
        notes = [contents.missing["split"]] if "split" in contents.missing else []
        outliers = [k + 1 for k in snapshots.outliers()]
        if outliers:
            notes.append(
                "Unusually large errors: snapshots "
                f"{', '.join(map(str, outliers))}. Were they computed like the others?"
            )
        if snapshots.energies is None:
            notes.append("The dataset has no energies.")
        pictures = [
            self._picture(
                "parity",
                "Errors of forces and energies against first principles",
                "Differences between potential and first principles. A slope indicates "
                "a systematic error; a training error far below the test error "
                "indicates overfitting.",
            ),
            self._picture(
                "snapshots",
                "Force error of each snapshot",
                "Root mean square force error of each snapshot; unusually large errors "
                "are numbered.",
            ),
        ]
        return Section("errors", title, pictures, notes)

    def _penalties(self) -> Section:
        provenance = self._contents.provenance
        title = "Ridge path"
        if provenance is None or not provenance.penalties:
            return self._empty("penalties", title, "penalties")
        picture = self._picture(
            "penalties",
            "Errors of training and test set against the ridge penalty",
            "The penalty with the smallest test error is chosen. At the edge of the "
            "range, a wider range may be better.",
        )
        return Section("penalties", title, [picture])

    def _bands(self) -> Section:
        contents = self._contents
        title = "Phonons"
        bands = contents.bands
        if bands is None:
            return self._empty("phonons", title, "bands")
        notes = [bands.remark] if bands.remark else []
        # The reason why fc3 is missing, for example.
        if "bands" in contents.missing:
            notes.append(contents.missing["bands"])
        if "direct" in contents.missing:
            notes.append(f"Not compared: {contents.missing['direct']}")
        picture = self._picture(
            "bands",
            "Phonon bands and density of states",
            "Imaginary frequencies are drawn below zero. At finite displacements, fc2 "
            "fitted to first-principles forces includes effects of higher orders, so "
            "that small differences are not errors.",
        )
        return Section("phonons", title, [picture], notes)


def _numbers(contents: Contents) -> dict[str, Any]:
    """Return the numbers shown in the figures, as JSON types."""
    numbers: dict[str, Any] = {
        "format_version": 1,
        "formula": contents.formula,
        "provenance": dict(contents.facts),
        "missing": contents.missing,
        "checks": [asdict(check) for check in contents.checks],
    }
    if contents.snapshots is not None:
        numbers["errors"] = _errors(contents.snapshots)
    if contents.provenance is not None:
        numbers["penalties"] = contents.provenance.penalties
    if contents.kappa is not None:
        numbers["kappa"] = {
            "file": contents.kappa.name,
            "temperatures_K": contents.kappa.temperatures.tolist(),
            "kappa_W_mK": contents.kappa.kappa.tolist(),
            "error_bars_W_mK": {
                f"{t:g}": [
                    bar.half_width(float(value))
                    for bar, value in zip(bars, row, strict=False)
                ]
                for t, bars in contents.bars.items()
                for row in contents.kappa.kappa[contents.kappa.temperatures == t]
            },
        }
    if contents.budget is not None:
        numbers["error_budget"] = _budget(*contents.budget)
    if contents.bands is not None:
        numbers["bands"] = {
            name: [
                {
                    "from": segment.start[0],
                    "to": segment.end[0],
                    "distances_1_angstrom": distances.tolist(),
                    "frequencies_THz": part.tolist(),
                }
                for segment, distances, part in zip(
                    contents.bands.path, contents.bands.distances, parts, strict=True
                )
            ]
            for name, parts in contents.bands.frequencies.items()
        }
        numbers["dos"] = {
            name: {"frequencies_THz": x.tolist(), "dos_1_THz": y.tolist()}
            for name, (x, y) in contents.bands.dos.items()
        }
    if contents.kappa is not None and contents.kappa.mode_kappa is not None:
        numbers["cumulative"] = _cumulative(contents)
    return numbers


def _budget(budget: ErrorBudget, of_what: str) -> dict[str, Any]:
    """Return an error budget with null for contributions that are infinite."""
    return {
        "of": of_what,
        "temperatures_K": list(budget.temperatures),
        "contributions": [
            {
                "name": one.name,
                "relative": [
                    [value if math.isfinite(value) else None for value in row]
                    for row in one.relative
                ],
                "estimated_from": one.origin,
            }
            for one in budget.contributions
        ],
        "not_estimated": list(budget.missing),
    }


def _cumulative(contents: Contents) -> dict[str, Any]:
    """Return cumulative kappa on a grid."""
    kappa = contents.kappa
    assert kappa is not None and kappa.mode_kappa is not None
    t = contents.room_temperature()
    parts = kappa.mode_kappa[t] / kappa.weights.sum()
    numbers: dict[str, Any] = {"temperature_K": float(kappa.temperatures[t])}
    keys = {"frequencies_THz": kappa.frequencies}
    if kappa.mean_free_paths is not None:
        keys["mean_free_paths_nm"] = kappa.mean_free_paths[t]
    for name, values in keys.items():
        axis: FloatArray | None = None
        curves = {}
        for c in range(3):
            x, sums = figures.cumulative(values, parts[..., c])
            if axis is None:
                axis = x[np.linspace(0, len(x) - 1, _GRID).astype(int)]
            last = np.searchsorted(x, axis, side="right") - 1
            curves[DIRECTIONS[c]] = sums[last].tolist()
        assert axis is not None
        numbers[name] = {"at": axis.tolist(), "kappa_W_mK": curves}
    return numbers


def _errors(snapshots: Snapshots) -> dict[str, Any]:
    def rms(values: Any) -> float | None:
        return float(np.sqrt(np.mean(values**2))) if len(values) else None

    forces = snapshots.predicted_forces - snapshots.forces
    sets: dict[str, Any] = {"training": snapshots.training, "test": snapshots.test}
    numbers: dict[str, Any] = {
        "force_eV_angstrom": {name: rms(forces[rows]) for name, rows in sets.items()},
        "of_snapshots_eV_angstrom": snapshots.force_errors().tolist(),
        "outliers": [k + 1 for k in snapshots.outliers()],
        "snapshots": {name: (rows + 1).tolist() for name, rows in sets.items()},
    }
    if snapshots.energies is not None and snapshots.predicted_energies is not None:
        energies = snapshots.predicted_energies - snapshots.energies
        numbers["energy_eV_atom"] = {
            name: rms(energies[rows]) for name, rows in sets.items()
        }
        numbers["energies_about_mean_eV_atom"] = {
            "first principles": snapshots.energies.tolist(),
            "potential": snapshots.predicted_energies.tolist(),
        }
    return numbers

"""Style of all figures, and the file with which users change it."""

from __future__ import annotations

import contextlib
import importlib
import logging
import math
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from phono3py_mlp_plugin.errors import (
    ParameterError,
    PluginFailed,
    did_you_mean,
    one_line,
)
from phono3py_mlp_plugin.files import UNREADABLE, check_regular, open_text
from phono3py_mlp_plugin.plotting.figure import add_heading, new_panels, render
from phono3py_mlp_plugin.plotting.text import KAPPA

STYLE_FILE = "phono3py-mlp.mplstyle"
"""File with settings of matplotlib in the folder of a run."""

# Colours that colour-blind readers can distinguish (M. Okabe and K. Ito, 2008), in an
# order in which neighbours differ in brightness too. Text stays text in SVG and PDF.
_SETTINGS: dict[str, Any] = {
    "errorbar.capsize": 3,
    "figure.figsize": (6.4, 4.8),
    "figure.titlesize": "small",
    "legend.fontsize": "small",
    "legend.frameon": False,
    "legend.title_fontsize": "small",
    "lines.linewidth": 1.2,
    "lines.markersize": 4,
    "pdf.fonttype": 42,
    "savefig.dpi": 150,
    "svg.fonttype": "none",
    "svg.hashsalt": "phono3py-mlp-plugin",
}
_COLOURS = ("#0072b2", "#e69f00", "#000000", "#cc79a7", "#56b4e9", "#009e73")

# Settings of matplotlib that have no effect on these files, or that they must not have:
# images in an SVG file would be other files.
_WITHOUT_EFFECT = re.compile(
    r"(animation|backend|date|docstring|interactive|keymap|macosx|pgf|ps\.|tk|toolbar"
    r"|webagg|savefig\.(directory|format|orientation)|svg\.image_inline|timezone"
    r"|figure\.(autolayout|constrained_layout|dpi|hooks|max_open|raise))"
)

# Names of lengths, of which negative ones turn text over or draw nothing.
_LENGTH = re.compile(r".*(size|width|capsize|dpi)")

# Largest style file in bytes; that with all settings of matplotlib has a tenth of it.
_LARGEST = 500_000

# Height of the lowest figure, in inches of the default style.
_LOWEST = 2.8

# Text in figures, which the fonts of a style must contain.
_TRIAL = f"{KAPPA} ÅµΓ"


@dataclass(frozen=True)
class Style:
    """Settings of matplotlib for figures.

    Attributes
    ----------
    settings : mapping
        Settings that differ from those of this package.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """Draw and write figures with this style, independently of a matplotlibrc."""
        check_matplotlib()
        import matplotlib
        from cycler import cycler

        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            current: Any = matplotlib.rcParams
            current.update(_SETTINGS)
            current["axes.prop_cycle"] = cycler(color=_COLOURS)
            current.update(self.settings)
            yield


def check_matplotlib() -> None:
    """Check that figures can be drawn, before the work whose results they show.

    Raises
    ------
    PluginFailed
        If matplotlib cannot be imported.
    """
    try:
        importlib.import_module("matplotlib")
    except ImportError as error:
        raise PluginFailed(
            f"matplotlib: it cannot be imported ({one_line(error)}); expected it for "
            "figures, as phono3py does. Install it by 'pip install matplotlib'."
        ) from error


def read_style(folder: Path) -> Style:
    """Return the style of a folder: `STYLE_FILE` if it exists, otherwise the default.

    Raises
    ------
    ParameterError
        If a line is no setting of matplotlib, or figures cannot be drawn with them.
    UnusableFile
        If the path is not a regular file, or the file is too large.
    PluginFailed
        If matplotlib cannot be imported.
    """
    check_matplotlib()
    path = folder / STYLE_FILE
    if not (path.exists() or path.is_symlink()):
        return Style()
    check_regular(path)
    try:
        with open_text(path, _LARGEST) as file:
            text = file.read()
    except UNREADABLE as error:
        raise ParameterError(
            f"{STYLE_FILE}: it cannot be read ({one_line(error)}); expected a style "
            "file of matplotlib. Correct or remove it."
        ) from error
    settings: dict[str, Any] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        for name, value in _setting(f"{STYLE_FILE}: line {number}", line).items():
            if name in settings:
                raise ParameterError(
                    f"{STYLE_FILE}: line {number} = {name!r} again; expected each "
                    "setting once. Remove one of them."
                )
            settings[name] = value
    style = Style(settings)
    _try(style)
    return style


def _setting(where: str, line: str) -> dict[str, Any]:
    """Return the setting on a line of a style file, or nothing if it has none."""
    from matplotlib import MatplotlibDeprecationWarning, RcParams, rcParamsDefault

    uncommented = re.match(r'(?:[^"#]|"[^"]*")*', line)
    text = uncommented.group().strip() if uncommented else ""
    if not text:
        return {}
    name, colon, value = (part.strip() for part in text.partition(":"))
    found = f"{where} = {' '.join(text.split())!r}"
    if not colon:
        raise ParameterError(
            f"{found}; expected 'name: value', as in matplotlib's style files. Correct "
            "or remove the line."
        )
    if _WITHOUT_EFFECT.match(name):
        raise ParameterError(
            f"{found}; expected a setting of figures; this one has no effect on files "
            "as they are written here. Remove the line."
        )
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = value[1:-1]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", MatplotlibDeprecationWarning)
            checked: Any = RcParams({name: value})
            _check_numbers(name, checked[name])
            return dict(checked)
    except KeyError:
        hint = did_you_mean(name, rcParamsDefault)
        raise ParameterError(
            f"{found}; expected a setting of matplotlib.{hint} Correct or remove the "
            "line."
        ) from None
    except Exception as error:
        raise ParameterError(
            f"{found}; expected a value that matplotlib accepts ({one_line(error)}). "
            "Correct or remove the line."
        ) from error


def _check_numbers(name: str, value: Any) -> None:
    """Raise if a number is not finite, or a length is negative."""
    for number in value if isinstance(value, list | tuple) else [value]:
        if not isinstance(number, float | int):
            continue
        if not math.isfinite(number):
            raise ValueError("not a finite number")
        if number < 0 and _LENGTH.fullmatch(name):
            raise ValueError("negative")


def _try(style: Style) -> None:
    """Write a small figure, so that a style fails before a run and not after it.

    Raises
    ------
    ParameterError
        If it cannot be drawn, or only with a warning, such as that of a missing font.
    """
    complaints = _Complaints()
    logger = logging.getLogger("matplotlib")
    logger.addHandler(complaints)
    try:
        with style.applied(), warnings.catch_warnings():
            # What is deprecated is so in the code of matplotlib, not in the style.
            warnings.simplefilter("error", UserWarning)
            warnings.simplefilter("error", RuntimeWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            figure, panels = new_panels(_LOWEST, 2)
            for axes in panels:
                axes.errorbar([1, 2], [1, 2], yerr=0.1, label=_TRIAL)
                axes.legend()
                axes.set_xlabel(_TRIAL)
                axes.set_ylabel(_TRIAL)
            handles = panels[0].get_legend_handles_labels()
            figure.legend(*handles, loc="outside lower center")
            add_heading(figure, _TRIAL)
            render(figure)
        failure = complaints.first
    except Exception as error:
        failure = one_line(error)
    finally:
        logger.removeHandler(complaints)
    if failure is not None:
        raise ParameterError(
            f"{STYLE_FILE}: {failure}; expected settings with which a figure can be "
            "drawn. Correct or remove the file."
        )


class _Complaints(logging.Handler):
    """Keeps the first warning of matplotlib."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.first: str | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the message if it is the first one."""
        self.first = self.first or " ".join(record.getMessage().split())

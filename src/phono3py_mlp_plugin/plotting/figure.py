"""Figures and their files."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GREY = "0.6"
"""Colour of lines that are no data."""

MARKERS = ("o", "s", "^", "D", "v", "P")
LINES = ("-", "--", ":", "-.", "-", "--")
"""Markers and lines of curves, so that colours are not needed to distinguish them."""

SUFFIXES = (".png", ".svg", ".pdf")
"""Suffixes of the files of each figure."""

HEIGHT = 4.8
"""Height of the default style, to which the heights of figures refer, in inches."""

# Width below which panels are not side by side, in font sizes. The default is 46.
_NARROW = 40

# Without dates and versions, the same figure gives the same bytes.
_METADATA: dict[str, dict[str, Any]] = {
    ".png": {"Software": None},
    ".svg": {"Date": None, "Creator": None},
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


def new_figure(height: float) -> Figure:
    """Return an empty figure.

    Parameters
    ----------
    height : float
        In inches, for the default size of figures. If a style has another one
        (``figure.figsize``), width and height are scaled.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    width, full = matplotlib.rcParams["figure.figsize"]
    figure = Figure(figsize=(width, height * full / HEIGHT), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def new_panels(
    height: float, n: int, *, sharey: bool = False
) -> tuple[Figure, list[Axes]]:
    """Return a figure and its panels, side by side unless it is too narrow for text.

    Parameters
    ----------
    height : float
        Height of the panels, see `new_figure`.
    n : int
        Number of panels.
    sharey : bool
        Whether panels have the same vertical axis. Those in the first column are to be
        labelled.
    """
    import matplotlib

    width = matplotlib.rcParams["figure.figsize"][0]
    is_narrow = width * 72 / matplotlib.rcParams["font.size"] < _NARROW
    rows, columns = (n, 1) if is_narrow else (1, n)
    figure = new_figure(rows * height)
    panels = figure.subplots(rows, columns, sharey=sharey, squeeze=False)
    return figure, list(panels.flat)


def render(figure: Figure) -> dict[str, bytes]:
    """Return the contents of the files of a figure by suffix, reproducibly.

    The style that was applied when the figure was drawn must still be applied.
    """
    contents = {}
    for suffix in SUFFIXES:
        buffer = io.BytesIO()
        figure.savefig(buffer, format=suffix[1:], metadata=_METADATA[suffix])
        contents[suffix] = buffer.getvalue()
    return contents


def add_heading(figure: Figure, *parts: str) -> None:
    """Write what the data of a figure are on top of it; empty parts are left out."""
    text = ", ".join(part for part in parts if part)
    if text:
        figure.suptitle(text)

"""Common settings of figures: width, resolution, and names of directions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DIRECTIONS = ("xx", "yy", "zz")

_DPI = 150
_WIDTH = 6.4  # inches


def new_figure(height: float) -> Figure:
    """Return an empty figure that is as wide as the page."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, path: Path | BinaryIO) -> None:
    """Write a figure as a PNG file, reproducibly byte by byte."""
    figure.savefig(path, dpi=_DPI, format="png", metadata={"Software": None})

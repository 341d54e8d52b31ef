"""What all figures have in common: style, files, text and logarithmic axes."""

from phono3py_mlp_plugin.plotting.axes import add_error_bars, log_ticks, set_log_axis
from phono3py_mlp_plugin.plotting.figure import (
    GREY,
    LINES,
    MARKERS,
    SUFFIXES,
    add_heading,
    new_figure,
    new_panels,
    render,
)
from phono3py_mlp_plugin.plotting.style import STYLE_FILE, Style, read_style
from phono3py_mlp_plugin.plotting.text import (
    DIRECTIONS,
    KAPPA,
    LEVELS,
    LEVELS_TEXT,
    formula_text,
    mesh_text,
)

__all__ = [
    "DIRECTIONS",
    "GREY",
    "KAPPA",
    "LEVELS",
    "LEVELS_TEXT",
    "LINES",
    "MARKERS",
    "STYLE_FILE",
    "SUFFIXES",
    "Style",
    "add_error_bars",
    "add_heading",
    "formula_text",
    "log_ticks",
    "mesh_text",
    "new_figure",
    "new_panels",
    "read_style",
    "render",
    "set_log_axis",
]

"""Text in figures: quantities, units, meshes and formulas."""

from __future__ import annotations

import re
from collections.abc import Sequence

DIRECTIONS = ("xx", "yy", "zz")

TIMES = "\N{MULTIPLICATION SIGN}"

KAPPA = "κ (W m$^{-1}$ K$^{-1}$)"
"""Label of an axis of the thermal conductivity."""

LEVELS = (0.68, 0.95)
"""Levels of the intervals drawn as error bars: those with caps, and thin ones."""

LEVELS_TEXT = "68 % (caps) and 95 % intervals"


def mesh_text(mesh: Sequence[float] | None) -> str:
    """Return a mesh as text, empty if it is unknown.

    Examples
    --------
    >>> mesh_text((11, 11, 7)), mesh_text((50.0,)), mesh_text(None)
    ('mesh 11×11×7', 'mesh of length 50', '')
    """
    if mesh is None:
        return ""
    if len(mesh) == 1:
        return f"mesh of length {mesh[0]:g}"
    return f"mesh {TIMES.join(f'{n:g}' for n in mesh)}"


def formula_text(formula: str) -> str:
    """Return a chemical formula with subscripts, in matplotlib's notation.

    Examples
    --------
    >>> formula_text("Al2O3")
    'Al$_{2}$O$_{3}$'
    """
    return re.sub(r"(\d+)", r"$_{\1}$", formula)

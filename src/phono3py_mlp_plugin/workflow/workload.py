"""Forecasts of supercells, time and memory of a run, before the work."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from phono3py_mlp_plugin.contracts import FloatArray
from phono3py_mlp_plugin.errors import ResourceError
from phono3py_mlp_plugin.polynomial import available_memory
from phono3py_mlp_plugin.wording import duration

# Number of supercells from which generating them takes more than seconds.
_MANY = 20_000

# Time (s) of evaluations from which a forecast is printed.
_LONG = 60.0

# Memory (bytes) of a displaced supercell with its forces: of each atom, and the rest.
_PER_ATOM = 80
_PER_SUPERCELL = 4000

# Memory (bytes) of a point of a mesh, which is three integers and their indices.
_PER_POINT = 40

_REMEDY = (
    "--rd auto with --cutoff-pair needs fewer, as does a potential trained on some of "
    "them (phono3py-mlp kappa --teach 40)"
)


def check_memory_of_fc3(n_first: int, n_atoms: int) -> None:
    """Raise if third-order force constants do not fit into the free memory.

    Parameters
    ----------
    n_first : int
        Number of first atoms: of the primitive cell, or of the supercell for full fc3.
    n_atoms : int
        Number of atoms of the supercell.

    Raises
    ------
    ResourceError
    """
    needed, free = 216 * n_first * n_atoms**2, available_memory()
    if needed > free:
        raise ResourceError(
            f"fc3: {needed / 1e9:.1f} GB for {n_first} x {n_atoms} x {n_atoms} atoms; "
            f"expected at most the free memory, {free / 1e9:.1f} GB. Use a smaller "
            "supercell (--dim), and --dim-fc2 for a larger one of fc2."
        )


def check_memory_of_mesh(mesh: Sequence[float], cell: FloatArray | None = None) -> None:
    """Raise if the points of a mesh do not fit into the free memory.

    Parameters
    ----------
    mesh : sequence of float
        Three numbers of points, or one length in angstrom.
    cell : ndarray, optional
        Basis vectors of the primitive cell as rows in angstrom, shape ``(3, 3)``; a
        length is not checked without them.

    Raises
    ------
    ResourceError
    """
    if len(mesh) == 1 and cell is not None:
        mesh = (mesh[0] * np.linalg.norm(np.linalg.inv(cell), axis=0)).tolist()
    if len(mesh) != 3:
        return
    needed, free = _PER_POINT * math.prod(mesh), available_memory()
    if needed > free:
        raise ResourceError(
            f"mesh: {' x '.join(f'{n:.0f}' for n in mesh)} points need "
            f"{needed / 1e9:.3g} GB; expected at most the free memory, "
            f"{free / 1e9:.1f} GB. Use a smaller mesh."
        )


def forecast_systematic(number: int, n_atoms: int, seconds: float | None) -> list[str]:
    """Return lines about systematic displacements, if there are very many.

    Parameters
    ----------
    number : int
        Of supercells, at most.
    n_atoms : int
        Number of atoms of the supercell.
    seconds : float or None
        Time of one evaluation, if it is known.

    Raises
    ------
    ResourceError
        If the supercells do not fit into the free memory.
    """
    if number < _MANY:
        return []
    what = f"up to {number:,} supercells of {n_atoms} atoms by -d"
    needed = number * (_PER_ATOM * n_atoms + _PER_SUPERCELL)
    free = available_memory()
    if needed > free:
        raise ResourceError(
            f"displacements: {what} need {needed / 1e9:.0f} GB; expected at most the "
            f"free memory, {free / 1e9:.1f} GB. {_REMEDY}."
        )
    time = "" if seconds is None else f", about {duration(number * seconds)}"
    return [f"Forecast: {what}{time}, and time to generate them. {_REMEDY}."]


def forecast_evaluations(number: int, seconds: float | None) -> Iterator[str]:
    """Yield a line about the time of evaluations, if it is more than a minute."""
    if seconds is not None and number * seconds >= _LONG:
        yield f"Forecast: about {duration(number * seconds)}, {seconds:.2g} s for each."

"""Checks of cutoff distances against the crystal."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from phono3py_mlp_plugin.contracts import Potential
from phono3py_mlp_plugin.errors import PotentialError
from phono3py_mlp_plugin.polynomial import check_beyond_nearest, check_cutoff

if TYPE_CHECKING:
    from phonopy.structure.atoms import PhonopyAtoms


def check_reach(name: str, potential: Potential, cell: PhonopyAtoms) -> None:
    """Raise if the cutoff of a potential isolates an atom or is too large.

    The cutoff (angstrom) is the attribute ``cutoff_radius`` of a potential. Potentials
    without this attribute are not checked.

    Parameters
    ----------
    name : str
        Name of the force calculator, used in messages.
    potential : Potential
    cell : PhonopyAtoms

    Raises
    ------
    PotentialError
    """
    cutoff = getattr(potential, "cutoff_radius", None)
    if not isinstance(cutoff, int | float):
        return
    try:
        check_cutoff(cell.cell, cell.positions, cutoff)
    except PotentialError as error:
        raise PotentialError(f"{name}: {error}") from None


def check_solver_cutoffs(cell: PhonopyAtoms, cutoffs: Mapping[str, Any]) -> None:
    """Raise if a cutoff of force constants is shorter than all bonds.

    Parameters
    ----------
    cell : PhonopyAtoms
        The supercell.
    cutoffs : mapping
        Lengths in angstrom, by the option that sets them; None if it is not given.

    Raises
    ------
    ParameterError
    """
    given = {where: float(value) for where, value in cutoffs.items() if value}
    check_beyond_nearest(cell.cell, cell.positions, given)


def cutoffs_in_options(text: str | None) -> dict[str, float]:
    """Return the cutoffs in a string of solver options, ``"... | cutoff = 4"``.

    Other errors in the string are ignored; they are reported when it is parsed.
    """
    parts = (text or "").split("|")
    cutoffs = {}
    for number, part in enumerate(parts):
        name = "--fc-calculator-options: cutoff"
        if len(parts) > 1:
            name += f" of fc{number + 2}"
        for item in part.split(","):
            key, _, value = (word.strip() for word in item.partition("="))
            with contextlib.suppress(ValueError):
                if key == "cutoff":
                    cutoffs[name] = float(value)
    return cutoffs

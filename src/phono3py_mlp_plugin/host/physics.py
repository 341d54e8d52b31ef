"""Whether the phonons of a run can be believed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from phono3py_mlp_plugin.errors import PhysicsError

if TYPE_CHECKING:
    from phono3py import Phono3py

# Below this (THz) a mode is imaginary, not a rounding error near Gamma.
_IMAGINARY = -0.1


def refuse_imaginary_modes(ph3: Phono3py) -> None:
    """Refuse phonons on the mesh that have no frequency.

    Raises
    ------
    PhysicsError
        A mode other than the acoustic ones at Gamma is imaginary.
    """
    frequencies, _, addresses = ph3.get_phonon_data()
    known = np.isfinite(frequencies).all(axis=1)
    known &= np.abs(addresses).max(axis=1) > 0
    if not known.any():
        return
    lowest = np.where(known, frequencies.min(axis=1), np.inf)
    worst = int(lowest.argmin())
    if lowest[worst] >= _IMAGINARY:
        return
    q = np.array(addresses[worst]) / np.array(ph3.mesh_numbers)
    number = int((frequencies[known] < _IMAGINARY).any(axis=1).sum())
    raise PhysicsError(
        f"imaginary modes at {number} of {int(known.sum())} grid points: "
        f"{-lowest[worst]:.2f}i THz at q = {' '.join(f'{x:.3f}' for x in q)}. The "
        "structure is not at its minimum, or the potential is not good enough: try "
        "--relax-atomic-positions or more supercells; --allow-imaginary goes on."
    )

"""Phonon-phonon scattering by a Fourier transform of force constants.

All arguments and results are arrays. `Crystal` contains the third-order force constants
and their lattice, `Interaction` belongs to a crystal and a mesh.
"""

from phono3py_mlp_plugin.scattering.crystal import Crystal, UnsupportedCase
from phono3py_mlp_plugin.scattering.interaction import (
    Interaction,
    Smearing,
    Triplets,
)
from phono3py_mlp_plugin.scattering.records import Tetrahedra
from phono3py_mlp_plugin.scattering.warm_up import warm_up

__all__ = [
    "Crystal",
    "Interaction",
    "Smearing",
    "Tetrahedra",
    "Triplets",
    "UnsupportedCase",
    "warm_up",
]

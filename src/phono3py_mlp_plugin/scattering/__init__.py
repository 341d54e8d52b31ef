"""Phonon-phonon scattering by one Fourier transform for each point of the mesh.

Arrays in, arrays out. `Crystal` is the third-order force constants with the lattice
that they belong to, `Interaction` the same on a mesh.
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

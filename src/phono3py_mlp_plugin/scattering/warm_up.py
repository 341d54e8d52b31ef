"""Compile all kernels of this package."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from phono3py_mlp_plugin.scattering.crystal import Crystal
from phono3py_mlp_plugin.scattering.interaction import (
    Interaction,
    Smearing,
    Triplets,
)
from phono3py_mlp_plugin.scattering.records import Tetrahedra


def warm_up() -> None:
    """Compute the collisions of one atom on a mesh of one point."""
    one, zero = np.ones(1, dtype=np.int64), np.zeros(1, dtype=np.int64)
    point = np.zeros((1, 3), dtype=np.int64)
    crystal = Crystal.of(
        np.ones((1, 1, 1, 3, 3, 3)),
        np.ones((1, 1, 1), dtype=np.int8),
        np.zeros((1, 3)),
        np.array([[[1, 0]]]),
        np.ones(1),
        zero,
        zero,
        np.zeros((1, 1, 1), dtype=np.int8),
        True,
    )
    mesh = np.ones(3, dtype=np.int64)
    interaction = Interaction(crystal, mesh, np.eye(3, dtype=np.int64), point)
    phonons = interaction.phonons(
        np.ones((1, 3)), np.eye(3, dtype=np.complex128)[None], 0.0
    )
    tetrahedra = Tetrahedra(
        point, np.zeros((1, 4), dtype=np.int64), point, np.arange(2), mesh
    )
    with ThreadPoolExecutor(1) as threads:
        interaction.collisions(
            Triplets(point, one, np.arange(3)),
            phonons,
            [Smearing(), Smearing(1.0)],
            np.ones(1),
            tetrahedra,
            threads,
            np.zeros((1, 3), dtype=np.int64),
        )

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
from phono3py_mlp_plugin.scattering.strengths import PRODUCT_BANDS


def warm_up() -> None:
    """Compute the collisions of crystals with few and with many bands."""
    for n_atoms in (1, -(-PRODUCT_BANDS // 3)):
        _compute_collisions(n_atoms)


def _compute_collisions(n: int) -> None:
    """Compute the collisions of n atoms in one place on a mesh of one point."""
    atoms = np.arange(n)
    point = np.zeros((1, 3), dtype=np.int64)
    crystal = Crystal.of(
        np.ones((n, n, n, 3, 3, 3)),
        np.ones((n, n, n), dtype=np.int8),
        np.zeros((1, 3)),
        np.broadcast_to([1, 0], (n, n, 2)),
        np.ones(n),
        atoms,
        atoms,
        np.zeros((n, n, n), dtype=np.int8),
        True,
    )
    mesh = np.ones(3, dtype=np.int64)
    interaction = Interaction(crystal, mesh, np.eye(3, dtype=np.int64), point)
    phonons = interaction.phonons(
        np.ones((1, 3 * n)), np.eye(3 * n, dtype=np.complex128)[None], 0.0
    )
    tetrahedra = Tetrahedra(
        point, np.zeros((1, 4), dtype=np.int64), point, np.arange(2), mesh
    )
    with ThreadPoolExecutor(1) as threads:
        interaction.collisions(
            Triplets(point, np.ones(1, dtype=np.int64), np.arange(3 * n)),
            phonons,
            [Smearing(), Smearing(1.0)],
            np.ones(1),
            tetrahedra,
            threads,
            np.zeros((1, 3 * n), dtype=np.int64),
        )

"""Sodium chloride by an analytic potential, in supercells of sixteen atoms.

Commands spend seconds on the 64 atoms of the first-principles dataset where the physics
is not what a test is about: reading, symmetry, force constants.
"""

from __future__ import annotations

import numpy as np
from phono3py import Phono3py
from phonopy.structure.atoms import PhonopyAtoms

from phono3py_mlp_plugin.contracts import Dataset
from phono3py_mlp_plugin.reference import (
    CHARGES,
    RigidIonNaCl,
    equilibrium_lattice_constant,
)

N_SUPERCELLS = 100
AMPLITUDE = 0.03  # angstrom
# Of forces, in eV/angstrom, as first-principles calculations leave it: fits scatter.
NOISE = 2e-4


def analytic_crystal(*, fc2_supercell: bool = False) -> Phono3py:
    """Return NaCl with forces, energies and Born charges.

    Parameters
    ----------
    fc2_supercell : bool
        Whether there is a supercell of its own for fc2, of 54 atoms and with forces.
    """
    potential = RigidIonNaCl()
    edge = equilibrium_lattice_constant(potential) / 2
    unitcell = PhonopyAtoms(
        symbols=["Na", "Cl"],
        cell=edge * (np.ones((3, 3)) - np.eye(3)),
        scaled_positions=[[0, 0, 0], [0.5, 0.5, 0.5]],
    )
    ph3 = Phono3py(
        unitcell,
        supercell_matrix=[2, 2, 2],
        primitive_matrix=np.eye(3),
        phonon_supercell_matrix=[3, 3, 3] if fc2_supercell else None,
    )
    rng = np.random.default_rng(0)

    def displaced(supercell: PhonopyAtoms, n: int) -> Dataset:
        displacements = rng.normal(size=(n, len(supercell), 3))
        lengths = np.linalg.norm(displacements, axis=2, keepdims=True)
        displacements *= AMPLITUDE / lengths
        undone = Dataset(supercell, displacements, np.zeros_like(displacements))
        evaluation = potential.evaluate(undone.supercells())
        forces = evaluation.forces + rng.normal(scale=NOISE, size=displacements.shape)
        return Dataset(supercell, displacements, forces, evaluation.energies)

    dataset = displaced(ph3.supercell, N_SUPERCELLS)
    ph3.dataset = {"displacements": dataset.displacements}
    ph3.forces, ph3.supercell_energies = dataset.forces, dataset.energies
    if fc2_supercell:
        dataset = displaced(ph3.phonon_supercell, 2)
        ph3.phonon_dataset = {"displacements": dataset.displacements}
        ph3.phonon_forces = dataset.forces
    ph3.nac_params = {
        "born": CHARGES[:, None, None] * np.eye(3),
        "dielectric": 2.4 * np.eye(3),
        "factor": 14.39965,
    }
    return ph3

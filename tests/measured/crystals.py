"""Crystals whose force constants are known, for the table of solvers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import phono3py
from phono3py import Phono3py
from phonopy.structure.atoms import PhonopyAtoms

import phono3py_mlp_plugin as mlp
from phono3py_mlp_plugin.contracts import FloatArray, Potential
from phono3py_mlp_plugin.taylor import Lattice, taylor_forces
from spring_crystal import spring_crystal

AMPLITUDE = 0.01  # angstrom
MODEL = "cutoff = 6.0, gtinv_maxl = 4 4, gaussian_params2 = 0 5 7"


@dataclass(frozen=True)
class Known:
    """A crystal, what gives its forces, and its force constants.

    Attributes
    ----------
    ph3 : Phono3py
    set_forces : callable
        Sets the forces of the displacements of a `Phono3py` object.
    truth : dict
        Compact fc2 and fc3 by order (eV/angstrom^2, eV/angstrom^3).
    mesh : list of int
        Of kappa.
    n_random : int
        Number of supercells with random displacements.
    cutoff : float
        Of fc3 in angstrom; 0 for none.
    potential : Potential or None
        Its derivatives are the truth.
    """

    ph3: Phono3py
    set_forces: Callable[[Phono3py], None]
    truth: dict[int, FloatArray]
    mesh: list[int]
    n_random: int
    cutoff: float = 0.0
    potential: Potential | None = None
    displacements: dict[str, Any] = field(default_factory=dict)


def _of_potential(ph3: Phono3py, model: str, **more: Any) -> Known:
    """Train a potential on first-principles forces; its derivatives are the truth."""
    potential = mlp.train(ph3, options=model, allow_poor_fit=True).potential
    ph3 = copy(ph3)
    truth = mlp.solve_force_constants(ph3, "exact", potential=potential)
    return Known(
        ph3, lambda x: mlp.evaluate(x, potential), truth, potential=potential, **more
    )


def copy(ph3: Phono3py) -> Phono3py:
    """Return the crystal without displacements, forces and force constants."""
    return Phono3py(
        ph3.unitcell,
        supercell_matrix=ph3.supercell_matrix,
        primitive_matrix=ph3.primitive_matrix,
        phonon_supercell_matrix=ph3.phonon_supercell_matrix,
        log_level=0,
    )


@cache
def nacl(source: Path) -> Known:
    """Sodium chloride, a potential of first-principles forces, 64 atoms."""
    path = source / "example" / "NaCl-rd" / "phono3py_params_NaCl.yaml.xz"
    ph3 = phono3py.load(path, produce_fc=False, primitive_matrix="F", log_level=0)
    known = _of_potential(
        ph3, f"{MODEL}, ntrain = 40, ntest = 10", mesh=[7, 7, 7], n_random=40
    )
    known.ph3.nac_params = ph3.nac_params
    return known


@cache
def aln(source: Path) -> Known:
    """Wurtzite, a potential of first-principles forces, 128 atoms."""
    path = source / "example" / "AlN-rd" / "phonopy_params_mp-661.yaml.xz"
    ph3 = phono3py.load(path, produce_fc=False, primitive_matrix="P", log_level=0)
    model = MODEL.replace("6.0", "5.0").replace("4 4", "2 2")
    known = _of_potential(
        ph3,
        f"{model}, ntrain = 20, ntest = 5",
        mesh=[3, 3, 3],
        n_random=40,
        cutoff=3.2,
    )
    known.ph3.nac_params = ph3.nac_params
    return known


@cache
def mgo(source: Path) -> Known:
    """Magnesium oxide with a larger supercell for fc2."""
    path = source / "test" / "phono3py_params_MgO-222rd-444rd.yaml.xz"
    ph3 = phono3py.load(path, produce_fc=False, primitive_matrix="F", log_level=0)
    known = _of_potential(
        ph3, f"{MODEL}, ntrain = 4, ntest = 1", mesh=[5, 5, 5], n_random=40
    )
    known.ph3.nac_params = ph3.nac_params
    return known


@cache
def triclinic(source: Path) -> Known:
    """Springs of three elements without symmetry, 12 atoms."""
    del source
    ph3 = spring_crystal("triclinic")
    rows = ph3.primitive.p2s_map
    truth = {2: ph3.fc2[rows], 3: ph3.fc3[rows]}
    lattice = Lattice(rows, ph3.primitive.atomic_permutations)

    def set_forces(displaced: Phono3py) -> None:
        u = np.array([cell.positions for cell in supercells(displaced)])
        u -= displaced.supercell.positions
        displaced.forces = sum(taylor_forces(truth, u, lattice).values())

    return Known(ph3, set_forces, truth, mesh=[5, 5, 5], n_random=100)


def supercells(ph3: Phono3py) -> list[PhonopyAtoms]:
    """Return the displaced supercells."""
    return [cell for cell in ph3.supercells_with_displacements if cell is not None]


@cache
def aluminium(source: Path) -> Known:
    """One atom in the primitive cell, effective medium theory, 32 atoms."""
    del source
    from ase.build import bulk

    atoms = bulk("Al", cubic=True, a=3.994)
    unitcell = PhonopyAtoms(
        symbols=atoms.get_chemical_symbols(),
        cell=atoms.cell[:],
        scaled_positions=atoms.get_scaled_positions(),
    )
    ph3 = Phono3py(unitcell, supercell_matrix=[2, 2, 2], primitive_matrix="F")
    potential = mlp.load_potential(calculator="emt")
    truth = derivatives(potential, ph3.supercell)
    return Known(
        ph3, lambda x: mlp.evaluate(x, potential), truth, mesh=[9, 9, 9], n_random=20
    )


def derivatives(
    potential: Potential, supercell: PhonopyAtoms, step: float = 2e-3
) -> dict[int, FloatArray]:
    """Return fc2 and fc3 of the first atom by central differences of forces.

    Errors of the second order are removed by a second step, twice as large.
    """
    n_atoms = len(supercell)
    # Rows are displacements of one atom or two; the first atom is always among them.
    pairs = [(a, j, b) for a in range(3) for j in range(n_atoms) for b in range(3)]
    by_step = []
    for h in (step, 2 * step):
        cells = []
        for a, j, b in pairs:
            for signs in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
                cell = supercell.copy()
                shift = np.zeros((n_atoms, 3))
                shift[0, a] += signs[0] * h
                shift[j, b] += signs[1] * h
                cell.positions = cell.positions + shift
                cells.append(cell)
        for a in range(3):
            for sign in (1, -1):
                cell = supercell.copy()
                shift = np.zeros((n_atoms, 3))
                shift[0, a] = sign * h
                cell.positions = cell.positions + shift
                cells.append(cell)
        forces = potential.evaluate(cells).forces
        four = forces[: 4 * len(pairs)].reshape(3, n_atoms, 3, 4, n_atoms, 3)
        third = four[..., 0, :, :] - four[..., 1, :, :]
        third = third - four[..., 2, :, :] + four[..., 3, :, :]
        fc3 = -third / (4 * h * h)  # (a, j, b, k, c)
        two = forces[4 * len(pairs) :].reshape(3, 2, n_atoms, 3)
        fc2 = -(two[:, 0] - two[:, 1]) / (2 * h)  # (a, j, b)
        by_step.append(
            {2: fc2.transpose(1, 0, 2)[None], 3: fc3.transpose(1, 3, 0, 2, 4)[None]}
        )
    near, far = by_step
    return {order: (4 * near[order] - far[order]) / 3 for order in (2, 3)}


CRYSTALS: dict[str, Callable[[Path], Known]] = {
    "NaCl, 64 atoms": nacl,
    "AlN, 128 atoms": aln,
    "MgO, 64 atoms, fc2 in 128": mgo,
    "triclinic springs, 12 atoms": triclinic,
    "Al (EMT), 32 atoms": aluminium,
}

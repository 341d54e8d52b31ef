"""Relaxation of lattice and positions by ASE, under constraint of symmetry."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from phono3py_mlp_plugin.contracts import Potential, Progress, no_progress
from phono3py_mlp_plugin.errors import (
    ParameterError,
    PluginNotFound,
    PotentialError,
    one_line,
)
from phono3py_mlp_plugin.workflow.evaluate import evaluate
from phono3py_mlp_plugin.workflow.vacuum import vacuum_axes

if TYPE_CHECKING:
    from phonopy.structure.atoms import PhonopyAtoms

# Largest force (eV/angstrom), and stress in the same unit by the filter of ASE.
_LARGEST_FORCE = 1e-5
_STEPS = 1000

# Largest force that is accepted from a potential whose noise prevents a smaller one.
_ACCEPTED_FORCE = 1e-3

# Cosine between the normal of a vacuum and a Cartesian axis.
_ALONG = 1 - 1e-6

# Largest factor of the volume of a crystal that is bound, also from a rough guess.
_VOLUME = 3.0


@dataclass(frozen=True, eq=False)
class RelaxedCell:
    """Result of a relaxation.

    Attributes
    ----------
    cell : PhonopyAtoms
    largest_force : float
        In eV/angstrom.
    is_lattice_relaxed : bool
        False if the potential gives no stress, or there is vacuum in all directions.
    has_vacuum : bool
        Whether the lattice is kept along a vacuum.
    """

    cell: PhonopyAtoms
    largest_force: float
    is_lattice_relaxed: bool
    has_vacuum: bool

    @property
    def is_converged(self) -> bool:
        """Whether the largest force is as small as requested."""
        return self.largest_force <= _LARGEST_FORCE


def relax_cell(
    name: str,
    potential: Potential,
    cell: PhonopyAtoms,
    symprec: float = 1e-5,
    progress: Progress = no_progress,
) -> RelaxedCell:
    """Return the cell with relaxed lattice and positions and unchanged symmetry.

    The lattice is relaxed if the potential gives stresses, but not where there is
    vacuum.

    Parameters
    ----------
    name : str
        Name of the force calculator, used in messages.
    potential : Potential
    cell : PhonopyAtoms
    symprec : float
        Tolerance of the symmetry search in angstrom.
    progress : Progress

    Raises
    ------
    PluginNotFound
        If ase is not installed.
    PotentialError
        If the forces did not vanish, or the crystal is not bound.
    ParameterError
        If the tolerance is so large that no symmetry is found.
    """
    _check_ase()
    from ase import Atoms
    from ase.constraints import FixSymmetry
    from ase.filters import FrechetCellFilter
    from ase.optimize import BFGS
    from spglib import SpglibError

    has_stress = evaluate(name, potential, [cell]).stresses is not None
    atoms = Atoms(
        # Elements without the numbers of species such as Mn1.
        numbers=cell.numbers,
        cell=cell.cell,
        scaled_positions=cell.scaled_positions,
        pbc=True,
    )
    atoms.calc = _calculator_of(name, potential, cell, has_stress)
    try:
        atoms.set_constraint(FixSymmetry(atoms, symprec=symprec))
    except SpglibError as error:
        raise ParameterError(
            f"symprec = {symprec:g}: {one_line(error)}; expected a tolerance far below "
            "the distances of atoms. Give 1e-5."
        ) from error
    strains = _strains(cell) if has_stress else np.zeros(6, dtype=bool)
    subject = FrechetCellFilter(atoms, mask=strains) if strains.any() else atoms
    with progress("Relaxing the crystal", None) as advance:
        for _ in BFGS(subject, logfile=None).irun(fmax=_LARGEST_FORCE, steps=_STEPS):
            _check_volume(float(atoms.get_volume()), float(cell.volume))
            advance(1)
    largest = float(np.linalg.norm(subject.get_forces(), axis=1).max())
    _check_forces(largest)
    relaxed = cell.copy()
    relaxed.cell = np.array(atoms.cell)
    relaxed.scaled_positions = atoms.get_scaled_positions(wrap=False)
    has_vacuum = has_stress and not strains.all()
    return RelaxedCell(relaxed, largest, bool(strains.any()), has_vacuum)


def _strains(cell: PhonopyAtoms) -> NDArray[np.bool_]:
    """Return which strains (xx, yy, zz, yz, xz, xy) are relaxed: none of vacuum.

    The thickness of vacuum has no minimum, or one at zero. If its normal is not a
    Cartesian axis, the lattice is kept.
    """
    free = np.ones(3, dtype=bool)
    normals = np.linalg.inv(cell.cell).T
    for axis in vacuum_axes(cell):
        along = np.abs(normals[axis]) / np.linalg.norm(normals[axis])
        if along.max() < _ALONG:
            return np.zeros(6, dtype=bool)
        free[along.argmax()] = False
    x, y, z = free
    return np.array([x, y, z, y and z, x and z, x and y])


def _check_ase() -> None:
    if importlib.util.find_spec("ase") is None:
        raise PluginNotFound(
            "relaxation: ase is not installed. Install it by 'pip install ase'."
        )


def _check_forces(largest: float) -> None:
    if not largest <= _ACCEPTED_FORCE:
        raise PotentialError(
            f"relaxation: the largest force is {largest:.1e} eV/angstrom after "
            f"{_STEPS} steps; expected {_LARGEST_FORCE:.0e}. Start closer to the "
            "minimum, or check the potential."
        )


def _check_volume(volume: float, before: float) -> None:
    """Raise if a crystal expands or collapses without an end."""
    if not 1 / _VOLUME <= volume / before <= _VOLUME:
        raise PotentialError(
            f"relaxation: volume = {volume:.1f} angstrom^3 after {before:.1f}; "
            f"expected a change by a factor of less than {_VOLUME:g}. Start closer to "
            "the minimum, or check that the force calculator binds this crystal."
        )


def _calculator_of(
    name: str, potential: Potential, cell: PhonopyAtoms, has_stress: bool
) -> Any:
    """Return an ASE calculator of any potential."""
    from ase.calculators.calculator import Calculator, all_changes
    from ase.stress import full_3x3_to_voigt_6_stress

    class OfPotential(Calculator):  # type: ignore[misc]
        implemented_properties = ["energy", "forces"] + ["stress"] * has_stress

        def calculate(
            self,
            atoms: Any = None,
            properties: Any = ("energy",),
            system_changes: Any = all_changes,
        ) -> None:
            super().calculate(atoms, properties, system_changes)
            moved = cell.copy()
            moved.cell = np.array(self.atoms.cell)
            moved.positions = self.atoms.positions
            result = evaluate(name, potential, [moved])
            self.results = {
                "energy": float(result.energies[0]),
                "forces": result.forces[0],
            }
            if result.stresses is not None:
                stress = full_3x3_to_voigt_6_stress(result.stresses[0])
                self.results["stress"] = stress

    return OfPotential()

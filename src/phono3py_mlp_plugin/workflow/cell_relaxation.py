"""Relaxation of lattice and positions by ASE, under constraint of symmetry."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from phono3py_mlp_plugin.contracts import Potential, Progress, no_progress
from phono3py_mlp_plugin.errors import PluginNotFound, PotentialError
from phono3py_mlp_plugin.workflow.evaluate import evaluate

if TYPE_CHECKING:
    from phonopy.structure.atoms import PhonopyAtoms

# Largest force (eV/angstrom), and stress in the same unit by the filter of ASE.
_LARGEST_FORCE = 1e-5
_STEPS = 1000

# Largest force that is accepted from a potential whose noise prevents a smaller one.
_ACCEPTED_FORCE = 1e-3

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
        False if the potential gives no stress.
    """

    cell: PhonopyAtoms
    largest_force: float
    is_lattice_relaxed: bool

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

    The lattice is relaxed if the potential gives stresses.

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
    """
    _check_ase()
    from ase import Atoms
    from ase.constraints import FixSymmetry
    from ase.filters import FrechetCellFilter
    from ase.optimize import BFGS

    has_stress = evaluate(name, potential, [cell]).stresses is not None
    atoms = Atoms(
        # Elements without the numbers of species such as Mn1.
        numbers=cell.numbers,
        cell=cell.cell,
        scaled_positions=cell.scaled_positions,
        pbc=True,
    )
    atoms.calc = _calculator_of(name, potential, cell, has_stress)
    atoms.set_constraint(FixSymmetry(atoms, symprec=symprec))
    subject = FrechetCellFilter(atoms) if has_stress else atoms
    with progress("Relaxing the crystal", None) as advance:
        for _ in BFGS(subject, logfile=None).irun(fmax=_LARGEST_FORCE, steps=_STEPS):
            _check_volume(float(atoms.get_volume()), float(cell.volume))
            advance(1)
    largest = float(np.linalg.norm(subject.get_forces(), axis=1).max())
    if not largest <= _ACCEPTED_FORCE:
        raise PotentialError(
            f"relaxation: the largest force is {largest:.1e} eV/angstrom after "
            f"{_STEPS} steps; expected {_LARGEST_FORCE:.0e}. Start closer to the "
            "minimum, or check the potential."
        )
    relaxed = cell.copy()
    relaxed.cell = np.array(atoms.cell)
    relaxed.scaled_positions = atoms.get_scaled_positions(wrap=False)
    return RelaxedCell(relaxed, largest, has_stress)


def _check_ase() -> None:
    if importlib.util.find_spec("ase") is None:
        raise PluginNotFound(
            "relaxation: ase is not installed. Install it by 'pip install ase'."
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

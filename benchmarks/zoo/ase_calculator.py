"""The potentials of the crystals as calculators of ASE, for the commands of users.

They are named by ``calculator = zoo.ase_calculator:OfCrystal, crystal = Cu EMT``.
"""

from __future__ import annotations

from typing import Any

from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress
from phonopy.structure.atoms import PhonopyAtoms

from zoo.crystals import Analytic, named


class OfCrystal(Calculator):
    """Calculator of the potential of a crystal.

    Parameters
    ----------
    crystal : str
        Its name.
    """

    implemented_properties = ("energy", "forces", "stress")

    def __init__(self, crystal: str) -> None:
        super().__init__()
        found = named(crystal)
        assert isinstance(found, Analytic)
        self._potential = found.potential()

    def calculate(
        self,
        atoms: Any = None,
        properties: Any = None,
        system_changes: Any = all_changes,
    ) -> None:
        """Compute energy, forces and stress."""
        super().calculate(atoms, properties, system_changes)
        cell = PhonopyAtoms(
            symbols=list(atoms.symbols), cell=atoms.cell[:], positions=atoms.positions
        )
        found = self._potential.evaluate([cell])
        self.results = {
            "energy": float(found.energies[0]),
            "forces": found.forces[0],
            "stress": full_3x3_to_voigt_6_stress(found.stresses[0]),
        }

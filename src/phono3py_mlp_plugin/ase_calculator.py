"""Polynomial potentials as ASE calculators.

The plugin ``ase`` is the reverse: it uses any ASE calculator as a force calculator of
this package.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from phonopy.structure.atoms import PhonopyAtoms

from phono3py_mlp_plugin.calculators.pypolymlp import PypolymlpOptions, load
from phono3py_mlp_plugin.contracts import Potential
from phono3py_mlp_plugin.errors import PotentialError

try:
    from ase.calculators.calculator import Calculator, all_changes
except ImportError as error:
    raise ImportError(
        "phono3py_mlp_plugin.ase_calculator needs ase, which is not installed. "
        "Install it by 'pip install ase'."
    ) from error

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["PolynomialCalculator"]


class PolynomialCalculator(Calculator):  # type: ignore[misc]
    """A polynomial potential for molecular dynamics, relaxation and phonons in ASE.

    Energies are in eV, forces in eV/angstrom, stresses in eV/angstrom^3, the derivative
    of the energy by strain over the volume in ASE's order xx, yy, zz, yz, xz, xy:
    positive under tension. Energies of isolated atoms are included if the potential
    contains them.

    The potential is valid only for configurations similar to its training data. If it
    was trained on displacements in one cell, as is usual for force constants, its
    stress is not reliable: relax atoms in that cell, or use a potential that was also
    trained on other cells.

    Cells must be periodic in all three directions. For a surface or a molecule use a
    cell with vacuum wider than the cutoff, and ``pbc=True``.

    Parameters
    ----------
    potential : str, Path or Potential
        File of a potential such as ``polymlp.yaml``, the common name of the files of a
        hybrid model, or a potential of this package.
    **kwargs
        Arguments of `ase.calculators.calculator.Calculator`.

    Raises
    ------
    PotentialError
        If the file is not a potential. Also raised in a calculation, if the atoms have
        other elements or the cell is not periodic.

    Examples
    --------
    >>> from ase.build import bulk                                # doctest: +SKIP
    >>> atoms = bulk("NaCl", "rocksalt", a=5.64, cubic=True)      # doctest: +SKIP
    >>> atoms.calc = PolynomialCalculator("polymlp.yaml")         # doctest: +SKIP
    >>> atoms.get_potential_energy()                              # doctest: +SKIP
    """

    name = "polynomial"
    implemented_properties: ClassVar[list[str]] = [
        "energy",
        "free_energy",
        "forces",
        "stress",
    ]

    def __init__(self, potential: str | Path | Potential, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if isinstance(potential, str | Path):
            potential = load(Path(potential), PypolymlpOptions())
        numbered = [s for s in potential.elements if s[-1].isdigit()]
        if numbered:
            raise PotentialError(
                f"PolynomialCalculator: elements of the potential = "
                f"{', '.join(potential.elements)}; expected symbols without numbers, "
                "as ASE has them. Train a potential that does not distinguish atoms of "
                "one element."
            )
        self.potential = potential

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Compute energy, forces and stress.

        Raises
        ------
        PotentialError
            If the cell is not periodic, or the potential does not support an element.
        """
        super().calculate(atoms, properties, system_changes)
        atoms = self.atoms
        self._check(atoms)
        cell = PhonopyAtoms(
            symbols=atoms.get_chemical_symbols(),
            cell=atoms.cell.array,
            positions=atoms.positions,
        )
        evaluation = self.potential.evaluate([cell])
        energy = float(evaluation.energies[0])
        # There is no electronic temperature, so both energies are equal.
        self.results = {
            "energy": energy,
            "free_energy": energy,
            "forces": evaluation.forces[0],
        }
        if evaluation.stresses is not None:
            self.results["stress"] = _voigt(evaluation.stresses[0])

    def _check(self, atoms: Atoms) -> None:
        if not atoms.pbc.all():
            periodic = " ".join(str(bool(p)) for p in atoms.pbc)
            raise PotentialError(
                f"PolynomialCalculator: pbc = {periodic}; expected a cell that is "
                "periodic in all directions. Put vacuum wider than the cutoff around "
                "the atoms, and set pbc = True."
            )
        unsupported = sorted(
            set(atoms.get_chemical_symbols()) - set(self.potential.elements)
        )
        if self.potential.elements and unsupported:
            raise PotentialError(
                f"PolynomialCalculator: elements = {', '.join(unsupported)}; expected "
                f"{', '.join(self.potential.elements)}, those of the potential. Train "
                "one for this crystal."
            )


def _voigt(stress: Any) -> Any:
    """Return the components xx yy zz yz xz xy of a symmetric tensor."""
    return np.array(
        [
            stress[0, 0],
            stress[1, 1],
            stress[2, 2],
            stress[1, 2],
            stress[0, 2],
            stress[0, 1],
        ]
    )

"""A potential that evaluates supercells with a calculator of ASE."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from phono3py_mlp_plugin.contracts import Evaluation, FloatArray
from phono3py_mlp_plugin.errors import PotentialError

if TYPE_CHECKING:
    from phonopy.structure.atoms import PhonopyAtoms

Results: TypeAlias = tuple[Any, Any, Any]
"""Energy, forces and stress (or None) of one supercell, in any form of ASE."""

# Supercells of a batch, for libraries that take them.
_BATCH = 16

EvaluateMany: TypeAlias = Callable[[Any, Sequence[Any]], Sequence[Results]]
"""``evaluate_many(calculator, list_of_atoms)``, for libraries that take batches."""

# Properties of ASE from which the splitting of optical modes follows.
_CHARGES = ("born_effective_charges", "dielectric_tensor")


class AsePotential:
    """Potential that evaluates supercells with an ASE calculator.

    Parameters
    ----------
    calculator : object
        Has ``get_potential_energy(atoms)`` and ``get_forces(atoms)``. If it has a
        method ``evaluate_many(list_of_atoms)``, supercells are evaluated together: it
        returns energy, forces and stress (or None) of each.
    engine : str
        Name and version of the library, which determine its results.
    evaluate_many : callable, optional
        The same as a function, for libraries that take batches in another way.
    context : callable, optional
        Returns a context in which the calculator is used.
    """

    def __init__(
        self,
        calculator: Any,
        engine: str = "",
        evaluate_many: EvaluateMany | None = None,
        context: Callable[[], contextlib.AbstractContextManager[Any]] | None = None,
    ) -> None:
        self.calculator = calculator
        self.engine = engine
        self._evaluate_many = evaluate_many
        self._context = context or contextlib.nullcontext
        self._has_stress = _may_have_stress(calculator)

    @property
    def supercells_at_once(self) -> int:
        """How many supercells are evaluated together: one, unless it takes batches."""
        takes_batches = self._evaluate_many is not None or callable(
            getattr(self.calculator, "evaluate_many", None)
        )
        return _BATCH if takes_batches else 1

    def use_folder(self, name: str) -> None:
        """Let a program that reads and writes files use a folder of this name.

        Parameters
        ----------
        name : str
            A folder in that of the calculator; it is made when it is needed.
        """
        directory = getattr(self.calculator, "directory", None)
        if directory is not None:
            self.calculator.directory = type(directory)(Path(directory) / name)

    @property
    def elements(self) -> tuple[str, ...]:
        """Empty, because the elements that a calculator supports are not known."""
        return ()

    def evaluate(self, supercells: Sequence[PhonopyAtoms]) -> Evaluation:
        """Return energies (eV), forces (eV/angstrom) and, if supported, stresses."""
        atoms = [_atoms_of(cell) for cell in supercells]
        with self._context():
            if self._evaluate_many is not None:
                results = self._evaluate_many(self.calculator, atoms)
            elif callable(getattr(self.calculator, "evaluate_many", None)):
                results = self.calculator.evaluate_many(atoms)
            else:
                results = [self._one(item) for item in atoms]
        if len(results) != len(atoms):
            raise PotentialError(
                f"evaluate_many returned {len(results)} results; expected {len(atoms)},"
                " one for each supercell."
            )
        stresses = [_tensor(stress) for _, _, stress in results]
        return Evaluation(
            np.array([_number(energy) for energy, _, _ in results]),
            np.array([_array(forces) for _, forces, _ in results]),
            None if any(s is None for s in stresses) else np.array(stresses),
        )

    def born_charges(self, cell: PhonopyAtoms) -> tuple[FloatArray, FloatArray] | None:
        """Return Born charges and dielectric tensor, None if they are not predicted.

        Charges alone, as of tight binding, are not Born charges.

        Parameters
        ----------
        cell : PhonopyAtoms
            N atoms.

        Returns
        -------
        tuple of ndarray or None
            In units of the elementary charge, shape ``(N, 3, 3)``, and the electronic
            dielectric tensor, shape ``(3, 3)``.
        """
        known = getattr(self.calculator, "implemented_properties", None) or ()
        if not all(name in known for name in _CHARGES):
            return None
        atoms = _atoms_of(cell)
        with self._context():
            found = [self.calculator.get_property(name, atoms) for name in _CHARGES]
        born, dielectric = map(_array, found)
        return born.reshape(len(cell), 3, 3), dielectric.reshape(3, 3)

    def _one(self, atoms: Any) -> Results:
        # Neighbour lists of earlier supercells change the order of sums.
        reset = getattr(self.calculator, "reset", None)
        if callable(reset):
            reset()
        # Forces first: many calculators compute energies along with forces.
        forces = _property(self.calculator, "forces", "get_forces", atoms)
        energy = _property(self.calculator, "energy", "get_potential_energy", atoms)
        stress = None
        if self._has_stress:
            try:
                stress = _property(self.calculator, "stress", "get_stress", atoms)
            except (NotImplementedError, AttributeError):
                self._has_stress = False
        return energy, forces, stress

    def save(self, path: Path) -> None:
        """Raise an error, because ASE calculators cannot be saved."""
        raise PotentialError(
            f"{path}: an ASE calculator cannot be saved; name it again by "
            "--force-calculator-options 'calculator = module:name'."
        )


def _atoms_of(cell: PhonopyAtoms) -> Any:
    from ase import Atoms

    return Atoms(
        numbers=cell.numbers,
        magmoms=cell.magnetic_moments,
        cell=cell.cell,
        positions=cell.positions,
        masses=cell.masses,
        pbc=True,
    )


def _may_have_stress(calculator: Any) -> bool:
    known = getattr(calculator, "implemented_properties", None)
    return not known or "stress" in known


def _property(calculator: Any, name: str, method: str, atoms: Any) -> Any:
    """Return a property, also if the calculator does not declare that it has it."""
    try:
        return getattr(calculator, method)(atoms)
    except (NotImplementedError, AttributeError):
        calculate = getattr(calculator, "calculate", None)
        declared = getattr(calculator, "implemented_properties", None)
        if not callable(calculate) or declared:
            raise
    # A subclass of ASE's Calculator that declares no properties.
    calculate(atoms, [name], ["positions", "numbers", "cell", "pbc"])
    results = getattr(calculator, "results", {})
    if name not in results:
        raise NotImplementedError(f"it gives no {name}")
    return results[name]


def _array(values: Any) -> Any:
    """Return an array, also of a tensor of a machine-learning library."""
    for step in ("detach", "cpu", "numpy"):
        if not isinstance(values, np.ndarray) and callable(getattr(values, step, None)):
            values = getattr(values, step)()
    return np.asarray(values)


def _number(value: Any) -> Any:
    """Return an energy as a number; some calculators return an array with one item."""
    array = _array(value)
    return array.reshape(()) if array.size == 1 else array


def _tensor(stress: Any) -> Any:
    """Return a tensor (3, 3), also of the six components xx yy zz yz xz xy."""
    if stress is None:
        return None
    array = _array(stress)
    if array.size == 6:
        xx, yy, zz, yz, xz, xy = array.reshape(6)
        return np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    return array.reshape(3, 3) if array.size == 9 else array

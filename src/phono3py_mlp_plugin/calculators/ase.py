"""Calculators of ASE, given as ``module:Class`` on the command line.

A calculator is code. It is imported only if the user names it, never because of the
contents of a data file.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from phono3py_mlp_plugin.contracts import Evaluation, ForceCalculator
from phono3py_mlp_plugin.errors import ParameterError, PotentialError, did_you_mean
from phono3py_mlp_plugin.hookspecs import hookimpl
from phono3py_mlp_plugin.options import KEYWORDS

if TYPE_CHECKING:
    from phonopy.structure.atoms import PhonopyAtoms


@dataclass(frozen=True)
class AseOptions:
    """Class of the calculator and its keyword arguments."""

    calculator: str = field(
        default="",
        metadata={"help": "module:Class, e.g. ase.calculators.emt:EMT"},
    )
    keywords: dict[str, Any] = field(
        default_factory=dict,
        metadata={"help": "any other key is an option of the class", KEYWORDS: True},
    )


class AsePotential:
    """Potential that evaluates supercells with an ASE calculator."""

    def __init__(self, calculator: Any) -> None:
        self.calculator = calculator

    @property
    def elements(self) -> tuple[str, ...]:
        """Empty, because the elements that a calculator supports are not known."""
        return ()

    def evaluate(self, supercells: Sequence[PhonopyAtoms]) -> Evaluation:
        """Return energies (eV), forces (eV/angstrom) and, if supported, stresses."""
        from ase import Atoms

        energies, forces, stresses = [], [], []
        has_stress = "stress" in self.calculator.implemented_properties
        for cell in supercells:
            atoms = Atoms(
                numbers=cell.numbers,
                magmoms=cell.magnetic_moments,
                cell=cell.cell,
                positions=cell.positions,
                masses=cell.masses,
                pbc=True,
            )
            # Forces first: many calculators compute energies along with forces.
            forces.append(self.calculator.get_forces(atoms))
            energies.append(self.calculator.get_potential_energy(atoms))
            if has_stress:
                stresses.append(_tensor(self.calculator.get_stress(atoms)))
        return Evaluation(
            np.array(energies),
            np.array(forces),
            np.array(stresses) if has_stress else None,
        )

    def save(self, path: Path) -> None:
        """Raise an error, because ASE calculators cannot be saved."""
        raise PotentialError(
            f"{path}: an ASE calculator cannot be saved; name it again by "
            "--force-calculator-options 'calculator = module:Class'."
        )


def load(path: Path | None, options: AseOptions) -> AsePotential:
    """Import the class and create the calculator.

    Raises
    ------
    ParameterError
        If the name is not ``module:Class``, the import fails, or an option is unknown.
    """
    if path is not None:
        raise ParameterError(
            f"--mlp-file = {path}; the ase calculator reads no file of its own. Give "
            "the file to the class, e.g. 'calculator = module:Class, model = FILE'."
        )
    cls = _import_class(options.calculator)
    _check_keywords(cls, options.keywords)
    try:
        return AsePotential(cls(**options.keywords))
    except Exception as error:
        raise ParameterError(
            f"{options.calculator}: the calculator cannot be created: {error}"
        ) from error


@hookimpl
def phono3py_mlp_force_calculators() -> Iterable[ForceCalculator]:
    """Register the calculator ase."""
    yield ForceCalculator(
        name="ase",
        summary="any ASE calculator: 'calculator = module:Class, key = value'",
        load=load,
        options=AseOptions,
        unavailable_reason=_unavailable_reason,
        citation="A. Hjorth Larsen et al., J. Phys.: Condens. Matter 29, 273002 (2017)",
    )


def _tensor(voigt: Any) -> Any:
    """Return the tensor with the six components xx yy zz yz xz xy."""
    xx, yy, zz, yz, xz, xy = voigt
    return np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])


def _unavailable_reason() -> str | None:
    if importlib.util.find_spec("ase") is None:
        return "ase is not installed. Install it by 'pip install ase'."
    return None


def _import_class(name: str) -> Any:
    module, colon, attribute = name.partition(":")
    if not (module and colon and attribute):
        raise ParameterError(
            f"calculator = {name!r}; expected module:Class, "
            "e.g. 'calculator = ase.calculators.emt:EMT'."
        )
    try:
        imported = importlib.import_module(module)
    except ImportError as error:
        raise ParameterError(f"calculator = {name}: {error}.") from error
    cls = getattr(imported, attribute, None)
    if not inspect.isclass(cls):
        classes = [n for n, c in vars(imported).items() if inspect.isclass(c)]
        raise ParameterError(
            f"calculator = {name}: {module} has no class {attribute!r}."
            + did_you_mean(attribute, classes)
        )
    return cls


def _check_keywords(cls: Any, keywords: dict[str, Any]) -> None:
    """Raise if an option is unknown, which the class may ignore in its ``**kwargs``."""
    parameters = inspect.signature(cls).parameters
    known = {n for n, p in parameters.items() if p.kind is not p.VAR_KEYWORD}
    known |= set(getattr(cls, "default_parameters", {}))
    for name in keywords:
        if name not in known:
            raise ParameterError(
                f"{cls.__name__}: unknown option {name!r}.{did_you_mean(name, known)} "
                f"Known: {', '.join(sorted(known))}."
            )

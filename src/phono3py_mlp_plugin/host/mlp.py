"""The host's PhonopyMLP on top of force-calculator plugins."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from phonopy.interface.mlp import PhonopyMLP

from phono3py_mlp_plugin.contracts import Potential
from phono3py_mlp_plugin.errors import DatasetError, ParameterError, PotentialError
from phono3py_mlp_plugin.files import (
    PartialEvaluations,
    Provenance,
    evaluation_key,
    write_potential,
)
from phono3py_mlp_plugin.host.bindings import original
from phono3py_mlp_plugin.host.output import (
    plan_lines,
    potential_lines,
    progress,
    show,
)
from phono3py_mlp_plugin.host.solvers import leave_to_host
from phono3py_mlp_plugin.workflow import (
    CalculatorSpec,
    ObtainedPotential,
    check_born_charges,
    check_dataset,
    check_split,
    evaluate,
    forecast,
    obtain_potential,
    plan_potential,
    read_dataset,
    read_potential,
    request_calculator,
    train,
)

if TYPE_CHECKING:
    from phono3py import Phono3py
    from phonopy.structure.atoms import PhonopyAtoms

    from phono3py_mlp_plugin.contracts import Dataset

DEFAULT_CALCULATOR = "pypolymlp"
DEFAULT_FILE = "polymlp.yaml"


class PluginMLP(PhonopyMLP):
    """What ``Phono3py.mlp`` is: a potential of any force calculator.

    Attributes
    ----------
    calculator : str
    potential : Potential or None
    provenance : Provenance or None
        None for a potential that was read and does not say.
    origin : str or None
        Fingerprint of what decides the potential's forces.
    folder : Path or None
        Where long evaluations are kept by parts.
    supercell : PhonopyAtoms or None
        The one without displacements, for the species of displaced ones.
    """

    def __init__(self, mlp: Any = None, log_level: int = 0) -> None:
        super().__init__(mlp=mlp, log_level=log_level)
        self.calculator = DEFAULT_CALCULATOR
        self.potential: Potential | None = None
        self.provenance: Provenance | None = None
        self.origin: str | None = None
        self.folder: Path | None = None
        self.supercell: PhonopyAtoms | None = None

    @property
    def mlp(self) -> Any:
        """The native object of the library behind the potential, where it has one."""
        if self.potential is None:
            return self._mlp
        return getattr(self.potential, "polymlp", self.potential)

    def take(self, calculator: str, obtained: ObtainedPotential) -> PluginMLP:
        """Take a potential that was trained or read."""
        self.calculator = calculator
        self.potential = obtained.potential
        self.provenance = obtained.provenance
        self.origin = obtained.origin
        return self

    def develop(
        self,
        mlp_dataset: Any,
        supercell: PhonopyAtoms,
        params: Any = None,
        test_size: float = 0.1,
        allow_poor_fit: bool = False,
    ) -> None:
        """Train on displacements, forces and energies of one supercell."""
        dataset = read_dataset(mlp_dataset, supercell, "mlp_dataset")
        if dataset is None:
            raise DatasetError("mlp_dataset: forces are missing; training needs them.")
        request = request_calculator(self.calculator, _by_name(params), "mlp_params")
        split = request.divide(len(dataset), test_size)
        notes = [*check_dataset(dataset), *check_split(dataset, split)]
        show([f"Note: {note}" for note in notes], self._log_level)
        training = train(
            request, dataset, split, progress(self._log_level), allow_poor_fit
        )
        self.supercell = dataset.supercell
        self.take(self.calculator, ObtainedPotential.just_trained(training))

    def load(self, filename: str | os.PathLike[str] | None = None) -> PluginMLP:
        """Read a potential of the default calculator."""
        path = Path(DEFAULT_FILE if filename is None else filename)
        request = request_calculator(self.calculator)
        return self.take(self.calculator, read_potential(request, path))

    def save(
        self, filename: str | os.PathLike[str] | None = None, optimal: bool = True
    ) -> None:
        """Write the potential with its provenance; not ``optimal``: every penalty's."""
        if self.potential is None:
            raise PotentialError("there is no potential to save; train or load one.")
        if not optimal:
            if not hasattr(self.potential, "save_all"):
                raise ParameterError(
                    f"optimal = False: {self.calculator} has no potentials of other "
                    "penalties."
                )
            self.potential.save_all = True
        path = Path(DEFAULT_FILE if filename is None else filename)
        if self.provenance is None:
            self.potential.save(path)
        else:
            write_potential(self.potential, path, self.provenance)

    def evaluate(
        self, supercells_with_displacements: Sequence[PhonopyAtoms | None]
    ) -> tuple[Any, Any, Any]:
        """Return energies (n,), forces (n, N, 3) and the host's six stresses (n, 6).

        The stresses are in eV per supercell, xx yy zz xy yz zx, positive under
        compression, as the host has them; zero where the calculator gives none.
        """
        if self.potential is None:
            raise PotentialError(
                "there is no potential to evaluate; train or load one."
            )
        leave_to_host(False)
        cells = list(supercells_with_displacements)
        result = evaluate(
            self.calculator,
            self.potential,
            cells,
            progress(self._log_level),
            keep=self._partial(cells),
            supercell=self._undisplaced(cells),
        )
        stresses = np.zeros((len(cells), 6))
        if result.stresses is not None:
            volumes = np.array([0.0 if c is None else c.volume for c in cells])
            virials = -result.stresses * volumes[:, None, None]
            stresses = virials[:, (0, 1, 2, 0, 1, 2), (0, 1, 2, 1, 2, 0)]
        return result.energies, result.forces, stresses

    def _undisplaced(self, cells: Sequence[PhonopyAtoms | None]) -> PhonopyAtoms | None:
        """Return the supercell whose atoms these are, where it is known."""
        if self.supercell is None or any(
            cell is not None and len(cell) != len(self.supercell) for cell in cells
        ):
            return None
        return self.supercell

    def _partial(
        self, cells: Sequence[PhonopyAtoms | None]
    ) -> PartialEvaluations | None:
        """Return where parts of this evaluation are kept, in a run of a command."""
        if self.folder is None:
            return None
        return PartialEvaluations(self.folder, evaluation_key(self.origin, cells))


def develop_or_load(
    phonon: Any,
    mlp_params: Any = None,
    mlp_filename: str | os.PathLike[str] | None = None,
    log_level: int = 0,
) -> None:
    """Stand for the host's function of phono3py.load; phonopy keeps its own."""
    from phono3py import Phono3py

    if not isinstance(phonon, Phono3py):
        original("phonopy.cui.load_helper:develop_or_load_pypolymlp")(
            phonon,
            mlp_params=mlp_params,
            mlp_filename=mlp_filename,
            log_level=log_level,
        )
        return
    request = request_calculator(DEFAULT_CALCULATOR, _by_name(mlp_params), "mlp_params")
    check_born_charges(phonon)
    dataset = read_dataset(phonon.mlp_dataset, phonon.supercell, "mlp_dataset")
    path = None if mlp_filename is None else Path(mlp_filename)
    give_potential(phonon, request, dataset, path, log_level)


def give_potential(
    ph3: Phono3py,
    spec: CalculatorSpec,
    dataset: Dataset | None,
    named: Path | None,
    log_level: int,
    allow_poor_fit: bool = False,
) -> None:
    """Give ``ph3`` the potential asked for, and show what is done.

    Parameters
    ----------
    ph3 : Phono3py
    spec : CalculatorSpec
    dataset : Dataset or None
        What there is to train on.
    named : Path or None
        The potential file that the user named: it is used as it is.
    log_level : int
    allow_poor_fit : bool
        Go on although its error is of the size of the forces.
    """
    calculator = spec.calculator
    show(
        [
            f" {calculator.name} start ".center(76, "-"),
            calculator.summary[0].upper() + calculator.summary[1:] + ".",
            *([f"Please cite: {calculator.citation}."] if calculator.citation else []),
        ],
        log_level,
    )
    plan = plan_potential(spec, dataset, named, Path())
    show(plan_lines(plan, spec, dataset), log_level)
    if plan.split is not None:
        assert dataset is not None
        show(list(forecast(spec, dataset, plan.split)), log_level)
    obtained = obtain_potential(
        plan, spec, dataset, progress(log_level), allow_poor_fit
    )
    show(potential_lines(plan, obtained, dataset), log_level)
    mlp = PluginMLP(log_level=log_level).take(calculator.name, obtained)
    mlp.supercell = ph3.supercell
    ph3.mlp = mlp
    show([f" {calculator.name} end ".center(76, "-")], log_level)


def _by_name(params: Any) -> str | Mapping[str, Any] | None:
    """Return the host's parameters as text or by name, those not set left out."""
    if params is None or isinstance(params, str | Mapping):
        return params
    if dataclasses.is_dataclass(params) and not isinstance(params, type):
        return dataclasses.asdict(params)
    raise DatasetError(
        f"mlp_params is a {type(params).__name__}; expected text, a dict or "
        "PypolymlpParams."
    )

"""PhonopyMLP on top of force-calculator plugins."""

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
    Provenance,
    write_potential,
)
from phono3py_mlp_plugin.host.bindings import original
from phono3py_mlp_plugin.host.output import (
    health_lines,
    plan_lines,
    potential_lines,
    progress,
    show,
)
from phono3py_mlp_plugin.host.solvers import set_host_only
from phono3py_mlp_plugin.parallel import SERIAL, Distribution
from phono3py_mlp_plugin.workflow import (
    CalculatorSpec,
    ObtainedPotential,
    PotentialHealth,
    PotentialPlan,
    PotentialSource,
    check_born_charges,
    check_dataset,
    check_split,
    evaluate,
    examine_once,
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
    """The object ``Phono3py.mlp``: a potential of any force calculator.

    Attributes
    ----------
    calculator : str
    potential : Potential or None
    provenance : Provenance or None
        None for a potential that was read from a file without provenance.
    origin : str or None
        Fingerprint of everything that determines the forces.
    distribution : Distribution
        Where supercells are evaluated, and finished ones kept.
    source : PotentialSource or None
        From which workers can load the potential.
    supercell : PhonopyAtoms or None
        Supercell without displacements, which defines the species.
    health : PotentialHealth or None
        Examination of a potential that comes without an error estimate.
    """

    def __init__(self, mlp: Any = None, log_level: int = 0) -> None:
        super().__init__(mlp=mlp, log_level=log_level)
        self.calculator = DEFAULT_CALCULATOR
        self.potential: Potential | None = None
        self.provenance: Provenance | None = None
        self.origin: str | None = None
        self.distribution: Distribution = SERIAL
        self.source: PotentialSource | None = None
        self.supercell: PhonopyAtoms | None = None
        self.health: PotentialHealth | None = None

    @property
    def mlp(self) -> Any:
        """The native object of the library behind the potential, if there is one."""
        if self.potential is None:
            return self._mlp
        return getattr(self.potential, "polymlp", self.potential)

    def set_potential(self, calculator: str, obtained: ObtainedPotential) -> PluginMLP:
        """Set a potential that was trained or read, and return self."""
        self.calculator = calculator
        self.potential = obtained.potential
        self.provenance = obtained.provenance
        self.origin = obtained.origin
        self.source = obtained.source
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
        request = request_calculator(self.calculator, _parameters(params), "mlp_params")
        split = request.divide(len(dataset), test_size)
        notes = [*check_dataset(dataset), *check_split(dataset, split)]
        show([f"Note: {note}" for note in notes], self._log_level)
        training = train(
            request, dataset, split, progress(self._log_level), allow_poor_fit
        )
        self.supercell = dataset.supercell
        self.set_potential(self.calculator, ObtainedPotential.just_trained(training))

    def load(self, filename: str | os.PathLike[str] | None = None) -> PluginMLP:
        """Read a potential of the default calculator."""
        path = Path(DEFAULT_FILE if filename is None else filename)
        request = request_calculator(self.calculator)
        return self.set_potential(self.calculator, read_potential(request, path))

    def save(
        self, filename: str | os.PathLike[str] | None = None, optimal: bool = True
    ) -> None:
        """Write the potential with its provenance.

        Parameters
        ----------
        filename : str or path-like, optional
        optimal : bool
            If False, the potentials of all ridge penalties are written.
        """
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
        """Return energies (n,), forces (n, N, 3) and stresses (n, 6).

        The stresses follow the convention of phonopy: eV per supercell in the order
        xx yy zz xy yz zx, positive under compression. They are zero if the calculator
        does not provide any.
        """
        if self.potential is None:
            raise PotentialError(
                "there is no potential to evaluate; train or load one."
            )
        set_host_only(False)
        cells = list(supercells_with_displacements)
        result = evaluate(
            self.calculator,
            self.potential,
            cells,
            progress(self._log_level),
            supercell=self._perfect_supercell(cells),
            distribution=self.distribution,
            source=self.source,
            origin=self.origin,
        )
        stresses = np.zeros((len(cells), 6))
        if result.stresses is not None:
            volumes = np.array([0.0 if c is None else c.volume for c in cells])
            virials = -result.stresses * volumes[:, None, None]
            stresses = virials[:, (0, 1, 2, 0, 1, 2), (0, 1, 2, 1, 2, 0)]
        return result.energies, result.forces, stresses

    def _perfect_supercell(
        self, cells: Sequence[PhonopyAtoms | None]
    ) -> PhonopyAtoms | None:
        """Return the supercell without displacements, if it is known."""
        if self.supercell is None or any(
            cell is not None and len(cell) != len(self.supercell) for cell in cells
        ):
            return None
        return self.supercell


def develop_or_load(
    phonon: Any,
    mlp_params: Any = None,
    mlp_filename: str | os.PathLike[str] | None = None,
    log_level: int = 0,
) -> None:
    """Replace the function in phono3py.load; phonopy still uses the original."""
    from phono3py import Phono3py

    if not isinstance(phonon, Phono3py):
        original("phonopy.cui.load_helper:develop_or_load_pypolymlp")(
            phonon,
            mlp_params=mlp_params,
            mlp_filename=mlp_filename,
            log_level=log_level,
        )
        return
    request = request_calculator(
        DEFAULT_CALCULATOR, _parameters(mlp_params), "mlp_params"
    )
    check_born_charges(phonon)
    dataset = read_dataset(phonon.mlp_dataset, phonon.supercell, "mlp_dataset")
    path = None if mlp_filename is None else Path(mlp_filename)
    attach_potential(phonon, request, dataset, path, log_level)


def attach_potential(
    ph3: Phono3py,
    spec: CalculatorSpec,
    dataset: Dataset | None,
    mlp_file: Path | None,
    log_level: int,
    allow_poor_fit: bool = False,
    distribution: Distribution = SERIAL,
) -> None:
    """Obtain the potential, set it in ``ph3`` and print the steps.

    Parameters
    ----------
    ph3 : Phono3py
    spec : CalculatorSpec
    dataset : Dataset or None
        Training data.
    mlp_file : Path or None
        Potential file given by the user, used as it is.
    log_level : int
    allow_poor_fit : bool
        Continue even if its error is as large as the forces.
    distribution : Distribution
        Where supercells are evaluated.

    Raises
    ------
    ParameterError
        If a part of the work is requested, but the potential is not trained yet.
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
    obtained, health = obtain(
        spec,
        dataset,
        mlp_file,
        ph3.supercell,
        log_level,
        allow_poor_fit,
        distribution=distribution,
    )
    mlp = PluginMLP(log_level=log_level).set_potential(calculator.name, obtained)
    mlp.supercell = ph3.supercell
    mlp.distribution = distribution
    mlp.health = health
    ph3.mlp = mlp
    show([f" {calculator.name} end ".center(76, "-")], log_level)


def obtain(
    spec: CalculatorSpec,
    dataset: Dataset | None,
    file: Path | None,
    supercell: PhonopyAtoms,
    log_level: int,
    allow_poor_fit: bool = False,
    name: str | None = None,
    distribution: Distribution = SERIAL,
) -> tuple[ObtainedPotential, PotentialHealth | None]:
    """Obtain a potential, compare it with a dataset, examine it; print the steps.

    Parameters
    ----------
    spec, dataset, file, log_level, allow_poor_fit
        See `attach_potential`.
    supercell : PhonopyAtoms
        Supercell without displacements.
    name : str, optional
        Name in messages, by default that of the calculator.
    distribution : Distribution
        Where supercells are evaluated.

    Raises
    ------
    ParameterError
        If a part of the work is requested, but the potential is not trained yet.
    """
    plan = plan_potential(spec, dataset, file, Path())
    _check_part(plan, distribution)
    show(plan_lines(plan, spec, dataset), log_level)
    if plan.split is not None:
        assert dataset is not None
        show(list(forecast(spec, dataset, plan.split)), log_level)
    obtained = obtain_potential(
        plan, spec, dataset, progress(log_level), allow_poor_fit, distribution
    )
    show(potential_lines(plan, obtained, dataset), log_level)
    return obtained, examine(spec, obtained, supercell, log_level, allow_poor_fit, name)


def _check_part(plan: PotentialPlan, distribution: Distribution) -> None:
    """Raise if each of several parts of a run would train the potential."""
    if plan.trains and distribution.part is not None:
        raise ParameterError(
            f"--part = {distribution.part}: the potential is not trained yet"
            f"{plan.reason and f' ({plan.reason})'}, which is not done in parts. Run "
            "phono3py with the same options of the potential once, without "
            "--part, --mesh and --br."
        )


def examine(
    spec: CalculatorSpec,
    obtained: ObtainedPotential,
    supercell: PhonopyAtoms,
    log_level: int,
    allow_poor_fit: bool = False,
    name: str | None = None,
) -> PotentialHealth | None:
    """Examine a potential that comes without an error estimate, and print the result.

    Parameters
    ----------
    spec : CalculatorSpec
    obtained : ObtainedPotential
    supercell : PhonopyAtoms
        Supercell without displacements.
    log_level : int
    allow_poor_fit : bool
        Continue even if forces are wrong.
    name : str, optional
        Name in messages, by default that of the calculator.

    Returns
    -------
    PotentialHealth or None
        None if the error of the potential is known.

    Raises
    ------
    PotentialError
        If forces are wrong, and this is not allowed.
    """
    calculator = spec.calculator
    if obtained.provenance is not None or calculator.derivatives:
        return None
    name = name or calculator.name
    health, known = examine_once(
        name,
        obtained.potential,
        supercell,
        obtained.origin,
        Path(),
        progress(log_level),
    )
    show(health_lines(health, known), log_level)
    if not allow_poor_fit:
        health.check(name)
    return health


def _parameters(params: Any) -> str | Mapping[str, Any] | None:
    """Return the parameters of phono3py as text or as a dict."""
    if params is None or isinstance(params, str | Mapping):
        return params
    if dataclasses.is_dataclass(params) and not isinstance(params, type):
        return dataclasses.asdict(params)
    raise DatasetError(
        f"mlp_params is a {type(params).__name__}; expected text, a dict or "
        "PypolymlpParams."
    )

"""Reading, examination and evaluation of potentials."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from phono3py_mlp_plugin import plugins, workflow
from phono3py_mlp_plugin.api.results import Result, Row, plain
from phono3py_mlp_plugin.api.training import Options, Training, potential_of
from phono3py_mlp_plugin.contracts import (
    Dataset,
    Evaluation,
    Potential,
    Progress,
    no_progress,
)
from phono3py_mlp_plugin.errors import DatasetError, PotentialError
from phono3py_mlp_plugin.files import find_potential, potential_files
from phono3py_mlp_plugin.parallel import Distribution, distribution_of
from phono3py_mlp_plugin.plotting import Style
from phono3py_mlp_plugin.ranges import POSITIVE, check_range
from phono3py_mlp_plugin.reports import figures
from phono3py_mlp_plugin.reports.contents import Snapshots
from phono3py_mlp_plugin.wording import counted

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from phono3py import Phono3py
    from phonopy.structure.atoms import PhonopyAtoms


@dataclass(frozen=True, eq=False, repr=False)
class EvaluationResult(Result, Evaluation):
    """Energies and forces of the displaced supercells, as set in the crystal.

    Attributes
    ----------
    energies, forces, stresses
        See `Evaluation`.
    reference : Dataset or None
        Forces and energies that the supercells had before, such as those of first
        principles.
    of_fc2 : EvaluationResult or None
        The same of the separate supercell of fc2.
    """

    reference: Dataset | None = None
    of_fc2: EvaluationResult | None = None

    @property
    def rmse(self) -> dict[str, float | None]:
        """Root mean square differences from the reference; empty without one.

        Energies in eV/atom, None if the reference has no energies; forces in
        eV/angstrom.
        """
        if self.reference is None:
            return {}
        return workflow.root_mean_square_errors(self.reference, self)

    def to_dict(self) -> dict[str, Any]:
        """Return energies (eV), forces (eV/angstrom) and their errors."""
        return {
            "energies_eV": plain(self.energies),
            "forces_eV_per_angstrom": plain(self.forces),
            "rmse": plain(self.rmse),
            "of_fc2": None if self.of_fc2 is None else self.of_fc2.to_dict(),
        }

    def plot(self) -> Figure:
        """Draw the errors against forces and energies that were known before.

        Raises
        ------
        DatasetError
            If there were none.
        """
        if self.reference is None:
            raise DatasetError(
                "the supercells had no forces before the evaluation; expected some to "
                "compare with. Evaluate a dataset with forces."
            )
        none = np.empty(0, dtype=np.intp)
        split = workflow.Split(none, none)
        formula = workflow.chemical_formula(self.reference.supercell.symbols)
        with Style().applied():
            return figures.draw_parity(
                Snapshots.of(self.reference, self, split), formula
            )

    def _title(self) -> str:
        n, n_atoms = self.forces.shape[:2]
        supercells, atoms = counted(n, "supercell"), counted(n_atoms, "atom")
        return f"Forces and energies of {supercells} of {atoms}"

    def _table(self) -> Sequence[Row]:
        rows = [("", "rms force (eV/angstrom)", "energies (eV)")]
        parts = {"supercell": self}
        if self.of_fc2 is not None:
            parts["supercell of fc2"] = self.of_fc2
        for name, part in parts.items():
            low, high = part.energies.min(), part.energies.max()
            rms = np.sqrt(np.mean(part.forces**2))
            rows.append((name, f"{rms:.4g}", f"{low:.4f} to {high:.4f}"))
        return rows

    def _notes(self) -> Sequence[str]:
        force = self.rmse.get("force")
        if force is None:
            return ()
        return [f"Forces differ from those before by {force:.4g} eV/angstrom (rms)."]


@dataclass(frozen=True, repr=False)
class Examination(Result, workflow.PotentialHealth):
    """What evaluations at small displacements say about a potential.

    Attributes are those of `PotentialHealth`.
    """

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers; forces in eV/angstrom, derivatives with angstrom."""
        return {
            field.name: plain(getattr(self, field.name))
            for field in dataclasses.fields(self)
        }

    def _title(self) -> str:
        return f"Potential, examined in a supercell of {counted(self.n_atoms, 'atom')}"

    def _notes(self) -> Sequence[str]:
        return [str(check) for check in self.checks()]


@dataclass(frozen=True, eq=False, repr=False)
class Relaxation(Result, workflow.RelaxedCell):
    """A relaxed unit cell.

    Attributes
    ----------
    cell : PhonopyAtoms
    largest_force : float
        In eV/angstrom.
    is_lattice_relaxed : bool
        False if the potential gives no stress, or there is vacuum in all directions.
    has_vacuum : bool
        Whether the lattice is kept along a vacuum.
    before : PhonopyAtoms
        The cell before the relaxation.
    """

    before: PhonopyAtoms

    def to_dict(self) -> dict[str, Any]:
        """Return the cell (angstrom, fractional coordinates) and its changes."""
        return {
            "symbols": list(self.cell.symbols),
            "lattice_angstrom": plain(self.cell.cell),
            "scaled_positions": plain(self.cell.scaled_positions),
            "volume_angstrom3": float(self.cell.volume),
            "volume_before_angstrom3": float(self.before.volume),
            "largest_force_eV_per_angstrom": self.largest_force,
            "is_converged": self.is_converged,
            "is_lattice_relaxed": self.is_lattice_relaxed,
        }

    def _title(self) -> str:
        return f"Relaxed cell of {counted(len(self.cell), 'atom')}"

    def _table(self) -> Sequence[Row]:
        old, new = (
            np.linalg.norm(one.cell, axis=1) for one in (self.before, self.cell)
        )
        rows = [
            (name, f"{a:.5f}", f"{b:.5f}")
            for name, a, b in zip("abc", old, new, strict=True)
        ]
        return [("lattice (angstrom)", "before", "relaxed"), *rows]

    def _notes(self) -> Sequence[str]:
        return [f"Largest force: {self.largest_force:.1e} eV/angstrom."]


def examine_potential(
    ph3: Phono3py,
    potential: Potential | Training,
    progress: Progress = no_progress,
) -> Examination:
    """Examine a potential at small displacements of the supercell.

    Fifteen evaluations show whether forces are reproducible, the gradient of the energy
    and independent of position, orientation and order of atoms, how noisy they are, and
    what noise means for fc3.

    Parameters
    ----------
    ph3 : Phono3py
        Its ``supercell`` is used.
    potential : Potential or Training
    progress : Progress, optional
        Reports the progress.

    Returns
    -------
    Examination
        ``checks()``, ``amplitude_checks(amplitude, systematic=...)``,
        ``best_amplitude(default, systematic=...)`` and the numbers behind them.
        ``check(name)`` raises a `PotentialError` if forces are wrong.

    Examples
    --------
    >>> from phono3py import Phono3py
    >>> import phono3py_mlp_plugin as mlp
    >>> from phono3py_mlp_plugin.reference import RigidIonNaCl, nacl_dataset
    >>> unitcell, _ = nacl_dataset(1, repeats=1)
    >>> ph3 = Phono3py(unitcell, supercell_matrix=[2, 2, 2], primitive_matrix="F")
    >>> health = mlp.examine_potential(ph3, RigidIonNaCl())
    >>> all(check.passed for check in health.checks())
    True
    """
    workflow.check_arguments(ph3=ph3, progress=progress)
    given = potential_of(potential)
    health = workflow.examine_potential("potential", given, ph3.supercell, progress)
    return Examination(**dataclasses.asdict(health))


def load_potential(
    path: str | Path | None = None,
    calculator: str = "pypolymlp",
    options: Options = None,
) -> Potential:
    """Read a potential, or create one that needs no file.

    Parameters
    ----------
    path : str or Path, optional
        File of the potential. By default, the usual names of the calculator are
        searched for in the current folder. If only ``polymlp.yaml.1``,
        ``polymlp.yaml.2``, ... exist, ``polymlp.yaml`` refers to the hybrid model of
        all of them.
    calculator : str
    options : str or mapping, optional
        Of the parameters of pypolymlp, only ``engine`` matters here, because a file
        contains those of its training.

    Raises
    ------
    PotentialError
        If there is no file, or it is not a potential of this calculator.
    ParameterError, PluginNotFound
        See `train`.

    Examples
    --------
    >>> import phono3py_mlp_plugin as mlp
    >>> from phono3py_mlp_plugin.reference import nacl_dataset
    >>> potential = mlp.load_potential(
    ...     calculator="ase",
    ...     options="calculator = ase.calculators.lj:LennardJones, sigma = 2.4, rc = 6",
    ... )
    >>> unitcell, _ = nacl_dataset(1, repeats=1)
    >>> potential.evaluate([unitcell]).forces.shape
    (1, 8, 3)
    """
    workflow.check_arguments(file=path, calculator=calculator, options=options)
    request = workflow.request_calculator(calculator, options)
    names = request.calculator.file_names
    file = find_potential(names, Path()) if path is None else Path(path)
    if file is not None and not potential_files(file):
        raise PotentialError(f'"{file}" is not found.')
    return plugins.load(request.calculator, file, request.options)


def evaluate(
    ph3: Phono3py,
    potential: Potential | Training,
    progress: Progress = no_progress,
    *,
    executor: Executor | int | None = None,
) -> EvaluationResult:
    """Set forces and energies of the displaced supercells of ``ph3``.

    If fc2 has a separate supercell, its displaced supercells are also evaluated.

    Parameters
    ----------
    ph3 : Phono3py
        Phono3py object with displacements.
    potential : Potential or Training
        Potential of any force calculator.
    progress : Progress, optional
        Reports the progress.
    executor : concurrent.futures.Executor or int, optional
        Any executor, or a number of processes. The result is the same to the last bit.

    Returns
    -------
    EvaluationResult
        The forces and energies that were set, and the errors of the potential if the
        supercells had forces before.

    Raises
    ------
    DatasetError
        If there are no displacements.
    PotentialError
        If the potential does not support an element of the crystal.
    WorkerError
        If workers cannot be used, or the potential cannot be sent to them.

    Examples
    --------
    >>> from phono3py import Phono3py
    >>> import phono3py_mlp_plugin as mlp
    >>> from phono3py_mlp_plugin.reference import RigidIonNaCl, nacl_dataset
    >>> unitcell, _ = nacl_dataset(1, repeats=1)
    >>> ph3 = Phono3py(unitcell, supercell_matrix=[2, 2, 2], primitive_matrix="F")
    >>> ph3.generate_displacements(distance=0.01, number_of_snapshots=4)
    >>> result = mlp.evaluate(ph3, RigidIonNaCl())
    >>> ph3.forces.shape
    (4, 64, 3)
    """
    workflow.check_arguments(ph3=ph3, progress=progress)
    given = potential_of(potential)
    first, *others = workflow.supercells_of(ph3)
    parts = [first, *(part for part in others if part.dataset is not None)]
    with distribution_of(executor) as distribution:
        results = [_evaluated(part, given, progress, distribution) for part in parts]
    return _joined(results)


def _evaluated(
    part: workflow.CrystalSupercell,
    potential: Potential,
    progress: Progress,
    distribution: Distribution,
) -> EvaluationResult:
    """Set forces and energies of one supercell, and return them."""
    reference = None
    with contextlib.suppress(DatasetError):
        reference = part.read_dataset()
    evaluation = workflow.evaluate(
        type(potential).__name__,
        potential,
        part.displaced(),
        progress,
        distribution=distribution,
    )
    part.set_evaluation(evaluation)
    if reference is not None and reference.forces.shape != evaluation.forces.shape:
        # Pairs beyond a cutoff are not in it.
        reference = None
    return _result(evaluation, reference)


def _result(evaluation: Evaluation, reference: Dataset | None) -> EvaluationResult:
    energies, forces = evaluation.energies, evaluation.forces
    return EvaluationResult(energies, forces, evaluation.stresses, reference)


def _joined(results: Sequence[EvaluationResult]) -> EvaluationResult:
    """Return the result of the supercell, with that of the one of fc2."""
    first, *others = results
    if not others:
        return first
    values = first.energies, first.forces, first.stresses, first.reference
    return EvaluationResult(*values, others[0])


def label(
    ph3: Phono3py,
    potential: Potential | Training,
    progress: Progress = no_progress,
    *,
    born_charges: bool = True,
    allow_poor_fit: bool = False,
    executor: Executor | int | None = None,
) -> EvaluationResult:
    """Make training data: evaluate displaced supercells by a potential, as ``label``.

    Other than `evaluate`, it examines the potential first, does not replace forces, and
    takes Born charges of the potential.

    Parameters
    ----------
    ph3 : Phono3py
        Phono3py object with displacements and without forces.
    potential : Potential or Training
        Potential of any force calculator.
    progress : Progress, optional
        Reports the progress.
    born_charges : bool, optional
        Set ``nac_params`` if there are none and the potential predicts them.
    allow_poor_fit : bool, optional
        Continue even if the forces are not the gradient of the energy.
    executor : concurrent.futures.Executor or int, optional
        See `evaluate`.

    Returns
    -------
    EvaluationResult
        The forces and energies that were set.

    Raises
    ------
    DatasetError
        If there are no displacements, or forces already.
    PotentialError
        If the forces are wrong, or an element is not supported.
    WorkerError
        See `evaluate`.

    Examples
    --------
    >>> from phono3py import Phono3py
    >>> import phono3py_mlp_plugin as mlp
    >>> from phono3py_mlp_plugin.reference import RigidIonNaCl, nacl_dataset
    >>> unitcell, _ = nacl_dataset(1, repeats=1)
    >>> ph3 = Phono3py(unitcell, supercell_matrix=[1, 1, 1], primitive_matrix="F")
    >>> ph3.generate_displacements(distance=0.03, number_of_snapshots=5)
    >>> mlp.label(ph3, RigidIonNaCl()).energies.shape
    (5,)
    """
    from phono3py_mlp_plugin.host.predicted_charges import predict_born_charges

    workflow.check_arguments(
        ph3=ph3,
        progress=progress,
        born_charges=born_charges,
        allow_poor_fit=allow_poor_fit,
    )
    given = potential_of(potential)
    name = type(given).__name__
    if workflow.read_dataset(ph3.dataset, ph3.supercell) is not None:
        raise DatasetError(
            "dataset: the supercells have forces already; expected displacements "
            "alone. Use evaluate to replace forces."
        )
    first, *_ = workflow.supercells_of(ph3)
    first.displaced()
    if not callable(getattr(given, "force_constants", None)):
        health = workflow.examine_potential(name, given, ph3.supercell, progress)
        if not allow_poor_fit:
            health.check(name)
    if born_charges:
        predict_born_charges(ph3, name, given)
    return evaluate(ph3, given, progress, executor=executor)


def relax(
    cell: PhonopyAtoms,
    potential: Potential | Training,
    symprec: float = 1e-5,
    progress: Progress = no_progress,
) -> Relaxation:
    """Return a cell with relaxed lattice and positions and unchanged symmetry.

    The lattice is relaxed if the potential gives stresses, but not where there is
    vacuum.

    Parameters
    ----------
    cell : PhonopyAtoms
        A unit cell, which is not changed.
    potential : Potential or Training
    symprec : float, optional
        Tolerance of the symmetry search in angstrom.
    progress : Progress, optional
        Reports the progress.

    Returns
    -------
    Relaxation
        ``cell``, ``largest_force`` (eV/angstrom) and what was relaxed.

    Raises
    ------
    PluginNotFound
        If ase is not installed.
    PotentialError
        If the forces did not vanish, or the crystal is not bound.
    """
    workflow.check_arguments(cell=cell, progress=progress)
    check_range("symprec", symprec, POSITIVE)
    given = potential_of(potential)
    name = type(given).__name__
    found = workflow.relax_cell(name, given, cell, symprec, progress)
    return Relaxation(
        found.cell,
        found.largest_force,
        found.is_lattice_relaxed,
        found.has_vacuum,
        cell,
    )

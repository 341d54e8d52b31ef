"""Obtaining a potential: used again, trained, or read from a file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from phono3py_mlp_plugin import plugins
from phono3py_mlp_plugin.contracts import Dataset, Potential, Progress, no_progress
from phono3py_mlp_plugin.errors import DatasetError, PotentialError
from phono3py_mlp_plugin.files import (
    Provenance,
    back_up,
    find_potential,
    potential_files,
    read_provenance,
    write_potential,
)
from phono3py_mlp_plugin.parallel import SERIAL, Distribution
from phono3py_mlp_plugin.workflow.checks import check_dataset, check_split
from phono3py_mlp_plugin.workflow.dataset import Split
from phono3py_mlp_plugin.workflow.evaluate import evaluate, root_mean_square_errors
from phono3py_mlp_plugin.workflow.physics import Check, check_fit
from phono3py_mlp_plugin.workflow.potential_source import PotentialSource
from phono3py_mlp_plugin.workflow.request import CalculatorSpec
from phono3py_mlp_plugin.workflow.reuse import decide_potential, engine_of, origin_of
from phono3py_mlp_plugin.workflow.train import (
    CONTINUE_REMEDY,
    Training,
    train,
    training_fingerprint,
    training_parameters,
)


@dataclass(frozen=True, eq=False)
class PotentialPlan:
    """How a potential is going to be obtained.

    Attributes
    ----------
    path : Path or None
        The file that is read or, if a potential is trained, written.
    split : Split or None
        Division of the dataset; None if nothing is trained.
    reason : str
        Why an existing potential is used or not. Empty if there is none.
    notes : tuple of str
        Notes on suspicious properties of the dataset.
    """

    path: Path | None
    split: Split | None = None
    reason: str = ""
    notes: tuple[str, ...] = ()

    @property
    def trains(self) -> bool:
        """Whether a potential is going to be trained."""
        return self.split is not None


@dataclass(frozen=True, eq=False)
class ObtainedPotential:
    """A potential and its origin.

    Attributes
    ----------
    potential : Potential
    provenance : Provenance or None
        None for a potential that was read from a file without it.
    origin : str
        Fingerprint of everything that determines its forces.
    backup : Path or None
        Backup of the potential that was replaced.
    difference : float or None
        Root mean square difference of its forces from those of a dataset that it was
        not trained on (eV/angstrom).
    fit : Check or None
        Result of the check of this difference.
    source : PotentialSource or None
        From which workers can load it.
    """

    potential: Potential
    provenance: Provenance | None
    origin: str
    backup: Path | None = None
    difference: float | None = None
    fit: Check | None = None
    source: PotentialSource | None = None

    @classmethod
    def just_trained(cls, training: Training) -> ObtainedPotential:
        """Return a trained potential that is not written to a file."""
        provenance = training.provenance
        return cls(training.potential, provenance, provenance.fingerprint)


def plan_potential(
    spec: CalculatorSpec, dataset: Dataset | None, named: Path | None, folder: Path
) -> PotentialPlan:
    """Decide how the requested potential is obtained.

    Parameters
    ----------
    spec : CalculatorSpec
    dataset : Dataset or None
        The dataset for training, if there is one.
    named : Path or None
        The potential file given by the user, which is used without any decision.
    folder : Path
        Folder in which potentials are searched for and written.

    Raises
    ------
    DatasetError
        If the dataset is inconsistent, or there is neither a dataset nor a potential.
    PotentialError
        If the given file does not exist.
    """
    names = spec.calculator.file_names
    notes = () if dataset is None else tuple(check_dataset(dataset))
    if named is not None:
        if not potential_files(named):
            raise PotentialError(
                f'"{named}" is not found. Train a potential or name one.'
            )
        return PotentialPlan(named, notes=notes)
    existing = find_potential(names, folder)
    if spec.calculator.train is None or dataset is None:
        if existing is None and names:
            raise DatasetError(
                "there is neither a dataset with forces to train on nor a potential "
                f"({', '.join(names)}). Give phono3py_params.yaml, or --mlp-file FILE."
            )
        return PotentialPlan(existing, notes=notes)
    split = spec.divide(len(dataset))
    notes += tuple(check_split(dataset, split))
    reason = ""
    if existing is not None:
        decision = decide_potential(
            existing,
            read_provenance(existing),
            training_fingerprint(spec, dataset, split),
            training_parameters(spec, split),
        )
        reason = decision.reason
        if decision.reuse:
            return PotentialPlan(existing, reason=reason, notes=notes)
    name = names[0] if names else f"{spec.calculator.name}.potential"
    return PotentialPlan(folder / name, split, reason, notes)


def obtain_potential(
    plan: PotentialPlan,
    spec: CalculatorSpec,
    dataset: Dataset | None,
    progress: Progress = no_progress,
    allow_poor_fit: bool = False,
    distribution: Distribution = SERIAL,
) -> ObtainedPotential:
    """Train and save the potential, or read it, as planned.

    Raises
    ------
    PhysicsError
        If its error is comparable to the forces, and this is not allowed.
    PotentialError, PluginFailed
        See `train`, `plugins.load` and `evaluate`.
    """
    if plan.split is None:
        obtained = read_potential(spec, plan.path)
        if dataset is None:
            return obtained
        return _with_checked_fit(
            plan, spec, dataset, obtained, progress, allow_poor_fit, distribution
        )
    assert dataset is not None and plan.path is not None
    training = train(spec, dataset, plan.split, progress, allow_poor_fit, distribution)
    backup = back_up(plan.path) if plan.path.is_file() else None
    write_potential(training.potential, plan.path, training.provenance)
    return ObtainedPotential(
        training.potential,
        training.provenance,
        origin_of(spec, plan.path, engine_of(training.potential)),
        backup,
    )


def _with_checked_fit(
    plan: PotentialPlan,
    spec: CalculatorSpec,
    dataset: Dataset,
    obtained: ObtainedPotential,
    progress: Progress,
    allow_poor_fit: bool,
    distribution: Distribution,
) -> ObtainedPotential:
    """Check the error of a potential that was read, and return it with the result."""
    if plan.reason:
        # It was trained on this dataset: its test error was recorded.
        if obtained.provenance is not None:
            check_fit(
                obtained.provenance.rmse["test"]["force"],
                dataset.select(spec.divide(len(dataset)).test).forces,
                allow=allow_poor_fit,
                remedy=CONTINUE_REMEDY,
            )
        return obtained
    evaluation = evaluate(
        spec.calculator.name,
        obtained.potential,
        dataset.supercells(),
        progress,
        distribution=distribution,
        source=obtained.source,
        origin=obtained.origin,
    )
    difference = root_mean_square_errors(dataset, evaluation)["force"]
    # A calculator that is not trained need not reproduce these forces.
    allowed = allow_poor_fit or spec.calculator.train is None
    fit = check_fit(difference, dataset.forces, allow=allowed, remedy=CONTINUE_REMEDY)
    return replace(obtained, difference=difference, fit=fit)


def read_potential(spec: CalculatorSpec, path: Path | None) -> ObtainedPotential:
    """Read a potential from a file, or create one that does not need a file.

    Raises
    ------
    PotentialError
        If the file does not exist, or is not a potential of this calculator.
    """
    if path is not None and not potential_files(path):
        raise PotentialError(f'"{path}" is not found. Train a potential or name one.')
    potential = plugins.load(spec.calculator, path, spec.options)
    origin = origin_of(spec, path, engine_of(potential))
    return ObtainedPotential(
        potential,
        None if path is None else read_provenance(path),
        origin,
        source=PotentialSource.of(spec, path, origin),
    )

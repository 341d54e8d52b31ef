"""A potential used again, trained or read: decided first, then done."""

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
from phono3py_mlp_plugin.workflow.checks import check_dataset, check_split
from phono3py_mlp_plugin.workflow.dataset import Split
from phono3py_mlp_plugin.workflow.evaluate import evaluate, root_mean_square_errors
from phono3py_mlp_plugin.workflow.physics import Check, check_fit
from phono3py_mlp_plugin.workflow.request import CalculatorSpec
from phono3py_mlp_plugin.workflow.reuse import decide_potential, origin_of
from phono3py_mlp_plugin.workflow.train import (
    GO_ON,
    Training,
    engine_of,
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
        The file that is read or, where a potential is trained, written.
    split : Split or None
        Of the dataset; None where nothing is trained.
    reason : str
        Why a potential that was found is used or not; empty where there is nothing to
        say.
    notes : tuple of str
        What looks suspicious about the dataset.
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
    """A potential and where it comes from.

    Attributes
    ----------
    potential : Potential
    provenance : Provenance or None
        None for a potential that was read and does not say.
    origin : str
        Fingerprint of what decides its forces.
    backup : Path or None
        Where the potential is kept that was there before.
    difference : float or None
        Root mean square difference of its forces from those of a dataset that it was
        not trained on (eV/angstrom).
    fit : Check or None
        The verdict on that.
    """

    potential: Potential
    provenance: Provenance | None
    origin: str
    backup: Path | None = None
    difference: float | None = None
    fit: Check | None = None

    @classmethod
    def just_trained(cls, training: Training) -> ObtainedPotential:
        """Return a potential that is in no file."""
        provenance = training.provenance
        return cls(training.potential, provenance, provenance.fingerprint)


def plan_potential(
    spec: CalculatorSpec, dataset: Dataset | None, named: Path | None, folder: Path
) -> PotentialPlan:
    """Decide how the potential asked for is obtained.

    Parameters
    ----------
    spec : CalculatorSpec
    dataset : Dataset or None
        What there is to train on.
    named : Path or None
        The potential file that the user named: it is used as it is.
    folder : Path
        Where potentials are looked for and written.

    Raises
    ------
    DatasetError
        The dataset contradicts itself, or there is neither a dataset nor a potential.
    PotentialError
        The file named is not there.
    """
    names = spec.calculator.file_names
    notes = () if dataset is None else tuple(check_dataset(dataset))
    if named is not None:
        if not potential_files(named):
            raise PotentialError(
                f'"{named}" is not found. Train a potential or name one.'
            )
        return PotentialPlan(named, notes=notes)
    found = find_potential(names, folder)
    if spec.calculator.train is None or dataset is None:
        if found is None and names:
            raise DatasetError(
                "there is neither a dataset with forces to train on nor a potential "
                f"({', '.join(names)}). Give phono3py_params.yaml, or --mlp-file FILE."
            )
        return PotentialPlan(found, notes=notes)
    split = spec.divide(len(dataset))
    notes += tuple(check_split(dataset, split))
    reason = ""
    if found is not None:
        decision = decide_potential(
            found,
            read_provenance(found),
            training_fingerprint(spec, dataset, split),
            training_parameters(spec, split),
        )
        reason = decision.reason
        if decision.reuse:
            return PotentialPlan(found, reason=reason, notes=notes)
    name = names[0] if names else f"{spec.calculator.name}.potential"
    return PotentialPlan(folder / name, split, reason, notes)


def obtain_potential(
    plan: PotentialPlan,
    spec: CalculatorSpec,
    dataset: Dataset | None,
    progress: Progress = no_progress,
    allow_poor_fit: bool = False,
) -> ObtainedPotential:
    """Train and save the potential, or read it, as planned.

    Raises
    ------
    PhysicsError
        Its error is of the size of the forces, and that is not allowed.
    PotentialError, PluginFailed
        As `train`, `plugins.load` and `evaluate`.
    """
    if plan.split is None:
        obtained = read_potential(spec, plan.path)
        if dataset is None:
            return obtained
        return _compared(plan, spec, dataset, obtained, progress, allow_poor_fit)
    assert dataset is not None and plan.path is not None
    training = train(spec, dataset, plan.split, progress, allow_poor_fit)
    backup = back_up(plan.path) if plan.path.is_file() else None
    write_potential(training.potential, plan.path, training.provenance)
    return ObtainedPotential(
        training.potential,
        training.provenance,
        origin_of(spec, plan.path, engine_of(training.potential)),
        backup,
    )


def _compared(
    plan: PotentialPlan,
    spec: CalculatorSpec,
    dataset: Dataset,
    obtained: ObtainedPotential,
    progress: Progress,
    allow_poor_fit: bool,
) -> ObtainedPotential:
    """Return a potential that was read, when its error on the dataset is known."""
    if plan.reason:
        # It was trained on this dataset: the error of then.
        if obtained.provenance is not None:
            check_fit(
                obtained.provenance.rmse["test"]["force"],
                dataset.select(spec.divide(len(dataset)).test).forces,
                allow=allow_poor_fit,
                remedy=GO_ON,
            )
        return obtained
    evaluation = evaluate(
        spec.calculator.name, obtained.potential, dataset.supercells(), progress
    )
    difference = root_mean_square_errors(dataset, evaluation)["force"]
    # A calculator that is not trained makes no claim on these forces.
    allowed = allow_poor_fit or spec.calculator.train is None
    fit = check_fit(difference, dataset.forces, allow=allowed, remedy=GO_ON)
    return replace(obtained, difference=difference, fit=fit)


def read_potential(spec: CalculatorSpec, path: Path | None) -> ObtainedPotential:
    """Read a potential from a file, or make one that needs none.

    Raises
    ------
    PotentialError
        There is no such file, or it is not a potential of this calculator.
    """
    if path is not None and not potential_files(path):
        raise PotentialError(f'"{path}" is not found. Train a potential or name one.')
    potential = plugins.load(spec.calculator, path, spec.options)
    return ObtainedPotential(
        potential,
        None if path is None else read_provenance(path),
        origin_of(spec, path, engine_of(potential)),
    )

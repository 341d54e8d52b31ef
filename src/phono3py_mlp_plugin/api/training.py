"""Training of potentials, with the potentials of an ensemble for error bars."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from phono3py_mlp_plugin import workflow
from phono3py_mlp_plugin.api.results import Result, Row, plain
from phono3py_mlp_plugin.contracts import (
    Dataset,
    Ensemble,
    LabelledStructure,
    NestedFit,
    Potential,
    Progress,
    TrainedPotential,
    no_progress,
)
from phono3py_mlp_plugin.errors import DatasetError, ParameterError
from phono3py_mlp_plugin.parallel import distribution_of
from phono3py_mlp_plugin.plotting import Style
from phono3py_mlp_plugin.reports import figures
from phono3py_mlp_plugin.reports.contents import Snapshots
from phono3py_mlp_plugin.wording import counted, shown
from phono3py_mlp_plugin.workflow import CalculatorSpec, Split

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from phono3py import Phono3py

Options = str | Mapping[str, Any] | None


@dataclass(frozen=True, eq=False, repr=False)
class Training(Result, workflow.Training):
    """A trained potential, its errors and its provenance.

    Attributes
    ----------
    potential : Potential
    provenance : Provenance
        Split, parameters, errors, ridge penalties, versions.
    dataset : Dataset
        The supercells of training and test.
    split : Split
        Indices of the supercells of ``training`` and ``test``.
    fit : NestedFit or None
        The fit with its ensemble of potentials, if ``members`` were requested.
    """

    dataset: Dataset
    split: Split
    fit: NestedFit | None = None

    @cached_property
    def snapshots(self) -> Snapshots:
        """Forces and energies of the dataset, and those of the potential."""
        evaluation = workflow.evaluate(
            self.provenance.calculator, self.potential, self.dataset.supercells()
        )
        return Snapshots.of(self.dataset, evaluation, self.split)

    def to_dict(self) -> dict[str, Any]:
        """Return the provenance; ``rmse`` is in eV/atom, eV/angstrom, eV/angstrom^3."""
        members = 0 if self.fit is None else len(self.fit.members)
        return {**plain(self.provenance), "n_members": members}

    def plot(self, kind: str = "parity") -> Figure:
        """Draw the errors of the potential.

        Parameters
        ----------
        kind : str
            "parity": errors of forces and energies against those of the dataset;
            "snapshots": the error of each snapshot; "penalties": errors against the
            ridge penalty.

        Raises
        ------
        ParameterError
            If there is no such figure.
        """
        formula = workflow.chemical_formula(self.dataset.supercell.symbols)
        with Style().applied():
            if kind == "penalties" and self.provenance.penalties:
                path = self.provenance.ridge_path()
                return figures.draw_penalties(path, self.provenance.alpha, formula)
            if kind == "snapshots":
                return figures.draw_snapshot_errors(self.snapshots, formula)
            if kind == "parity":
                return figures.draw_parity(self.snapshots, formula)
        raise unknown_figure(kind, ("parity", "snapshots", "penalties"))

    def _title(self) -> str:
        provenance = self.provenance
        return (
            f"Potential of {provenance.calculator}, trained on "
            f"{counted(provenance.n_training, 'supercell')}"
        )

    def _table(self) -> Sequence[Row]:
        sizes = {
            "training": self.provenance.n_training,
            "test": self.provenance.n_test,
            "structures": self.provenance.n_structures,
        }
        rows = [
            (
                name,
                str(sizes[name]),
                _times(1000, rmse["energy"]),
                _times(1000, rmse["force"]),
            )
            for name, rmse in self.provenance.rmse.items()
        ]
        units = ("energy (meV/atom)", "force (meV/angstrom)")
        return [("rms error", "supercells", *units), *rows]

    def _notes(self) -> Sequence[str]:
        count = f"{self.provenance.n_features} coefficients"
        if self.provenance.alpha is not None:
            count += f", ridge penalty {self.provenance.alpha:.0e}"
        if self.fit is not None:
            count += f", {len(self.fit.members)} potentials for error bars"
        note = workflow.penalty_note(
            self.provenance.alpha,
            workflow.smallest_penalty(self.provenance.ridge_path()),
        )
        return [f"{count}.", *([] if note is None else [f"Note: {note}"])]


def _times(factor: float, value: float | None) -> str:
    return "-" if value is None else f"{factor * value:.4g}"


def progress_bar() -> Progress:
    """Return a progress bar, to be passed as ``progress=``.

    Where output is not a terminal, as in notebooks, it prints a line every five
    seconds.
    """
    from phono3py_mlp_plugin.host.output import progress

    return progress(1)


def unknown_figure(kind: str, known: Sequence[str]) -> ParameterError:
    """Return the error for a figure that a result does not have."""
    return ParameterError(
        f"kind = {kind!r}; expected {' or '.join(map(repr, known))}. Choose one."
    )


def potential_of(given: Potential | Training) -> Potential:
    """Return a potential, or that of a training.

    Raises
    ------
    ParameterError
        If it is neither.
    """
    potential = given.potential if isinstance(given, Training) else given
    is_made = not isinstance(potential, type)
    if not (
        is_made
        and hasattr(potential, "elements")
        and callable(getattr(potential, "evaluate", None))
    ):
        raise ParameterError(
            f"potential = {shown(given)}; expected a potential, which has elements and "
            "evaluate. Make one by load_potential or train."
        )
    return potential


def train(
    ph3: Phono3py,
    calculator: str = "pypolymlp",
    options: Options = None,
    progress: Progress = no_progress,
    *,
    allow_poor_fit: bool = False,
    structures: Sequence[LabelledStructure] = (),
    members: int = 0,
    executor: Executor | int | None = None,
) -> Training:
    """Train a potential on the displacements, forces and energies of ``ph3``.

    Parameters
    ----------
    ph3 : Phono3py
        Its ``mlp_dataset`` is used, or its ``dataset`` if that is not set.
    calculator : str
        Name of a force calculator that can be trained.
    options : str or mapping, optional
        Parameters of the model and ``ntrain``, ``ntest``, ``split``, ``seed``, as in
        ``--mlp-params``.
    progress : Progress, optional
        Reports the progress.
    allow_poor_fit : bool, optional
        Return the potential even if its test error is as large as the forces.
    structures : sequence of LabelledStructure, optional
        Structures of other sizes and shapes, which are added to the training set.
    members : int, optional
        Number of potentials around the fit, by jackknife, from which `kappa` gets its
        error bars, as ``--uncertainty``; 16 is a good number.
    executor : concurrent.futures.Executor or int, optional
        Any executor, or a number of processes.

    Returns
    -------
    Training
        ``potential``, ``provenance``, ``plot()`` and ``save(path)``.

    Raises
    ------
    DatasetError
        If there are no forces, or the dataset is inconsistent. Suspicious data only
        give a warning.
    ParameterError
        If an option is unknown or out of range.
    PhysicsError
        If the test error is larger than 30 % of the rms force.
    PluginNotFound
        If no usable calculator has this name.

    Examples
    --------
    A tiny model on supercells of an analytic reference potential:

    >>> from phono3py import Phono3py
    >>> import phono3py_mlp_plugin as mlp
    >>> from phono3py_mlp_plugin.reference import nacl_dataset
    >>> unitcell, data = nacl_dataset(40, repeats=1)
    >>> ph3 = Phono3py(unitcell, supercell_matrix=[1, 1, 1], primitive_matrix="F")
    >>> ph3.mlp_dataset = {
    ...     "displacements": data.displacements,
    ...     "forces": data.forces,
    ...     "supercell_energies": data.energies,
    ... }
    >>> training = mlp.train(ph3, options={"gtinv_maxl": (2, 2), "ntest": 10})
    >>> training.provenance.rmse["test"]["force"] < 1e-3
    True
    """
    workflow.check_arguments(
        ph3=ph3,
        calculator=calculator,
        options=options,
        progress=progress,
        allow_poor_fit=allow_poor_fit,
        structures=structures,
        members=members,
    )
    request = workflow.request_calculator(calculator, options)
    workflow.check_born_charges(ph3)
    dataset = workflow.with_structures(training_data(ph3), structures)
    split = request.divide(len(dataset))
    for note in (
        *workflow.check_dataset(dataset),
        *workflow.check_split(dataset, split),
    ):
        warnings.warn(note, stacklevel=2)
    fits: list[NestedFit] = []
    spec = _with_ensemble(request, members, fits) if members else request
    with distribution_of(executor) as distribution:
        result = workflow.train(
            spec, dataset, split, progress, allow_poor_fit, distribution
        )
    fit = fits[0] if fits else None
    return Training(result.potential, result.provenance, dataset, split, fit)


def training_data(ph3: Phono3py) -> Dataset:
    """Return displacements, forces and energies of ``mlp_dataset``, or of ``dataset``.

    Raises
    ------
    DatasetError
        If there are no forces.
    """
    source = ph3.dataset if ph3.mlp_dataset is None else ph3.mlp_dataset
    dataset = workflow.read_dataset(source, ph3.supercell)
    if dataset is None:
        raise DatasetError("the dataset has no forces; training needs them.")
    return dataset


def check_members(members: int) -> None:
    """Raise if there cannot be so many potentials for error bars."""
    if members < 0 or members == 1:
        raise ParameterError(f"members = {members}; expected 0, or 2 or more.")


def _with_ensemble(
    spec: CalculatorSpec, members: int, fits: list[NestedFit]
) -> CalculatorSpec:
    """Return a calculator that adds the fit with its ensemble to a list."""
    calculator = spec.calculator
    learning_curve = calculator.learning_curve
    check_members(members)
    if learning_curve is None:
        raise ParameterError(
            f"members = {members}: force calculator {calculator.name!r} gives no error "
            "bars. Use pypolymlp, or leave it out."
        )

    def train_ensemble(
        training: Dataset,
        test: Dataset,
        options: Any,
        progress: Progress,
        **distributed: Any,
    ) -> TrainedPotential:
        ensemble = Ensemble(members)
        sizes = [len(training)]
        found = learning_curve(
            training, test, sizes, options, ensemble, progress, **distributed
        )
        fits.extend(found)
        return fits[0].trained

    return replace(spec, calculator=replace(calculator, train=train_ensemble))

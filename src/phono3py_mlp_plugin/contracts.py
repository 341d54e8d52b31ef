"""Records and protocols for plugins.

Notation: ``n`` supercells of ``N`` atoms each, ``N_p`` atoms in the primitive cell.
Units: angstrom, eV, eV/angstrom, eV/angstrom^3.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from phonopy.structure.atoms import PhonopyAtoms
    from phonopy.structure.cells import Primitive
    from phonopy.structure.symmetry import Symmetry

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]
ForceConstants: TypeAlias = dict[int, FloatArray]


class Progress(Protocol):
    """Report the progress of a long step to the user."""

    def __call__(
        self, task: str, total: int | None
    ) -> AbstractContextManager[Callable[[int], None]]:
        """Start a task of ``total`` items.

        The value of the context is called with the number of newly finished items.
        """


@contextmanager
def no_progress(task: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Report no progress."""
    del task, total
    yield lambda _done: None


class MapChunks(Protocol):
    """Compute a function of arrays for many arguments, by workers if there are some."""

    def __call__(
        self,
        function: Callable[[Any, Any], dict[str, FloatArray]],
        shared: Any,
        items: Sequence[Any],
    ) -> Iterator[dict[str, FloatArray]]:
        """Yield ``function(shared, item)`` of all items in their order.

        Parameters
        ----------
        function : callable
            A function of a module, which returns arrays that depend on its arguments
            alone.
        shared : object
            The same for all items; it is sent to each worker once.
        items : sequence
        """


def map_here(
    function: Callable[[Any, Any], dict[str, FloatArray]],
    shared: Any,
    items: Sequence[Any],
) -> Iterator[dict[str, FloatArray]]:
    """Compute a function in this process; see `MapChunks`."""
    return (function(shared, item) for item in items)


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Energies, forces and stresses of ``n`` supercells.

    Attributes
    ----------
    energies : ndarray
        Energies of the supercells in eV, shape ``(n,)``.
    forces : ndarray
        Forces in eV/angstrom, shape ``(n, N, 3)``.
    stresses : ndarray or None
        Stress tensors in eV/angstrom^3, shape ``(n, 3, 3)``: the derivative of the
        energy with respect to strain, divided by the volume; positive under tension.
    """

    energies: FloatArray
    forces: FloatArray
    stresses: FloatArray | None = None


class Potential(Protocol):
    """An interatomic potential that can be evaluated."""

    @property
    def elements(self) -> tuple[str, ...]:
        """Chemical symbols that the potential supports; empty means any."""

    def evaluate(self, supercells: Sequence[PhonopyAtoms]) -> Evaluation:
        """Return energies and forces of supercells of the same size."""

    def save(self, path: Path) -> None:
        """Write the potential in the format that ``load`` of its calculator reads."""


class SupportsForceConstants(Potential, Protocol):
    """A potential that gives its second and third derivatives: an optional capability.

    Force constants are then computed without displacements (solver ``exact``).
    """

    def force_constants(
        self, problem: ForceConstantsProblem, members: Sequence[Any] = ()
    ) -> Iterator[ForceConstants]:
        """Yield fc2 and fc3 of this potential, then those of each of the members.

        Parameters
        ----------
        problem : ForceConstantsProblem
            Supercell, symmetry, orders and shape; displacements and forces are empty.
        members : sequence of Potential
            Potentials of the same class, such as those of an ensemble, which may share
            work.
        """


@dataclass(frozen=True, eq=False)
class LabelledStructure:
    """A structure of any size and shape with its energy, forces and stress.

    Attributes
    ----------
    cell : PhonopyAtoms
    forces : ndarray
        In eV/angstrom, shape ``(N, 3)``.
    energy : float or None
        In eV.
    stress : ndarray or None
        In eV/angstrom^3, with the sign of `Evaluation.stresses`, shape ``(3, 3)``.
    where : str
        Where it was read, for messages.
    """

    cell: PhonopyAtoms
    forces: FloatArray
    energy: float | None = None
    stress: FloatArray | None = None
    where: str = ""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Displaced supercells with forces, and with energies if available.

    Attributes
    ----------
    supercell : PhonopyAtoms
        The supercell without displacements.
    displacements, forces : ndarray
        In angstrom and eV/angstrom, shape ``(n, N, 3)``.
    energies : ndarray or None
        In eV, shape ``(n,)``.
    structures : tuple of LabelledStructure
        Further structures of other sizes and shapes, which belong to every training
        set.
    """

    supercell: PhonopyAtoms
    displacements: FloatArray
    forces: FloatArray
    energies: FloatArray | None = None
    structures: tuple[LabelledStructure, ...] = ()

    def __len__(self) -> int:
        return len(self.displacements)

    def select(self, indices: Sequence[int] | NDArray[np.intp]) -> Dataset:
        """Return the snapshots with these indices, in this order."""
        rows = np.asarray(indices, dtype=np.intp)
        return replace(
            self,
            displacements=self.displacements[rows],
            forces=self.forces[rows],
            energies=None if self.energies is None else self.energies[rows],
        )

    def without_structures(self) -> Dataset:
        """Return the supercells alone."""
        return replace(self, structures=())

    def supercells(self) -> list[PhonopyAtoms]:
        """Return the supercells with displacements."""
        cells = []
        for displacement in self.displacements:
            cell = self.supercell.copy()
            cell.positions = self.supercell.positions + displacement
            cells.append(cell)
        return cells


@dataclass(frozen=True)
class RidgePenalty:
    """A ridge penalty that was tried in a training.

    Attributes
    ----------
    alpha : float
        The penalty.
    rmse_training, rmse_test : float or None
        Weighted errors of the regression; None if the solution failed.
    """

    alpha: float
    rmse_training: float | None
    rmse_test: float | None


@dataclass(frozen=True)
class TrainingCost:
    """Expected cost of a training on this machine.

    Attributes
    ----------
    shared, serial : float
        Seconds for what workers can share, such as the features of all structures, and
        for everything else.
    memory : float
        Peak memory of the process in bytes.
    """

    shared: float
    serial: float
    memory: float


@dataclass(frozen=True, eq=False)
class TrainedPotential:
    """Result of a training.

    Attributes
    ----------
    potential : Potential
    n_features : int
        Number of coefficients of the model.
    alpha : float or None
        Selected ridge penalty, if the model has one.
    penalties : tuple of RidgePenalty
        All penalties that were tried, including failed ones.
    """

    potential: Potential
    n_features: int
    alpha: float | None = None
    penalties: tuple[RidgePenalty, ...] = ()


@dataclass(frozen=True)
class Ensemble:
    """Number and method of the ensemble potentials of a fit.

    Attributes
    ----------
    members : int
    method : str
        "jackknife" over the training supercells, or "posterior" of the regression with
        the noise estimated from left-out supercells.
    seed : int
    """

    members: int = 16
    method: Literal["jackknife", "posterior"] = "jackknife"
    seed: int = 0


@dataclass(frozen=True, eq=False)
class NestedFit:
    """A potential trained on the first supercells, with its uncertainty.

    Attributes
    ----------
    size : int
        Number of training supercells.
    trained : TrainedPotential
    members : sequence of Potential
        Ensemble of potentials, whose scatter is that of the choice of supercells.
    alternatives : sequence of Potential
        Potentials with neighbouring ridge penalties.
    left_out : float
        Root-mean-square error of forces (eV/angstrom) on left-out supercells.
    """

    size: int
    trained: TrainedPotential
    members: Sequence[Potential]
    alternatives: Sequence[Potential]
    left_out: float


class LearningCurve(Protocol):
    """Train on the first n supercells, for ascending n, in one pass."""

    def __call__(
        self,
        training: Dataset,
        test: Dataset,
        sizes: Sequence[int],
        options: Any,
        ensemble: Ensemble,
        progress: Progress,
    ) -> Iterator[NestedFit]:
        """Yield the fit for each size."""


@dataclass(frozen=True)
class NoOptions:
    """Options record of a plugin without options."""


class Train(Protocol):
    """Train a potential; ``test`` may be used for model selection."""

    def __call__(
        self, training: Dataset, test: Dataset, options: Any, progress: Progress
    ) -> TrainedPotential:
        """Return the trained potential."""


def always_usable() -> None:
    """Return None: the plugin can always be used."""
    return


def _accept_former_name(record: Any, former: str, present: str) -> None:
    """Set a field to the value that was given under its former name."""
    value = getattr(record, former)
    if value is None or getattr(record, present) is value:
        return
    kind = type(record).__name__
    warnings.warn(
        f"{record.name!r}: {kind}({former}=...) is called {present} now.",
        DeprecationWarning,
        stacklevel=4,
    )
    object.__setattr__(record, present, value)


@dataclass(frozen=True, kw_only=True)
class ForceCalculator:
    """A force calculator offered by a plugin.

    Attributes
    ----------
    name : str
        Name for the option ``--force-calculator``.
    summary : str
        One line for ``phono3py-mlp plugins``.
    load : callable
        ``load(path, options) -> Potential``; ``path`` is None if no file is used.
    learning_curve : callable or None
        ``learning_curve(training, test, sizes, options, ensemble, progress)`` yields a
        `NestedFit` for each size. Required by ``phono3py-mlp converge`` and
        ``--uncertainty``.
    takes_structures : bool
        Whether its training uses the structures of a `Dataset`, too.
    distributes_training : bool
        Whether `train` and `learning_curve` take a `MapChunks` as the keyword
        ``map_chunks``, by which workers share their work.
    derivatives : bool
        Whether all potentials of its learning curves are `SupportsForceConstants`.
        ``converge`` and ``--uncertainty`` then use the solver ``exact`` by default.
    train_nested, obstacle : callable or None
        Deprecated names of `learning_curve` and `unavailable_reason`.
    forecast : callable or None
        ``forecast(training, test, options) -> lines`` estimates time and memory of the
        training before it starts. Raises `ResourceError` if the memory is not
        sufficient.
    train : callable or None
        ``train(training, test, options, progress) -> TrainedPotential``. None if the
        calculator cannot be trained.
    cost : callable or None
        ``cost(training, test, options, members) -> TrainingCost`` measures what a
        training takes on this machine, with an ensemble of ``members`` potentials if
        that is not zero.
    options : type
        Frozen dataclass of the options, used for parsing, help and documentation.
    file_names : tuple of str
        Names of potential files that are searched for, in this order.
    unavailable_reason : callable
        Returns None if the calculator can be used, otherwise the reason and the remedy.
    citation : str
        Reference to cite, printed with the results.
    """

    name: str
    summary: str
    load: Callable[[Path | None, Any], Potential]
    train: Train | None = None
    learning_curve: LearningCurve | None = None
    forecast: Callable[[Dataset, Dataset, Any], Sequence[str]] | None = None
    cost: Callable[[Dataset, Dataset, Any, int], TrainingCost] | None = None
    options: type = NoOptions
    file_names: tuple[str, ...] = ()
    unavailable_reason: Callable[[], str | None] = always_usable
    citation: str = ""
    takes_structures: bool = False
    distributes_training: bool = False
    derivatives: bool = False
    train_nested: LearningCurve | None = None
    obstacle: Callable[[], str | None] | None = None

    def __post_init__(self) -> None:
        """Accept the former names of fields."""
        _accept_former_name(self, "train_nested", "learning_curve")
        _accept_former_name(self, "obstacle", "unavailable_reason")


@dataclass(frozen=True, eq=False)
class ForceConstantsProblem:
    """Input of a force-constants solver.

    Attributes
    ----------
    supercell, primitive, symmetry
        Objects of phonopy; ``symmetry`` is that of the supercell.
    displacements, forces : ndarray
        In angstrom and eV/angstrom, shape ``(n, N, 3)``; n is 0 for solvers that take
        potentials.
    orders : tuple of int
        Requested orders, ``(2,)`` or ``(2, 3)``.
    is_compact_fc : bool
        If True, the first atom runs over the primitive cell only.
    cutoff : mapping of int to float
        Cutoff distance in angstrom by order; orders without a cutoff are missing.
    dataset : mapping
        Displacement dataset of phono3py with the same data, for finite differences
        with pairs of displacements.
    options : object
        Options record of the solver.
    log_level : int
        0 is silent.
    progress : Progress
        For steps of more than a few seconds.
    map_chunks : MapChunks
        For steps that several workers can share.
    """

    supercell: PhonopyAtoms
    primitive: Primitive
    symmetry: Symmetry
    displacements: FloatArray
    forces: FloatArray
    orders: tuple[int, ...]
    is_compact_fc: bool = True
    cutoff: Mapping[int, float] = field(default_factory=dict)
    dataset: Mapping[str, Any] = field(default_factory=dict)
    options: Any = field(default_factory=NoOptions)
    log_level: int = 0
    progress: Progress = no_progress
    map_chunks: MapChunks = map_here

    def shape(self, order: int) -> tuple[int, ...]:
        """Return the required shape of force constants of this order."""
        n_atoms = len(self.supercell)
        first = len(self.primitive) if self.is_compact_fc else n_atoms
        return (first, *(n_atoms,) * (order - 1), *(3,) * order)

    def with_forces(self, forces: FloatArray) -> ForceConstantsProblem:
        """Return the problem with other forces, also in the dataset.

        Parameters
        ----------
        forces : ndarray
            In eV/angstrom, in the order of the displacements, shape ``(n, N, 3)``.
        """
        first_atoms = self.dataset.get("first_atoms")
        if first_atoms is None:
            dataset = {**self.dataset, "forces": forces}
            return replace(self, forces=forces, dataset=dataset)
        # Single displacements come first, then the included pairs; phono3py expects
        # zeros for pairs that are not included.
        singles = iter(forces[: len(first_atoms)])
        pairs = iter(forces[len(first_atoms) :])
        none = np.zeros_like(forces[0])
        atoms = []
        for atom in first_atoms:
            atoms.append({**atom, "forces": next(singles)})
            if "second_atoms" in atom:
                atoms[-1]["second_atoms"] = [
                    {
                        **pair,
                        "forces": next(pairs) if pair.get("included", True) else none,
                    }
                    for pair in atom["second_atoms"]
                ]
        return replace(
            self, forces=forces, dataset={**self.dataset, "first_atoms": atoms}
        )


SolveMany: TypeAlias = Callable[[FloatArray], Iterator[ForceConstants]]

Differentiate: TypeAlias = Callable[
    [Sequence[Potential], ForceConstantsProblem], Iterator[ForceConstants]
]


@dataclass(frozen=True, kw_only=True)
class ForceConstantsSolver:
    """A force-constants solver offered by a plugin.

    Attributes
    ----------
    name : str
        Name for the option ``--fc-calculator``.
    summary : str
        One line for ``phono3py-mlp plugins``.
    solve : callable
        ``solve(problem) -> {2: fc2, 3: fc3}`` with fc2 in eV/angstrom^2, shape
        ``(N or N_p, N, 3, 3)``, and fc3 in eV/angstrom^3, shape
        ``(N or N_p, N, N, 3, 3, 3)``.
    prepare : callable or None
        ``prepare(problem) -> solve_many`` performs the steps that depend only on
        displacements, for solvers that are linear in the forces.
        ``solve_many(force_sets)`` then yields the result of ``solve`` for each set of
        forces, shape ``(k, n, N, 3)``.
    differentiate : callable or None
        ``differentiate(potentials, problem)`` yields the force constants of each
        potential, for solvers that take potentials instead of forces. Displacements are
        neither generated nor evaluated then, and ``solve`` is called only where there
        is no potential: it raises a `SolverError`.
    orders : tuple of int
        Supported orders.
    options, unavailable_reason, citation, obstacle
        See `ForceCalculator`.
    """

    name: str
    summary: str
    solve: Callable[[ForceConstantsProblem], ForceConstants]
    prepare: Callable[[ForceConstantsProblem], SolveMany] | None = None
    differentiate: Differentiate | None = None
    orders: tuple[int, ...] = (2, 3)
    options: type = NoOptions
    unavailable_reason: Callable[[], str | None] = always_usable
    citation: str = ""
    obstacle: Callable[[], str | None] | None = None

    def __post_init__(self) -> None:
        """Accept the former name of a field."""
        _accept_former_name(self, "obstacle", "unavailable_reason")

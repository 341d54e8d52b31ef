"""Records and protocols that plugins see: the whole contract, in one file.

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
    """Tells the user how far a long step is; a no-op by default."""

    def __call__(
        self, task: str, total: int | None
    ) -> AbstractContextManager[Callable[[int], None]]:
        """Open a task of ``total`` items; call the value with the number just done."""


@contextmanager
def no_progress(task: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Report nothing."""
    del task, total
    yield lambda _done: None


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What a potential says of ``n`` supercells.

    Attributes
    ----------
    energies : ndarray
        Energies of the supercells in eV, shape ``(n,)``.
    forces : ndarray
        Forces in eV/angstrom, shape ``(n, N, 3)``.
    stresses : ndarray or None
        Stress tensors in eV/angstrom^3, shape ``(n, 3, 3)``: the derivative of the
        energy by strain over the volume, positive under tension.
    """

    energies: FloatArray
    forces: FloatArray
    stresses: FloatArray | None = None


class Potential(Protocol):
    """A model of the energy, ready to be asked.

    ``elements`` lists the chemical symbols it was made for; empty means any.
    """

    @property
    def elements(self) -> tuple[str, ...]:
        """Chemical symbols it was made for; empty means any."""

    def evaluate(self, supercells: Sequence[PhonopyAtoms]) -> Evaluation:
        """Return energies and forces of supercells of one size."""

    def save(self, path: Path) -> None:
        """Write the potential so that ``load`` of the same calculator reads it."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Displaced supercells with their forces, and energies where there are any.

    Attributes
    ----------
    supercell : PhonopyAtoms
        The supercell without displacements.
    displacements, forces : ndarray
        In angstrom and eV/angstrom, shape ``(n, N, 3)``.
    energies : ndarray or None
        In eV, shape ``(n,)``.
    """

    supercell: PhonopyAtoms
    displacements: FloatArray
    forces: FloatArray
    energies: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.displacements)

    def select(self, indices: Sequence[int] | NDArray[np.intp]) -> Dataset:
        """Return the snapshots at these indices, in this order."""
        rows = np.asarray(indices, dtype=np.intp)
        return Dataset(
            self.supercell,
            self.displacements[rows],
            self.forces[rows],
            None if self.energies is None else self.energies[rows],
        )

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
    """One penalty that a training tried.

    Attributes
    ----------
    alpha : float
        The penalty.
    rmse_training, rmse_test : float or None
        Weighted errors of the regression; None where the solution failed.
    """

    alpha: float
    rmse_training: float | None
    rmse_test: float | None


@dataclass(frozen=True, eq=False)
class TrainedPotential:
    """What a training returns.

    Attributes
    ----------
    potential : Potential
    n_features : int
        Number of coefficients of the model.
    alpha : float or None
        The penalty chosen, where the model has one.
    penalties : tuple of RidgePenalty
        All penalties tried, the failed ones included.
    """

    potential: Potential
    n_features: int
    alpha: float | None = None
    penalties: tuple[RidgePenalty, ...] = ()


@dataclass(frozen=True)
class Ensemble:
    """How many potentials are drawn about a fit, and how.

    Attributes
    ----------
    members : int
    method : str
        "jackknife": over supercells left out; "posterior": of the regression with the
        noise of supercells left out.
    seed : int
    """

    members: int = 16
    method: Literal["jackknife", "posterior"] = "jackknife"
    seed: int = 0


@dataclass(frozen=True, eq=False)
class NestedFit:
    """A potential trained on the first supercells, and how sure it is.

    Attributes
    ----------
    size : int
        Number of training supercells.
    trained : TrainedPotential
    members : sequence of Potential
        Drawn about it: their scatter is that of the choice of supercells.
    alternatives : sequence of Potential
        With neighbouring penalties.
    left_out : float
        Root mean square error of forces (eV/angstrom) on supercells left out.
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
        """Yield the fit of each size."""


@dataclass(frozen=True)
class NoOptions:
    """The options of a plugin that has none."""


class Train(Protocol):
    """Train a potential; ``test`` may serve to choose among models."""

    def __call__(
        self, training: Dataset, test: Dataset, options: Any, progress: Progress
    ) -> TrainedPotential:
        """Return the trained potential."""


def always_usable() -> None:
    """Return None: nothing is in the way."""
    return


def _take_former_name(record: Any, former: str, present: str) -> None:
    """Give a field the value that was given under its former name."""
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
        What the user writes after ``--force-calculator``.
    summary : str
        One line for ``phono3py-mlp plugins``.
    load : callable
        ``load(path, options) -> Potential``; ``path`` is None where no file is used.
    learning_curve : callable or None
        ``learning_curve(training, test, sizes, options, ensemble, progress)`` yields a
        `NestedFit` for each size: what ``phono3py-mlp converge`` and ``--uncertainty``
        need.
    train_nested, obstacle : callable or None
        The former names of `learning_curve` and `unavailable_reason`, deprecated.
    forecast : callable or None
        ``forecast(training, test, options) -> lines`` for the user, before any work:
        what the training will take. Raises `ResourceError` where memory would not
        suffice.
    train : callable or None
        ``train(training, test, options, progress) -> TrainedPotential``. None says
        before any work that this calculator cannot be trained.
    options : type
        Frozen dataclass of the options; parsing, ``--help`` and documentation come
        from it.
    file_names : tuple of str
        Names under which a potential is looked for, first match first.
    unavailable_reason : callable
        Returns None where the calculator can be used, else why not and the remedy.
    citation : str
        What to cite, printed with the results.
    """

    name: str
    summary: str
    load: Callable[[Path | None, Any], Potential]
    train: Train | None = None
    learning_curve: LearningCurve | None = None
    forecast: Callable[[Dataset, Dataset, Any], Sequence[str]] | None = None
    options: type = NoOptions
    file_names: tuple[str, ...] = ()
    unavailable_reason: Callable[[], str | None] = always_usable
    citation: str = ""
    train_nested: LearningCurve | None = None
    obstacle: Callable[[], str | None] | None = None

    def __post_init__(self) -> None:
        """Take what plugins of earlier versions call by former names."""
        _take_former_name(self, "train_nested", "learning_curve")
        _take_former_name(self, "obstacle", "unavailable_reason")


@dataclass(frozen=True, eq=False)
class ForceConstantsProblem:
    """Everything a solver needs.

    Attributes
    ----------
    supercell, primitive, symmetry
        Of the host; ``symmetry`` belongs to the supercell.
    displacements, forces : ndarray
        In angstrom and eV/angstrom, shape ``(n, N, 3)``.
    orders : tuple of int
        Orders wanted, ``(2,)`` or ``(2, 3)``.
    is_compact_fc : bool
        The first atom runs over the primitive cell only.
    cutoff : mapping of int to float
        Cutoff distance in angstrom of an order, where there is one.
    dataset : mapping
        The host's displacement dataset that the arrays were taken from, for finite
        differences that pair first and second displacements.
    options : object
        The solver's options record.
    log_level : int
        0 is silent.
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

    def shape(self, order: int) -> tuple[int, ...]:
        """Return the shape that force constants of this order must have."""
        n_atoms = len(self.supercell)
        first = len(self.primitive) if self.is_compact_fc else n_atoms
        return (first, *(n_atoms,) * (order - 1), *(3,) * order)

    def with_forces(self, forces: FloatArray) -> ForceConstantsProblem:
        """Return the problem with other forces, those in the dataset included.

        Parameters
        ----------
        forces : ndarray
            In eV/angstrom, in the order of the displacements, shape ``(n, N, 3)``.
        """
        first_atoms = self.dataset.get("first_atoms")
        if first_atoms is None:
            dataset = {**self.dataset, "forces": forces}
            return replace(self, forces=forces, dataset=dataset)
        # Single displacements come first, then the pairs that are included; the host
        # expects zeros in the place of the others.
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


@dataclass(frozen=True, kw_only=True)
class ForceConstantsSolver:
    """A force-constants solver offered by a plugin.

    Attributes
    ----------
    name : str
        What the user writes after ``--fc-calculator``.
    summary : str
        One line for ``phono3py-mlp plugins``.
    solve : callable
        ``solve(problem) -> {2: fc2, 3: fc3}`` with fc2 in eV/angstrom^2, shape
        ``(N or N_p, N, 3, 3)``, and fc3 in eV/angstrom^3, shape
        ``(N or N_p, N, N, 3, 3, 3)``.
    prepare : callable or None
        ``prepare(problem) -> solve_many`` does once what depends on displacements
        alone, where forces enter linearly; ``solve_many(force_sets)`` then yields what
        ``solve`` returns for each set of forces, shape ``(k, n, N, 3)``.
    orders : tuple of int
        Orders it can solve for.
    options, unavailable_reason, citation, obstacle
        As in `ForceCalculator`.
    """

    name: str
    summary: str
    solve: Callable[[ForceConstantsProblem], ForceConstants]
    prepare: Callable[[ForceConstantsProblem], SolveMany] | None = None
    orders: tuple[int, ...] = (2, 3)
    options: type = NoOptions
    unavailable_reason: Callable[[], str | None] = always_usable
    citation: str = ""
    obstacle: Callable[[], str | None] | None = None

    def __post_init__(self) -> None:
        """Take what plugins of earlier versions call by its former name."""
        _take_former_name(self, "obstacle", "unavailable_reason")

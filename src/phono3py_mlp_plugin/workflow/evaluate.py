"""Evaluation of the forces of many supercells by a potential."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from phono3py_mlp_plugin import plugins
from phono3py_mlp_plugin.contracts import (
    Dataset,
    Evaluation,
    FloatArray,
    Potential,
    Progress,
    no_progress,
)
from phono3py_mlp_plugin.errors import PluginFailed, PotentialError
from phono3py_mlp_plugin.files import fingerprint
from phono3py_mlp_plugin.parallel import SERIAL, Arrays, Chunk, Distribution, Stage
from phono3py_mlp_plugin.workflow.crystal import check_ordered
from phono3py_mlp_plugin.workflow.cutoffs import check_reach
from phono3py_mlp_plugin.workflow.potential_source import PotentialSource, SentPotential
from phono3py_mlp_plugin.workflow.species import with_known_symbols, with_species

if TYPE_CHECKING:
    from phonopy.structure.atoms import PhonopyAtoms

EVALUATION = "evaluation"
"""Name of the stage, by which finished chunks are filed."""

# Supercells that are evaluated together, and their atoms: a tenth of a second for a
# polynomial potential.
_AT_ONCE = 16
_ATOMS = 1024


@dataclass(frozen=True, eq=False)
class _Supercells:
    """Supercells that are evaluated together, and their numbers in messages."""

    cells: Sequence[PhonopyAtoms]
    numbers: Sequence[int]

    @property
    def label(self) -> str:
        first, last = self.numbers[0], self.numbers[-1]
        return f"supercell {first}" if first == last else f"supercells {first}-{last}"

    @property
    def content(self) -> dict[str, object]:
        """What determines energies and forces, in addition to the potential."""
        first = self.cells[0]
        return {
            "lattices": np.array([cell.cell for cell in self.cells]),
            "positions": np.array([cell.positions for cell in self.cells]),
            "symbols": list(first.symbols),
            "moments": first.magnetic_moments,
        }


def evaluate(
    name: str,
    potential: Potential,
    supercells: Sequence[PhonopyAtoms | None],
    progress: Progress = no_progress,
    task: str = "Evaluating forces",
    supercell: PhonopyAtoms | None = None,
    distribution: Distribution = SERIAL,
    source: PotentialSource | None = None,
    origin: str | None = None,
) -> Evaluation:
    """Return energies and forces of supercells.

    Parameters
    ----------
    name : str
        Name of the force calculator, used in messages.
    potential : Potential
    supercells : sequence of PhonopyAtoms or None
        None represents a pair of displacements beyond the cutoff; its energy and forces
        are zero, and the host does not use them.
    progress, task
        Progress display and name of the task.
    supercell : PhonopyAtoms, optional
        Without displacements. Species such as Mn1 are taken from it.
    distribution : Distribution
        Where supercells are evaluated, and finished ones kept.
    source : PotentialSource, optional
        From which workers load the potential themselves.
    origin : str, optional
        Fingerprint of everything that determines the forces of the potential. Nothing
        is kept on disk without it.

    Returns
    -------
    Evaluation
        Energies ``(n,)`` (eV), forces ``(n, N, 3)`` (eV/angstrom), and if the potential
        gives them stresses ``(n, 3, 3)`` (eV/angstrom^3).

    Raises
    ------
    DatasetError
        If a site is shared by several species.
    PotentialError
        If it is no potential, does not know an element, or its cutoff isolates an atom.
    PluginFailed
        If the potential fails, or the values it returns are invalid.
    WorkerError
        See `Distribution.compute`.
    """
    _check_potential(name, potential)
    present = [i for i, cell in enumerate(supercells) if cell is not None]
    cells = with_species([cell for cell in supercells if cell is not None], supercell)
    check_ordered(cells[0] if supercell is None else supercell, name)
    cells = with_known_symbols(name, potential, cells)
    check_reach(name, potential, cells[0])
    n = len(supercells)
    energies, forces = np.zeros(n), np.zeros((n, len(cells[0]), 3))
    stresses: np.ndarray | None = np.zeros((n, 3, 3))
    stage = _stage(name, potential, source, origin)
    chunks = [
        Chunk(part.label, part, part.content)
        for part in _divided(cells, present, _chunk_size(potential, len(cells[0])))
    ]
    with progress(task, len(cells)) as advance:
        results = distribution.compute(stage, chunks)
        for chunk, result in zip(chunks, results, strict=True):
            rows = [number - 1 for number in chunk.arguments.numbers]
            energies[rows] = result["energies"]
            forces[rows] = result["forces"]
            if stresses is not None and "stresses" in result:
                stresses[rows] = result["stresses"]
            else:
                stresses = None
            advance(len(rows))
    return Evaluation(energies, forces, stresses)


def _stage(
    name: str, potential: Potential, source: PotentialSource | None, origin: str | None
) -> Stage:
    return Stage(
        EVALUATION,
        _evaluate_chunk,
        SentPotential(name, potential, source),
        None if origin is None else fingerprint({"potential": origin}),
        plugins.distributions(name),
    )


def forces_of(
    name: str,
    potentials: Sequence[Potential],
    supercells: Sequence[PhonopyAtoms],
    progress: Progress,
    task: str,
    distribution: Distribution = SERIAL,
) -> FloatArray:
    """Return the forces of the same supercells by several potentials.

    Parameters
    ----------
    name, supercells, progress, task, distribution
        See `evaluate`.
    potentials : sequence of Potential
        Of one class, such as those of an ensemble.

    Returns
    -------
    ndarray
        In eV/angstrom, shape ``(n_potentials, n, N, 3)``.

    Raises
    ------
    PotentialError, PluginFailed, WorkerError
        See `evaluate`.
    """
    cells = with_known_symbols(name, potentials[0], supercells)
    check_reach(name, potentials[0], cells[0])
    size = _chunk_size(potentials[0], len(cells[0]))
    parts = list(_divided(cells, range(len(cells)), size))
    stage = Stage(
        EVALUATION,
        _evaluate_member,
        [SentPotential(name, potential) for potential in potentials],
        packages=plugins.distributions(name),
    )
    chunks = [
        Chunk(f"{part.label} by potential {k + 1}", (k, part), {})
        for k in range(len(potentials))
        for part in parts
    ]
    forces = np.zeros((len(potentials), len(cells), len(cells[0]), 3))
    with progress(task, len(chunks)) as advance:
        results = distribution.without_parts().compute(stage, chunks)
        for chunk, result in zip(chunks, results, strict=True):
            k, part = chunk.arguments
            rows = [number - 1 for number in part.numbers]
            forces[k, rows] = result["forces"]
            advance(1)
    return forces


def _evaluate_member(
    sent: Sequence[SentPotential], arguments: tuple[int, _Supercells]
) -> Arrays:
    """Return forces of some supercells by one of several potentials."""
    number, part = arguments
    return {"forces": _evaluate_chunk(sent[number], part)["forces"]}


def _check_potential(name: str, potential: Potential) -> None:
    """Raise if an object, such as the name of a file, is not a potential."""
    missing = [
        word for word in ("elements", "evaluate") if not hasattr(potential, word)
    ]
    if missing:
        raise PotentialError(
            f"{name}: a {type(potential).__name__} is no potential; expected an object "
            f"with {' and '.join(missing)}. Read a file by load_potential()."
        )


def _chunk_size(potential: Potential, n_atoms: int) -> int:
    """Return the number of supercells that are evaluated together.

    It does not depend on who evaluates them. A potential can have its own number, for
    example 1 if a single supercell takes seconds.
    """
    own: int | None = getattr(potential, "supercells_at_once", None)
    return own or min(_AT_ONCE, max(1, _ATOMS // n_atoms))


def _divided(
    cells: Sequence[PhonopyAtoms], present: Sequence[int], size: int
) -> Iterator[_Supercells]:
    for start in range(0, len(cells), size):
        rows = slice(start, start + size)
        yield _Supercells(cells[rows], [index + 1 for index in present[rows]])


def _evaluate_chunk(sent: SentPotential, part: _Supercells) -> Arrays:
    """Return energies and forces of some supercells; see `evaluate`.

    Raises
    ------
    PluginFailed
        If the potential fails; the supercell is named.
    """
    with sent.in_use() as potential:
        try:
            result = plugins.evaluate(sent.name, potential, part.cells, part.numbers)
        except PluginFailed as error:
            number = _failing(sent.name, potential, part)
            where = part.label if number is None else f"supercell {number}"
            if where in str(error):
                raise
            raise PluginFailed(f"{error} ({where})") from error
    arrays = {"energies": result.energies, "forces": result.forces}
    if result.stresses is not None:
        arrays["stresses"] = result.stresses
    return arrays


def _failing(name: str, potential: Potential, part: _Supercells) -> int | None:
    """Return the number of the first supercell that fails alone, or None."""
    if len(part.cells) == 1:
        return part.numbers[0]
    for cell, number in zip(part.cells, part.numbers, strict=True):
        try:
            plugins.evaluate(name, potential, [cell], [number])
        except PluginFailed:
            return number
    return None


def root_mean_square_errors(
    dataset: Dataset, evaluation: Evaluation
) -> dict[str, float | None]:
    """Return the errors of energies (eV/atom) and force components (eV/angstrom).

    The error of energies is None if the dataset has no energies.
    """
    force = float(np.sqrt(np.mean((evaluation.forces - dataset.forces) ** 2)))
    if dataset.energies is None:
        return {"energy": None, "force": force}
    per_atom = (evaluation.energies - dataset.energies) / len(dataset.supercell)
    return {"energy": float(np.sqrt(np.mean(per_atom**2))), "force": force}

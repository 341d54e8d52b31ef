"""Evaluation of the forces of many supercells by a potential."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from phono3py_mlp_plugin import plugins
from phono3py_mlp_plugin.contracts import (
    Dataset,
    Evaluation,
    Potential,
    Progress,
    no_progress,
)
from phono3py_mlp_plugin.errors import PotentialError
from phono3py_mlp_plugin.files import PartialEvaluations
from phono3py_mlp_plugin.workflow.crystal import check_ordered
from phono3py_mlp_plugin.workflow.cutoffs import check_reach
from phono3py_mlp_plugin.workflow.species import with_known_symbols, with_species

if TYPE_CHECKING:
    from phonopy.structure.atoms import PhonopyAtoms

# Large enough to use all cores, small enough to show progress.
_BATCH = 16

# Seconds between saves of finished parts; a run that is killed loses no more work.
_SAVE_EVERY = 5.0


def evaluate(
    name: str,
    potential: Potential,
    supercells: Sequence[PhonopyAtoms | None],
    progress: Progress = no_progress,
    task: str = "Evaluating forces",
    keep: PartialEvaluations | None = None,
    supercell: PhonopyAtoms | None = None,
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
    keep : PartialEvaluations, optional
        Storage of finished parts, which are used again.
    supercell : PhonopyAtoms, optional
        Without displacements. Species such as Mn1 are taken from it.

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
        If the values returned by the potential are invalid.
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
    with progress(task, len(cells)) as advance:
        for start, result in _parts(name, potential, cells, present, keep):
            rows = present[start : start + len(result.energies)]
            energies[rows] = result.energies
            forces[rows] = result.forces
            if stresses is not None and result.stresses is not None:
                stresses[rows] = result.stresses
            else:
                stresses = None
            advance(len(rows))
    return Evaluation(energies, forces, stresses)


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


def _parts(
    name: str,
    potential: Potential,
    cells: Sequence[PhonopyAtoms],
    present: Sequence[int],
    keep: PartialEvaluations | None,
) -> Iterator[tuple[int, Evaluation]]:
    """Yield evaluations and the index of their first supercell.

    Parts that were saved before are not computed again.
    """
    saved_parts = {} if keep is None else keep.load()
    unsaved: list[Evaluation] = []
    last_save = time.monotonic()
    start = 0
    while start < len(cells):
        if start in saved_parts:
            part = saved_parts[start]
            unsaved.clear()
        else:
            rows = slice(start, start + _BATCH)
            numbers = [index + 1 for index in present[rows]]
            part = plugins.evaluate(name, potential, cells[rows], numbers)
            unsaved.append(part)
        yield start, part
        start += len(part.energies)
        due = time.monotonic() - last_save > _SAVE_EVERY
        if keep is not None and unsaved and due:
            joined = _concatenated(unsaved)
            keep.save(start - len(joined.energies), joined)
            unsaved.clear()
            last_save = time.monotonic()


def _concatenated(parts: Sequence[Evaluation]) -> Evaluation:
    stresses = [part.stresses for part in parts if part.stresses is not None]
    return Evaluation(
        np.concatenate([part.energies for part in parts]),
        np.concatenate([part.forces for part in parts]),
        np.concatenate(stresses) if len(stresses) == len(parts) else None,
    )


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

"""Asking a potential for the forces of many supercells."""

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
from phono3py_mlp_plugin.files import PartialEvaluations
from phono3py_mlp_plugin.workflow.cutoffs import check_reach
from phono3py_mlp_plugin.workflow.species import as_known, with_species

if TYPE_CHECKING:
    from phonopy.structure.atoms import PhonopyAtoms

# Enough work to keep all cores busy, little enough to show progress.
_BATCH = 16

# Seconds of work that a run which is killed may lose.
_KEEP_EVERY = 5.0


def evaluate(
    name: str,
    potential: Potential,
    supercells: Sequence[PhonopyAtoms | None],
    progress: Progress = no_progress,
    task: str = "Evaluating forces",
    keep: PartialEvaluations | None = None,
    supercell: PhonopyAtoms | None = None,
) -> Evaluation:
    """Return energies and forces of supercells, zero where there is no supercell.

    Parameters
    ----------
    name : str
        The force calculator's, for messages.
    potential : Potential
    supercells : sequence of PhonopyAtoms or None
        None stands for a pair of displacements beyond a cutoff, which the host keeps a
        place for and never uses.
    progress, task
        What the user is told while it runs.
    keep : PartialEvaluations, optional
        Where finished parts are kept every few seconds, and taken from.
    supercell : PhonopyAtoms, optional
        The one without displacements, where species are to be taken from: the host's
        displaced supercells have lost the numbers of atoms such as Mn1.

    Returns
    -------
    Evaluation
        Energies ``(n,)`` in eV, forces ``(n, N, 3)`` in eV/angstrom, stresses
        ``(n, 3, 3)`` in eV/angstrom^3 where the potential gives them.

    Raises
    ------
    PotentialError
        The potential does not know an element of the supercells, or its cutoff leaves
        an atom alone.
    PluginFailed
        What it returned breaks the contract.
    """
    present = [i for i, cell in enumerate(supercells) if cell is not None]
    cells = with_species([cell for cell in supercells if cell is not None], supercell)
    cells = as_known(name, potential, cells)
    check_reach(name, potential, cells[0])
    n, n_atoms = len(supercells), len(cells[0])
    energies, forces = np.zeros(n), np.zeros((n, n_atoms, 3))
    stresses: np.ndarray | None = np.zeros((n, 3, 3))
    with progress(task, len(cells)) as advance:
        for start, result in _parts(name, potential, cells, keep):
            rows = present[start : start + len(result.energies)]
            energies[rows] = result.energies
            forces[rows] = result.forces
            if stresses is not None and result.stresses is not None:
                stresses[rows] = result.stresses
            else:
                stresses = None
            advance(len(rows))
    return Evaluation(energies, forces, stresses)


def _parts(
    name: str,
    potential: Potential,
    cells: Sequence[PhonopyAtoms],
    keep: PartialEvaluations | None,
) -> Iterator[tuple[int, Evaluation]]:
    """Yield evaluations and the index of their first supercell, those kept at once."""
    known = {} if keep is None else keep.load()
    unsaved: list[Evaluation] = []
    saved = time.monotonic()
    start = 0
    while start < len(cells):
        if start in known:
            part = known[start]
            unsaved.clear()
        else:
            part = plugins.evaluate(name, potential, cells[start : start + _BATCH])
            unsaved.append(part)
        yield start, part
        start += len(part.energies)
        if keep is not None and unsaved and time.monotonic() - saved > _KEEP_EVERY:
            joined = _joined(unsaved)
            keep.save(start - len(joined.energies), joined)
            unsaved.clear()
            saved = time.monotonic()


def _joined(parts: Sequence[Evaluation]) -> Evaluation:
    stresses = [part.stresses for part in parts if part.stresses is not None]
    return Evaluation(
        np.concatenate([part.energies for part in parts]),
        np.concatenate([part.forces for part in parts]),
        np.concatenate(stresses) if len(stresses) == len(parts) else None,
    )


def root_mean_square_errors(
    dataset: Dataset, evaluation: Evaluation
) -> dict[str, float | None]:
    """Return errors of energy (eV/atom) and force components (eV/angstrom).

    The energy error is None where the dataset has no energies.
    """
    force = float(np.sqrt(np.mean((evaluation.forces - dataset.forces) ** 2)))
    if dataset.energies is None:
        return {"energy": None, "force": force}
    per_atom = (evaluation.energies - dataset.energies) / len(dataset.supercell)
    return {"energy": float(np.sqrt(np.mean(per_atom**2))), "force": force}

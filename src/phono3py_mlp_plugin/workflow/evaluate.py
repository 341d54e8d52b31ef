"""Asking a potential for the forces of many supercells."""

from __future__ import annotations

from collections.abc import Sequence
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

if TYPE_CHECKING:
    from phonopy.structure.atoms import PhonopyAtoms

# Enough work to keep all cores busy, little enough to show progress.
_BATCH = 16


def evaluate(
    name: str,
    potential: Potential,
    supercells: Sequence[PhonopyAtoms | None],
    progress: Progress = no_progress,
    task: str = "Evaluating forces",
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

    Returns
    -------
    Evaluation
        Energies ``(n,)`` in eV, forces ``(n, N, 3)`` in eV/angstrom, stresses
        ``(n, 3, 3)`` in eV/angstrom^3 where the potential gives them.

    Raises
    ------
    PotentialError
        The potential does not know an element of the supercells.
    PluginFailed
        What it returned breaks the contract.
    """
    present = [i for i, cell in enumerate(supercells) if cell is not None]
    cells = [cell for cell in supercells if cell is not None]
    check_elements(name, potential, cells[0].symbols)
    n, n_atoms = len(supercells), len(cells[0])
    energies, forces = np.zeros(n), np.zeros((n, n_atoms, 3))
    stresses: np.ndarray | None = np.zeros((n, 3, 3))
    with progress(task, len(cells)) as advance:
        for start in range(0, len(cells), _BATCH):
            batch = cells[start : start + _BATCH]
            rows = present[start : start + _BATCH]
            result = plugins.evaluate(name, potential, batch)
            energies[rows] = result.energies
            forces[rows] = result.forces
            if stresses is not None and result.stresses is not None:
                stresses[rows] = result.stresses
            else:
                stresses = None
            advance(len(batch))
    return Evaluation(energies, forces, stresses)


def check_elements(name: str, potential: Potential, symbols: Sequence[str]) -> None:
    """Refuse a potential made for other elements."""
    unknown = sorted(set(symbols) - set(potential.elements))
    if potential.elements and unknown:
        raise PotentialError(
            f"{name}: the potential was made for {', '.join(potential.elements)}; the "
            f"crystal contains {', '.join(unknown)}. Train one for this crystal."
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

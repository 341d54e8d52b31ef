"""Forces and energies of displaced supercells by a potential, as training data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phono3py_mlp_plugin.contracts import Progress, no_progress
from phono3py_mlp_plugin.errors import DatasetError
from phono3py_mlp_plugin.files import evaluation_key, fingerprint
from phono3py_mlp_plugin.parallel import SERIAL, Distribution
from phono3py_mlp_plugin.workflow.evaluate import evaluate
from phono3py_mlp_plugin.workflow.obtain import ObtainedPotential
from phono3py_mlp_plugin.workflow.supercells import CrystalSupercell, supercells_of

if TYPE_CHECKING:
    from phono3py import Phono3py


def label_supercells(
    crystal: Phono3py,
    name: str,
    obtained: ObtainedPotential,
    progress: Progress = no_progress,
    distribution: Distribution = SERIAL,
) -> int:
    """Set forces and energies of all displaced supercells of a crystal.

    Parameters
    ----------
    crystal : Phono3py
        Its displacements, also those of dim-fc2, are evaluated.
    name : str
        Name of the force calculator, used in messages.
    obtained : ObtainedPotential
    progress : Progress
    distribution : Distribution
        Where supercells are evaluated, and finished ones kept.

    Returns
    -------
    int
        The number of supercells.

    Raises
    ------
    DatasetError
        If there are no displacements.
    PotentialError, PluginFailed, WorkerError
        See `evaluate`.
    """
    number = 0
    for part in _displaced_parts(crystal):
        cells = part.displaced()
        evaluation = evaluate(
            name,
            obtained.potential,
            cells,
            progress,
            supercell=part.supercell,
            distribution=distribution,
            source=obtained.source,
            origin=obtained.origin,
        )
        part.set_evaluation(evaluation)
        number += len(cells)
    return number


def labels_fingerprint(crystal: Phono3py, obtained: ObtainedPotential) -> str:
    """Return the fingerprint of everything that determines forces and energies.

    Raises
    ------
    DatasetError
        If there are no displacements.
    """
    parts = _displaced_parts(crystal)
    return fingerprint(
        {p.name: evaluation_key(obtained.origin, p.displaced()) for p in parts}
    )


def _displaced_parts(crystal: Phono3py) -> list[CrystalSupercell]:
    """Return the supercells that have displacements."""
    parts = [part for part in supercells_of(crystal) if part.dataset is not None]
    if not parts:
        raise DatasetError(
            "there are no displacements. Make them by phono3py-init with --rd N or -d."
        )
    return parts

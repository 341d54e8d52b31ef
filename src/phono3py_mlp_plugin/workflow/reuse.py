"""Whether what lies in the folder is what would be computed: decided, not done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phono3py_mlp_plugin.files import Provenance


@dataclass(frozen=True)
class Decision:
    """What to do with files found in the folder, and the line that tells why."""

    reuse: bool
    reason: str


def decide_potential(
    path: Path,
    provenance: Provenance | None,
    wanted: str,
    parameters: Mapping[str, Any],
) -> Decision:
    """Decide on a potential found where a dataset with forces is given.

    Parameters
    ----------
    path : Path
        The potential found.
    provenance : Provenance or None
        What it says it was made from.
    wanted : str
        Fingerprint of the training asked for.
    parameters : mapping
        Parameters asked for, to name those that differ.
    """
    if provenance is None:
        return Decision(
            False,
            f'"{path}" does not say what it was trained on: trained anew. '
            f"Give --mlp-file {path} to use it as it is.",
        )
    if provenance.fingerprint != wanted:
        sizes = {
            "ntrain": provenance.n_training,
            "ntest": provenance.n_test,
            "split": provenance.split,
        }
        known = {**provenance.parameters, **sizes}
        differences = [
            f"{name} = {known.get(name)}, now {value}"
            for name, value in parameters.items()
            if known.get(name) != value
        ]
        what = f"with {'; '.join(differences)}" if differences else "on other data"
        return Decision(False, f'"{path}" was trained {what}: trained anew.')
    return Decision(
        True, f'"{path}" was trained on the same data and parameters: used again.'
    )


def decide_force_constants(
    stamps: dict[str, str | None], needed: tuple[str, ...], wanted: str
) -> Decision:
    """Decide on force constants found, by what each file was computed from.

    Parameters
    ----------
    stamps : dict
        Fingerprint recorded in each file found, None where there is none.
    needed : tuple of str
        Names of the files that the run needs.
    wanted : str
        Fingerprint of the force constants asked for.
    """
    names = " and ".join(f'"{name}"' for name in stamps)
    if set(stamps) == set(needed) and all(s == wanted for s in stamps.values()):
        return Decision(True, f"{names} were computed from the same: used again.")
    if not stamps:
        return Decision(False, "")
    return Decision(False, f"{names} were computed from something else: computed anew.")

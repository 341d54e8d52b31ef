"""Origin of the files in the folder of a run."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from phono3py_mlp_plugin.contracts import Dataset
from phono3py_mlp_plugin.files import CHANGED, KappaFile, Provenance, read_stamp
from phono3py_mlp_plugin.reports.folder import RunFolder, Sections


def facts_of(
    folder: RunFolder,
    sections: Sections,
    dataset: Dataset | None,
    potential: Path | None,
    provenance: Provenance | None,
    kappa: KappaFile | None,
    *,
    direct_fc2: bool,
) -> list[tuple[str, str]]:
    """Return names and values that describe the origin of the results.

    Parameters
    ----------
    folder : RunFolder
    sections : Sections
        Records the reason if the origin of a file cannot be read.
    dataset, potential, provenance, kappa
        Results of the run, or None.
    direct_fc2 : bool
        Whether fc2 comes from first-principles forces of dim-fc2.
    """
    facts = []
    for name in ("phono3py-mlp-plugin", "phono3py", "phonopy", "symfc"):
        facts.append((f"{name}, of this report", importlib.metadata.version(name)))
    if dataset is not None:
        facts.append(("supercells with forces", str(len(dataset))))
    if potential is not None:
        facts.append(("potential", potential.name))
    if provenance is not None:
        facts += _facts_of_training(provenance)
    for order in (2, 3):
        file = folder.path / f"fc{order}.hdf5"
        if file.is_file():
            direct = order == 2 and direct_fc2
            stamp = sections.make("bands", read_stamp, file)
            facts.append((file.name, _origin(stamp, direct=direct)))
    if kappa is not None:
        mesh = "x".join(map(str, kappa.mesh))
        facts.append(("kappa", f"{kappa.name}, mesh {mesh}"))
    return facts


def options_of(settings: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the names and values of the options of the run."""
    return [(f"option {name}", str(value)) for name, value in settings.items()]


def _origin(stamp: str | None, *, direct: bool) -> str:
    if stamp is None:
        return "no record: made by the user or by another program"
    if stamp == CHANGED:
        return f"by this package, and {CHANGED}"
    source = "first-principles forces of dim-fc2" if direct else "the potential"
    return f"by this package from {source}; fingerprint {stamp}"


def _facts_of_training(provenance: Provenance) -> list[tuple[str, str]]:
    facts = [
        ("force calculator", provenance.calculator),
        ("engine", provenance.engine),
        ("fingerprint of the training", provenance.fingerprint),
        (
            "supercells of training and test",
            f"{provenance.n_training} and {provenance.n_test} ({provenance.split})",
        ),
        ("further structures of training", str(provenance.n_structures or "")),
        ("coefficients", str(provenance.n_features)),
        ("ridge penalty", "" if provenance.alpha is None else f"{provenance.alpha:g}"),
    ]
    facts += [
        (f"parameter {name}", str(value))
        for name, value in provenance.parameters.items()
        if value is not None
    ]
    facts += [
        (f"{name}, of the training", version)
        for name, version in provenance.versions.items()
    ]
    return [(name, value) for name, value in facts if value]

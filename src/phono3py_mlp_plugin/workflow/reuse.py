"""Decisions whether files in the folder can be used again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phono3py_mlp_plugin.contracts import Potential
from phono3py_mlp_plugin.files import (
    CHANGED,
    Provenance,
    check_force_constants,
    content_of,
    fingerprint,
    open_text,
    potential_files,
    read_stamp,
    versions_of,
)
from phono3py_mlp_plugin.plugins import DISTRIBUTION, registry
from phono3py_mlp_plugin.workflow.request import CalculatorSpec

if TYPE_CHECKING:
    from phono3py import Phono3py

# Packages that compute force constants.
_HOST = ("phono3py", "phonopy", "symfc")


@dataclass(frozen=True)
class Decision:
    """Whether existing files are used again, and the reason as a line of text."""

    reuse: bool
    reason: str


def decide_potential(
    path: Path,
    provenance: Provenance | None,
    wanted: str,
    parameters: Mapping[str, Any],
) -> Decision:
    """Decide whether an existing potential is used if there is a dataset to train on.

    Parameters
    ----------
    path : Path
        The existing potential.
    provenance : Provenance or None
        Recorded origin of this potential.
    wanted : str
        Fingerprint of the requested training.
    parameters : mapping
        Requested parameters; those that differ are named in the reason.
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
        known = {**provenance.versions, **provenance.parameters, **sizes}
        differences = [
            f"{name} = {known.get(name)}, now {value}"
            for name, value in parameters.items()
            if known.get(name) != value
        ]
        files = any(content_of(value) != value for value in parameters.values())
        what = "on other data" + (" or with other files" if files else "")
        if differences:
            what = f"with {'; '.join(differences)}"
        return Decision(False, f'"{path}" was trained {what}: trained anew.')
    return Decision(
        True, f'"{path}" was trained on the same data and parameters: used again.'
    )


def decide_force_constants(
    stamps: dict[str, str | None], needed: tuple[str, ...], wanted: str
) -> Decision:
    """Decide whether existing force constants are used, based on their fingerprints.

    Parameters
    ----------
    stamps : dict
        Fingerprint recorded in each existing file, None if there is none.
    needed : tuple of str
        Names of the files that the run needs.
    wanted : str
        Fingerprint of the requested force constants.
    """
    names = " and ".join(f'"{name}"' for name in stamps)
    if set(stamps) == set(needed) and all(s == wanted for s in stamps.values()):
        return Decision(True, f"{names} were computed from the same: used again.")
    if not stamps:
        return Decision(False, "")
    changed = [f'"{name}"' for name, stamp in stamps.items() if stamp == CHANGED]
    if changed:
        verb = "was" if len(changed) == 1 else "were"
        return Decision(
            False,
            f"{' and '.join(changed)} {verb} changed after "
            f"{'it was' if len(changed) == 1 else 'they were'} written: computed anew.",
        )
    return Decision(False, f"{names} were computed from something else: computed anew.")


def origin_of(spec: CalculatorSpec, path: Path | None, engine: str = "") -> str:
    """Return the fingerprint of everything that determines the forces of a potential.

    Parameters
    ----------
    spec : CalculatorSpec
        Its options are included if there is no file, or the calculator is not trained.
        Files named in the options are included by content.
    path : Path or None
        File of the potential.
    engine : str
        Name and version of the engine; see `engine_of`.
    """
    content: dict[str, Any] = {
        "calculator": spec.calculator.name,
        "engine": engine,
        "versions": _calculator_versions(spec.calculator.name),
    }
    if path is not None and spec.calculator.train is None:
        # Models of other libraries are binary files.
        content["file"] = content_of([str(part) for part in potential_files(path)])
    elif path is not None:
        texts = []
        for part in potential_files(path):
            with open_text(part) as file:
                texts.append(file.read())
        content["file"] = "".join(texts)
    if path is None or spec.calculator.train is None:
        content["options"] = spec.options
    return fingerprint(content)


def engine_of(potential: Potential) -> str:
    """Return the name and version of the engine of a potential, or an empty string."""
    return str(getattr(potential, "engine", ""))


def _calculator_versions(name: str) -> dict[str, str]:
    offered = registry().calculators.get(name)
    plugin = {} if offered is None else _version(offered.origin)
    return {**versions_of([DISTRIBUTION]), **plugin}


def force_constants_versions(solvers: Iterable[str | None] = ()) -> dict[str, str]:
    """Return the versions of all packages that compute force constants.

    Parameters
    ----------
    solvers : iterable of str or None
        Names of solvers, which may have the form ``fc2|fc3``.
    """
    versions = versions_of([*_HOST, DISTRIBUTION])
    for name in "|".join(filter(None, solvers)).split("|"):
        offered = registry().solvers.get(name.strip())
        if offered is not None:
            versions |= _version(offered.origin)
            # Some solvers have the name of the package that they use.
            versions |= versions_of([name.strip()])
    return versions


def _version(origin: Any) -> dict[str, str]:
    return {origin.distribution: origin.version}


def check_found_force_constants(ph3: Phono3py, paths: Iterable[Path]) -> None:
    """Raise if files of fc2 and fc3 are damaged or do not belong to this crystal.

    Parameters
    ----------
    ph3 : Phono3py
    paths : iterable of Path
        Files that the host will read; those with fc3 have "fc3" in their names.

    Raises
    ------
    SolverError
        See `check_force_constants`.
    """
    for path in paths:
        order = 3 if "fc3" in path.name else 2
        separate = order == 2 and ph3.phonon_supercell_matrix is not None
        cell = ph3.phonon_supercell if separate else ph3.supercell
        primitive = ph3.phonon_primitive if separate else ph3.primitive
        n = len(cell)
        shape = (*(n,) * order, *(3,) * order)
        check_force_constants(path, shape, [int(i) for i in primitive.p2s_map])


def missing_stamps(names: Iterable[str], wanted: str) -> list[str]:
    """Return a note on files just written that do not contain their fingerprint.

    Parameters
    ----------
    names : iterable of str
        Names of the files that the host should have written.
    wanted : str
        Fingerprint that they should contain.
    """
    lacking = [
        f'"{name}"'
        for name in names
        if Path(name).is_file() and read_stamp(Path(name)) != wanted
    ]
    if not lacking:
        return []
    return [
        f"Note: {' and '.join(lacking)} could not be marked with what was computed: "
        "this version of phono3py writes them differently. They will not be used again."
    ]

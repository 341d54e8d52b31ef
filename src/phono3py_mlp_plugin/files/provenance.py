"""Search for potential files, and their provenance.

The potential itself is written by its calculator. In a YAML file, the provenance is
stored under a separate top-level key, which pypolymlp ignores.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import yaml

from phono3py_mlp_plugin.contracts import Potential, RidgePenalty
from phono3py_mlp_plugin.errors import PotentialError, UnusableFile
from phono3py_mlp_plugin.files.atomic import replacing
from phono3py_mlp_plugin.files.regular import UNREADABLE, open_text

_KEY = "phono3py_mlp"
_SUFFIXES = (".yaml", ".pmlp", ".xz", ".gz", ".bz2", ".lzma")

# Name of a part of a hybrid model, as numbered by pypolymlp.
_PART = re.compile(r"(.+)\.([1-9]\d*)")

FORMAT_VERSION = 1


@dataclass(frozen=True)
class Provenance:
    """Record of the training of a potential.

    Attributes
    ----------
    fingerprint : str
        Fingerprint of dataset, split, parameters and format version.
    calculator : str
    parameters : dict
    n_training, n_test, n_features : int
    split : str
        How the snapshots were split: "head-tail", or "shuffled, seed 0".
    rmse : dict
        Errors of training set, test set and further structures: energy (eV/atom), force
        (eV/angstrom), and stress (eV/angstrom^3) of structures.
    penalties : list of dict
        All ridge penalties that were tried, including failed ones.
    alpha : float or None
    engine : str
        Engine of the training, if the calculator has more than one.
    versions : dict
    n_structures : int
        Number of further structures in the training set.
    """

    fingerprint: str
    calculator: str
    parameters: dict[str, Any]
    n_training: int
    n_test: int
    n_features: int
    rmse: dict[str, dict[str, float | None]]
    split: str = "head-tail"
    alpha: float | None = None
    penalties: list[dict[str, float | None]] = field(default_factory=list)
    engine: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    format_version: int = FORMAT_VERSION
    n_structures: int = 0

    def ridge_path(self) -> tuple[RidgePenalty, ...]:
        """Return all ridge penalties that were tried as records."""
        return tuple(
            RidgePenalty(float(p["alpha"] or 0.0), p["rmse_training"], p["rmse_test"])
            for p in self.penalties
        )


def find_potential(file_names: Sequence[str], folder: Path) -> Path | None:
    """Return the first potential found in a folder, in the order of phono3py.

    For each name, the file itself and compressed files are searched for.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> (folder / "phono3py.pmlp").touch(); (folder / "polymlp.yaml.xz").touch()
    >>> find_potential(("polymlp.yaml", "phono3py.pmlp"), folder).name
    'polymlp.yaml.xz'
    """
    for name in file_names:
        for path in sorted(folder.glob(f"{name}*")):
            if path.name == name or path.suffix in _SUFFIXES:
                return path
    return None


def potential_files(path: Path) -> tuple[Path, ...]:
    """Return the files of the potential with this path, or an empty tuple.

    These are the file itself or, if it does not exist, the numbered parts of a hybrid
    model.

    Raises
    ------
    PotentialError
        If the file of a number is missing.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for n in (1, 2, 10): (folder / f"polymlp.yaml.{n}").touch()
    >>> potential_files(folder / "polymlp.yaml.2") == (folder / "polymlp.yaml.2",)
    True
    >>> potential_files(folder / "polymlp.yaml")
    Traceback (most recent call last):
    ...
    phono3py_mlp_plugin.errors.PotentialError: ...polymlp.yaml.3 is missing...
    """
    if path.is_file():
        return (path,)
    parts = _parts(path)
    for number, part in enumerate(parts, start=1):
        expected = path.with_name(f"{path.name}.{number}")
        if part != expected:
            raise PotentialError(
                f"{path}: {expected} is missing; the parts of a hybrid model go up to "
                f"{parts[-1].name}. Put it there, or name one part to use it alone."
            )
    return parts


def other_parts(path: Path) -> tuple[Path, ...]:
    """Return the other files that form a hybrid model together with this file.

    Return an empty tuple if the name without the number is itself a potential.
    """
    match = _PART.fullmatch(path.name)
    if match is None or path.with_name(match.group(1)).is_file():
        return ()
    return tuple(
        part for part in _parts(path.with_name(match.group(1))) if part != path
    )


def _parts(path: Path) -> tuple[Path, ...]:
    """Return the files ``path.1``, ``path.2``, ..., sorted by number."""
    parts = {}
    for part in path.parent.glob(f"{glob.escape(path.name)}.*"):
        match = _PART.fullmatch(part.name)
        if match and match.group(1) == path.name and part.is_file():
            parts[int(match.group(2))] = part
    return tuple(parts[number] for number in sorted(parts))


def write_potential(potential: Potential, path: Path, provenance: Provenance) -> None:
    """Write a potential and, if the file is YAML, its provenance."""
    with replacing(path) as temporary:
        potential.save(temporary)
        if path.suffix == ".yaml":
            with temporary.open("a", encoding="utf-8") as file:
                file.write("\n")
                yaml.safe_dump({_KEY: asdict(provenance)}, file, sort_keys=False)


def read_provenance(path: Path) -> Provenance | None:
    """Return the provenance of a potential, None if the file does not contain it.

    Raises
    ------
    UnusableFile
        If the path is not a regular file, or the file is too large.
    """
    lines: list[str] = []
    try:
        with open_text(path) as file:
            for line in file:
                if lines or line.startswith(f"{_KEY}:"):
                    lines.append(line)
        provenance = Provenance(**yaml.safe_load("".join(lines))[_KEY])
        return provenance if _is_valid(provenance) else None
    except UnusableFile:
        raise
    except (*UNREADABLE, yaml.YAMLError, TypeError, KeyError, AttributeError):
        return None


def _is_valid(provenance: Provenance) -> bool:
    """Return whether the values have the right types, which YAML does not check."""
    counts = (
        provenance.n_training,
        provenance.n_test,
        provenance.n_features,
        provenance.n_structures,
    )
    rows = [provenance.rmse["test"], *provenance.rmse.values()]
    numbers = [row[name] for row in rows for name in ("energy", "force")]
    numbers += [
        penalty[name]
        for penalty in provenance.penalties
        for name in ("alpha", "rmse_training", "rmse_test")
    ]
    return (
        all(isinstance(n, int) for n in counts)
        and all(x is None or isinstance(x, int | float) for x in numbers)
        and (provenance.alpha is None or isinstance(provenance.alpha, int | float))
        and isinstance(provenance.split, str)
        and isinstance(provenance.parameters, dict)
        and isinstance(provenance.versions, dict)
    )

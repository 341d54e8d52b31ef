"""Potential files: where they are found, and the provenance they carry.

The potential itself is written by its calculator. In a YAML file the provenance
follows under a top-level key of its own, which pypolymlp's reader ignores.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import yaml

from phono3py_mlp_plugin.contracts import Potential
from phono3py_mlp_plugin.errors import PotentialError, UnusableFile
from phono3py_mlp_plugin.files.atomic import replacing
from phono3py_mlp_plugin.files.regular import UNREADABLE, open_text

_KEY = "phono3py_mlp"
_SUFFIXES = (".yaml", ".pmlp", ".xz", ".gz", ".bz2", ".lzma")

# A part of a hybrid model, as pypolymlp numbers them.
_PART = re.compile(r"(.+)\.([1-9]\d*)")

FORMAT_VERSION = 1


@dataclass(frozen=True)
class Provenance:
    """What a potential was made from.

    Attributes
    ----------
    fingerprint : str
        Of dataset, split, parameters and format version.
    calculator : str
    parameters : dict
    n_training, n_test, n_features : int
    split : str
        Which snapshots these were: "head-tail", or "shuffled, seed 0".
    rmse : dict
        Errors of training and test set: energy (eV/atom), force (eV/angstrom).
    penalties : list of dict
        The ridge path, failed penalties included.
    alpha : float or None
    engine : str
        What computed it, where the calculator has more than one engine.
    versions : dict
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


def find_potential(file_names: Sequence[str], folder: Path) -> Path | None:
    """Return the first potential found in a folder, in the order of the host.

    For each name, the file itself and compressed ones are looked for.

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
    """Return the files of the potential that a path names; none where there is none.

    The file itself; where it is not there, the numbered parts of a hybrid model.

    Raises
    ------
    PotentialError
        A number is missing.

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
    """Return what would make a hybrid model with the file that a path names.

    Nothing where the name without the number is a potential itself.
    """
    match = _PART.fullmatch(path.name)
    if match is None or path.with_name(match.group(1)).is_file():
        return ()
    return tuple(
        part for part in _parts(path.with_name(match.group(1))) if part != path
    )


def _parts(path: Path) -> tuple[Path, ...]:
    """Return the files that are named as a path with a number, by number."""
    found = {}
    for part in path.parent.glob(f"{glob.escape(path.name)}.*"):
        match = _PART.fullmatch(part.name)
        if match and match.group(1) == path.name and part.is_file():
            found[int(match.group(2))] = part
    return tuple(found[number] for number in sorted(found))


def write_potential(potential: Potential, path: Path, provenance: Provenance) -> None:
    """Write a potential and, where the file is YAML, its provenance."""
    with replacing(path) as temporary:
        potential.save(temporary)
        if path.suffix == ".yaml":
            with temporary.open("a", encoding="utf-8") as file:
                file.write("\n")
                yaml.safe_dump({_KEY: asdict(provenance)}, file, sort_keys=False)


def read_provenance(path: Path) -> Provenance | None:
    """Return what a potential was made from; None where the file does not say.

    Raises
    ------
    UnusableFile
        It is no regular file, or too large to be read.
    """
    lines: list[str] = []
    try:
        with open_text(path) as file:
            for line in file:
                if lines or line.startswith(f"{_KEY}:"):
                    lines.append(line)
        found = Provenance(**yaml.safe_load("".join(lines))[_KEY])
        return found if _is_whole(found) else None
    except UnusableFile:
        raise
    except (*UNREADABLE, yaml.YAMLError, TypeError, KeyError, AttributeError):
        return None


def _is_whole(found: Provenance) -> bool:
    """Return whether its numbers are numbers, which YAML does not say."""
    counts = (found.n_training, found.n_test, found.n_features)
    rows = [found.rmse["test"], *found.rmse.values()]
    numbers = [row[name] for row in rows for name in ("energy", "force")]
    numbers += [
        penalty[name]
        for penalty in found.penalties
        for name in ("alpha", "rmse_training", "rmse_test")
    ]
    return (
        all(isinstance(n, int) for n in counts)
        and all(x is None or isinstance(x, int | float) for x in numbers)
        and (found.alpha is None or isinstance(found.alpha, int | float))
        and isinstance(found.split, str)
        and isinstance(found.parameters, dict)
        and isinstance(found.versions, dict)
    )

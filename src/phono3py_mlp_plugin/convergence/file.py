"""Reading and writing of ``phono3py_mlp_convergence.json``, the finished points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from phono3py_mlp_plugin.convergence.point import Point
from phono3py_mlp_plugin.convergence.verdict import Verdict
from phono3py_mlp_plugin.errors import DatasetError, ParameterError
from phono3py_mlp_plugin.files import INVALID_CONTENT, read_json, write_json
from phono3py_mlp_plugin.parallel import count_chunks
from phono3py_mlp_plugin.workflow import KAPPA

CONVERGENCE_FILE = "phono3py_mlp_convergence.json"


def read_convergence(path: Path) -> list[dict[str, Any]]:
    """Return the points of an earlier run, or an empty list if there are none.

    Raises
    ------
    UnusableFile
        If the path is not a regular file, or the file is too large.
    """
    content = read_json(path)
    if content is None:
        return []
    try:
        return [dict(point) for point in content["points"]]
    except INVALID_CONTENT:
        return []


@dataclass(frozen=True)
class LastStudy:
    """The study that was finished last; points of others may be in the same file.

    Attributes
    ----------
    tolerance : float
        Accepted relative change of kappa.
    keys : list of str
        Keys of its points.
    """

    tolerance: float
    keys: list[str]


def read_last_study(path: Path) -> LastStudy | None:
    """Return the study that was finished last, or None if a later one was not.

    Raises
    ------
    UnusableFile
        If the path is not a regular file, or the file is too large.
    """
    content = read_json(path)
    if content is None:
        return None
    try:
        study = content["last_study"]
        tolerance = float(study["tolerance"])
        keys = [str(key) for key in study["keys"]]
    except INVALID_CONTENT:
        return None
    return LastStudy(tolerance, keys) if 0 < tolerance < float("inf") else None


def write_convergence(
    path: Path,
    points: Sequence[Mapping[str, Any]],
    verdicts: Mapping[str, Any],
    study: LastStudy | None = None,
) -> None:
    """Write points, verdicts and the study that was finished last atomically."""
    content: dict[str, Any] = {"verdicts": dict(verdicts)}
    if study is not None:
        content["last_study"] = asdict(study)
    write_json(path, {**content, "points": [dict(point) for point in points]})


def check_study_file(path: Path) -> None:
    """Check that a study may be written to a path, which a user has chosen.

    Raises
    ------
    ParameterError
        If its folder does not exist.
    DatasetError
        If it is a file with other content.
    UnusableFile
        If it is not a regular file.
    """
    if not path.absolute().parent.is_dir():
        raise ParameterError(
            f'file = "{path}": there is no folder "{path.parent}"; expected a file in '
            "an existing one. Make the folder."
        )
    if path.exists() and "points" not in (read_json(path) or {}):
        raise DatasetError(
            f'file = "{path}": is not the file of a study; expected one, or a new '
            "name. Give another name, or remove it."
        )


class StudyFile:
    """The file of a study, from which finished points are not computed again.

    Parameters
    ----------
    path : Path

    Attributes
    ----------
    known : dict
        Points in the file by key, without those of other formats.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._records = {record["key"]: record for record in read_convergence(path)}
        points = map(Point.from_record, self._records.values())
        self.known = {point.key: point for point in points if point is not None}

    def keep(self, point: Point) -> None:
        """Add a point to the file."""
        self._records[point.key] = asdict(point)
        self.finish({})

    def finish(
        self, verdicts: Mapping[str, Verdict], study: LastStudy | None = None
    ) -> None:
        """Write the points, the verdicts by variant and order, and the study."""
        records = {name or "kappa": asdict(v) for name, v in verdicts.items()}
        write_convergence(self._path, list(self._records.values()), records, study)


def describe_saved_study(folder: Path) -> str:
    """Describe what is saved in a folder of a study that was stopped.

    Examples
    --------
    >>> import tempfile
    >>> describe_saved_study(Path(tempfile.mkdtemp()))
    'No point is finished yet'
    """
    points = len(read_convergence(folder / CONVERGENCE_FILE))
    members = count_chunks(folder, KAPPA)
    words = []
    if points:
        words.append(f"{points} point{'s' if points > 1 else ''}")
    if members:
        words.append(
            f"{members} member{'s' if members > 1 else ''} of unfinished points"
        )
    if not words:
        return "No point is finished yet"
    plural = points + members > 1
    return f"{' and '.join(words)} {'are' if plural else 'is'} kept"

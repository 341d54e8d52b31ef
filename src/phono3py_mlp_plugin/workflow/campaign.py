"""A list of crystals, the commands that compute their kappa, and what they gave."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from phono3py_mlp_plugin.errors import DatasetError, ParameterError
from phono3py_mlp_plugin.files import (
    INVALID_CONTENT,
    content_of,
    fingerprint,
    read_json,
    write_json,
)
from phono3py_mlp_plugin.uncertainty import room_temperature

_RECORD = "campaign.json"
_REPORT = "phono3py_mlp_report.json"

_PARTS = ("options", "crystals")
_INPUTS = ("cell", "dataset")

# Bytes in the name of a folder, of most file systems.
_LONGEST = 255

# Text of numbers alone, such as a mesh, is several words.
_NUMBERS = re.compile(r"[-+.\deE]+(\s+[-+.\deE]+)+")


@dataclass(frozen=True)
class CampaignTask:
    """A crystal of a campaign.

    Attributes
    ----------
    name : str
        Name of its folder.
    commands : tuple of tuple of str
        What is run in the folder, one after the other.
    fingerprint : str
        Hash of the commands and of the content of the files that they name.
    """

    name: str
    commands: tuple[tuple[str, ...], ...]
    fingerprint: str


@dataclass(frozen=True)
class CrystalResult:
    """What a crystal gave.

    Attributes
    ----------
    name : str
    status : str
        "done", "failed" or "not run".
    seconds : float
        Time of the commands.
    error : str
        Last error of a command that failed.
    formula : str
    temperature : float or None
        In K.
    kappa, errors : tuple of float
        xx, yy and zz in W/m-K, and half widths of their 68 % intervals, if known.
    to_check : int
        Number of checks of the report that did not pass.
    """

    name: str
    status: str = "not run"
    seconds: float = 0.0
    error: str = ""
    formula: str = ""
    temperature: float | None = None
    kappa: tuple[float, ...] = ()
    errors: tuple[float, ...] = ()
    to_check: int = 0


def read_tasks(content: Any, folder: Path, where: str) -> list[CampaignTask]:
    """Return the crystals of a list.

    Parameters
    ----------
    content : object
        Content of the YAML file: ``options`` of all crystals, and ``crystals`` with the
        ``cell`` or ``dataset`` and further options of each, by name.
    folder : Path
        Folder of the file, to which names of files are relative.
    where : str
        Name of the file, for messages.

    Raises
    ------
    DatasetError, ParameterError
        If the content is something else.
    """
    expected = "expected 'crystals: {NAME: {cell: POSCAR}}', and 'options'"
    if not isinstance(content, Mapping):
        raise DatasetError(f"{where}: no mapping; {expected}.")
    unknown = [str(key) for key in content if key not in _PARTS]
    if unknown:
        raise ParameterError(f"{where}: {unknown[0]!r} is not known; {expected}.")
    crystals = content.get("crystals")
    if not isinstance(crystals, Mapping) or not crystals:
        raise DatasetError(f"{where}: there are no crystals; {expected}.")
    common = _options(content.get("options") or {}, f"{where}: options")
    tasks: list[CampaignTask] = []
    for key, values in crystals.items():
        name = str(key)
        if not re.fullmatch(r"\w[\w.+-]*", name) or len(name.encode()) > _LONGEST:
            raise ParameterError(
                f"{where}: crystal {name!r}; expected letters, digits and _ . + -, as "
                f"in the name of a folder, {_LONGEST} at most."
            )
        if any(name == task.name for task in tasks):
            raise ParameterError(
                f"{where}: crystal {name!r} again; expected each once. Give it another "
                "name."
            )
        own = _options(values or {}, f"{where}: {name}")
        tasks.append(_task(name, {**common, **own}, folder, f"{where}: {name}"))
    return tasks


def _options(values: Any, where: str) -> dict[str, Any]:
    if not isinstance(values, Mapping):
        raise ParameterError(
            f"{where}: {values!r}; expected options by name, such as 'mesh: 11 11 11'."
        )
    return {str(key).lstrip("-"): value for key, value in values.items()}


def _task(name: str, options: dict[str, Any], folder: Path, where: str) -> CampaignTask:
    """Return the commands for a crystal."""
    given = [key for key in _INPUTS if options.get(key) is not None]
    if len(given) != 1:
        raise ParameterError(
            f"{where}: {' and '.join(given) or 'no input'}; expected 'cell' (a unit "
            "cell) or 'dataset' (a phono3py_params.yaml)."
        )
    path = _existing(options, given[0], folder, where)
    words: list[str] = []
    for key, value in options.items():
        if key not in _INPUTS:
            words += _words(key, value, folder, f"{where}: {key}")
    if given[0] == "cell":
        commands = [("phono3py-mlp", "kappa", "-c", str(path), *words)]
    else:
        load = ["phono3py", str(path), "--pypolymlp", *words]
        if not {"--br", "--lbte"} & set(words):
            load.append("--br")
        commands = [tuple(load), ("phono3py-mlp", "report", str(path))]
    words = [word.removeprefix("@") for command in commands for word in command]
    files = [word for word in words if "/" in word and Path(word).exists()]
    content = {file: content_of([file]) for file in files}
    key = fingerprint({"commands": commands, "files": content})
    return CampaignTask(name, tuple(commands), key)


def _existing(options: Mapping[str, Any], key: str, folder: Path, where: str) -> Path:
    path = folder / str(options[key])
    if not path.is_file():
        raise DatasetError(f'{where}: {key}: "{options[key]}" is not found.')
    return path.absolute()


def _words(key: str, value: Any, folder: Path, where: str) -> list[str]:
    """Return an option as words of a command line."""
    option = f"--{key}"
    if value is None or value is False:
        return []
    if value is True:
        return [option]
    if isinstance(value, str) and _NUMBERS.fullmatch(value.strip()):
        return [option, *shlex.split(value)]
    items = value if isinstance(value, list) else [value]
    words = [option]
    for item in items:
        if isinstance(item, Mapping | list) or item is None:
            raise ParameterError(
                f"{where}: {item!r}; expected text, numbers, or a list of them."
            )
        if not str(item).isprintable():
            raise ParameterError(f"{where}: {item!r}; expected text on one line.")
        words.append(_with_path(str(item), folder))
    return words


def _with_path(word: str, folder: Path) -> str:
    """Return a word with the path of a file of the list's folder."""
    mark = "@" if word.startswith("@") else ""
    path = folder / word.removeprefix("@")
    named = bool(re.search(r"[./]", word)) and not word.replace(".", "").isdigit()
    return f"{mark}{path.absolute()}" if named and path.is_file() else word


def is_finished(task: CampaignTask, folder: Path) -> bool:
    """Return whether a crystal has been computed with the same commands and files."""
    record = read_json(folder / _RECORD)
    return (
        record is not None
        and record.get("status") == "done"
        and record.get("fingerprint") == task.fingerprint
    )


def write_result(result: CrystalResult, task: CampaignTask, folder: Path) -> None:
    """Write what a crystal gave."""
    content = {**asdict(result), "fingerprint": task.fingerprint}
    write_json(folder / _RECORD, {**content, "commands": task.commands})


def read_result(task: CampaignTask, folder: Path) -> CrystalResult:
    """Return what a crystal gave, also if the commands have been changed since."""
    record = read_json(folder / _RECORD)
    if record is None:
        return CrystalResult(task.name)
    try:
        return CrystalResult(
            name=task.name,
            status=str(record["status"]),
            seconds=float(record["seconds"]),
            error=str(record["error"]),
            formula=str(record["formula"]),
            temperature=record["temperature"],
            kappa=tuple(map(float, record["kappa"])),
            errors=tuple(map(float, record["errors"])),
            to_check=int(record["to_check"]),
        )
    except INVALID_CONTENT:
        return CrystalResult(task.name)


def result_of_report(task: CampaignTask, folder: Path, seconds: float) -> CrystalResult:
    """Return the result of finished commands, from the report of the folder."""
    report = read_json(folder / _REPORT)
    try:
        assert report is not None
        kappa = report["kappa"]
        temperatures = np.array(kappa["temperatures_K"], dtype="double")
        near = room_temperature(temperatures)
        values = tuple(float(x) for x in kappa["kappa_W_mK"][near][:3])
        bars = kappa["error_bars_W_mK"].get(f"{temperatures[near]:g}") or ()
        errors = tuple(float(x) for x in bars)
        checks = report["checks"]
        formula = str(report["formula"])
    except (AssertionError, IndexError, *INVALID_CONTENT):
        error = "the report has no kappa"
        return CrystalResult(task.name, "failed", seconds, error)
    failed = sum(not check["passed"] for check in checks)
    if not all(map(math.isfinite, values)):
        return CrystalResult(
            task.name, "failed", seconds, "kappa is not finite", formula
        )
    temperature = float(temperatures[near])
    return CrystalResult(
        task.name,
        "done",
        seconds,
        "",
        formula,
        temperature,
        values,
        errors,
        failed,
    )

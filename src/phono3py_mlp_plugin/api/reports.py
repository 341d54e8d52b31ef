"""The report of a folder."""

from __future__ import annotations

import contextlib
import html
import json
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from phono3py_mlp_plugin import workflow
from phono3py_mlp_plugin.api.results import Result
from phono3py_mlp_plugin.api.training import Options, unknown_figure
from phono3py_mlp_plugin.errors import DatasetError, PotentialError
from phono3py_mlp_plugin.files import potential_files
from phono3py_mlp_plugin.plotting import read_style
from phono3py_mlp_plugin.reports import (
    Contents,
    figures,
    gather,
    report_files,
    write_report,
)
from phono3py_mlp_plugin.workflow import CalculatorSpec, Check

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from phono3py import Phono3py

# In the order of preference.
_SUMMARY = "phono3py.yaml"
_INPUTS = ("phono3py_params.yaml", _SUMMARY)
_EVALUATED = "phono3py_mlp_eval_dataset.yaml"

# Largest difference in angstrom of lattices that are the same.
_LATTICE = 1e-3

_HEIGHT = 800  # of the page in a notebook, in pixels


@dataclass(frozen=True, eq=False, repr=False)
class Report(Result):
    """The report of a folder.

    Attributes
    ----------
    folder : Path
    contents : Contents
        What was found in the folder, and what is missing.
    """

    folder: Path
    contents: Contents

    @property
    def checks(self) -> list[Check]:
        """Checks of potential, phonons and errors of kappa."""
        return self.contents.checks

    @cached_property
    def _files(self) -> dict[str, bytes]:
        return report_files(self.contents, read_style(self.folder))

    @property
    def html(self) -> str:
        """The page."""
        return self._file(".html")

    def save(self, folder: str | Path | None = None) -> list[Path]:
        """Write the page, its numbers and figures; return their paths.

        Parameters
        ----------
        folder : str or Path, optional
            By default the folder of the report.
        """
        workflow.check_arguments(file=folder)
        return write_report(self.contents, Path(folder or self.folder))

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers of the report; units are in the names."""
        numbers: dict[str, Any] = json.loads(self._file(".json"))
        return numbers

    def plot(self, kind: str) -> Figure:
        """Draw a figure of the report.

        Parameters
        ----------
        kind : str
            "bands", "convergence", "cumulative", "kappa", "parity", "penalties" or
            "snapshots".

        Raises
        ------
        ParameterError, DatasetError
            If there is no such figure, or no data for it.
        """
        if kind not in figures.NAMES:
            raise unknown_figure(kind, figures.NAMES)
        with read_style(self.folder).applied():
            figure = figures.draw(self.contents, kind)
        if figure is None:
            reason = self.contents.missing.get(kind, "there are no data.")
            raise DatasetError(f"{kind}: {reason}")
        return figure

    def _file(self, ending: str) -> str:
        (content,) = (c for name, c in self._files.items() if name.endswith(ending))
        return content.decode()

    def _title(self) -> str:
        return f"Report on {self.contents.formula}"

    def _notes(self) -> Sequence[str]:
        return [str(check) for check in self.checks]

    def _repr_html_(self) -> str:
        """Return the page in a frame."""
        page = html.escape(self.html, quote=True)
        style = f"width:100%;height:{_HEIGHT}px;border:0"
        return f'<iframe style="{style}" srcdoc="{page}"></iframe>'


def report(
    folder: str | Path = ".",
    filename: str | Path | None = None,
    calculator: str = "pypolymlp",
    options: Options = None,
    potential_file: str | Path | None = None,
) -> Report:
    """Collect a report from the files of runs in a folder; nothing is written.

    Parameters
    ----------
    folder : str or Path, optional
        Folder of runs of ``phono3py-load``, ``phono3py-mlp kappa`` or ``converge``.
    filename : str or Path, optional
        Crystal and dataset, in the folder; by default phono3py_params.yaml or
        phono3py.yaml.
    calculator : str, optional
        Force calculator of the potential.
    options : str or mapping, optional
        Its options.
    potential_file : str or Path, optional
        Its file, in the folder; by default it is searched for.

    Returns
    -------
    Report
        ``checks``, ``plot(kind)``, and ``save()``, which writes the page.

    Raises
    ------
    DatasetError
        If there is nothing to report, or a file cannot be read.
    PotentialError
        If the file of the potential is not found, or is of another crystal.
    ParameterError, PluginNotFound
        See `train`.
    """
    workflow.check_arguments(
        folder=folder,
        filename=filename,
        calculator=calculator,
        options=options,
        potential_file=potential_file,
    )
    spec = workflow.request_calculator(calculator, options)
    place = Path(folder).absolute()
    if not place.is_dir():
        raise DatasetError(f'"{folder}": is not a folder. Give the folder of a run.')
    path = None if filename is None else Path(filename)
    file = None if potential_file is None else Path(potential_file)
    # phono3py reads BORN and other files of the current folder.
    with contextlib.chdir(place):
        if file is not None and not potential_files(file):
            raise PotentialError(f'"{file}" is not found. Check the name.')
        contents = contents_of_run(
            path, spec, file, lambda note: warnings.warn(note, stacklevel=4)
        )
    return Report(place, contents)


def contents_of_run(
    filename: Path | None,
    spec: CalculatorSpec,
    file: Path | None,
    note: Callable[[str], object],
) -> Contents:
    """Return the contents of the report on the current folder.

    Parameters
    ----------
    filename : Path or None
        Crystal and dataset.
    spec : CalculatorSpec
        Force calculator of the potential.
    file : Path or None
        Its file.
    note : callable
        Called with what to know about the files, also if there is nothing to report.

    Raises
    ------
    DatasetError, PotentialError
        See `report`.
    """
    from phono3py_mlp_plugin.host.reading import read_crystal, read_run_options

    path = filename or _input()
    crystal = read_crystal(path)
    workflow.check_born_charges(crystal)
    summary = Path(_SUMMARY)
    if filename is None and path != summary and summary.is_file():
        _check_last_run(crystal, path, read_crystal(summary))
    evaluated = None
    if Path(_EVALUATED).is_file():
        evaluated = read_crystal(Path(_EVALUATED))
    if evaluated is not None and not _is_same_crystal(crystal, evaluated):
        note(f'"{_EVALUATED}" is of another crystal: it is not used.')
        evaluated = None
    if evaluated is not None:
        evaluated.nac_params = evaluated.nac_params or crystal.nac_params
    settings = read_run_options(summary) if summary.is_file() else {}
    return gather(crystal, Path(), spec, evaluated, settings, file)


def _input() -> Path:
    """Return the first file with crystal and dataset that exists."""
    for name in _INPUTS:
        if Path(name).is_file():
            return Path(name)
    raise DatasetError(
        f"none of {', '.join(_INPUTS)} is found. Give the file with crystal and "
        "dataset."
    )


def _check_last_run(crystal: Phono3py, path: Path, last: Phono3py) -> None:
    """Raise if the last run in the folder was of another crystal than a file."""
    if not _is_same_crystal(crystal, last):
        formulas = [one.unitcell.formula for one in (crystal, last)]
        raise DatasetError(
            f"{path}: its crystal ({formulas[0]}) or supercell is not that of the last "
            f'run in "{_SUMMARY}" ({formulas[1]}). Give the file with crystal and '
            f"dataset of the report, such as {_SUMMARY}."
        )


def _is_same_crystal(one: Phono3py, other: Phono3py) -> bool:
    """Return whether elements and lattice of the supercells are the same.

    Positions may have been relaxed.
    """
    a, b = one.supercell, other.supercell
    return list(a.symbols) == list(b.symbols) and np.allclose(
        a.cell, b.cell, rtol=0, atol=_LATTICE
    )

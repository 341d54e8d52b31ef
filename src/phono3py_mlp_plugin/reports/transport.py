"""Kappa of a run, its error bars, and its convergence study."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import numpy as np

from phono3py_mlp_plugin.convergence import (
    CONVERGENCE_FILE,
    Point,
    read_convergence,
    read_last_study,
)
from phono3py_mlp_plugin.errors import DatasetError
from phono3py_mlp_plugin.files import (
    INVALID_CONTENT,
    UNCERTAINTY_FILE,
    KappaFile,
    find_kappa,
    read_budget,
    read_kappa,
    read_models,
    read_uncertainty,
    read_values,
)
from phono3py_mlp_plugin.reports.folder import RunFolder
from phono3py_mlp_plugin.uncertainty import ErrorBar, ErrorBudget
from phono3py_mlp_plugin.workflow import (
    Check,
    contributions_above,
    describe_contribution,
    is_not_varied,
)

# Largest contribution to the error of kappa that passes the checks.
_LARGEST = 0.05


def kappa_of(folder: RunFolder) -> KappaFile:
    """Return the most recent kappa in the folder.

    Raises
    ------
    DatasetError
        If there is none.
    """
    paths = find_kappa(folder.path)
    if paths:
        return read_kappa(paths[0])
    damaged = sorted(p.name for p in folder.path.glob("kappa-*.hdf5"))
    raise DatasetError(
        f"No kappa in {', '.join(damaged)}: compute it anew."
        if damaged
        else "No kappa file: phono3py --mesh N N N --br makes one."
    )


def points_of(folder: RunFolder) -> list[Point]:
    """Return the points of the last convergence study, or of all in its file.

    They are of all studies if the last one was not finished.

    Raises
    ------
    DatasetError
        If there are none.
    """
    records = read_convergence(folder.path / CONVERGENCE_FILE)
    points = [Point.from_record(record) for record in records]
    valid = [point for point in points if point is not None]
    if not valid:
        raise DatasetError(
            f"{folder.absent(CONVERGENCE_FILE)}: phono3py-mlp converge "
            "phono3py_params.yaml --mesh N N N shows whether the supercells are "
            "enough."
        )
    study = read_last_study(folder.path / CONVERGENCE_FILE)
    of_last = [p for p in valid if study is not None and p.key in study.keys]
    valid = of_last or valid
    # The order of a new study; an interrupted one may have added points later.
    return sorted(valid, key=lambda point: (point.label, point.order, point.size))


def bars_of(folder: RunFolder, kappa: KappaFile) -> dict[float, list[ErrorBar]]:
    """Return error bars by temperature.

    Raises
    ------
    DatasetError
        If there are none, or they belong to another kappa.
    """
    bars: dict[float, list[ErrorBar]] = {}
    records = read_uncertainty(folder.path / UNCERTAINTY_FILE)
    for record in records:
        same = np.isclose(kappa.temperatures, record["temperature"])
        values = kappa.kappa[same]
        if len(values) and np.allclose(values[0], record["kappa"], rtol=1e-6):
            bars[float(record["temperature"])] = [
                ErrorBar(**bar) for bar in record["bars"]
            ]
    if not bars:
        raise DatasetError(_no_bars(folder, kappa))
    return bars


def _no_bars(folder: RunFolder, kappa: KappaFile) -> str:
    """Return why there are no error bars."""
    if _is_of(folder, kappa):
        return (
            "Error bars of kappa are not known: --uncertainty N of phono3py, "
            "several --mlp-file, or --teach N of phono3py-mlp kappa gives them."
        )
    if read_values(folder.path / UNCERTAINTY_FILE):
        return f"{UNCERTAINTY_FILE} is of another kappa than {kappa.name}."
    return f"{folder.absent(UNCERTAINTY_FILE)}: --uncertainty N of phono3py makes it."


def _is_of(folder: RunFolder, kappa: KappaFile) -> bool:
    """Return whether error bars and budget in the folder belong to this kappa."""
    for temperature, values in read_values(folder.path / UNCERTAINTY_FILE):
        same = np.isclose(kappa.temperatures, temperature)
        if temperature > 0 and same.any():
            return bool(np.allclose(kappa.kappa[same][0], values, rtol=1e-6))
    return False


def models_of(folder: RunFolder) -> tuple[str, ...]:
    """Return the names of the models whose scatter is the error bar, if it is."""
    return read_models(folder.path / UNCERTAINTY_FILE)


def budget_of(
    folder: RunFolder, points: Sequence[Point], kappa: KappaFile
) -> tuple[ErrorBudget, str]:
    """Return the error budget of the run or of the convergence study, and of which.

    Parameters
    ----------
    folder : RunFolder
    points : sequence of Point
        Points of the convergence study.
    kappa : KappaFile
        Kappa of the run.

    Raises
    ------
    DatasetError
        If there is none.
    """
    path = folder.path / UNCERTAINTY_FILE
    record = read_budget(path) if _is_of(folder, kappa) else None
    if record is not None:
        # A damaged file is one without a budget.
        with contextlib.suppress(*INVALID_CONTENT):
            return ErrorBudget.from_record(record), "the run"
    for point in reversed(points):
        if point.budget is not None:
            return point.budget, f"the study, {point.size} supercells"
    raise DatasetError(
        "Errors due to the mesh, the model and the range of fc3 are not known: "
        "--uncertainty N or --error-budget of phono3py, or phono3py-mlp converge, "
        "estimates them."
    )


def budget_checks(budget: ErrorBudget) -> list[Check]:
    """Return the checks of the contributions to the error of kappa."""
    large = contributions_above(budget, _LARGEST)
    if not large:
        names = [one.name for one in budget.contributions if is_not_varied(one)]
        known = ", ".join(names)
        return [Check(True, f"errors of kappa by {known}: below {100 * _LARGEST:g} %")]
    return [
        Check(False, describe_contribution(one, budget, _LARGEST), one.remedy)
        for one in large
    ]

"""Force constants of a crystal, by a solver or from a potential."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from phono3py_mlp_plugin import workflow
from phono3py_mlp_plugin.api.results import Result, Row, plain
from phono3py_mlp_plugin.api.training import Options, Training, potential_of
from phono3py_mlp_plugin.contracts import (
    FloatArray,
    ForceConstants,
    Potential,
    Progress,
    no_progress,
)
from phono3py_mlp_plugin.errors import ParameterError
from phono3py_mlp_plugin.plotting import Style
from phono3py_mlp_plugin.reports import figures
from phono3py_mlp_plugin.reports.phonons import bands_of_sources

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from phono3py import Phono3py

_UNITS = {2: "eV/angstrom^2", 3: "eV/angstrom^3"}


class ForceConstantsResult(Result, Mapping[int, FloatArray]):
    """fc2 and fc3 by order, as a mapping.

    Parameters
    ----------
    crystal : Phono3py
        Provides cells and Born charges.
    force_constants : dict
        fc2 in eV/angstrom^2, shape ``(N_p or N, N, 3, 3)``, and fc3 in eV/angstrom^3,
        shape ``(N_p or N, N, N, 3, 3, 3)``, with the orders 2 and 3 as keys.
    solver : str
        Name of the solver.
    """

    def __init__(
        self, crystal: Phono3py, force_constants: ForceConstants, solver: str
    ) -> None:
        self._crystal = copy.copy(crystal)
        self._arrays = dict(force_constants)
        self.solver = solver

    def __getitem__(self, order: int) -> FloatArray:
        return self._arrays[order]

    def __iter__(self) -> Iterator[int]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    @property
    def fc2(self) -> FloatArray:
        """Force constants of second order in eV/angstrom^2."""
        return self._arrays[2]

    @property
    def fc3(self) -> FloatArray:
        """Force constants of third order in eV/angstrom^3."""
        return self._arrays[3]

    def checks(self) -> list[workflow.Check]:
        """Return the check of the acoustic sum rules."""
        return [workflow.check_drift(self.fc2, self.fc3)]

    def to_dict(self) -> dict[str, Any]:
        """Return the solver and all elements of fc2 and fc3."""
        return {
            "solver": self.solver,
            "fc2_eV_per_angstrom2": plain(self.fc2),
            "fc3_eV_per_angstrom3": plain(self.fc3),
        }

    def plot(self) -> Figure:
        """Draw the phonon bands and the density of states of fc2."""
        sources = {"force constants": (self._crystal, self.fc2)}
        formula = workflow.chemical_formula(self._crystal.primitive.symbols)
        with Style().applied():
            return figures.draw_bands(bands_of_sources(sources), formula)

    def _title(self) -> str:
        return f"Force constants by {self.solver}"

    def _table(self) -> list[Row]:
        rows: list[Row] = [("", "shape", "largest element")]
        for order, array in self._arrays.items():
            shape = " x ".join(map(str, array.shape))
            largest = f"{np.abs(array).max():.4g} {_UNITS[order]}"
            rows.append((f"fc{order}", shape, largest))
        return rows

    def _notes(self) -> list[str]:
        return [str(check) for check in self.checks()]


def solve_force_constants(
    ph3: Phono3py,
    solver: str = "symfc",
    options: Options = None,
    is_compact_fc: bool = True,
    potential: Potential | Training | None = None,
    progress: Progress = no_progress,
) -> ForceConstantsResult:
    """Solve for fc2 and fc3 by a force-constants solver, and set them in ``ph3``.

    Parameters
    ----------
    ph3 : Phono3py
        Phono3py object with displacements and forces.
    solver : str
        Name of a registered solver.
    options : str or mapping, optional
        Options of the solver; ``cutoff`` (angstrom) is the cutoff of fc3.
    is_compact_fc : bool
        If True, the first atom runs over the primitive cell only.
    potential : Potential or Training, optional
        For the solver ``exact``, which needs no displacements.
    progress : Progress, optional
        Reports the progress.

    Returns
    -------
    ForceConstantsResult
        A mapping with fc2 (eV/angstrom^2, shape ``(N_p or N, N, 3, 3)``) and fc3
        (eV/angstrom^3, shape ``(N_p or N, N, N, 3, 3, 3)``) by order; ``plot()`` draws
        the phonons.

    Raises
    ------
    DatasetError
        If there are no forces.
    PluginFailed
        If the solver raised an error or violated its contract.
    SolverError
        If the forces do not determine the force constants, or are not reproduced.
    ParameterError, PluginNotFound
        See `train`.

    Examples
    --------
    >>> from phono3py import Phono3py
    >>> import phono3py_mlp_plugin as mlp
    >>> from phono3py_mlp_plugin.reference import RigidIonNaCl, nacl_dataset
    >>> unitcell, _ = nacl_dataset(1, repeats=1)
    >>> ph3 = Phono3py(unitcell, supercell_matrix=[2, 2, 2], primitive_matrix="F")
    >>> ph3.generate_displacements(distance=0.01, number_of_snapshots=4)
    >>> _ = mlp.evaluate(ph3, RigidIonNaCl())
    >>> sorted(mlp.solve_force_constants(ph3, "symfc", {"cutoff": 4.0}))
    [2, 3]
    >>> ph3.fc3.shape
    (2, 64, 64, 3, 3, 3)
    """
    workflow.check_arguments(
        ph3=ph3,
        solver=solver,
        options=options,
        is_compact_fc=is_compact_fc,
        progress=progress,
    )
    request = solver_request(solver, options, is_compact_fc)
    given = None if potential is None else potential_of(potential)
    result = workflow.solve_force_constants(ph3, request, given, progress)
    ph3.fc2, ph3.fc3 = result[2], result[3]
    return ForceConstantsResult(ph3, result, solver)


def solver_request(
    solver: str, options: Options, is_compact_fc: bool
) -> workflow.ForceConstantsRequest:
    """Return the request of a solver, whose result is not changed afterwards."""
    request = dataclasses.replace(
        workflow.request_force_constants(solver, options, where="options"),
        is_compact_fc=is_compact_fc,
        symmetrize=False,
    )
    if solver.lower() == workflow.FINITE_DIFFERENCES and options:
        raise ParameterError(
            f"options: {solver} has options in commands only, which limit the "
            "displacements and symmetrise the result. Leave them out."
        )
    return request


def request_of_potential(
    ph3: Phono3py, solver: str | None, options: Options, *, has_derivatives: bool
) -> workflow.ForceConstantsRequest:
    """Return how force constants are computed from a potential.

    Parameters
    ----------
    ph3 : Phono3py
    solver : str or None
        By default "exact" if the potential has derivatives, otherwise "symfc"; fc2 of
        first-principles forces by "symfc".
    options : str or mapping, optional
    has_derivatives : bool

    Raises
    ------
    ParameterError
        If the solver cannot compute fc2 from the forces that it has.
    """
    keeps_fc2 = workflow.fc2_dataset(ph3) is not None
    name = solver or ("exact" if has_derivatives else "symfc")
    if solver is None and has_derivatives and keeps_fc2:
        name = "symfc|exact"
    request = solver_request(name, options, is_compact_fc=True)
    if keeps_fc2 and request.fc2.solver.differentiate is not None:
        raise ParameterError(
            f"solver = {name!r}: fc2 comes from the forces of phonon_dataset; expected "
            f"a solver for them. Give 'symfc|{name}', or remove these forces."
        )
    return request

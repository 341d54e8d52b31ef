"""Calculation of force constants from forces, with the solvers of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from phono3py_mlp_plugin import plugins
from phono3py_mlp_plugin.contracts import (
    FloatArray,
    ForceConstants,
    ForceConstantsProblem,
    Potential,
    Progress,
    SolveMany,
    no_progress,
)
from phono3py_mlp_plugin.errors import DatasetError
from phono3py_mlp_plugin.parallel import SERIAL, Distribution
from phono3py_mlp_plugin.wording import counted
from phono3py_mlp_plugin.workflow.dataset import displacements_of, with_pairs_marked
from phono3py_mlp_plugin.workflow.evaluate import evaluate, forces_of
from phono3py_mlp_plugin.workflow.potential_source import PotentialSource
from phono3py_mlp_plugin.workflow.request import (
    FINITE_DIFFERENCES,
    ForceConstantsRequest,
    SolverSpec,
)
from phono3py_mlp_plugin.workflow.supercells import CrystalSupercell, supercells_of

if TYPE_CHECKING:
    from phono3py import Phono3py
    from phonopy.structure.atoms import PhonopyAtoms


def force_constants_problem(
    part: CrystalSupercell,
    request: SolverSpec,
    orders: tuple[int, ...],
    *,
    is_compact_fc: bool = True,
    forces: FloatArray | None = None,
    log_level: int = 0,
    progress: Progress = no_progress,
    distribution: Distribution = SERIAL,
) -> ForceConstantsProblem:
    """Return the input of a force-constants solver.

    Parameters
    ----------
    part : CrystalSupercell
        A supercell with displacements, which solvers that take potentials do not need.
    request : SolverSpec
    orders : tuple of int
    is_compact_fc : bool
    forces : ndarray, optional
        Forces of `CrystalSupercell.read_dataset` in eV/angstrom, shape ``(n, N, 3)``.
        Zero by default, to be set later.
    log_level : int
    progress : Progress
    distribution : Distribution
        For steps of the solver that workers can share.

    Raises
    ------
    DatasetError
        If there are no displacements.
    """
    dataset = part.dataset
    if forces is not None and dataset is not None:
        # Forces that were read, without pairs that were not calculated.
        dataset = with_pairs_marked(dataset)
    displacements = displacements_of(dataset, part.supercell)
    if request.solver.differentiate is not None:
        displacements, dataset = np.zeros((0, len(part.supercell), 3)), {}
    if displacements is None or dataset is None:
        raise DatasetError("there are no displacements to solve force constants from.")
    problem = ForceConstantsProblem(
        supercell=part.supercell,
        primitive=part.primitive,
        symmetry=part.symmetry,
        displacements=displacements,
        forces=np.zeros_like(displacements),
        orders=orders,
        is_compact_fc=is_compact_fc,
        cutoff={k: v for k, v in request.cutoff.items() if k in orders},
        dataset=dataset,
        options=request.options,
        log_level=log_level,
        progress=progress,
        map_chunks=distribution.mapped("derivatives"),
    )
    return problem if forces is None else problem.with_forces(forces)


def solve_force_constants(
    crystal: Phono3py,
    request: ForceConstantsRequest,
    potential: Potential | None = None,
    progress: Progress = no_progress,
) -> ForceConstants:
    """Return fc2 and fc3 from the displacements and forces of a crystal.

    Parameters
    ----------
    crystal : Phono3py
        It is not changed.
    request : ForceConstantsRequest
    potential : Potential, optional
        For solvers that take a potential instead of forces.
    progress : Progress

    Raises
    ------
    DatasetError
        If there are no forces.
    SolverError, PluginFailed
        See `plugins.solve`.
    """
    force_constants: ForceConstants = {}
    for part, solver, orders in _fits(crystal, request):
        if solver.solver.differentiate is not None and potential is not None:
            force_constants |= differentiate(
                part,
                solver,
                orders,
                potential,
                is_compact_fc=request.is_compact_fc,
                progress=progress,
            )
            continue
        data = part.read_dataset()
        if solver.solver.differentiate is None and data is None:
            raise DatasetError("there are no forces; evaluate() or set them first.")
        problem = force_constants_problem(
            part,
            solver,
            orders,
            is_compact_fc=request.is_compact_fc,
            forces=None if data is None else data.forces,
            progress=progress,
        )
        force_constants |= plugins.solve(solver.solver, problem)
    return _symmetrised(crystal, request, force_constants)


def differentiate(
    part: CrystalSupercell,
    request: SolverSpec,
    orders: tuple[int, ...],
    potential: Potential,
    *,
    is_compact_fc: bool = True,
    progress: Progress = no_progress,
    distribution: Distribution = SERIAL,
) -> ForceConstants:
    """Return force constants by a solver that takes a potential instead of forces.

    Parameters
    ----------
    part : CrystalSupercell
    request : SolverSpec
    orders : tuple of int
    potential : Potential
    is_compact_fc : bool
    progress : Progress
    distribution : Distribution

    Raises
    ------
    SolverError, PluginFailed
        See `plugins.differentiate`.
    """
    problem = force_constants_problem(
        part,
        request,
        orders,
        is_compact_fc=is_compact_fc,
        progress=progress,
        distribution=distribution,
    )
    name = type(potential).__name__
    (result,) = plugins.differentiate(request.solver, name, [potential], problem)
    return result


class ForceConstantsOf:
    """Force constants of several potentials from the same displacements.

    Parameters
    ----------
    crystal : Phono3py
        Provides the displacements.
    request : ForceConstantsRequest
    calculator : str
        Name of the force calculator, used in messages.
    keep_fc2 : bool
        Whether fc2 is computed from the first-principles forces of the dim-fc2 dataset.
    progress : Progress
        For the solvers.

    Raises
    ------
    DatasetError
        If there are no displacements.
    SolverError, PluginFailed
        See `plugins.prepare`.
    """

    def __init__(
        self,
        crystal: Phono3py,
        request: ForceConstantsRequest,
        calculator: str,
        *,
        keep_fc2: bool = False,
        progress: Progress = no_progress,
    ) -> None:
        self._crystal = crystal
        self._request = request
        self._calculator = calculator
        # Copied here, because the displacements of the crystal may be replaced later.
        self._cells: dict[str, list[PhonopyAtoms]] = {}
        self._fits: list[tuple[str, int, SolveMany]] = []
        self._derivatives: list[tuple[SolverSpec, ForceConstantsProblem]] = []
        self._fixed: ForceConstants = {}
        for part, solver, orders in _fits(crystal, request):
            problem = force_constants_problem(
                part,
                solver,
                orders,
                is_compact_fc=request.is_compact_fc,
                progress=progress,
            )
            if part.name == "dim-fc2" and keep_fc2:
                data = part.read_dataset()
                assert data is not None
                self._fixed = plugins.solve(
                    solver.solver, problem.with_forces(data.forces)
                )
            elif solver.solver.differentiate is not None:
                self._derivatives.append((solver, problem))
            else:
                if part.name not in self._cells:
                    cells = part.displaced()
                    self._cells[part.name] = [c for c in cells if c is not None]
                number = len(problem.displacements)
                prepared = plugins.prepare(solver.solver, problem)
                self._fits.append((part.name, number, prepared))

    def solve(
        self,
        potentials: Sequence[Potential],
        progress: Progress = no_progress,
        distribution: Distribution = SERIAL,
        names: Sequence[str] = (),
        sources: Sequence[PotentialSource | None] = (),
    ) -> Iterator[ForceConstants]:
        """Evaluate the forces of all potentials; return fc2 and fc3 of each.

        Parameters
        ----------
        potentials : sequence of Potential
        progress : Progress
        names : sequence of str
            Names of the potentials in messages, if they are told apart.
        distribution : Distribution
            Where supercells are evaluated.
        sources : sequence of PotentialSource or None
            Where potentials that were not trained here come from. Their evaluations,
            which may take long, are kept on disk.
        """
        sources = sources or [None] * len(potentials)
        called = [
            (f"{self._calculator} ({name})", source)
            for name, source in zip(names, sources, strict=False)
        ]
        forces = {
            name: self._forces(cells, potentials, called, progress, distribution)
            for name, cells in self._cells.items()
        }
        # A fit of fc2 may use single displacements only, which are the first ones.
        streams = [
            solve_many(forces[name][:, :number])
            for name, number, solve_many in self._fits
        ]
        streams += [
            plugins.differentiate(spec.solver, self._calculator, potentials, problem)
            for spec, problem in self._derivatives
        ]
        return map(self._combined, zip(*streams, strict=True))

    def _combined(self, fits: Sequence[ForceConstants]) -> ForceConstants:
        combined: ForceConstants = {}
        for fcs in fits:
            combined |= fcs
        return _symmetrised(self._crystal, self._request, combined | self._fixed)

    def _forces(
        self,
        cells: Sequence[PhonopyAtoms],
        potentials: Sequence[Potential],
        called: Sequence[tuple[str, PotentialSource | None]],
        progress: Progress,
        distribution: Distribution,
    ) -> FloatArray:
        task = f"Evaluating forces of {counted(len(potentials), 'potential')}"
        if not called:
            return forces_of(
                self._calculator, potentials, cells, progress, task, distribution
            )
        forces = []
        with progress(task, len(potentials) * len(cells)) as advance:

            @contextmanager
            def part_of_it(
                task: str, total: int | None
            ) -> Iterator[Callable[[int], None]]:
                del task, total
                yield advance

            for (name, source), potential in zip(called, potentials, strict=True):
                result = evaluate(
                    name,
                    potential,
                    cells,
                    part_of_it,
                    distribution=distribution,
                    source=source,
                    origin=None if source is None else source.origin,
                )
                forces.append(result.forces)
        return np.array(forces)


def _fits(
    crystal: Phono3py, request: ForceConstantsRequest
) -> list[tuple[CrystalSupercell, SolverSpec, tuple[int, ...]]]:
    """Return supercell, solver and orders of each fit.

    fc2 of a later fit replaces that of an earlier one.
    """
    first, *others = supercells_of(crystal)
    fits = [(first, request.fc3, first.orders)]
    if others:
        fits += [(part, request.fc2, part.orders) for part in others]
    elif request.separate_fc2:
        fits.append((_single_displacements(first), request.fc2, (2,)))
    return fits


def _single_displacements(part: CrystalSupercell) -> CrystalSupercell:
    """Return the supercell with single displacements only, as the host uses for fc2."""
    dataset = part.dataset
    if dataset is None or "first_atoms" not in dataset:
        return part
    atoms = [
        {key: value for key, value in atom.items() if key != "second_atoms"}
        for atom in dataset["first_atoms"]
    ]
    return replace(part, dataset={**dataset, "first_atoms": atoms})


def _symmetrised(
    crystal: Phono3py, request: ForceConstantsRequest, force_constants: ForceConstants
) -> ForceConstants:
    """Return force constants symmetrised and cut off as requested."""
    orders = [
        order
        for order in (2, 3)
        if request.symmetrize and request.of(order).solver.name == FINITE_DIFFERENCES
    ]
    if not (orders or request.cutoff_fc3):
        return force_constants
    original = crystal.fc2, crystal.fc3
    crystal.fc2, crystal.fc3 = force_constants[2], force_constants[3]
    if 3 in orders:
        crystal.symmetrize_fc3(**_symmetrisation_arguments(request, 3))
    if 2 in orders:
        crystal.symmetrize_fc2(**_symmetrisation_arguments(request, 2))
    if request.cutoff_fc3:
        crystal.cutoff_fc3_by_zero(request.cutoff_fc3)
    result = {2: crystal.fc2, 3: crystal.fc3}
    crystal.fc2, crystal.fc3 = original
    return result


def _symmetrisation_arguments(
    request: ForceConstantsRequest, order: int
) -> dict[str, Any]:
    """Return the arguments of the symmetrisation methods of Phono3py."""
    options = request.of(order).options
    if not request.use_symfc_projector:
        return {"options": f"level = {options.level}"}
    texts = [f"use_mkl = {options.use_mkl}"]
    texts += [
        f"cutoff = {x}" for k, x in request.of(order).cutoff.items() if k == order
    ]
    return {"use_symfc_projector": True, "options": ", ".join(texts)}

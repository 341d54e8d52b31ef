"""Plain functions for scripts, on Phono3py objects and by their public attributes."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phono3py_mlp_plugin import plugins, workflow
from phono3py_mlp_plugin.contracts import (
    ForceConstants,
    Potential,
    Progress,
    no_progress,
)
from phono3py_mlp_plugin.errors import DatasetError, ParameterError, PotentialError
from phono3py_mlp_plugin.files import find_potential, potential_files
from phono3py_mlp_plugin.workflow import Training

if TYPE_CHECKING:
    from phono3py import Phono3py

Options = str | Mapping[str, Any] | None


def train(
    ph3: Phono3py,
    calculator: str = "pypolymlp",
    options: Options = None,
    progress: Progress = no_progress,
    *,
    allow_poor_fit: bool = False,
) -> Training:
    """Train a potential on the displacements, forces and energies of ``ph3``.

    Parameters
    ----------
    ph3 : Phono3py
        Its ``mlp_dataset`` is used, or where that is not set its ``dataset``.
    calculator : str
        Name of a force calculator that can be trained.
    options : str or mapping, optional
        Parameters of the model and ``ntrain``, ``ntest``, ``split``, ``seed``, as in
        ``--mlp-params``.
    progress : Progress, optional
        Told how far it is.
    allow_poor_fit : bool, optional
        Return the potential although its test error is of the size of the forces.

    Returns
    -------
    Training
        ``potential``, ``provenance`` (errors, ridge path) and ``save(path)``.

    Raises
    ------
    DatasetError
        There are no forces, or the dataset contradicts itself. What is only suspicious
        is a warning.
    ParameterError
        An option is unknown or out of range.
    PhysicsError
        The test error is larger than 30 % of the rms force.
    PluginNotFound
        No usable calculator has this name.

    Examples
    --------
    A tiny model on supercells of an analytic reference potential:

    >>> from phono3py import Phono3py
    >>> import phono3py_mlp_plugin as mlp
    >>> from phono3py_mlp_plugin.reference import nacl_dataset
    >>> unitcell, data = nacl_dataset(40, repeats=1)
    >>> ph3 = Phono3py(unitcell, supercell_matrix=[1, 1, 1], primitive_matrix="F")
    >>> ph3.mlp_dataset = {
    ...     "displacements": data.displacements,
    ...     "forces": data.forces,
    ...     "supercell_energies": data.energies,
    ... }
    >>> training = mlp.train(ph3, options={"gtinv_maxl": (2, 2), "ntest": 10})
    >>> training.provenance.rmse["test"]["force"] < 1e-3
    True
    """
    request = workflow.request_calculator(calculator, options)
    workflow.check_born_charges(ph3)
    source = ph3.dataset if ph3.mlp_dataset is None else ph3.mlp_dataset
    dataset = workflow.read_dataset(source, ph3.supercell)
    if dataset is None:
        raise DatasetError("the dataset has no forces; training needs them.")
    split = request.divide(len(dataset))
    for note in (
        *workflow.check_dataset(dataset),
        *workflow.check_split(dataset, split),
    ):
        warnings.warn(note, stacklevel=2)
    return workflow.train(request, dataset, split, progress, allow_poor_fit)


def load_potential(
    path: str | Path | None = None,
    calculator: str = "pypolymlp",
    options: Options = None,
) -> Potential:
    """Read a potential, or make one that needs no file.

    Parameters
    ----------
    path : str or Path, optional
        Where it is not given, the calculator's usual names are looked for in the
        current folder. ``polymlp.yaml`` where there are ``polymlp.yaml.1``,
        ``polymlp.yaml.2``, ... alone: the hybrid model of all of them.
    calculator : str
    options : str or mapping, optional

    Raises
    ------
    PotentialError
        There is no file, or it is not a potential of this calculator.
    ParameterError, PluginNotFound
        As in `train`.

    Examples
    --------
    >>> import phono3py_mlp_plugin as mlp
    >>> from phono3py_mlp_plugin.reference import nacl_dataset
    >>> potential = mlp.load_potential(
    ...     calculator="ase",
    ...     options="calculator = ase.calculators.lj:LennardJones, sigma = 2.4, rc = 6",
    ... )
    >>> unitcell, _ = nacl_dataset(1, repeats=1)
    >>> potential.evaluate([unitcell]).forces.shape
    (1, 8, 3)
    """
    request = workflow.request_calculator(calculator, options)
    names = request.calculator.file_names
    found = find_potential(names, Path()) if path is None else Path(path)
    if found is not None and not potential_files(found):
        raise PotentialError(f'"{found}" is not found.')
    return plugins.load(request.calculator, found, request.options)


def evaluate(
    ph3: Phono3py, potential: Potential, progress: Progress = no_progress
) -> None:
    """Set forces and energies of the displaced supercells of ``ph3``.

    With a supercell of its own for fc2, the displaced supercells of fc2 too.

    Parameters
    ----------
    ph3 : Phono3py
        Displacements have been generated.
    potential : Potential
        Of any force calculator.

    Raises
    ------
    DatasetError
        There are no displacements.
    PotentialError
        The potential does not know an element of the crystal.

    Examples
    --------
    >>> from phono3py import Phono3py
    >>> import phono3py_mlp_plugin as mlp
    >>> from phono3py_mlp_plugin.reference import RigidIonNaCl, nacl_dataset
    >>> unitcell, _ = nacl_dataset(1, repeats=1)
    >>> ph3 = Phono3py(unitcell, supercell_matrix=[2, 2, 2], primitive_matrix="F")
    >>> ph3.generate_displacements(distance=0.01, number_of_snapshots=4)
    >>> mlp.evaluate(ph3, RigidIonNaCl())
    >>> ph3.forces.shape
    (4, 64, 3)
    """
    name = type(potential).__name__
    first, *others = workflow.supercells_of(ph3)
    for part in (first, *(part for part in others if part.dataset is not None)):
        part.set_evaluation(
            workflow.evaluate(name, potential, part.displaced(), progress)
        )


def solve_force_constants(
    ph3: Phono3py,
    solver: str = "symfc",
    options: Options = None,
    is_compact_fc: bool = True,
) -> ForceConstants:
    """Solve for fc2 and fc3 of ``ph3`` by a force-constants solver plugin and set them.

    Parameters
    ----------
    ph3 : Phono3py
        Displacements and forces are set.
    solver : str
        Name of a registered solver.
    options : str or mapping, optional
        Options of the solver; ``cutoff`` (angstrom) is that of fc3.
    is_compact_fc : bool
        The first atom runs over the primitive cell only.

    Returns
    -------
    dict
        fc2 in eV/angstrom^2, shape ``(N_p or N, N, 3, 3)``, and fc3 in eV/angstrom^3,
        shape ``(N_p or N, N, N, 3, 3, 3)``, by order.

    Raises
    ------
    DatasetError
        There are no forces.
    PluginFailed
        The solver raised or returned something against its contract.
    SolverError
        The forces do not determine the force constants, or are not described by them.
    ParameterError, PluginNotFound
        As in `train`.

    Examples
    --------
    >>> from phono3py import Phono3py
    >>> import phono3py_mlp_plugin as mlp
    >>> from phono3py_mlp_plugin.reference import RigidIonNaCl, nacl_dataset
    >>> unitcell, _ = nacl_dataset(1, repeats=1)
    >>> ph3 = Phono3py(unitcell, supercell_matrix=[2, 2, 2], primitive_matrix="F")
    >>> ph3.generate_displacements(distance=0.01, number_of_snapshots=4)
    >>> mlp.evaluate(ph3, RigidIonNaCl())
    >>> sorted(mlp.solve_force_constants(ph3, "symfc", {"cutoff": 4.0}))
    [2, 3]
    >>> ph3.fc3.shape
    (2, 64, 64, 3, 3, 3)
    """
    request = dataclasses.replace(
        workflow.request_force_constants(solver, options, where="options"),
        is_compact_fc=is_compact_fc,
        symmetrize=False,
    )
    if solver.lower() == workflow.FINITE_DIFFERENCES and options:
        raise ParameterError(
            f"options: {solver} has options in runs of the commands alone, which limit "
            "the displacements and symmetrise the result. Leave them out."
        )
    result = workflow.solve_force_constants(ph3, request)
    ph3.fc2, ph3.fc3 = result[2], result[3]
    return result

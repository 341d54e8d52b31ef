"""Functions for scripts, which use public attributes of Phono3py objects."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from phono3py_mlp_plugin import plugins, workflow
from phono3py_mlp_plugin.contracts import (
    FloatArray,
    ForceConstants,
    LabelledStructure,
    Potential,
    Progress,
    no_progress,
)
from phono3py_mlp_plugin.errors import DatasetError, ParameterError, PotentialError
from phono3py_mlp_plugin.files import find_potential, potential_files
from phono3py_mlp_plugin.parallel import distribution_of
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
    structures: Sequence[LabelledStructure] = (),
) -> Training:
    """Train a potential on the displacements, forces and energies of ``ph3``.

    Parameters
    ----------
    ph3 : Phono3py
        Its ``mlp_dataset`` is used, or its ``dataset`` if that is not set.
    calculator : str
        Name of a force calculator that can be trained.
    options : str or mapping, optional
        Parameters of the model and ``ntrain``, ``ntest``, ``split``, ``seed``, as in
        ``--mlp-params``.
    progress : Progress, optional
        Reports the progress.
    allow_poor_fit : bool, optional
        Return the potential even if its test error is as large as the forces.
    structures : sequence of LabelledStructure, optional
        Structures of other sizes and shapes, which are added to the training set.

    Returns
    -------
    Training
        ``potential``, ``provenance`` (errors, ridge path) and ``save(path)``.

    Raises
    ------
    DatasetError
        If there are no forces, or the dataset is inconsistent. Suspicious data only
        give a warning.
    ParameterError
        If an option is unknown or out of range.
    PhysicsError
        If the test error is larger than 30 % of the rms force.
    PluginNotFound
        If no usable calculator has this name.

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
    dataset = workflow.with_structures(dataset, structures)
    split = request.divide(len(dataset))
    for note in (
        *workflow.check_dataset(dataset),
        *workflow.check_split(dataset, split),
    ):
        warnings.warn(note, stacklevel=2)
    return workflow.train(request, dataset, split, progress, allow_poor_fit)


def examine_potential(
    ph3: Phono3py,
    potential: Potential,
    progress: Progress = no_progress,
) -> workflow.PotentialHealth:
    """Examine a potential at small displacements of the supercell.

    Fifteen evaluations show whether forces are reproducible, the gradient of the energy
    and independent of position, orientation and order of atoms, how noisy they are, and
    what noise means for fc3.

    Parameters
    ----------
    ph3 : Phono3py
        Its ``supercell`` is used.
    potential : Potential
    progress : Progress, optional
        Reports the progress.

    Returns
    -------
    PotentialHealth
        ``checks()``, ``amplitude_checks(amplitude, systematic=...)``,
        ``best_amplitude(default, systematic=...)`` and the numbers behind them.
        ``check(name)`` raises a `PotentialError` if forces are wrong.

    Examples
    --------
    >>> from phono3py import Phono3py
    >>> import phono3py_mlp_plugin as mlp
    >>> from phono3py_mlp_plugin.reference import RigidIonNaCl, nacl_dataset
    >>> unitcell, _ = nacl_dataset(1, repeats=1)
    >>> ph3 = Phono3py(unitcell, supercell_matrix=[2, 2, 2], primitive_matrix="F")
    >>> health = mlp.examine_potential(ph3, RigidIonNaCl())
    >>> all(check.passed for check in health.checks())
    True
    """
    return workflow.examine_potential("potential", potential, ph3.supercell, progress)


def load_potential(
    path: str | Path | None = None,
    calculator: str = "pypolymlp",
    options: Options = None,
) -> Potential:
    """Read a potential, or create one that needs no file.

    Parameters
    ----------
    path : str or Path, optional
        File of the potential. By default, the usual names of the calculator are
        searched for in the current folder. If only ``polymlp.yaml.1``,
        ``polymlp.yaml.2``, ... exist, ``polymlp.yaml`` refers to the hybrid model of
        all of them.
    calculator : str
    options : str or mapping, optional

    Raises
    ------
    PotentialError
        If there is no file, or it is not a potential of this calculator.
    ParameterError, PluginNotFound
        See `train`.

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
    file = find_potential(names, Path()) if path is None else Path(path)
    if file is not None and not potential_files(file):
        raise PotentialError(f'"{file}" is not found.')
    return plugins.load(request.calculator, file, request.options)


def evaluate(
    ph3: Phono3py,
    potential: Potential,
    progress: Progress = no_progress,
    *,
    executor: Executor | int | None = None,
) -> None:
    """Set forces and energies of the displaced supercells of ``ph3``.

    If fc2 has a separate supercell, its displaced supercells are also evaluated.

    Parameters
    ----------
    ph3 : Phono3py
        Phono3py object with displacements.
    potential : Potential
        Potential of any force calculator.
    progress : Progress, optional
        Reports the progress.
    executor : concurrent.futures.Executor or int, optional
        Any executor, or a number of processes. The result is the same to the last bit.

    Raises
    ------
    DatasetError
        If there are no displacements.
    PotentialError
        If the potential does not support an element of the crystal.
    WorkerError
        If workers cannot be used, or the potential cannot be sent to them.

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
    with distribution_of(executor) as distribution:
        for part in (first, *(part for part in others if part.dataset is not None)):
            part.set_evaluation(
                workflow.evaluate(
                    name,
                    potential,
                    part.displaced(),
                    progress,
                    distribution=distribution,
                )
            )


def solve_force_constants(
    ph3: Phono3py,
    solver: str = "symfc",
    options: Options = None,
    is_compact_fc: bool = True,
    potential: Potential | None = None,
    progress: Progress = no_progress,
) -> ForceConstants:
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
    potential : Potential, optional
        For the solver ``exact``, which needs no displacements.
    progress : Progress, optional
        Reports the progress.

    Returns
    -------
    dict
        fc2 in eV/angstrom^2, shape ``(N_p or N, N, 3, 3)``, and fc3 in eV/angstrom^3,
        shape ``(N_p or N, N, N, 3, 3, 3)``, by order.

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
    >>> mlp.evaluate(ph3, RigidIonNaCl())
    >>> sorted(mlp.solve_force_constants(ph3, "symfc", {"cutoff": 4.0}))
    [2, 3]
    >>> ph3.fc3.shape
    (2, 64, 64, 3, 3, 3)
    """
    request = _solver_request(solver, options, is_compact_fc)
    result = workflow.solve_force_constants(ph3, request, potential, progress)
    ph3.fc2, ph3.fc3 = result[2], result[3]
    return result


def kappa_of_models(
    ph3: Phono3py,
    models: Mapping[str, Potential],
    kappa: Callable[[Phono3py], Any],
    solver: str = "symfc",
    options: Options = None,
    progress: Progress = no_progress,
) -> workflow.EnsembleResult:
    """Return kappa of several models and the error bar of the first, their scatter.

    All models are evaluated at the same displacements.

    Parameters
    ----------
    ph3 : Phono3py
        Phono3py object with displacements, and with a mesh. Its fc2 and fc3 are those
        of the first model afterwards.
    models : mapping of str to Potential
        Two or more different potentials by their names.
    kappa : callable
        ``kappa(ph3)`` computes the conductivity from fc2 and fc3 of ``ph3`` and
        returns it in W/m-K, shape ``(n_temperatures, 6)``.
    solver : str
        Name of a registered solver; "exact" needs no displacements.
    options : str or mapping, optional
        Options of the solver.
    progress : Progress, optional
        Reports the progress.

    Returns
    -------
    EnsembleResult
        ``kappa_of_models()``, shape ``(n_models, n_temperatures, 6)``, and
        ``error_bar(t, component)`` of the first model, whose ``half_width(value)`` is
        half of a 68 % interval.

    Raises
    ------
    ParameterError
        If there are fewer than two models, or an option is wrong.
    PotentialError
        If a model does not support an element of the crystal.
    SolverError, PluginFailed
        See `solve_force_constants`.
    """
    ensemble = workflow.EnsembleOfPotentials.of_models(models)
    request = _solver_request(solver, options, is_compact_fc=True)
    transport = _GivenKappa(ph3, kappa)
    (result,) = workflow.run_ensemble(
        ph3,
        ensemble,
        workflow.ForceConstantsOf(ph3, request, "potential"),
        transport,
        [workflow.EnsembleMeshes(None, None)],
        progress,
        "Kappa of the models",
    )
    ph3.fc2, ph3.fc3 = transport.first[2], transport.first[3]
    return result


class _GivenKappa:
    """A function of the user as `workflow.Transport`.

    Attributes
    ----------
    first : dict
        The force constants of which kappa was computed first.
    """

    def __init__(self, ph3: Phono3py, kappa: Callable[[Phono3py], Any]) -> None:
        self._ph3 = ph3
        self._kappa = kappa
        self.first: ForceConstants = {}
        self.temperatures = np.zeros(0)
        self.mesh: workflow.Mesh | None = None
        self.settings: Mapping[str, Any] = {}

    def kappa(
        self, force_constants: ForceConstants, mesh: Sequence[float] | None = None
    ) -> FloatArray:
        """Return kappa of force constants on the mesh of the crystal."""
        del mesh
        if not self.first:
            self.first = {k: array.copy() for k, array in force_constants.items()}
        self._ph3.fc2, self._ph3.fc3 = force_constants[2], force_constants[3]
        values = np.array(self._kappa(self._ph3), dtype="double")
        if values.ndim != 2 or values.shape[1] != 6:
            raise ParameterError(
                f"kappa: returned an array of shape {values.shape}; expected "
                "(n_temperatures, 6), such as thermal_conductivity.kappa[0]."
            )
        return values

    def mesh_density(self, mesh: workflow.Mesh) -> float:
        """Return the number of points along an axis."""
        return float(np.prod(mesh) ** (1 / len(mesh)))


def _solver_request(
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

"""What a run costs on this machine, measured on samples of its stages.

The run goes as far as the calculation of kappa without training a potential or
computing force constants. A potential of the requested model is trained on a few
supercells, some of its forces or its derivatives are computed, and the scattering of
some mesh points with force constants of springs, which cost the same as any others.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from phonopy.phonon.grid import get_ir_grid_points

from phono3py_mlp_plugin.contracts import (
    Dataset,
    FloatArray,
    ForceConstants,
    Potential,
    Progress,
    no_progress,
)
from phono3py_mlp_plugin.errors import ParameterError
from phono3py_mlp_plugin.host.arguments import CommandOptions
from phono3py_mlp_plugin.host.force_constants import (
    ForceConstantsPlan,
    plan_force_constants,
)
from phono3py_mlp_plugin.host.output import progress, show
from phono3py_mlp_plugin.host.reproducibility import make_reproducible
from phono3py_mlp_plugin.host.settings import RunRequest, choose_derivatives
from phono3py_mlp_plugin.host.transport import (
    InteractionSetUp,
    meshed,
    replace_kappa_calculation,
)
from phono3py_mlp_plugin.parallel import Distribution
from phono3py_mlp_plugin.plugins import plugin_errors
from phono3py_mlp_plugin.polynomial import peak_memory
from phono3py_mlp_plugin.threads import default_threads
from phono3py_mlp_plugin.wording import counted
from phono3py_mlp_plugin.workflow import (
    CostOfRun,
    ForceConstantsOf,
    Split,
    Stage,
    check_dataset,
    displace,
    evaluate,
    plan_potential,
    read_potential,
    supercells_of,
)

if TYPE_CHECKING:
    from phono3py import Phono3py

# Rows of the regression of the sample: few enough to take seconds.
_ROWS = 1500

# Mesh points for each thread in the sample of the scattering.
_POINTS = 4

# Time (seconds) above which a sample is not repeated to separate what is done once.
_LONG = 30.0

# Kappa on coarser meshes and of other force constants for an error budget, relative to
# the time of kappa of the run, without what is counted by members.
_BUDGET = 4.0

# Potentials of an ensemble besides its members: the fit again, and two other penalties.
_BESIDES = 3

# Time of the derivatives of another potential relative to that of the first, where it
# is not measured.
_NEXT_POTENTIAL = 0.5


class ForecastRun:
    """The forecast of one run, made step by step; see `StudyRun`.

    Parameters
    ----------
    finish : callable
        Called with the result.
    log_level : int
    """

    def __init__(self, finish: Callable[[CostOfRun], None], log_level: int) -> None:
        self._finish = finish
        self._log_level = log_level
        self._request: RunRequest | None = None
        self._settings: Any = None
        self._samples: Samples | None = None

    def set_defaults(
        self, settings: Any, confs: dict[str, Any], options: CommandOptions
    ) -> bool:
        """Choose derivatives where a run with --uncertainty does."""
        return options.uncertainty is not None and choose_derivatives(
            settings, confs, options
        )

    def set_request(
        self,
        request: RunRequest,
        settings: Any,
        confs: dict[str, Any],
        distribution: Distribution,
    ) -> None:
        """Set the options of the run.

        Raises
        ------
        ParameterError
            If the cost of such a run cannot be measured.
        """
        if settings.is_lbte:
            raise ParameterError(
                "forecast and --lbte: the collision matrix is not forecast. Give --br "
                "instead: scattering takes the same time."
            )
        if distribution.is_distributed:
            raise ParameterError(
                "forecast: measures on this machine alone. Leave out --jobs, "
                "--executor and --part; --workers N shows the time on N machines."
            )
        if request.estimates_errors:
            make_reproducible(settings, confs)
        self._request, self._settings = request, settings
        self._samples = Samples(request, settings, progress(self._log_level))

    def set_crystal(
        self, script: ModuleType, ph3: Phono3py, settings: Any, dataset: Dataset | None
    ) -> Phono3py:
        """Measure potential and force constants."""
        request, samples = self._request, self._samples
        assert request is not None and samples is not None
        samples.stages.append(
            Stage("start and input", time.process_time(), 0.0, peak_memory())
        )
        potential = self._potential(request, samples, dataset)
        if settings.relax_atomic_positions:
            samples.not_included.append("the relaxation")
        if request.generates:
            plan = plan_force_constants(script, ph3, settings, request, 0)
            samples.force_constants(ph3, plan, potential)
        if not (settings.is_bterta and settings.mesh_numbers is not None):
            self._finish(samples.cost())
            sys.exit(0)
        return ph3

    def record(self, ph3: Phono3py, set_up: InteractionSetUp) -> None:
        """Replace the calculation of kappa by the measurement of some of its points."""
        samples = self._samples
        assert samples is not None

        def compute_kappa(
            host: Callable[..., None], arguments: Mapping[str, Any]
        ) -> None:
            samples.kappa(ph3, set_up, host, arguments)
            self._finish(samples.cost())

        replace_kappa_calculation(ph3, compute_kappa)

    def _potential(
        self, request: RunRequest, samples: Samples, dataset: Dataset | None
    ) -> Potential:
        """Measure the training; return a potential of the model, or the one read."""
        spec = request.calculator
        if dataset is not None:
            show([f"Note: {note}" for note in check_dataset(dataset)], self._log_level)
        plan = plan_potential(spec, dataset, request.mlp_file, Path())
        if not plan.trains:
            return read_potential(spec, plan.path).potential
        assert dataset is not None and plan.split is not None
        return samples.training(dataset, plan.split)


class Samples:
    """Measurements of the stages of a run, on samples of each.

    Parameters
    ----------
    request : RunRequest
    settings : object
        The settings of the run, with ``mesh_numbers``.
    progress : Progress

    Attributes
    ----------
    request : RunRequest
    stages : list of Stage
    not_included : list of str
    """

    def __init__(self, request: RunRequest, settings: Any, progress: Progress) -> None:
        self.request = request
        self._settings = settings
        self._progress = progress
        self.stages: list[Stage] = []
        self.not_included: list[str] = []

    def cost(self) -> CostOfRun:
        """Return the sum of what was measured."""
        return CostOfRun(tuple(self.stages), tuple(self.not_included))

    def training(self, dataset: Dataset, split: Split) -> Potential:
        """Measure a training; return a potential of the model.

        Raises
        ------
        ParameterError
            If the force calculator cannot be trained.
        """
        spec, members = self.request.calculator, self.request.uncertainty or 0
        calculator = spec.calculator
        if calculator.train is None:
            raise ParameterError(
                f"force calculator {calculator.name!r} cannot be trained; "
                "expected one that can. Give a potential of it."
            )
        training = dataset.select(split.training)
        test = dataset.select(split.test)
        few = max(2, _ROWS // (1 + 3 * len(dataset.supercell)))
        with (
            self._progress("Sample of the training", None),
            plugin_errors(f"force calculator {calculator.name!r} failed"),
        ):
            if calculator.cost is None:
                self.not_included.append("the training")
            else:
                cost = calculator.cost(training, test, spec.options, members)
                self.stages.append(
                    Stage(
                        "training",
                        cost.shared + cost.serial,
                        cost.shared,
                        cost.memory,
                        f"{counted(len(training), 'supercell')} of "
                        f"{len(dataset.supercell)} atoms",
                    )
                )
            trained = calculator.train(
                dataset.select(split.training[:few]).without_structures(),
                dataset.select(split.test[:1]),
                spec.options,
                no_progress,
            )
        return trained.potential

    def force_constants(
        self, ph3: Phono3py, plan: ForceConstantsPlan, potential: Potential
    ) -> None:
        """Measure the forces of some supercells, or derivatives."""
        number = 1 + _other_potentials(self.request)
        if not plan.request.takes_potential:
            with self._progress("Sample of the forces", None):
                self._forces(ph3, plan, potential, number)
            solver = plan.request.fc3.solver.name
            self.not_included.append(f"solving force constants by {solver}")
            return
        with self._progress("Sample of the derivatives", None):
            start = time.perf_counter()
            force_constants = ForceConstantsOf(
                ph3,
                plan.request,
                self.request.calculator.calculator.name,
                keep_fc2=plan.keep_fc2,
            )
            # fc2 of first-principles forces is solved here, and for an ensemble again.
            prepared = (time.perf_counter() - start) * (1 if number == 1 else 2)
            # The first call compiles.
            one = _seconds(lambda: list(force_constants.solve([potential])))
            next_one = _NEXT_POTENTIAL * one
            if one < _LONG:
                one = _seconds(lambda: list(force_constants.solve([potential])))
                two = _seconds(lambda: list(force_constants.solve([potential] * 2)))
                next_one = max(two - one, 0.1 * one)
        detail = "derivatives of the potential"
        self.stages.append(
            Stage("force constants", prepared + one, 0.0, peak_memory(), detail)
        )
        if number > 1:
            detail = f"derivatives of {counted(number - 1, 'potential')}"
            others = (number - 1) * next_one
            self.stages.append(Stage("  of the ensemble", others, others, 0, detail))

    def _forces(
        self,
        ph3: Phono3py,
        plan: ForceConstantsPlan,
        potential: Potential,
        number: int,
    ) -> None:
        displace(ph3, plan.displacements, keep_fc2=plan.keep_fc2)
        name = self.request.calculator.calculator.name
        for part in supercells_of(ph3):
            if part.name == "dim-fc2" and plan.keep_fc2:
                continue
            cells = [cell for cell in part.displaced() if cell is not None]
            few = cells[: default_threads()]
            evaluate(name, potential, few, supercell=part.supercell)
            start = time.perf_counter()
            evaluate(name, potential, few, supercell=part.supercell)
            measured = time.perf_counter() - start
            seconds = number * len(cells) * measured / len(few)
            atoms = len(part.supercell)
            detail = f"{counted(number * len(cells), 'supercell')} of {atoms} atoms"
            self.stages.append(Stage("forces", seconds, seconds, peak_memory(), detail))
        ph3.dataset = None

    def kappa(
        self,
        ph3: Phono3py,
        set_up: Callable[[Phono3py], None],
        host: Callable[..., None],
        arguments: Mapping[str, Any],
    ) -> None:
        """Measure the scattering of some mesh points."""
        request = self.request
        springs = _springs(ph3)
        ph3.fc2, ph3.fc3 = springs[2], springs[3]
        with self._progress("Sample of the scattering", None):
            start = time.perf_counter()
            set_up(ph3)
            once = time.perf_counter() - start
            assert ph3.grid is not None
            grid = ph3.grid
            points = grid.grg2bzg[get_ir_grid_points(grid)[0]]
            given = arguments.get("grid_points")
            points = points if given is None else np.array(given)
            quiet: dict[str, Any] = dict.fromkeys(
                (name for name in arguments if name.startswith("write_")), False
            )
            quiet = {**quiet, "read_gamma": False, "read_pp": False, "log_level": 0}

            def compute(number: int) -> float:
                chosen = np.linspace(0, len(points) - 1, min(number, len(points)))
                few = points[np.unique(chosen.astype(int))]
                return _seconds(
                    lambda: host(**{**arguments, **quiet, "grid_points": few})
                )

            batch = min(len(points), _POINTS * default_threads())
            # The first call compiles, and computes phonons and transforms.
            first = compute(batch)
            second = compute(batch) if first < _LONG else first
            per_point = second / batch
        once += max(first - second, 0.0)
        memory = peak_memory()
        scattering = per_point * len(points)
        mesh = " ".join(str(n) for n in np.array(ph3.grid.D_diag))
        detail = f"{counted(len(points), 'point')} of the mesh {mesh}"
        self.stages.append(
            Stage("kappa", once + scattering, scattering, memory, detail)
        )
        number = _other_potentials(request)
        if number:
            smaller = _smaller(ph3, request.uncertainty_mesh, self._settings)
            others = number * (once + scattering) * smaller
            detail = counted(number, "potential")
            self.stages.append(Stage("  of the ensemble", others, others, 0, detail))
        has_budget = bool(number) or bool(request.error_budget)
        if has_budget and request.error_budget is not False:
            budget = _BUDGET * (once + scattering)
            self.stages.append(Stage("  error budget", budget, budget))


def _other_potentials(request: RunRequest) -> int:
    """Return the number of potentials of which kappa is computed besides the first."""
    if request.models:
        return len(request.models) - 1
    return 0 if request.uncertainty is None else request.uncertainty + _BESIDES


def _smaller(ph3: Phono3py, mesh: Sequence[float] | None, settings: Any) -> float:
    """Return the time of kappa on another mesh relative to that of the run."""
    before = _number_of_points(ph3)
    with meshed(ph3, mesh, settings):
        # Measured from 15^3 to 19^3 points of NaCl.
        return float((_number_of_points(ph3) / before) ** 1.5)


def _number_of_points(ph3: Phono3py) -> float:
    assert ph3.grid is not None
    return float(np.prod(ph3.grid.D_diag))


def _springs(ph3: Phono3py) -> ForceConstants:
    """Return force constants of springs, and random ones of third order.

    Frequencies are real, and no element of fc3 is zero.
    """
    random = np.random.default_rng(0)
    n, rows = len(ph3.supercell), ph3.primitive.p2s_map
    fc3 = random.normal(size=(len(rows), n, n, 3, 3, 3))
    cell, primitive = ph3.phonon_supercell, ph3.phonon_primitive
    return {2: _fc2_of_springs(cell, primitive.p2s_map), 3: fc3}


def _fc2_of_springs(cell: Any, rows: Any) -> FloatArray:
    difference = cell.scaled_positions[rows][:, None] - cell.scaled_positions
    difference -= np.rint(difference)
    lengths = np.linalg.norm(difference @ cell.cell, axis=2)
    lengths[lengths < 1e-3] = np.inf
    shortest = lengths.min()
    springs = 5.0 * np.exp(-((lengths / shortest) ** 2))
    fc2 = -springs[:, :, None, None] * np.eye(3)
    for place, row in enumerate(rows):
        fc2[place, row] = springs[place].sum() * np.eye(3)
    return np.asarray(fc2)


def _seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start

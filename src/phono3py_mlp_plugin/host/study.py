"""A convergence study inside a run of the phono3py script.

The script reads options, crystal, Born charges and dataset and sets up the calculation
of kappa as in any run. The study then replaces the calculation of kappa. In this way
all options of phono3py are respected, and all checks of a run are made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from phono3py_mlp_plugin.contracts import Dataset
from phono3py_mlp_plugin.convergence import (
    Study,
    check_study,
)
from phono3py_mlp_plugin.errors import DatasetError, ParameterError
from phono3py_mlp_plugin.host.arguments import CommandOptions
from phono3py_mlp_plugin.host.force_constants import (
    ForceConstantsPlan,
    plan_force_constants,
)
from phono3py_mlp_plugin.host.mlp import PluginMLP
from phono3py_mlp_plugin.host.output import progress, show
from phono3py_mlp_plugin.host.relax import relax
from phono3py_mlp_plugin.host.reproducibility import make_reproducible
from phono3py_mlp_plugin.host.settings import (
    CALCULATIONS,
    RunRequest,
    check_ensemble,
    choose_derivatives,
    takes_potential,
)
from phono3py_mlp_plugin.host.transport import (
    InteractionSetUp,
    RunTransport,
    replace_kappa_calculation,
)
from phono3py_mlp_plugin.parallel import SERIAL, Distribution
from phono3py_mlp_plugin.workflow import (
    EQUATIONS,
    LEAST_PAIRS,
    ObtainedPotential,
    Split,
    Transport,
    charges_note,
    check_dataset,
    forecast,
    train,
)

if TYPE_CHECKING:
    from phono3py import Phono3py

_ROOM_TEMPERATURE = 300.0

# Output files that would be written once for each kappa of the study.
_WRITTEN = {
    "--write-gamma": "write_gamma",
    "--write-gamma-detail": "write_gamma_detail",
    "--write-collision": "write_collision",
    "--write-pp": "write_pp",
    "--write-phonon": "write_phonon",
    "--write-lbte-solution": "write_LBTE_solution",
}


@dataclass(frozen=True, eq=False)
class StudyTask:
    """Input of a study.

    Attributes
    ----------
    crystal : Phono3py
    dataset : Dataset
    study : Study
    transport : Transport
    distribution : Distribution
    """

    crystal: Phono3py
    dataset: Dataset
    study: Study
    transport: Transport
    distribution: Distribution


class StudyPlanner(Protocol):
    """Function that makes the study from the options of a run."""

    def __call__(
        self, request: RunRequest, plan: ForceConstantsPlan, n_supercells: int
    ) -> Study:
        """Return the study of ``n_supercells`` supercells."""


class StudyRun:
    """The study of one run, set up step by step.

    Parameters
    ----------
    planner : StudyPlanner
        Raises `ParameterError` if the study is not possible.
    displaces : bool
        Whether the study varies what only displacements have.
    run_study : callable
        Runs the study.
    log_level : int
    """

    def __init__(
        self,
        planner: StudyPlanner,
        displaces: bool,
        run_study: Callable[[StudyTask], None],
        log_level: int,
    ) -> None:
        self._planner = planner
        self._displaces = displaces
        self._run_study = run_study
        self._log_level = log_level
        self._request: RunRequest | None = None
        self._settings: Any = None
        self._dataset: Dataset | None = None
        self._study: Study | None = None
        self._distribution = SERIAL

    def set_defaults(
        self, settings: Any, confs: dict[str, Any], options: CommandOptions
    ) -> bool:
        """Set defaults of a study for options that the user did not give.

        Returns
        -------
        bool
            Whether force constants are derivatives of the potential by default.
        """
        if not any(getattr(settings, name) for name in CALCULATIONS):
            settings.is_bterta = True
        derivatives = not self._displaces and choose_derivatives(
            settings, confs, options
        )
        if not (settings.create_displacements or takes_potential(settings)):
            if settings.random_displacements is None:
                settings.random_displacements = "auto"
            auto = settings.random_displacements == "auto"
            if auto and settings.rd_number_estimation_factor is None:
                settings.rd_number_estimation_factor = EQUATIONS
            if settings.random_seed is None:
                settings.random_seed = 0
        if settings.temperatures is None:
            # The default of phono3py, a hundred temperatures, is too many for a study.
            settings.temperatures = [_ROOM_TEMPERATURE]
        return derivatives

    def set_request(
        self,
        request: RunRequest,
        settings: Any,
        confs: dict[str, Any],
        distribution: Distribution,
    ) -> None:
        """Set the options of the run after checking that a study is possible.

        Settings with which kappa is reproducible are switched on, and recorded in
        ``confs``, the options as recorded by phono3py.

        Raises
        ------
        ParameterError
            If an option cannot be used in a study.
        """
        if not (settings.is_bterta or settings.is_lbte):
            raise ParameterError("converge computes kappa: give --br or --lbte alone.")
        check_ensemble("converge", request.calculator, settings)
        if request.mlp_file is not None:
            raise ParameterError(
                "--mlp-file: converge trains the potentials itself. Leave it out."
            )
        if request.uncertainty is not None:
            raise ParameterError(
                "--uncertainty: converge has --members for it. Leave it out."
            )
        if request.error_budget is not None:
            raise ParameterError(
                "--error-budget: converge computes it for the last size. Leave it out."
            )
        for option, attribute in _WRITTEN.items():
            if getattr(settings, attribute, False):
                raise ParameterError(f"converge and {option}: leave it out.")
        if not all(t > 0 for t in settings.temperatures):
            found = " ".join(f"{t:g}" for t in settings.temperatures)
            raise ParameterError(
                f"--ts = {found}; expected positive temperatures. Leave out the others."
            )
        sigma = settings.sigma
        widths = [] if sigma is None else list(np.atleast_1d(sigma))
        if len(widths) + bool(settings.is_tetrahedron_method and widths) > 1:
            raise ParameterError(
                "--sigma: converge takes one smearing width, without --thm."
            )
        if settings.mesh_numbers is None:
            raise ParameterError("converge: --mesh is missing. Give --mesh N N N.")
        show(make_reproducible(settings, confs), self._log_level)
        self._request, self._settings = request, settings
        self._distribution = distribution

    def set_crystal(
        self, script: ModuleType, ph3: Phono3py, settings: Any, dataset: Dataset | None
    ) -> Phono3py:
        """Plan the study and return the crystal, relaxed if requested.

        Raises
        ------
        DatasetError, ParameterError
            If the dataset or the options do not allow the study.
        """
        request = self._request
        assert request is not None
        if dataset is None:
            raise DatasetError("there are no forces in the dataset to train on.")
        plan = plan_force_constants(script, ph3, settings, request, 0)
        if not settings.create_displacements:
            displacements = replace(plan.displacements, at_least=LEAST_PAIRS)
            plan = replace(plan, displacements=displacements)
        study = self._study = self._planner(request, plan, len(dataset))
        check_study(study, len(dataset))
        self._dataset = dataset
        notes = check_dataset(dataset)
        of_charges = charges_note(ph3) if settings.is_nac else None
        notes += [] if of_charges is None else [of_charges]
        lines = [f"Note: {note}" for note in notes]
        if ph3.nac_params is not None:
            lines.append("Born charges correct for long-range forces.")
        show(lines, self._log_level)
        split = _split_of(study, len(dataset))
        show(list(forecast(study.variants[0].request, dataset, split)), self._log_level)
        if settings.relax_atomic_positions:
            return self._relaxed(script, ph3, settings, split)
        return ph3

    def record(self, ph3: Phono3py, set_up: InteractionSetUp) -> None:
        """Replace the calculation of kappa by the study."""

        def compute_kappa(
            host: Callable[..., None], arguments: Mapping[str, Any]
        ) -> None:
            assert self._dataset is not None and self._study is not None
            transport = RunTransport(ph3, set_up, host, arguments, self._settings)
            self._run_study(
                StudyTask(
                    ph3,
                    self._dataset,
                    self._study,
                    transport,
                    self._distribution,
                )
            )

        replace_kappa_calculation(ph3, compute_kappa)

    def _relaxed(
        self, script: ModuleType, ph3: Phono3py, settings: Any, split: Split
    ) -> Phono3py:
        """Return the crystal relaxed by the potential of the largest training set.

        One structure is used for all sizes, so that they can be compared.
        """
        assert self._study is not None and self._dataset is not None
        request = self._study.variants[0].request
        assert self._request is not None
        training = train(
            request,
            self._dataset,
            split,
            progress(self._log_level),
            self._request.allow_poor_fit,
        )
        mlp = PluginMLP().set_potential(
            request.calculator.name, ObtainedPotential.just_trained(training)
        )
        show(
            [
                "The structure is relaxed once, by the potential of "
                f"{len(split.training)} supercells."
            ],
            self._log_level,
        )
        return relax(script, ph3, settings, mlp, self._log_level)


def _split_of(study: Study, n: int) -> Split:
    """Return the largest training set and the test set of a study."""
    return Split(np.arange(max(study.sizes)), np.arange(n - study.ntest, n))

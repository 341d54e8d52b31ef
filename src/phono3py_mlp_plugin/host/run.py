"""A run of the phono3py script with a force calculator."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from phonopy.cui.settings import ConfParser

from phono3py_mlp_plugin.contracts import Dataset
from phono3py_mlp_plugin.errors import DatasetError, ParameterError, one_line
from phono3py_mlp_plugin.files import (
    STAMP,
    each_file_once,
)
from phono3py_mlp_plugin.host.arguments import CommandOptions, option_quoted_in
from phono3py_mlp_plugin.host.bindings import (
    COMMAND_BINDINGS,
    CONFIGURATION,
    SETTING_ERROR,
    check,
)
from phono3py_mlp_plugin.host.bindings import replace as replace_names
from phono3py_mlp_plugin.host.bindings import restore as restore_names
from phono3py_mlp_plugin.host.distribution import (
    distribution_of_options,
    end_part_without_scattering,
    undistributed_steps,
)
from phono3py_mlp_plugin.host.error_bars import ErrorBars
from phono3py_mlp_plugin.host.force_constants import (
    FC2,
    FC3,
    ForceConstantsPlan,
    can_reuse,
    differentiate_potential,
    displace_and_evaluate,
    force_constants_fingerprint,
    host_may_read,
    plan_force_constants,
    with_amplitude,
)
from phono3py_mlp_plugin.host.mlp import PluginMLP, attach_potential
from phono3py_mlp_plugin.host.output import progress, show
from phono3py_mlp_plugin.host.predicted_charges import charges_lines
from phono3py_mlp_plugin.host.preflight import check_cell, check_settings
from phono3py_mlp_plugin.host.process import end_command, put, when_command_ends
from phono3py_mlp_plugin.host.reading import (
    read_born_charges,
    read_cell_info,
    read_datasets,
)
from phono3py_mlp_plugin.host.relax import relax
from phono3py_mlp_plugin.host.reproducibility import (
    make_reproducible,
    recommend_reproducible,
)
from phono3py_mlp_plugin.host.run_checks import checks_without_mesh, physics_checks
from phono3py_mlp_plugin.host.scattering import SCATTERING, choose_scattering
from phono3py_mlp_plugin.host.settings import (
    RunRequest,
    check_mesh,
    choose_derivatives,
    force_constants_request,
    read_option_files,
    refuse_without_calculator,
    run_request,
    set_random_seed,
)
from phono3py_mlp_plugin.host.solvers import is_host_only, set_host_only
from phono3py_mlp_plugin.host.transport import InteractionSetUp
from phono3py_mlp_plugin.host.writing import HostFiles
from phono3py_mlp_plugin.parallel import SERIAL, Distribution, forget_chunks
from phono3py_mlp_plugin.workflow import (
    EVALUATION,
    CalculatorSpec,
    StructureFiles,
    check_born_charges,
    check_found_force_constants,
    check_memory_of_mesh,
    crystal_notes,
    missing_stamps,
    read_dataset,
    structures_lines,
)

if TYPE_CHECKING:
    from phono3py import Phono3py


class TakesOver(Protocol):
    """What takes the place of the calculation of kappa, such as a study."""

    def set_defaults(
        self, settings: Any, confs: dict[str, Any], options: CommandOptions
    ) -> bool:
        """Set defaults of options; return whether derivatives are one of them."""

    def set_request(
        self,
        request: RunRequest,
        settings: Any,
        confs: dict[str, Any],
        distribution: Distribution,
    ) -> None:
        """Set the checked options of the run, and where chunks are computed."""

    def set_crystal(
        self, script: ModuleType, ph3: Phono3py, settings: Any, dataset: Dataset | None
    ) -> Phono3py:
        """Return the crystal, in place of training and displacements."""

    def record(self, ph3: Phono3py, set_up: InteractionSetUp) -> None:
        """Replace the calculation of kappa."""


@dataclass
class RunState:
    """State of a run with a force calculator, set step by step.

    Attributes
    ----------
    request : RunRequest
    error_bars : ErrorBars or None
    dataset : Dataset or None
        Training data of the potential.
    plan : ForceConstantsPlan or None
    wanted : str or None
        Fingerprint of the force constants of this run.
    files : HostFiles
    log_level : int
    """

    request: RunRequest
    error_bars: ErrorBars | None = None
    dataset: Dataset | None = None
    plan: ForceConstantsPlan | None = None
    wanted: str | None = None
    files: HostFiles = field(default_factory=HostFiles)
    log_level: int = 1


class Run:
    """Replacements of functions of the phono3py script in one run.

    Parameters
    ----------
    script : module
        ``phono3py.cui.phono3py_script``.
    options : CommandOptions
    study : TakesOver or None
        What replaces the calculation of kappa, such as a convergence study.
    """

    def __init__(
        self,
        script: ModuleType,
        options: CommandOptions,
        study: TakesOver | None = None,
    ) -> None:
        self._script = script
        self._options = options
        self._study = study
        self._host: dict[str, Any] = {}
        self._state: RunState | None = None
        self._distribution: Distribution = SERIAL

    def install(self) -> None:
        """Replace functions of the script by methods until the command ends."""
        for binding in COMMAND_BINDINGS:
            self._host[binding.name] = check(binding)
        for binding in COMMAND_BINDINGS:
            method = binding.replacement.rpartition(".")[2]
            put(self._script, binding.name, getattr(self, method))
        check(SETTING_ERROR)
        put(ConfParser, "setting_error", _setting_error)
        replace_names([CONFIGURATION])
        when_command_ends(partial(restore_names, [CONFIGURATION]))

    def read_settings(
        self, args: argparse.Namespace, argparse_control: dict[str, Any], log_level: int
    ) -> tuple[Any, dict[str, Any], str | None]:
        """Read the settings of phono3py and check names and options."""
        if self._options.force_calculator or args.use_pypolymlp:
            check_mesh(args.mesh_numbers)
        try:
            result = self._host["_read_phono3py_settings"](
                args, argparse_control, log_level
            )
        except ParameterError:
            raise
        except ValueError as error:
            raise ParameterError(
                f"{option_quoted_in(args, error)}{one_line(error)}. Check the option."
            ) from error
        settings, confs, _cell_filename = result
        read_option_files(settings)
        force_constants_request(settings)
        without_calculator = not (
            settings.use_pypolymlp or self._options.force_calculator
        )
        when_command_ends(partial(set_host_only, is_host_only()))
        set_host_only(without_calculator)
        self._distribution = distribution_of_options(self._options)
        self._choose_scattering(settings, log_level, without_calculator)
        if without_calculator:
            refuse_without_calculator(settings, self._options)
            if self._distribution.part is not None:
                HostFiles().install(sys.modules, writes=False)
            return result  # type: ignore[no-any-return]
        set_random_seed(args, settings, confs)
        generates = settings.create_displacements
        if self._study is not None:
            derivatives = self._study.set_defaults(settings, confs, self._options)
        else:
            derivatives = self._options.uncertainty is not None and choose_derivatives(
                settings, confs, self._options
            )
        request = run_request(
            settings, confs, self._options, derivatives_by_default=derivatives
        )
        check_settings(settings)
        if settings.create_displacements and not generates:
            show(["Systematic displacements (-d) are generated for this."], log_level)
        state = self._state = RunState(request, log_level=log_level)
        if self._study is not None:
            self._study.set_request(request, settings, confs, self._distribution)
        elif request.estimates_errors:
            # Kappa of the run and of the ensemble are computed with the same settings.
            show(make_reproducible(settings, confs), log_level)
            state.error_bars = ErrorBars(
                request, settings, log_level, self._distribution
            )
        else:
            show(recommend_reproducible(settings, confs), log_level)
        # The output of runs without a potential stays byte-identical.
        state.files.install(sys.modules, writes=self._distribution.part is None)
        return result  # type: ignore[no-any-return]

    def _choose_scattering(
        self, settings: Any, log_level: int, without_calculator: bool
    ) -> None:
        """Choose how and where scattering is computed, and tell what is not shared."""
        choose_scattering(
            self._options.scattering,
            by_default="host" if without_calculator else "fft",
            report=lambda line: show([line], log_level),
            # Not known to all versions of phono3py.
            legacy_backend=bool(getattr(settings, "use_legacy_backend", False)),
            distribution=self._distribution,
        )
        # A study distributes kappa as a whole.
        if self._study is None and not without_calculator:
            show(undistributed_steps(settings, self._distribution), log_level)

    def read_cell(
        self,
        settings: Any,
        cell_filename: str | None,
        log_level: int,
        load_phonopy_yaml: bool = True,
    ) -> Any:
        """Read the input file as phono3py does, with a reason on failure."""
        host = self._host["get_cell_info"]
        if self._state is None:
            with each_file_once():
                return host(settings, cell_filename, log_level, load_phonopy_yaml)
        return read_cell_info(
            host, settings, cell_filename, log_level, load_phonopy_yaml
        )

    def store_born_charges(self, ph3py: Phono3py, *args: Any, **options: Any) -> None:
        """Read Born charges as phono3py does and set their unit factor."""
        host = self._host["store_nac_params"]
        if self._state is None:
            host(ph3py, *args, **options)
        else:
            read_born_charges(host, ph3py, *args, **options)

    def load_datasets(self, ph3py: Phono3py, *args: Any, **options: Any) -> None:
        """Read datasets as phono3py does, with a reason on failure."""
        host = self._host["_load_dataset_and_phonon_dataset"]
        if self._state is None:
            host(ph3py, *args, **options)
        else:
            read_datasets(host, ph3py, *args, **options)

    def load_force_constants(
        self,
        ph3py: Phono3py,
        fc3_filename: Any = None,
        fc2_filename: Any = None,
        read_fc3: bool = True,
        read_fc2: bool = True,
        log_level: int = 0,
    ) -> None:
        """Read fc2 and fc3 as phono3py does, unless this package wrote them.

        Those are compared by fingerprint when the potential is known.
        """
        if self._study is not None:
            return
        if self._state is not None:
            ready = host_may_read(
                ph3py, read_fc2=read_fc2, read_fc3=read_fc3, log_level=log_level
            )
            read_fc2, read_fc3 = read_fc2 and ready, read_fc3 and ready
        self._host["load_fc2_and_fc3"](
            ph3py,
            fc3_filename=fc3_filename,
            fc2_filename=fc2_filename,
            read_fc3=read_fc3,
            read_fc2=read_fc2,
            log_level=log_level,
        )
        if self._state is not None and self._state.error_bars is not None:
            self._state.error_bars.note_force_constants(ph3py)

    def run_force_calculator(
        self,
        ph3py: Phono3py,
        settings: Any,
        confs_dict: dict[str, Any],
        output_yaml_filename: str | None = None,
        mlp_eval_filename: str = "phono3py_mlp_eval_dataset.yaml",
        log_level: int = 0,
    ) -> Phono3py:
        """Obtain the potential, displace supercells, evaluate their forces."""
        state = self._state
        assert state is not None
        request = state.request
        check_cell(ph3py, settings)
        check_memory_of_mesh(
            request.uncertainty_mesh or (), ph3py.phonon_primitive.cell
        )
        check_born_charges(ph3py)
        self._show_notes(ph3py, log_level)
        dataset = state.dataset = _pop_dataset(ph3py, request.structures, log_level)
        if self._study is not None:
            return self._study.set_crystal(self._script, ph3py, settings, dataset)
        calculator = request.calculator
        if state.error_bars is not None:
            calculator = state.error_bars.with_ensemble(calculator, dataset)
        state.plan = plan_force_constants(
            self._script, ph3py, settings, request, log_level
        )
        self._attach(state, ph3py, calculator, log_level, with_charges=settings.is_nac)
        if settings.relax_atomic_positions:
            ph3py = self._relaxed(state, ph3py, settings, log_level)
        _read_models(state, ph3py)
        if not request.generates:
            show(
                ["Generate displacements (--rd or -d) to continue to force constants."],
                log_level,
            )
            self._script._finalize_phono3py(
                ph3py, confs_dict, log_level=log_level, filename=output_yaml_filename
            )
        state.plan = plan = with_amplitude(ph3py, settings, state.plan, log_level)
        state.wanted = force_constants_fingerprint(ph3py, plan)
        read = bool(settings.read_fc2 and settings.read_fc3)
        if can_reuse(state.wanted, read=read, log_level=log_level):
            check_found_force_constants(ph3py, map(Path, (FC2, FC3)))
            self._host["load_fc2_and_fc3"](ph3py, log_level=log_level)
            return ph3py
        if plan.request.takes_potential:
            return ph3py
        displace_and_evaluate(ph3py, plan, log_level)
        if self._distribution.part is None:
            ph3py.save(mlp_eval_filename)
            forget_chunks(Path(), EVALUATION)
            line = f'Dataset generated using MLPs was written in "{mlp_eval_filename}".'
            show([line], log_level)
        return ph3py

    def _attach(
        self,
        state: RunState,
        ph3py: Phono3py,
        calculator: CalculatorSpec,
        log_level: int,
        *,
        with_charges: bool,
    ) -> None:
        """Obtain the potential, and its Born charges if it predicts them."""
        attach_potential(
            ph3py,
            calculator,
            state.dataset,
            state.request.mlp_file,
            log_level,
            state.request.allow_poor_fit,
            self._distribution,
        )
        if with_charges:
            show(charges_lines(ph3py), log_level)

    def _show_notes(self, ph3py: Phono3py, log_level: int) -> None:
        """Print what the user should know about the crystal."""
        # The host is quiet in a study.
        notes = [f"Note: {note}" for note in crystal_notes(ph3py)]
        show(notes, 1 if self._study is not None else log_level)

    def _relaxed(
        self, state: RunState, ph3py: Phono3py, settings: Any, log_level: int
    ) -> Phono3py:
        """Return the relaxed crystal, for which forces of dim-fc2 are not valid."""
        assert isinstance(ph3py.mlp, PluginMLP) and state.plan is not None
        relaxed = relax(self._script, ph3py, settings, ph3py.mlp, log_level)
        if relaxed is not ph3py and state.plan.keep_fc2:
            show(
                [
                    "The forces of dim-fc2 belong to the structure before the "
                    "relaxation: fc2 comes from the potential."
                ],
                log_level,
            )
            state.plan = replace(state.plan, keep_fc2=False)
        return relaxed

    def produce_force_constants(
        self, ph3py: Phono3py, settings: Any, log_level: int, load_phono3py_yaml: bool
    ) -> None:
        """Compute fc2 and fc3 with phono3py and record their fingerprint."""
        if self._study is not None:
            return
        state = self._state
        if state is not None and state.wanted is not None:
            stamp = {STAMP: state.wanted}
            state.files.attributes = {FC2: stamp, FC3: stamp}
            for name, fc in ((FC2, ph3py.fc2), (FC3, ph3py.fc3)):
                if fc is None and Path(name).is_file():
                    show([f'The old "{name}" is kept as "{name}.bak".'], log_level)
        self._host["_produce_force_constants"](
            ph3py, settings, log_level, load_phono3py_yaml
        )
        if state is not None and state.wanted is not None:
            show(missing_stamps((FC2, FC3), state.wanted), log_level)
        if state is not None and settings.mesh_numbers is None:
            checks = checks_without_mesh(ph3py, state.request.calculator, state.dataset)
            show(["Checks of phonons and potential:", *checks], log_level)

    def compute_force_constants(
        self, ph3py: Phono3py, *args: Any, **options: Any
    ) -> None:
        """Compute fc2 and fc3 with phono3py, or as derivatives of the potential."""
        state = self._state
        if (
            state is not None
            and state.plan is not None
            and state.plan.request.takes_potential
            and ph3py.fc3 is None
        ):
            differentiate_potential(ph3py, state.plan, state.log_level)
        self._host["compute_force_constants_from_datasets"](ph3py, *args, **options)

    def set_up_interaction(
        self,
        phono3py: Phono3py,
        settings: Any,
        updated_settings: dict[str, Any],
        log_level: int,
    ) -> None:
        """Set up the interaction with phono3py; stop if modes are imaginary."""
        host = self._host["_init_phph_interaction"]
        set_up = InteractionSetUp(host, settings, updated_settings)
        if self._study is not None:
            self._study.record(phono3py, set_up)
            return
        state = self._state
        if state is not None and state.error_bars is None:
            end_part_without_scattering(settings, self._distribution)
        host(phono3py, settings, updated_settings, log_level)
        if state is None:
            return
        checks = physics_checks(
            phono3py,
            state.request.calculator,
            state.dataset,
            allow_imaginary=state.request.allow_imaginary,
        )
        show(
            ["Checks of phonons and potential:", *(f"  {check}" for check in checks)],
            log_level,
        )
        if state.error_bars is not None:
            state.error_bars.record(phono3py, set_up)

    def finalize(
        self,
        phono3py: Phono3py,
        confs_dict: dict[str, Any],
        log_level: int,
        *args: Any,
        **options: Any,
    ) -> None:
        """Report error bars of kappa if requested, then finish as phono3py does."""
        if self._study is not None:
            sys.exit(0)
        state = self._state
        if state is not None and state.error_bars is not None:
            assert state.plan is not None
            state.error_bars.report(phono3py, state.plan)
        self._distribution.end_part()
        if self._distribution.is_distributed:
            forget_chunks(Path(), SCATTERING)
        try:
            self._host["_finalize_phono3py"](
                phono3py, confs_dict, log_level, *args, **options
            )
        finally:
            end_command()


def _setting_error(self: ConfParser[Any], message: str) -> NoReturn:
    """Replace the method of phonopy, which does not write to standard error."""
    tag = message.partition(" is ")[0].lower().replace(" ", "_")
    value = self.confs.get(tag)
    given = "" if value is None else f"{tag} = {value}: "
    raise ParameterError(f"{given}{message} Check the option, or the tag of that name.")


def _read_models(state: RunState, ph3py: Phono3py) -> None:
    """Read the other models of a run, if there are any."""
    if state.error_bars is not None:
        state.error_bars.read_models(ph3py)


def _pop_dataset(
    ph3py: Phono3py, structures: StructureFiles | None, log_level: int
) -> Dataset | None:
    """Remove the dataset with forces from ``ph3py`` and return it.

    Structures in files of other programs are added.
    """
    dataset = read_dataset(ph3py.dataset, ph3py.supercell)
    if dataset is None and ph3py.dataset is not None:
        show(["The dataset has no forces: it is not used for training."], log_level)
    ph3py.dataset = None
    if structures is None:
        return dataset
    if dataset is None:
        raise DatasetError(
            "--training-structures: there is no dataset with forces of supercells, "
            "which is needed, too. Give phono3py_params.yaml."
        )
    dataset = structures.added_to(dataset, progress(log_level))
    show(structures_lines(dataset), log_level)
    return dataset

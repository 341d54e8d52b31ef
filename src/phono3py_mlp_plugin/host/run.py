"""One run of the host's script with a force calculator: what the script calls."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NoReturn

from phonopy.cui.settings import ConfParser

from phono3py_mlp_plugin.contracts import Dataset
from phono3py_mlp_plugin.errors import ParameterError, one_line
from phono3py_mlp_plugin.files import (
    STAMP,
    forget_partial_evaluations,
)
from phono3py_mlp_plugin.host.arguments import CommandOptions, option_of
from phono3py_mlp_plugin.host.bindings import (
    COMMAND_BINDINGS,
    CONFIGURATION,
    SETTING_ERROR,
    check,
)
from phono3py_mlp_plugin.host.bindings import replace as replace_names
from phono3py_mlp_plugin.host.error_bars import ErrorBars
from phono3py_mlp_plugin.host.force_constants import (
    FC2,
    FC3,
    ForceConstantsPlan,
    can_be_used_again,
    displace_and_evaluate,
    force_constants_fingerprint,
    leave_or_check,
    plan_force_constants,
)
from phono3py_mlp_plugin.host.mlp import PluginMLP, give_potential
from phono3py_mlp_plugin.host.output import show
from phono3py_mlp_plugin.host.preflight import check_cell, check_settings
from phono3py_mlp_plugin.host.reading import (
    read_born_charges,
    read_cell_info,
    read_datasets,
)
from phono3py_mlp_plugin.host.relax import relax
from phono3py_mlp_plugin.host.run_checks import checks_without_mesh, physics_checks
from phono3py_mlp_plugin.host.scattering import choose_scattering
from phono3py_mlp_plugin.host.settings import (
    RunRequest,
    check_mesh,
    force_constants_request,
    refuse_without_calculator,
    run_request,
    take_random_seed,
)
from phono3py_mlp_plugin.host.solvers import leave_to_host
from phono3py_mlp_plugin.host.study import StudyRun
from phono3py_mlp_plugin.host.writing import HostFiles
from phono3py_mlp_plugin.workflow import (
    check_born_charges,
    check_found_force_constants,
    missing_stamps,
    read_dataset,
)

if TYPE_CHECKING:
    from phono3py import Phono3py


@dataclass
class RunState:
    """What is known of a run with a force calculator, filled as the host goes on.

    Attributes
    ----------
    request : RunRequest
    error_bars : ErrorBars or None
    dataset : Dataset or None
        What the potential is trained on.
    plan : ForceConstantsPlan or None
    wanted : str or None
        Fingerprint of the force constants.
    files : HostFiles
    """

    request: RunRequest
    error_bars: ErrorBars | None = None
    dataset: Dataset | None = None
    plan: ForceConstantsPlan | None = None
    wanted: str | None = None
    files: HostFiles = field(default_factory=HostFiles)


class Run:
    """Our part of a run; made when the command line has been parsed.

    Parameters
    ----------
    script : module
        The host's.
    options : CommandOptions
    study : StudyRun or None
        A study of convergence takes the place of kappa.
    """

    def __init__(
        self,
        script: ModuleType,
        options: CommandOptions,
        study: StudyRun | None = None,
    ) -> None:
        self._script = script
        self._options = options
        self._study = study
        self._host: dict[str, Any] = {}
        self._state: RunState | None = None

    def install(self) -> None:
        """Put our methods in the place of the script's functions."""
        for binding in COMMAND_BINDINGS:
            self._host[binding.name] = check(binding)
        for binding in COMMAND_BINDINGS:
            method = binding.replacement.rpartition(".")[2]
            setattr(self._script, binding.name, getattr(self, method))
        check(SETTING_ERROR)
        ConfParser.setting_error = _setting_error  # type: ignore[method-assign]
        replace_names([CONFIGURATION])

    def read_settings(
        self, args: argparse.Namespace, argparse_control: dict[str, Any], log_level: int
    ) -> tuple[Any, dict[str, Any], str | None]:
        """Read the host's settings and check names and options before any work."""
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
                f"{option_of(args, error)}{one_line(error)}. Check the option."
            ) from error
        settings, confs, _cell_filename = result
        force_constants_request(settings)
        alone = not (settings.use_pypolymlp or self._options.force_calculator)
        leave_to_host(alone)
        choose_scattering(
            self._options.scattering,
            by_default="host" if alone else "fft",
            report=lambda line: show([line], log_level),
        )
        if alone:
            refuse_without_calculator(settings, self._options)
            return result  # type: ignore[no-any-return]
        take_random_seed(args, settings, confs)
        generates = settings.create_displacements
        if self._study is not None:
            self._study.set_defaults(settings)
        request = run_request(settings, confs, self._options)
        check_settings(settings)
        if settings.create_displacements and not generates:
            show(["Systematic displacements (-d) are generated for this."], log_level)
        state = self._state = RunState(request)
        if self._study is not None:
            self._study.take_request(request, settings)
        elif request.uncertainty is not None:
            state.error_bars = ErrorBars(request, settings, log_level)
        # Runs without a potential remain the host's own, byte for byte.
        state.files.install(sys.modules)
        return result  # type: ignore[no-any-return]

    def read_cell(
        self,
        settings: Any,
        cell_filename: str | None,
        log_level: int,
        load_phonopy_yaml: bool = True,
    ) -> Any:
        """Read the input file as the host does; say why where it cannot."""
        host = self._host["get_cell_info"]
        if self._state is None:
            return host(settings, cell_filename, log_level, load_phonopy_yaml)
        return read_cell_info(
            host, settings, cell_filename, log_level, load_phonopy_yaml
        )

    def store_born_charges(self, ph3py: Phono3py, *args: Any, **options: Any) -> None:
        """Read Born charges as the host does; give them the factor of our units."""
        host = self._host["store_nac_params"]
        if self._state is None:
            host(ph3py, *args, **options)
        else:
            read_born_charges(host, ph3py, *args, **options)

    def load_datasets(self, ph3py: Phono3py, *args: Any, **options: Any) -> None:
        """Read datasets as the host does; say why where it cannot."""
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
        """Leave our own fc2 and fc3 for later; read others as the host does.

        Ours are judged by content when the potential is known.
        """
        if self._study is not None:
            return
        if self._state is not None:
            ready = leave_or_check(
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
        check_cell(ph3py, settings)
        check_born_charges(ph3py)
        request = state.request
        dataset = state.dataset = _take_dataset(ph3py, log_level)
        if self._study is not None:
            return self._study.take_crystal(self._script, ph3py, settings, dataset)
        if state.error_bars is not None:
            state.error_bars.take_dataset(dataset)
        state.plan = plan_force_constants(
            self._script, ph3py, settings, request, log_level
        )
        give_potential(
            ph3py,
            request.calculator,
            dataset,
            request.mlp_file,
            log_level,
            request.allow_poor_fit,
        )
        if settings.relax_atomic_positions:
            ph3py = self._relaxed(state, ph3py, settings, log_level)
        if not request.generates:
            show(
                ["Generate displacements (--rd or -d) to go on to force constants."],
                log_level,
            )
            self._script._finalize_phono3py(
                ph3py, confs_dict, log_level=log_level, filename=output_yaml_filename
            )
        plan = state.plan
        state.wanted = force_constants_fingerprint(ph3py, plan)
        read = bool(settings.read_fc2 and settings.read_fc3)
        if can_be_used_again(state.wanted, read=read, log_level=log_level):
            check_found_force_constants(ph3py, map(Path, (FC2, FC3)))
            self._host["load_fc2_and_fc3"](ph3py, log_level=log_level)
            return ph3py
        displace_and_evaluate(ph3py, plan, log_level)
        ph3py.save(mlp_eval_filename)
        forget_partial_evaluations(Path())
        show(
            [f'Dataset generated using MLPs was written in "{mlp_eval_filename}".'],
            log_level,
        )
        return ph3py

    def _relaxed(
        self, state: RunState, ph3py: Phono3py, settings: Any, log_level: int
    ) -> Phono3py:
        """Return the relaxed crystal, for which forces of dim-fc2 do not hold."""
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
        """Let the host solve for fc2 and fc3; record what they were computed from."""
        if self._study is not None:
            return
        state = self._state
        if state is not None and state.wanted is not None:
            made_from = {STAMP: state.wanted}
            state.files.attributes = {FC2: made_from, FC3: made_from}
            for name, found in ((FC2, ph3py.fc2), (FC3, ph3py.fc3)):
                if found is None and Path(name).is_file():
                    show([f'The old "{name}" is kept as "{name}.bak".'], log_level)
        self._host["_produce_force_constants"](
            ph3py, settings, log_level, load_phono3py_yaml
        )
        if state is not None and state.wanted is not None:
            show(missing_stamps((FC2, FC3), state.wanted), log_level)
        if state is not None and settings.mesh_numbers is None:
            checks = checks_without_mesh(ph3py, state.request.calculator, state.dataset)
            show(["Checks of phonons and potential:", *checks], log_level)

    def set_up_interaction(
        self,
        phono3py: Phono3py,
        settings: Any,
        updated_settings: dict[str, Any],
        log_level: int,
    ) -> None:
        """Let the host set up the interaction; stop where modes are imaginary."""
        host = self._host["_init_phph_interaction"]

        def set_up() -> None:
            host(phono3py, settings, updated_settings, 0)

        if self._study is not None:
            self._study.record(phono3py, set_up)
            return
        host(phono3py, settings, updated_settings, log_level)
        state = self._state
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
        """Report error bars of kappa where they are wanted, then end as the host."""
        if self._study is not None:
            sys.exit(0)
        state = self._state
        if state is not None and state.error_bars is not None:
            assert state.plan is not None
            state.error_bars.report(phono3py, state.plan)
        self._host["_finalize_phono3py"](
            phono3py, confs_dict, log_level, *args, **options
        )


def _setting_error(self: ConfParser[Any], message: str) -> NoReturn:
    """Stand for the host's method, which tells nothing on the error stream."""
    tag = message.partition(" is ")[0].lower().replace(" ", "_")
    value = self.confs.get(tag)
    found = "" if value is None else f"{tag} = {value}: "
    raise ParameterError(f"{found}{message} Check the option, or the tag of that name.")


def _take_dataset(ph3py: Phono3py, log_level: int) -> Dataset | None:
    """Take the dataset with forces out of the way of the displacements to come."""
    dataset = read_dataset(ph3py.dataset, ph3py.supercell)
    if dataset is None and ph3py.dataset is not None:
        show(["The dataset has no forces: it is not trained on."], log_level)
    ph3py.dataset = None
    return dataset

"""One run of phono3py-load with a force calculator: what the host's script calls."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NoReturn

from phonopy.cui.settings import ConfParser

from phono3py_mlp_plugin.contracts import Dataset
from phono3py_mlp_plugin.errors import ParameterError, PotentialError, one_line
from phono3py_mlp_plugin.files import (
    STAMP,
    fingerprint,
    forget_partial_evaluations,
    potential_files,
    read_stamp,
)
from phono3py_mlp_plugin.host.arguments import CommandOptions, option_of, positive
from phono3py_mlp_plugin.host.bindings import (
    COMMAND_BINDINGS,
    CONFIGURATION,
    SETTING_ERROR,
    check,
    replace,
)
from phono3py_mlp_plugin.host.mlp import (
    DEFAULT_CALCULATOR,
    PluginMLP,
    obtain_potential,
)
from phono3py_mlp_plugin.host.output import progress, show
from phono3py_mlp_plugin.host.physics import physics_checks
from phono3py_mlp_plugin.host.reading import (
    read_born_charges,
    read_cell_info,
    read_datasets,
)
from phono3py_mlp_plugin.host.solvers import (
    check_names,
    check_options,
    extract_fc2_fc3_calculators,
)
from phono3py_mlp_plugin.host.uncertainty import ErrorBars, check_uncertainty
from phono3py_mlp_plugin.host.writing import HostFiles
from phono3py_mlp_plugin.workflow import (
    Request,
    decide_force_constants,
    evaluate,
    read_dataset,
    relax_positions,
    request_calculator,
    with_memory,
)

if TYPE_CHECKING:
    from phono3py import Phono3py

_FC2, _FC3 = "fc2.hdf5", "fc3.hdf5"
_DEFAULT_AMPLITUDE = 0.01

# Settings of the host that need force constants: with a potential they imply -d.
_NEED_FORCE_CONSTANTS = (
    "is_bterta",
    "is_lbte",
    "is_gruneisen",
    "is_imag_self_energy",
    "is_real_self_energy",
    "is_spectral_function",
    "is_joint_dos",
    "is_isotope",
    "write_phonon",
)


class Run:
    """Our part of a run; made when the command line has been parsed."""

    def __init__(self, script: ModuleType, options: CommandOptions) -> None:
        self._script = script
        self._options = options
        self._host: dict[str, Any] = {}
        self._request: Request | None = None
        self._generates = False
        self._wanted: str | None = None
        self._files = HostFiles()
        self._dataset: Dataset | None = None
        self._error_bars: ErrorBars | None = None

    def install(self) -> None:
        """Put our methods in the place of the script's functions."""
        for binding in COMMAND_BINDINGS:
            self._host[binding.name] = check(binding)
        for binding in COMMAND_BINDINGS:
            method = binding.replacement.rpartition(".")[2]
            setattr(self._script, binding.name, getattr(self, method))
        check(SETTING_ERROR)
        ConfParser.setting_error = _setting_error  # type: ignore[method-assign]
        replace([CONFIGURATION])

    def read_settings(
        self, args: argparse.Namespace, argparse_control: dict[str, Any], log_level: int
    ) -> tuple[Any, dict[str, Any], str | None]:
        """Read the host's settings and check names and options before any work."""
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
        check_names(settings.fc_calculator)
        check_options(settings.fc_calculator, settings.fc_calculator_options)
        if settings.use_pypolymlp or self._options.force_calculator:
            _take_random_seed(args, settings, confs)
            self._prepare(settings, confs, log_level)
            # Runs without a potential remain the host's own, byte for byte.
            self._files.install(sys.modules)
        else:
            self._refuse_without_calculator(settings)
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
        if self._request is None:
            return host(settings, cell_filename, log_level, load_phonopy_yaml)
        return read_cell_info(
            host, settings, cell_filename, log_level, load_phonopy_yaml
        )

    def store_born_charges(self, ph3py: Phono3py, *args: Any, **options: Any) -> None:
        """Read Born charges as the host does; give them the factor of our units."""
        host = self._host["store_nac_params"]
        if self._request is None:
            host(ph3py, *args, **options)
        else:
            read_born_charges(host, ph3py, *args, **options)

    def load_datasets(self, ph3py: Phono3py, *args: Any, **options: Any) -> None:
        """Read datasets as the host does; say why where it cannot."""
        host = self._host["_load_dataset_and_phonon_dataset"]
        if self._request is None:
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
        if self._request is not None:
            wanted = [n for n, read in ((_FC3, read_fc3), (_FC2, read_fc2)) if read]
            found = [n for n in wanted if Path(n).is_file()]
            foreign = [n for n in found if read_stamp(Path(n)) is None]
            if found and (len(foreign) < len(found) or len(found) < len(wanted)):
                read_fc3 = read_fc2 = False
            elif foreign:
                show(
                    [
                        f'"{_FC2}" and "{_FC3}" do not say what they were computed '
                        "from: used as they are. Remove them to compute them anew."
                    ],
                    log_level,
                )
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
        assert self._request is not None
        self._check_fc2_options(ph3py, settings)
        mlp_file = self._options.mlp_file
        dataset = self._dataset = _take_dataset(ph3py, log_level)
        if self._error_bars is not None:
            self._error_bars.take_dataset(dataset, log_level)
        obtain_potential(
            ph3py,
            self._request,
            dataset,
            None if mlp_file is None else Path(mlp_file),
            log_level,
        )
        if settings.relax_atomic_positions:
            ph3py = self._relax(ph3py, settings, log_level)
        if not self._generates:
            show(
                ["Generate displacements (--rd or -d) to go on to force constants."],
                log_level,
            )
            self._script._finalize_phono3py(
                ph3py, confs_dict, log_level=log_level, filename=output_yaml_filename
            )
        _choose_solver(ph3py, settings, log_level)
        if not self._reuse_force_constants(ph3py, settings, log_level):
            self._displace_and_evaluate(ph3py, settings, log_level)
            ph3py.save(mlp_eval_filename)
            forget_partial_evaluations(Path())
            show(
                [f'Dataset generated using MLPs was written in "{mlp_eval_filename}".'],
                log_level,
            )
        return ph3py

    def produce_force_constants(
        self, ph3py: Phono3py, settings: Any, log_level: int, load_phono3py_yaml: bool
    ) -> None:
        """Let the host solve for fc2 and fc3; record what they were computed from."""
        if self._wanted is not None:
            made_from = {STAMP: self._wanted}
            self._files.attributes = {_FC2: made_from, _FC3: made_from}
            for name, found in ((_FC2, ph3py.fc2), (_FC3, ph3py.fc3)):
                if found is None and Path(name).is_file():
                    show([f'The old "{name}" is kept as "{name}.bak".'], log_level)
        self._host["_produce_force_constants"](
            ph3py, settings, log_level, load_phono3py_yaml
        )

    def set_up_interaction(
        self,
        phono3py: Phono3py,
        settings: Any,
        updated_settings: dict[str, Any],
        log_level: int,
    ) -> None:
        """Let the host set up the interaction; stop where modes are imaginary."""
        host = self._host["_init_phph_interaction"]
        host(phono3py, settings, updated_settings, log_level)
        if self._request is None:
            return
        checks = physics_checks(
            phono3py,
            self._request,
            self._dataset,
            allow_imaginary=bool(self._options.allow_imaginary),
        )
        show(
            ["Checks of phonons and potential:", *(f"  {check}" for check in checks)],
            log_level,
        )
        if self._error_bars is not None:

            def set_up() -> None:
                host(phono3py, settings, updated_settings, 0)

            self._error_bars.record(phono3py, set_up)

    def finalize(
        self,
        phono3py: Phono3py,
        confs_dict: dict[str, Any],
        log_level: int,
        *args: Any,
        **options: Any,
    ) -> None:
        """Report error bars of kappa where they are wanted, then end as the host."""
        if self._error_bars is not None:
            self._error_bars.report(phono3py, log_level)
        self._host["_finalize_phono3py"](
            phono3py, confs_dict, log_level, *args, **options
        )

    def _prepare(self, settings: Any, confs: dict[str, Any], log_level: int) -> None:
        """Settle what the run does; say what was not asked for in so many words."""
        options = self._options
        name = options.force_calculator or DEFAULT_CALCULATOR
        if settings.use_pypolymlp and name != DEFAULT_CALCULATOR:
            raise ParameterError(
                f"--pypolymlp and --force-calculator {name}: give one."
            )
        if settings.mlp_params and options.force_calculator_options:
            raise ParameterError(
                "--mlp-params and --force-calculator-options mean the same: give one."
            )
        where = "--mlp-params" if settings.mlp_params else "--force-calculator-options"
        text = settings.mlp_params or options.force_calculator_options
        self._request = with_memory(
            request_calculator(name, text, where), options.memory
        )
        if options.mlp_file and not potential_files(Path(options.mlp_file)):
            raise PotentialError(f'--mlp-file: "{options.mlp_file}" is not found.')
        _check_displacements(settings)
        positive("--amplitude", settings.displacement_distance)
        positive("--cutoff-pair", settings.cutoff_pair_distance)
        positive("--cutoff-fc3", settings.cutoff_fc3_distance)
        positive("--amplitude-fc2", options.amplitude_fc2)
        positive("--rd-auto-factor", settings.rd_number_estimation_factor)
        if options.uncertainty is not None:
            check_uncertainty(options.uncertainty, self._request, settings)
            self._error_bars = ErrorBars(
                options.uncertainty, options.uncertainty_mesh, self._request, settings
            )
        elif options.uncertainty_mesh is not None:
            raise ParameterError("--uncertainty-mesh: is for --uncertainty N.")
        settings.use_pypolymlp = True
        confs.update({k: str(v) for k, v in options.given().items()})

        random = settings.random_displacements is not None
        if not (settings.create_displacements or random) and any(
            getattr(settings, key, False) for key in _NEED_FORCE_CONSTANTS
        ):
            settings.create_displacements = True
            confs["create_displacements"] = ".true."
            show(["Systematic displacements (-d) are generated for this."], log_level)
        self._generates = bool(settings.create_displacements) or random

    def _refuse_without_calculator(self, settings: Any) -> None:
        """Refuse options that would mean nothing without a force calculator."""
        given = {
            f"--{k.replace('_', '-')}": v for k, v in self._options.given().items()
        }
        given["--mlp-params"] = settings.mlp_params
        given["--amplitude"] = settings.displacement_distance
        given["--rd-auto-factor"] = settings.rd_number_estimation_factor
        for option, value in given.items():
            if value is not None:
                raise ParameterError(
                    f"{option} = {value}: needs --pypolymlp or --force-calculator NAME "
                    "(supercells for first-principles runs come from phono3py-init)."
                )

    def _relax(self, ph3py: Phono3py, settings: Any, log_level: int) -> Phono3py:
        """Relax the atomic positions and start over from the relaxed unit cell."""
        mlp = ph3py.mlp
        assert isinstance(mlp, PluginMLP) and mlp.potential is not None
        show([f"Relaxing atomic positions by {mlp.calculator}..."], log_level)
        relaxed = relax_positions(
            mlp.calculator, mlp.potential, ph3py.unitcell, ph3py.symmetry.tolerance
        )
        if relaxed is None:
            show(["Symmetry leaves no atomic position to relax."], log_level)
            return ph3py
        self._script.get_change_in_positions(
            relaxed, ph3py.unitcell, verbose=log_level > 0
        )
        new, _, _ = self._script._init_phono3py(
            settings,
            relaxed.copy(),
            supercell_matrix=ph3py.supercell_matrix,
            primitive_matrix=ph3py.primitive_matrix,
            phonon_supercell_matrix=ph3py.phonon_supercell_matrix,
            symprec=ph3py.symmetry.tolerance,
            log_level=log_level,
        )
        if ph3py.mesh_numbers is not None:
            new.mesh_numbers = settings.mesh_numbers
        new.nac_params = ph3py.nac_params
        new.mlp = ph3py.mlp
        return new

    def _reuse_force_constants(
        self, ph3py: Phono3py, settings: Any, log_level: int
    ) -> bool:
        """Read fc2 and fc3 where they are those that this run would compute."""
        self._wanted = self._fingerprint(ph3py, settings)
        read = {_FC2: settings.read_fc2, _FC3: settings.read_fc3}
        stamps = {
            name: read_stamp(Path(name))
            for name in (_FC2, _FC3)
            if Path(name).is_file()
        }
        decision = decide_force_constants(stamps, (_FC2, _FC3), self._wanted)
        reuse = decision.reuse and all(read.values())
        if decision.reason and all(read.values()):
            show([decision.reason], log_level)
        if reuse:
            self._host["load_fc2_and_fc3"](ph3py, log_level=log_level)
        return reuse

    def _fingerprint(self, ph3py: Phono3py, settings: Any) -> str:
        """Return the fingerprint of all that decides fc2 and fc3 of this run."""
        assert isinstance(ph3py.mlp, PluginMLP)
        names = (
            "create_displacements",
            "random_displacements",
            "random_displacements_fc2",
            "random_seed",
            "displacement_distance",
            "rd_number_estimation_factor",
            "cutoff_pair_distance",
            "cutoff_fc3_distance",
            "fc_calculator",
            "fc_calculator_options",
            "fc_symmetry",
            "use_symfc_projector",
            "symfc_memory_size",
            "is_compact_fc",
        )
        symmetry = ph3py.symmetry
        phonon_matrix = ph3py.phonon_supercell_matrix
        return fingerprint(
            {
                "potential": ph3py.mlp.origin,
                "settings": {name: getattr(settings, name, None) for name in names},
                "amplitude_fc2": self._options.amplitude_fc2,
                "rotations": symmetry.symmetry_operations["rotations"],
                "symmetry_tolerance": symmetry.tolerance,
                "lattice": ph3py.supercell.cell,
                "positions": ph3py.supercell.scaled_positions,
                "symbols": list(ph3py.supercell.symbols),
                "primitive": ph3py.primitive_matrix,
                "phonon_supercell_matrix": phonon_matrix,
                "phonon_dataset": None
                if phonon_matrix is None
                else _arrays(
                    read_dataset(ph3py.phonon_dataset, ph3py.phonon_supercell)
                ),
            }
        )

    def _displace_and_evaluate(
        self, ph3py: Phono3py, settings: Any, log_level: int
    ) -> None:
        """Generate displacements and ask the potential for their forces."""
        amplitude = settings.displacement_distance or _DEFAULT_AMPLITUDE
        separate_fc2 = ph3py.phonon_supercell_matrix is not None
        keep_fc2 = _has_fc2_forces(ph3py)
        if separate_fc2 and not keep_fc2:
            self._displace_fc2(ph3py, settings, amplitude)
        random = settings.random_displacements
        show(
            [
                "Generate displacements"
                if random is None
                else "Generate random displacements",
                *(
                    []
                    if random is None
                    else [
                        "  Twice as many are generated, for plus-minus displacements."
                    ]
                ),
                f"  Displacement distance: {amplitude:g}",
            ],
            log_level,
        )
        cutoff = self._script.determine_cutoff_pair_distance(
            fc_calculator=settings.fc_calculator,
            fc_calculator_options=settings.fc_calculator_options,
            cutoff_pair_distance=settings.cutoff_pair_distance,
            symfc_memory_size=settings.symfc_memory_size,
            random_displacements=random,
            supercell=ph3py.supercell,
            primitive=ph3py.primitive,
            symmetry=ph3py.symmetry,
            log_level=log_level,
        )
        ph3py.generate_displacements(
            distance=amplitude,
            cutoff_pair_distance=cutoff,
            is_plusminus=True,
            number_of_snapshots=random,
            random_seed=settings.random_seed,
            number_estimation_factor=settings.rd_number_estimation_factor,
        )
        assert isinstance(ph3py.mlp, PluginMLP)
        name = ph3py.mlp.calculator
        n_evaluated = sum(c is not None for c in ph3py.supercells_with_displacements)
        show([f"Evaluate forces in {n_evaluated} supercells by {name}"], log_level)
        ph3py.mlp.folder = Path()
        ph3py.evaluate_mlp()
        if keep_fc2:
            show(["fc2 comes from the first-principles forces of dim-fc2."], log_level)
        elif separate_fc2:
            self._evaluate_fc2(ph3py, name, log_level)

    def _check_fc2_options(self, ph3py: Phono3py, settings: Any) -> None:
        """Refuse options of dim-fc2 supercells that will not be evaluated."""
        if ph3py.phonon_supercell_matrix is None:
            reason = "there is no supercell of its own for fc2 (dim-fc2)"
        elif _has_fc2_forces(ph3py):
            reason = "the dataset has first-principles forces for fc2"
        else:
            return
        given = {
            "--rd-fc2": settings.random_displacements_fc2,
            "--amplitude-fc2": self._options.amplitude_fc2,
        }
        for option, value in given.items():
            if value is not None:
                raise ParameterError(f"{option} = {value}: {reason}. Leave it out.")

    def _displace_fc2(self, ph3py: Phono3py, settings: Any, amplitude: float) -> None:
        ph3py.generate_fc2_displacements(
            distance=self._options.amplitude_fc2 or amplitude,
            is_plusminus=True,
            number_of_snapshots=settings.random_displacements_fc2,
            random_seed=settings.random_seed,
        )

    def _evaluate_fc2(self, ph3py: Phono3py, name: str, log_level: int) -> None:
        assert isinstance(ph3py.mlp, PluginMLP) and ph3py.mlp.potential is not None
        cells = ph3py.phonon_supercells_with_displacements
        show(
            [
                f"fc2 comes from {name}: evaluate forces in {len(cells)} supercells of "
                f"dim-fc2 ({len(ph3py.phonon_supercell)} atoms)"
            ],
            log_level,
        )
        result = evaluate(
            name,
            ph3py.mlp.potential,
            cells,
            progress(log_level),
            supercell=ph3py.phonon_supercell,
        )
        ph3py.phonon_forces = result.forces
        ph3py.phonon_supercell_energies = result.energies


def _setting_error(self: ConfParser[Any], message: str) -> NoReturn:
    """Stand for the host's method, which tells nothing on the error stream."""
    tag = message.partition(" is ")[0].lower().replace(" ", "_")
    value = self.confs.get(tag)
    found = "" if value is None else f"{tag} = {value}: "
    raise ParameterError(f"{found}{message} Check the option, or the tag of that name.")


def _take_random_seed(
    args: argparse.Namespace, settings: Any, confs: dict[str, Any]
) -> None:
    """Take the seed that the user gave: the host drops 0 and what is out of range."""
    seed = args.random_seed
    if seed is None:
        return
    if not 0 <= seed < 2**32:
        raise ParameterError(f"--random-seed = {seed}; expected 0 to {2**32 - 1}.")
    settings.random_seed = seed
    confs["random_seed"] = str(seed)


def _check_displacements(settings: Any) -> None:
    """Refuse displacements that cannot be meant, or that the solver cannot use."""
    for option, number in (
        ("--rd", settings.random_displacements),
        ("--rd-fc2", settings.random_displacements_fc2),
    ):
        if number is not None and number != "auto" and number < 1:
            raise ParameterError(
                f"{option} = {number}; expected a positive number or auto."
            )
    if settings.random_displacements is None:
        return
    if settings.create_displacements:
        raise ParameterError("-d and --rd: give systematic or random displacements.")
    if extract_fc2_fc3_calculators(settings.fc_calculator, 3) == "traditional":
        raise ParameterError(
            f"--fc-calculator = {settings.fc_calculator}: finite differences cannot "
            "use random displacements (--rd). Use symfc, or -d."
        )


def _take_dataset(ph3py: Phono3py, log_level: int) -> Dataset | None:
    """Take the dataset with forces out of the way of the displacements to come."""
    dataset = read_dataset(ph3py.dataset, ph3py.supercell)
    if dataset is None and ph3py.dataset is not None:
        show(["The dataset has no forces: it is not trained on."], log_level)
    ph3py.dataset = None
    return dataset


def _has_fc2_forces(ph3py: Phono3py) -> bool:
    """Return whether fc2 has a supercell and first-principles forces of its own."""
    return ph3py.phonon_supercell_matrix is not None and (
        read_dataset(ph3py.phonon_dataset, ph3py.phonon_supercell, "dim-fc2 dataset")
        is not None
    )


def _choose_solver(ph3py: Phono3py, settings: Any, log_level: int) -> None:
    """Take symfc for random displacements where the user named no solver.

    Finite differences, the host's default, cannot use them.
    """
    if settings.fc_calculator is not None:
        return
    random_fc2 = settings.random_displacements_fc2 is not None or (
        ph3py.phonon_dataset is not None and "displacements" in ph3py.phonon_dataset
    )
    if settings.random_displacements is not None:
        settings.fc_calculator = "symfc"
    elif random_fc2 and ph3py.phonon_supercell_matrix is not None:
        settings.fc_calculator = "symfc|"
    else:
        return
    show(
        [
            "Random displacements are solved by symfc "
            f"(--fc-calculator '{settings.fc_calculator}')."
        ],
        log_level,
    )


def _arrays(dataset: Any) -> Any:
    return None if dataset is None else [dataset.displacements, dataset.forces]

"""Options of a run, read once from the settings of phono3py and the command line."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from phono3py_mlp_plugin.errors import ParameterError, PluginNotFound
from phono3py_mlp_plugin.files import text_of_options
from phono3py_mlp_plugin.host.arguments import CommandOptions
from phono3py_mlp_plugin.host.models import (
    RequestedModel,
    requested_calculators,
    requested_models,
)
from phono3py_mlp_plugin.ranges import POSITIVE, check_range
from phono3py_mlp_plugin.workflow import (
    FINITE_DIFFERENCES,
    CalculatorSpec,
    DisplacementOptions,
    ForceConstantsRequest,
    StructureFiles,
    check_memory_of_mesh,
    request_force_constants,
)

CALCULATIONS = (
    "is_bterta",
    "is_lbte",
    "is_gruneisen",
    "is_imag_self_energy",
    "is_real_self_energy",
    "is_spectral_function",
    "is_joint_dos",
)
"""Settings of phono3py for calculations that need force constants."""

# Options of ours that mean something without a force calculator.
_WITHOUT_CALCULATOR = ("scattering", "jobs", "executor", "part")

# Those of them that need work which is done in chunks.
_OF_CHUNKS = ("jobs", "executor", "part")

# With a potential they imply -d.
_NEED_FORCE_CONSTANTS = (*CALCULATIONS, "is_isotope", "write_phonon")

# Options by which phono3py reads or selects data instead of computing kappa.
_READ = (
    ("--read-gamma", "read_gamma"),
    ("--read-pp", "read_pp"),
    ("--read-collision", "read_collision"),
    ("--read-elph", "read_elph"),
    ("--read-phonon", "read_phonon"),
    ("--gp", "grid_points"),
    ("--ga", "grid_addresses"),
)


@dataclass(frozen=True)
class RunRequest:
    """Options of a run for potential, displacements and error bars.

    Attributes
    ----------
    calculator : CalculatorSpec
    mlp_file : Path or None
        Potential file given by the user.
    models : tuple of RequestedModel
        Models whose scatter is the error bar of the first one, which is the potential
        of the run; empty if there is only one.
    generates : bool
        Whether force constants are computed, from displacements unless the solver takes
        the potential itself.
    derivatives_by_default : bool
        Whether the solver ``exact`` was chosen by `choose_derivatives`.
    amplitude_fc2 : float or None
    uncertainty : int or None
        Number of potentials in the ensemble, or of models.
    uncertainty_mesh : tuple of float or None
    error_budget : bool or None
        Whether the error budget is computed; None means with error bars.
    allow_imaginary : bool
    allow_poor_fit : bool
        Continue even if the error of the potential is as large as the forces.
    structures : StructureFiles or None
        Files with structures to train on besides the supercells.
    """

    calculator: CalculatorSpec
    mlp_file: Path | None
    generates: bool
    models: tuple[RequestedModel, ...] = ()
    derivatives_by_default: bool = False
    amplitude_fc2: float | None = None
    uncertainty: int | None = None
    uncertainty_mesh: tuple[float, ...] | None = None
    error_budget: bool | None = None
    allow_imaginary: bool = False
    allow_poor_fit: bool = False
    structures: StructureFiles | None = None

    @property
    def estimates_errors(self) -> bool:
        """Whether error bars or the error budget of kappa are computed."""
        return self.uncertainty is not None or bool(self.error_budget)


def run_request(
    settings: Any,
    confs: dict[str, Any],
    options: CommandOptions,
    *,
    derivatives_by_default: bool = False,
) -> RunRequest:
    """Return the options of a run after checking them.

    Parameters
    ----------
    settings : Phono3pySettings
        Systematic displacements are switched on if the run needs force constants and
        no displacements are requested.
    confs : dict
        Options as recorded by phono3py; those of this package are added.
    options : CommandOptions
    derivatives_by_default : bool
        Result of `choose_derivatives`.

    Raises
    ------
    ParameterError, PluginNotFound, PotentialError
        If an option is out of range, contradicts another one, or names something that
        does not exist.
    """
    first, *others = requested_models(settings, options)
    _check_displacements(settings, options)
    uncertainty = _number_of_potentials(first, others, settings, options)
    if options.error_budget:
        check_kappa("--error-budget", settings)
    settings.use_pypolymlp = True
    confs.update({k: str(v) for k, v in options.given().items()})
    random = settings.random_displacements is not None
    exact = takes_potential(settings)
    if exact:
        _check_no_displacements(settings, confs, options)
    if not (exact or settings.create_displacements or random) and any(
        getattr(settings, key, False) for key in _NEED_FORCE_CONSTANTS
    ):
        settings.create_displacements = True
        confs["create_displacements"] = ".true."
    mesh = options.uncertainty_mesh
    return RunRequest(
        calculator=first.calculator,
        mlp_file=first.file,
        models=(first, *others) if others else (),
        generates=exact or bool(settings.create_displacements) or random,
        derivatives_by_default=derivatives_by_default,
        amplitude_fc2=options.amplitude_fc2,
        uncertainty=uncertainty,
        uncertainty_mesh=None if mesh is None else mesh_of(mesh, "--uncertainty-mesh"),
        error_budget=options.error_budget,
        allow_imaginary=bool(options.allow_imaginary),
        allow_poor_fit=bool(options.allow_poor_fit),
        structures=_structure_files(options, first.calculator),
    )


def _structure_files(
    options: CommandOptions, calculator: CalculatorSpec
) -> StructureFiles | None:
    """Return the files of --training-structures, if they are going to be used."""
    if options.training_structures is None:
        for option, key in (
            ("--energy-key", options.energy_key),
            ("--forces-key", options.forces_key),
        ):
            if key is not None:
                raise ParameterError(f"{option}: is for --training-structures FILE.")
        return None
    if options.mlp_file is not None:
        raise ParameterError(
            "--training-structures: nothing is trained with --mlp-file. Leave one out."
        )
    if not calculator.calculator.takes_structures:
        raise ParameterError(
            f"--training-structures: force calculator {calculator.calculator.name!r} "
            "is not trained on them; pypolymlp is."
        )
    paths = tuple(Path(name) for name in options.training_structures)
    return StructureFiles(paths, options.energy_key, options.forces_key)


def _number_of_potentials(
    first: RequestedModel,
    others: Sequence[RequestedModel],
    settings: Any,
    options: CommandOptions,
) -> int | None:
    """Return the number of potentials from which error bars are computed, if any.

    Raises
    ------
    ParameterError
        If they cannot be computed with these options.
    """
    number = options.uncertainty
    if others:
        n = 1 + len(others)
        if number is not None and not 2 <= number <= n:
            raise ParameterError(
                f"--uncertainty = {number}: there are {n} models; expected "
                f"{'2' if n == 2 else f'2 to {n}'}. Leave it out to use all."
            )
        check_kappa("several models (--mlp-file)", settings)
        return n if number is None else number
    if number is None:
        if options.uncertainty_mesh is not None:
            raise ParameterError("--uncertainty-mesh: is for --uncertainty N.")
        return None
    if number < 2:
        raise ParameterError(f"--uncertainty = {number}; expected 2 or more.")
    check_ensemble("--uncertainty", first.calculator, settings)
    return number


def check_ensemble(option: str, calculator: CalculatorSpec, settings: Any) -> None:
    """Check that error bars of kappa can be computed from a training.

    Raises
    ------
    ParameterError
        If they cannot.
    """
    check_kappa(option, settings)
    if calculator.calculator.learning_curve is None:
        raise ParameterError(
            f"{option}: force calculator {calculator.calculator.name!r} gives no "
            "error bars of its own; pypolymlp does. Give several models (--mlp-file A "
            "--mlp-file B), or train a student (phono3py-mlp kappa --teach N)."
        )


def check_kappa(option: str, settings: Any) -> None:
    """Check that all of kappa is computed.

    Raises
    ------
    ParameterError
        If it is not.
    """
    if not (settings.is_bterta or settings.is_lbte):
        raise ParameterError(
            f"{option}: is for runs that compute kappa. Give --br or --lbte."
        )
    for name in options_of_parts(settings):
        raise ParameterError(f"{option} and {name}: leave one out.")


def options_of_parts(settings: Any) -> list[str]:
    """Return the options given by which data are read or only parts are computed."""
    values = {name: getattr(settings, attribute, None) for name, attribute in _READ}
    return [
        n for n, value in values.items() if value is not None and value is not False
    ]


def mesh_of(words: Sequence[str | float], option: str) -> tuple[float, ...]:
    """Return three mesh numbers, or one length.

    Raises
    ------
    ParameterError
        If the numbers are neither.
    ResourceError
        If there are more points than fit into the memory.
    """
    numbers = tuple(_number(word) for word in words)
    if len(numbers) not in (1, 3) or not all(0 < x < math.inf for x in numbers):
        shown = (w if isinstance(w, str) else f"{w:g}" for w in words)
        raise ParameterError(
            f"{option} = {' '.join(shown)}; expected three positive numbers, or one "
            "length."
        )
    check_memory_of_mesh(numbers)
    return numbers


def check_mesh(words: Sequence[str] | None) -> None:
    """Check mesh numbers.

    Raises
    ------
    ParameterError
        If phono3py cannot use them.
    """
    # Nine numbers are a grid generating matrix, which may contain zeros.
    if words is None or (
        len(words) == 9 and all(math.isfinite(_number(w)) for w in words)
    ):
        return
    mesh_of(words, "mesh")


def _number(word: str | float) -> float:
    try:
        return float(word)
    except ValueError:
        return math.nan


def read_option_files(settings: Any) -> None:
    """Replace ``@FILE`` in options of solvers, which phono3py reads itself."""
    settings.fc_calculator_options = text_of_options(
        settings.fc_calculator_options, "--fc-calculator-options"
    )


def force_constants_request(settings: Any) -> ForceConstantsRequest:
    """Return how force constants are computed, from the settings of phono3py.

    Raises
    ------
    PluginNotFound, ParameterError
        If a solver or option is unknown.
    """
    try:
        request = request_force_constants(
            settings.fc_calculator,
            settings.fc_calculator_options,
            settings.cutoff_pair_distance,
        )
    except PluginNotFound as error:
        raise PluginNotFound(f"--fc-calculator: {error}") from None
    return replace(
        request,
        is_compact_fc=bool(settings.is_compact_fc),
        symmetrize=bool(settings.fc_symmetry),
        use_symfc_projector=bool(settings.use_symfc_projector)
        and settings.fc_calculator is None,
        cutoff_fc3=settings.cutoff_fc3_distance,
    )


def choose_derivatives(
    settings: Any, confs: dict[str, Any], options: CommandOptions
) -> bool:
    """Choose the solver ``exact`` for an ensemble of potentials; return whether.

    It is not chosen if the user asks for displacements or a solver, or if the force
    calculator has potentials without derivatives.
    """
    solver = (
        settings.use_symfc_projector or None,
        settings.fc_calculator,
        settings.fc_calculator_options,
        settings.cutoff_pair_distance,
    )
    # Models from files need not have derivatives.
    if options.n_models > 1 or any(value is not None for value in solver):
        return False
    if _given_for_displacements(settings, confs, options):
        return False
    if not requested_calculators(settings, options)[0].calculator.derivatives:
        return False
    settings.fc_calculator = "exact"
    return True


def takes_potential(settings: Any) -> bool:
    """Return whether fc3 is computed from the potential, without displacements."""
    return force_constants_request(settings).takes_potential


def _given_for_displacements(
    settings: Any, confs: dict[str, Any], options: CommandOptions
) -> list[str]:
    """Return the options of displacements that the user has given."""
    values = {
        "-d": settings.create_displacements or None,
        "--rd": settings.random_displacements,
        "--rd-fc2": settings.random_displacements_fc2,
        "--rd-auto-factor": settings.rd_number_estimation_factor,
        "--random-seed": settings.random_seed,
        "--amplitude": settings.displacement_distance,
        "--amplitude-fc2": options.amplitude_fc2,
        "--pm": confs.get("pm"),
        "--pm-fc2": confs.get("pm_fc2"),
        "--nodiag": confs.get("diag"),
    }
    return [option for option, value in values.items() if value is not None]


def _check_no_displacements(
    settings: Any, confs: dict[str, Any], options: CommandOptions
) -> None:
    """Raise for options of displacements where there are none."""
    for option in _given_for_displacements(settings, confs, options):
        raise ParameterError(
            f"{option} and --fc-calculator {settings.fc_calculator}: derivatives "
            "of the potential need no displacements. Leave one out."
        )


def displacement_options(settings: Any, request: RunRequest) -> DisplacementOptions:
    """Return the options of the displacements of a run."""
    return DisplacementOptions(
        number=settings.random_displacements,
        amplitude=settings.displacement_distance or DisplacementOptions.amplitude,
        seed=settings.random_seed,
        equations=settings.rd_number_estimation_factor,
        at_least=1,
        cutoff_pair=settings.cutoff_pair_distance,
        number_fc2=settings.random_displacements_fc2,
        amplitude_fc2=request.amplitude_fc2,
    )


def set_random_seed(
    args: argparse.Namespace, settings: Any, confs: dict[str, Any]
) -> None:
    """Set the random seed of the user; phono3py ignores 0 and invalid values."""
    seed = args.random_seed
    if seed is None:
        return
    if not 0 <= seed < 2**32:
        raise ParameterError(f"--random-seed = {seed}; expected 0 to {2**32 - 1}.")
    settings.random_seed = seed
    confs["random_seed"] = str(seed)


def refuse_without_calculator(settings: Any, options: CommandOptions) -> None:
    """Check that no option requires a force calculator.

    Raises
    ------
    ParameterError
        If an option does.
    """
    given: dict[str, Any] = {
        f"--{k.replace('_', '-')}": v
        for k, v in options.given().items()
        if k not in _WITHOUT_CALCULATOR
    }
    if options.scattering != "fft":
        for name in _OF_CHUNKS:
            value = getattr(options, name)
            if value is not None:
                raise ParameterError(
                    f"--{name} = {value}: needs --pypolymlp, --force-calculator NAME "
                    "or --scattering fft; nothing else here is done in chunks."
                )
    given["--mlp-params"] = settings.mlp_params
    given["--amplitude"] = settings.displacement_distance
    given["--rd-auto-factor"] = settings.rd_number_estimation_factor
    for option, value in given.items():
        if value is not None:
            raise ParameterError(
                f"{option} = {value}: needs --pypolymlp or --force-calculator NAME "
                "(supercells for first-principles runs come from phono3py-init)."
            )


def choose_solver(settings: Any, *, random_fc2: bool) -> str | None:
    """Select symfc for random displacements if the user did not select a solver.

    Finite differences, the default of phono3py, cannot use random displacements.

    Parameters
    ----------
    settings : Phono3pySettings
        The name of the solver is set.
    random_fc2 : bool
        Whether fc2 has a separate supercell with random displacements.

    Returns
    -------
    str or None
        The line to print, if a solver was selected.
    """
    if settings.fc_calculator is not None:
        return None
    if settings.random_displacements is not None:
        settings.fc_calculator = "symfc"
    elif random_fc2:
        settings.fc_calculator = "symfc|"
    else:
        return None
    return (
        "Random displacements are solved by symfc "
        f"(--fc-calculator '{settings.fc_calculator}')."
    )


def _check_displacements(settings: Any, options: CommandOptions) -> None:
    """Check options of displacements, also against the solver."""
    check_range("--amplitude", settings.displacement_distance, POSITIVE)
    check_range("--cutoff-pair", settings.cutoff_pair_distance, POSITIVE)
    check_range("--cutoff-fc3", settings.cutoff_fc3_distance, POSITIVE)
    check_range("--amplitude-fc2", options.amplitude_fc2, POSITIVE)
    check_range("--rd-auto-factor", settings.rd_number_estimation_factor, POSITIVE)
    for option, number in (
        ("--rd", settings.random_displacements),
        ("--rd-fc2", settings.random_displacements_fc2),
    ):
        if number is not None and number != "auto" and number < 1:
            raise ParameterError(
                f"{option} = {number}; expected a positive number or auto."
            )
    if settings.random_displacements is not None and settings.create_displacements:
        raise ParameterError("-d and --rd: give systematic or random displacements.")
    check_finite_differences(settings, own_fc2=True)


def check_finite_differences(settings: Any, *, own_fc2: bool) -> None:
    """Check that finite differences are not used with random displacements.

    Parameters
    ----------
    settings : Phono3pySettings
    own_fc2 : bool
        Whether fc2 has a separate supercell with separate displacements.

    Raises
    ------
    ParameterError
        If they are.
    """
    if settings.fc_calculator is None:
        return
    request = force_constants_request(settings)
    random = {
        3: ("--rd", settings.random_displacements),
        2: ("--rd-fc2", settings.random_displacements_fc2),
    }
    if not own_fc2:
        random[2] = random[3]
    for order, (option, number) in random.items():
        name = request.of(order).solver.name
        if number is not None and name == FINITE_DIFFERENCES:
            raise ParameterError(
                f"--fc-calculator = {settings.fc_calculator}: finite differences "
                f"cannot use random displacements ({option}). Use symfc, or -d."
            )

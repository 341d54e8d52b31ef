"""fc2 and fc3 of a run: reused from files, or computed from forces."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from phonopy.harmonic.displacement import get_least_displacements

from phono3py_mlp_plugin.errors import ParameterError, one_line
from phono3py_mlp_plugin.files import fingerprint, read_stamp
from phono3py_mlp_plugin.host.mlp import PluginMLP
from phono3py_mlp_plugin.host.output import noise_lines, progress, show
from phono3py_mlp_plugin.host.settings import (
    RunRequest,
    check_finite_differences,
    choose_solver,
    displacement_options,
    force_constants_request,
)
from phono3py_mlp_plugin.wording import counted
from phono3py_mlp_plugin.workflow import (
    DisplacementOptions,
    ForceConstantsRequest,
    check_found_force_constants,
    check_memory_of_fc3,
    check_solver_cutoffs,
    cutoffs_in_options,
    decide_force_constants,
    describe_force_constants,
    differentiate,
    displace,
    evaluate,
    fc2_dataset,
    force_constants_versions,
    forecast_evaluations,
    forecast_systematic,
    supercells_of,
)

if TYPE_CHECKING:
    from phono3py import Phono3py
    from phonopy.structure.atoms import PhonopyAtoms

FC2, FC3 = "fc2.hdf5", "fc3.hdf5"

# Kappa of MgO was 18 % too small with fc2 of a potential in 512 atoms that was trained
# on 64 atoms, and 4 % with fc2 in the 64 atoms.
_FC2_UNDETERMINED = (
    "Note: fc2 for dim-fc2 is evaluated by the potential. Training supercells do not "
    "determine interactions beyond half their width: give first-principles forces for "
    "dim-fc2, or compare with kappa without it."
)


@dataclass(frozen=True)
class ForceConstantsPlan:
    """How fc2 and fc3 of a run are obtained.

    Attributes
    ----------
    displacements : DisplacementOptions
    request : ForceConstantsRequest
    keep_fc2 : bool
        Whether fc2 is computed from first-principles forces of dim-fc2.
    """

    displacements: DisplacementOptions
    request: ForceConstantsRequest
    keep_fc2: bool


def plan_force_constants(
    script: ModuleType,
    ph3: Phono3py,
    settings: Any,
    request: RunRequest,
    log_level: int,
) -> ForceConstantsPlan:
    """Determine solver, cutoff and displacements for the crystal.

    Parameters
    ----------
    script : module
        ``phono3py.cui.phono3py_script``.
    ph3 : Phono3py
    settings : Phono3pySettings
        Solver and pair cutoff are set if they follow from other options.
    request : RunRequest
    log_level : int

    Raises
    ------
    ParameterError
        If options contradict each other.
    """
    keep_fc2 = fc2_dataset(ph3) is not None
    own_fc2 = ph3.phonon_supercell_matrix is not None
    check_solver_cutoffs(
        ph3.supercell,
        {
            "--cutoff-pair": settings.cutoff_pair_distance,
            "--cutoff-fc3": settings.cutoff_fc3_distance,
            **cutoffs_in_options(settings.fc_calculator_options),
        },
    )
    _check_fc2_options(settings, request, own_fc2=own_fc2, keep_fc2=keep_fc2)
    if request.derivatives_by_default and keep_fc2:
        settings.fc_calculator = "symfc|exact"
    if own_fc2 and not keep_fc2 and request.calculator.calculator.train:
        show([_FC2_UNDETERMINED], log_level)
    _check_solvers(settings, keep_fc2=keep_fc2)
    data_fc2 = ph3.phonon_dataset
    random_fc2 = own_fc2 and (
        settings.random_displacements_fc2 is not None
        or (keep_fc2 and data_fc2 is not None and "displacements" in data_fc2)
    )
    line = choose_solver(settings, random_fc2=random_fc2)
    show([] if line is None else [line], log_level)
    check_finite_differences(settings, own_fc2=own_fc2)
    compact = force_constants_request(settings).is_compact_fc
    check_memory_of_fc3(
        len(ph3.primitive if compact else ph3.supercell), len(ph3.supercell)
    )
    settings.cutoff_pair_distance = _cutoff_pair(script, ph3, settings, log_level)
    return ForceConstantsPlan(
        displacement_options(settings, request),
        force_constants_request(settings),
        keep_fc2,
    )


def with_amplitude(
    ph3: Phono3py, settings: Any, plan: ForceConstantsPlan, log_level: int
) -> ForceConstantsPlan:
    """Return the plan with an amplitude above the noise of the potential.

    The amplitude of the user is kept, and what noise means for it is printed.
    """
    health = getattr(ph3.mlp, "health", None)
    if health is None or plan.request.takes_potential:
        return plan
    displacements = plan.displacements
    systematic = displacements.number is None
    amplitude = displacements.amplitude
    if settings.displacement_distance is None:
        best = health.best_amplitude(amplitude, systematic=systematic)
        if best != amplitude:
            reason = "not smooth" if health.is_rough else "noisy"
            show(
                [
                    f"Displacements are {best:g} angstrom instead of {amplitude:g}, "
                    f"because forces are {reason} (--amplitude sets another length)."
                ],
                log_level,
            )
            displacements = replace(displacements, amplitude=best)
    show(noise_lines(health, displacements.amplitude, systematic=systematic), log_level)
    return replace(plan, displacements=displacements)


def force_constants_fingerprint(ph3: Phono3py, plan: ForceConstantsPlan) -> str:
    """Return the fingerprint of everything that determines fc2 and fc3 of a run."""
    assert isinstance(ph3.mlp, PluginMLP)
    data_fc2 = fc2_dataset(ph3) if plan.keep_fc2 else None
    return fingerprint(
        {
            "potential": ph3.mlp.origin,
            "displacements": plan.displacements,
            "force_constants": describe_force_constants(plan.request),
            "versions": force_constants_versions(
                [plan.request.of(order).solver.name for order in (2, 3)]
            ),
            "is_compact_fc": plan.request.is_compact_fc,
            "rotations": ph3.symmetry.symmetry_operations["rotations"],
            "symmetry_tolerance": ph3.symmetry.tolerance,
            "lattice": ph3.supercell.cell,
            "positions": ph3.supercell.scaled_positions,
            "symbols": list(ph3.supercell.symbols),
            "primitive": ph3.primitive_matrix,
            "phonon_supercell_matrix": ph3.phonon_supercell_matrix,
            "phonon_dataset": None
            if data_fc2 is None
            else [data_fc2.displacements, data_fc2.forces],
        }
    )


def host_may_read(
    ph3: Phono3py, *, read_fc2: bool, read_fc3: bool, log_level: int
) -> bool:
    """Return whether phono3py may read fc2 and fc3 now.

    Files of this package are read later, when the potential is known and their
    fingerprint can be compared. Other files are checked and used without comparison.

    Parameters
    ----------
    ph3 : Phono3py
    read_fc2, read_fc3 : bool
        Which files phono3py would read.
    log_level : int

    Raises
    ------
    SolverError
        If a file is damaged, or belongs to another crystal.
    """
    wanted = [n for n, read in ((FC3, read_fc3), (FC2, read_fc2)) if read]
    existing = [name for name in wanted if Path(name).is_file()]
    foreign = [name for name in existing if read_stamp(Path(name)) is None]
    if existing and (len(foreign) < len(existing) or len(existing) < len(wanted)):
        return False
    if foreign:
        names = " and ".join(f'"{name}"' for name in sorted(foreign))
        show(
            [
                f"{names} do not say what they were computed from: used as they are. "
                "Remove them to compute them anew."
            ],
            log_level,
        )
    check_found_force_constants(ph3, map(Path, existing))
    return True


def can_reuse(wanted: str, *, read: bool, log_level: int) -> bool:
    """Return whether fc2 and fc3 in the folder can be reused, and print why not.

    Parameters
    ----------
    wanted : str
        Fingerprint of the force constants of the run.
    read : bool
        Whether the options of the run allow reading them.
    log_level : int
    """
    if not read:
        return False
    existing = {name: Path(name) for name in (FC2, FC3) if Path(name).is_file()}
    stamps = {name: read_stamp(path) for name, path in existing.items()}
    decision = decide_force_constants(stamps, (FC2, FC3), wanted)
    show([decision.reason] if decision.reason else [], log_level)
    return decision.reuse


def displace_and_evaluate(
    ph3: Phono3py, plan: ForceConstantsPlan, log_level: int
) -> None:
    """Generate displacements and evaluate their forces with the potential."""
    mlp = ph3.mlp
    assert isinstance(mlp, PluginMLP) and mlp.potential is not None
    options = plan.displacements
    if options.number is None:
        show(_forecast_systematic(ph3, options, mlp), log_level)
    lines = ["Generate displacements"]
    if options.number is not None:
        lines = [
            "Generate random displacements",
            "  Twice as many are generated, for plus-minus displacements.",
        ]
    show([*lines, f"  Displacement distance: {options.amplitude:g}"], log_level)
    displace(ph3, options, keep_fc2=plan.keep_fc2)
    first, *others = supercells_of(ph3)
    n_evaluated = sum(cell is not None for cell in first.displaced())
    seconds = _seconds_of_evaluation(ph3.supercell, mlp, n_evaluated)
    supercells = counted(n_evaluated, "supercell")
    show(
        [
            f"Evaluate forces in {supercells} by {mlp.calculator}",
            *forecast_evaluations(n_evaluated, seconds),
        ],
        log_level,
    )
    ph3.evaluate_mlp()
    for part in others:
        if plan.keep_fc2:
            show(["fc2 comes from the first-principles forces of dim-fc2."], log_level)
            continue
        cells = part.displaced()
        show(
            [
                f"fc2 comes from {mlp.calculator}: evaluate forces in {len(cells)} "
                f"supercells of dim-fc2 ({len(part.supercell)} atoms)"
            ],
            log_level,
        )
        part.set_evaluation(
            evaluate(
                mlp.calculator,
                mlp.potential,
                cells,
                progress(log_level),
                distribution=mlp.distribution,
                source=mlp.source,
                origin=mlp.origin,
            )
        )


def _seconds_of_evaluation(
    supercell: PhonopyAtoms, mlp: PluginMLP, number: int
) -> float | None:
    """Return the time of an evaluation if many may take long, otherwise None."""
    assert mlp.potential is not None
    if mlp.health is None or not mlp.health.may_take_long(number):
        return None
    begin = time.perf_counter()
    evaluate(mlp.calculator, mlp.potential, [supercell])
    return time.perf_counter() - begin


def _forecast_systematic(
    ph3: Phono3py, options: DisplacementOptions, mlp: PluginMLP
) -> list[str]:
    """Return lines about the number of systematic displacements."""
    supercell = ph3.supercell
    pairs = len(supercell) ** 2
    if options.cutoff_pair is not None:
        sphere = 4 / 3 * np.pi * options.cutoff_pair**3
        pairs = min(pairs, int(pairs * sphere / supercell.volume) + len(supercell))
    try:
        first = get_least_displacements(
            ph3.symmetry, is_plusminus=True, is_diagonal=False
        )
    except ValueError:
        # Told when displacements are generated.
        return []
    number = 6 * len(first) * pairs // len(supercell)
    seconds = _seconds_of_evaluation(supercell, mlp, number)
    return forecast_systematic(number, len(supercell), seconds)


def _cutoff_pair(
    script: ModuleType, ph3: Phono3py, settings: Any, log_level: int
) -> float | None:
    """Return the pair cutoff, from the options or from the memory limit of symfc."""
    names = set((settings.fc_calculator or "").split("|"))
    try:
        distance = script.determine_cutoff_pair_distance(
            fc_calculator="symfc" if names == {"symfc"} else settings.fc_calculator,
            fc_calculator_options=settings.fc_calculator_options,
            cutoff_pair_distance=settings.cutoff_pair_distance,
            symfc_memory_size=settings.symfc_memory_size,
            # phono3py ignores the memory limit if a number is given here.
            random_displacements=None,
            supercell=ph3.supercell,
            primitive=ph3.primitive,
            symmetry=ph3.symmetry,
            log_level=log_level,
        )
    except RuntimeError as error:
        raise ParameterError(
            f"--symfc-memsize, memsize: {one_line(error)} Give --cutoff-pair instead."
        ) from error
    return None if distance is None else float(distance)


def _check_solvers(settings: Any, *, keep_fc2: bool) -> None:
    """Raise if only one of fc2 and fc3 is computed from the potential itself.

    It is possible only where fc2 comes from first-principles forces of dim-fc2.
    """
    request = force_constants_request(settings)
    fc2, fc3 = (request.of(o).solver.differentiate is not None for o in (2, 3))
    if keep_fc2 and fc2:
        raise ParameterError(
            f"--fc-calculator = {settings.fc_calculator}: fc2 comes from the "
            "first-principles forces of dim-fc2; expected a solver for them. Give "
            f"--fc-calculator 'symfc|{request.fc3.solver.name}'."
        )
    if not keep_fc2 and fc2 != fc3:
        name = (request.fc2 if fc2 else request.fc3).solver.name
        raise ParameterError(
            f"--fc-calculator = {settings.fc_calculator}: one of fc2 and fc3 would "
            f"need displacements; expected one solver. Give --fc-calculator {name}."
        )


def differentiate_potential(
    ph3: Phono3py, plan: ForceConstantsPlan, log_level: int
) -> None:
    """Compute fc2 and fc3 as derivatives of the potential, and set them in ``ph3``."""
    mlp = ph3.mlp
    assert isinstance(mlp, PluginMLP) and mlp.potential is not None
    for part in supercells_of(ph3):
        if part.name == "dim-fc2" and plan.keep_fc2:
            show(["fc2 comes from the first-principles forces of dim-fc2."], log_level)
            continue
        names = " and ".join(f"fc{order}" for order in part.orders)
        if part.name == "fc3" and ph3.phonon_supercell_matrix is not None:
            names = "fc3"
        show(
            [
                f"{names}: derivatives of {mlp.calculator} in the supercell of "
                f"{len(part.supercell)} atoms, without displacements"
            ],
            log_level,
        )
        found = differentiate(
            part,
            plan.request.of(max(part.orders)),
            part.orders,
            mlp.potential,
            is_compact_fc=plan.request.is_compact_fc,
            progress=progress(log_level),
            distribution=mlp.distribution,
        )
        if 3 in found:
            ph3.fc3 = found[3]
        if ph3.phonon_supercell_matrix is None or part.name == "dim-fc2":
            ph3.fc2 = found[2]


def _check_fc2_options(
    settings: Any, request: RunRequest, *, own_fc2: bool, keep_fc2: bool
) -> None:
    """Raise an error for options of dim-fc2 supercells that are not evaluated."""
    if not own_fc2:
        reason = "there is no separate supercell for fc2 (dim-fc2)"
    elif keep_fc2:
        reason = "the dataset has first-principles forces for fc2"
    else:
        return
    given = {
        "--rd-fc2": settings.random_displacements_fc2,
        "--amplitude-fc2": request.amplitude_fc2,
    }
    for option, value in given.items():
        if value is not None:
            raise ParameterError(f"{option} = {value}: {reason}. Leave it out.")

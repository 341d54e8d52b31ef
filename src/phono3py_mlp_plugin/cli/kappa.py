"""``phono3py-mlp kappa``: from a unit cell to kappa by the documented commands."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phono3py_mlp_plugin.cli.inputs import (
    DISPLACEMENTS,
    PARAMS,
    SUMMARY,
    add_calculator_options,
    keep_old,
    requested_calculator,
)
from phono3py_mlp_plugin.cli.parser import Parser, example
from phono3py_mlp_plugin.cli.steps import run_command
from phono3py_mlp_plugin.errors import ParameterError
from phono3py_mlp_plugin.files import FolderLock, check_inputs, replacing
from phono3py_mlp_plugin.host.arguments import CommandOptions
from phono3py_mlp_plugin.parallel import ExecutorSpec
from phono3py_mlp_plugin.ranges import POSITIVE, check_range
from phono3py_mlp_plugin.supervision import raise_at_signals
from phono3py_mlp_plugin.workflow import (
    CalculatorSpec,
    RelaxedCell,
    check_extended,
    check_scattering_supercell,
    plan_potential,
    read_potential,
    relax_cell,
    request_calculator,
)

if TYPE_CHECKING:
    from phono3py import Phono3py
    from phonopy.structure.atoms import PhonopyAtoms

_RELAXED = Path("POSCAR-relaxed")

# Fewest supercells from which a potential can be trained and tested.
_FEWEST = 4

# Amplitude in angstrom of random displacements for training.
_AMPLITUDE = 0.03

_MEMBERS = "16"

# Forces of a potential have less noise than those of first principles, so that smaller
# penalties than the default are better.
_PENALTIES = "reg_alpha_params = -8 1 10"

_DESCRIPTION = (
    "Compute kappa of a crystal from its unit cell and a force calculator. The steps "
    "are those of the documentation. The commands are printed, and their files are "
    "left in the folder, so that each step can be repeated by hand. All options of "
    "phono3py can be used in addition ('phono3py --help' lists them); --br is implied "
    "unless another method is given."
)
_EXAMPLE = example(
    "phono3py-mlp kappa -c POSCAR --dim 2 2 2 --force-calculator mace --mesh 19 19 19"
)


def add_kappa(commands: Any) -> None:
    """Add ``kappa``, which also has the options of phono3py."""
    commands.add_parser(
        "kappa",
        help="from a unit cell and a force calculator to kappa",
        add_help=False,
        prefix_chars=" ",
    ).add_argument("arguments", nargs="*")


def run_kappa(arguments: Sequence[str], *, watched: bool) -> int:
    """Run ``phono3py-mlp kappa`` and return its exit code.

    Parameters
    ----------
    arguments : sequence of str
        Command-line arguments after ``kappa``.
    watched : bool
        Whether to handle signals; False for calls from Python.
    """
    if watched:
        raise_at_signals()
    args, rest = _parser().parse_known_args(list(arguments))
    options = _checked(rest)
    _check(args)
    check_inputs(Path(), [*vars(args).values(), *vars(options).values()])
    if not (options.is_bterta or options.is_lbte):
        rest = [*rest, "--br"]
    if args.teach is not None and options.uncertainty is None:
        rest = [*rest, "--uncertainty", _MEMBERS]
    if args.teach is not None and options.mlp_params is None:
        rest = [*rest, "--mlp-params", _PENALTIES]
    args.summary = options.output_yaml_filename or SUMMARY
    args.is_random = options.random_displacements is not None
    args.allows = bool(options.allow_poor_fit)
    args.log_level = 0 if options.quiet else 1
    if _wants_budget(args, options):
        rest = [*rest, "--error-budget"]
    args.where = [
        word
        for name in ("jobs", "executor")
        if (value := getattr(options, name)) is not None
        for word in (f"--{name}", str(value))
    ]
    spec, potential = _requested(args, options)
    args.symprec, args.moments = options.symmetry_tolerance, options.magmoms
    _write_crystal(args, spec, potential)
    for step in _steps(args, rest):
        code = run_command(step, args.log_level)
        if code != 0:
            return code
    return 0


def _wants_budget(args: argparse.Namespace, options: argparse.Namespace) -> bool:
    """Return whether the error budget is computed because the user did not choose.

    With error bars, it always is.
    """
    from phono3py_mlp_plugin.host.settings import options_of_parts

    return (
        options.error_budget is None
        and options.uncertainty is None
        and args.teach is None
        and _options_of_models(args).n_models == 1
        and not options_of_parts(options)
    )


def _options_of_models(args: argparse.Namespace) -> CommandOptions:
    files = args.mlp_file and [str(file) for file in args.mlp_file]
    return CommandOptions(
        force_calculator=args.force_calculator,
        force_calculator_options=args.force_calculator_options,
        mlp_file=files,
    )


def _requested(
    args: argparse.Namespace, options: argparse.Namespace
) -> tuple[CalculatorSpec, Path | None]:
    """Return the force calculator and its potential file, after checking all models.

    Raises
    ------
    ParameterError, PluginNotFound, PotentialError
        If a model is unknown, or a student cannot have them as teachers.
    """
    from phono3py_mlp_plugin.host.models import requested_models

    if args.teach is not None:
        request_calculator("pypolymlp", options.mlp_params, "--mlp-params")
        requested_calculator(args)
    first, *_ = requested_models(
        # Parameters of the model are those of a student.
        argparse.Namespace(mlp_params=None, use_pypolymlp=False),
        _options_of_models(args),
    )
    path = plan_potential(first.calculator, None, first.file, Path()).path
    return first.calculator, path


def _write_crystal(
    args: argparse.Namespace, spec: CalculatorSpec, potential: Path | None
) -> None:
    """Write the crystal with its displacements, while no other run is in the folder."""
    lock = FolderLock(Path())
    try:
        crystal = _crystal(args, spec, potential)
        with replacing(Path(DISPLACEMENTS)) as temporary:
            crystal.save(temporary)
            keep_old(Path(DISPLACEMENTS), temporary, args.log_level)
    finally:
        lock.release()


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="phono3py-mlp kappa",
        description=_DESCRIPTION,
        epilog=_EXAMPLE,
        allow_abbrev=False,
    )
    parser.add_argument(
        "-c", "--cell", required=True, metavar="POSCAR", type=Path, help="unit cell"
    )
    parser.add_argument(
        "--dim",
        required=True,
        nargs="+",
        type=int,
        metavar="N",
        help="supercell matrix: three numbers, or nine",
    )
    parser.add_argument(
        "--pa",
        default="auto",
        metavar="AXES",
        help="primitive axes: P, F, I, A, C, R or auto (default)",
    )
    add_calculator_options(parser)
    parser.add_argument(
        "--relax",
        action="store_true",
        help="relax lattice and positions first, with the symmetry kept",
    )
    parser.add_argument(
        "--teach",
        type=int,
        metavar="N",
        help="train a polynomial potential on N supercells of the force calculator, "
        "and compute kappa with it, with its error budget",
    )
    parser.add_argument(
        "--amplitude",
        type=float,
        metavar="LENGTH",
        help="amplitude of displacements in angstrom (with --teach 0.03, otherwise "
        "that of phono3py)",
    )
    parser.add_argument(
        "--random-seed",
        type=int,
        metavar="SEED",
        help="seed of random displacements (default 0)",
    )
    return parser


def kappa_parser() -> argparse.ArgumentParser:
    """Return a parser with the options of ``kappa`` and those of phono3py."""
    from phono3py_mlp_plugin.host.command import study_parser

    return argparse.ArgumentParser(
        prog="phono3py-mlp kappa",
        description=_DESCRIPTION,
        parents=[study_parser("phono3py-mlp kappa", _DESCRIPTION), _parser()],
        conflict_handler="resolve",
        add_help=False,
    )


def _check(args: argparse.Namespace) -> None:
    if args.teach is not None and args.teach < _FEWEST:
        raise ParameterError(f"--teach = {args.teach}; expected {_FEWEST} or more.")
    if args.amplitude is not None:
        check_range("--amplitude", args.amplitude, POSITIVE)


def _checked(rest: Sequence[str]) -> argparse.Namespace:
    """Parse the options of phono3py before any work.

    Raises
    ------
    ParameterError
        If one of them belongs to another step, or the mesh is missing.
    """
    from phono3py_mlp_plugin.host.command import study_parser
    from phono3py_mlp_plugin.host.settings import check_mesh

    options = study_parser("phono3py-mlp kappa", _DESCRIPTION).parse_args(list(rest))
    if options.filename:
        raise ParameterError(
            f"{options.filename[0]}: expected no file; the unit cell is that of -c."
        )
    operation = getattr(options, "setup_operation", None)
    if operation is not None:
        raise ParameterError(
            f"'{operation}' is a setup operation of phono3py-init. Leave it out."
        )
    if not options.mesh_numbers:
        raise ParameterError("--mesh is missing. Give --mesh N N N.")
    check_mesh(options.mesh_numbers)
    if options.part is not None:
        raise ParameterError(
            f"--part = {options.part}: is for one command, not for all steps. Give it "
            "to the commands that this one prints, or use --jobs or --executor."
        )
    ExecutorSpec.parse(options.jobs, options.executor)
    return options


def _crystal(
    args: argparse.Namespace, spec: CalculatorSpec, potential: Path | None
) -> Phono3py:
    """Return the crystal with its displacements, relaxed if requested."""
    from phono3py_mlp_plugin.host.unitcell import crystal_of, read_unitcell

    crystal = read_unitcell(args.cell, args.dim, args.pa, args.symprec, args.moments)
    check_extended(crystal.unitcell)
    check_scattering_supercell(crystal.supercell)
    if args.relax:
        relaxed = _relax(args, spec, potential, crystal)
        crystal = crystal_of(relaxed, args.dim, args.pa, args.symprec)
    if args.teach is not None:
        crystal.generate_displacements(
            distance=args.amplitude or _AMPLITUDE,
            number_of_snapshots=args.teach,
            random_seed=args.random_seed or 0,
        )
    return crystal


def _relax(
    args: argparse.Namespace,
    spec: CalculatorSpec,
    potential: Path | None,
    crystal: Phono3py,
) -> PhonopyAtoms:
    """Relax the unit cell, write it and return it, if the potential can be trusted.

    Raises
    ------
    PotentialError
        If forces are wrong.
    """
    from phonopy.interface.calculator import write_crystal_structure

    from phono3py_mlp_plugin.host.mlp import examine
    from phono3py_mlp_plugin.host.output import progress, show

    obtained = read_potential(spec, potential)
    examine(spec, obtained, crystal.supercell, args.log_level, args.allows)
    before = crystal.unitcell
    relaxed = relax_cell(
        spec.calculator.name,
        obtained.potential,
        before,
        crystal.symmetry.tolerance,
        progress(args.log_level),
    )
    with replacing(_RELAXED) as temporary:
        write_crystal_structure(temporary, relaxed.cell)
        keep_old(_RELAXED, temporary, args.log_level)
    lines = [
        f'The relaxed unit cell is in "{_RELAXED}": '
        f"{_lattice_change(relaxed, before.volume)}, largest force "
        f"{relaxed.largest_force:.0e} eV/angstrom."
    ]
    if not relaxed.is_converged:
        lines.append(
            "Note: forces do not become smaller, because of the noise of the force "
            "calculator."
        )
    show(lines, args.log_level)
    return relaxed.cell


def _lattice_change(relaxed: RelaxedCell, volume: float) -> str:
    """Describe what relaxation has done to a lattice of a volume before."""
    if relaxed.is_lattice_relaxed:
        change = (relaxed.cell.volume / volume) ** (1 / 3) - 1
        kept = ", unchanged along the vacuum" if relaxed.has_vacuum else ""
        return f"lattice changed by {100 * change:+.2f} % on average{kept}"
    if relaxed.has_vacuum:
        return "lattice unchanged, because of vacuum"
    return "lattice unchanged, because the force calculator gives no stress"


def _steps(args: argparse.Namespace, rest: Sequence[str]) -> list[list[str]]:
    """Return the commands that follow, those of the documentation."""
    models, first = [], []
    for option, values in (
        ("--force-calculator-options", args.force_calculator_options or []),
        ("--mlp-file", args.mlp_file or []),
    ):
        models += [word for value in values for word in (option, str(value))]
        # Of several models, the report is on the first.
        first += [word for value in values[:1] for word in (option, str(value))]
    calculator = ["--force-calculator", args.force_calculator]
    quiet = [] if args.log_level else ["--quiet"]
    seed = [] if args.random_seed is None else ["--random-seed", str(args.random_seed)]
    if args.teach is None:
        load = ["phono3py", DISPLACEMENTS, *calculator, *models, *rest]
        load += seed
        if args.amplitude is not None:
            load += ["--amplitude", str(args.amplitude)]
        report = ["phono3py-mlp", "report", args.summary, *calculator, *first]
        return [load, [*report, *quiet]]
    if not args.is_random:
        # It is that of the training data: force constants are derivatives.
        seed = []
    return [
        [
            "phono3py-mlp",
            "label",
            DISPLACEMENTS,
            *calculator,
            *first,
            *(["--allow-poor-fit"] if args.allows else []),
            *args.where,
            *quiet,
        ],
        ["phono3py", PARAMS, "--pypolymlp", *rest, *seed],
        ["phono3py-mlp", "report", PARAMS, *quiet],
    ]

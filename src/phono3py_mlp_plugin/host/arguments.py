"""Command-line options that this package adds to the commands of phono3py."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

# Setup operations of phono3py-init, with the number of values each takes.
_SETUP: tuple[tuple[tuple[str, ...], int | str], ...] = (
    (("-c", "--cell"), 1),
    (("--dim",), "+"),
    (("--dim-fc2",), "+"),
    (("--cf3", "--create-f3"), "+"),
    (("--cf3-file", "--create-f3-from-file"), 1),
    (("--cf2", "--create-f2"), "+"),
    (("--cfz", "--subtract-forces"), 1),
    (("--cfz-fc2", "--subtract-forces-fc2"), 1),
    (("--cfs", "--create-force-sets"), 0),
    (("--fs2f2", "--force-sets-to-forces-fc2"), 0),
)


@dataclass(frozen=True)
class CommandOptions:
    """The values that the user gave for the options of this package."""

    force_calculator: str | None = None
    force_calculator_options: list[str] | None = None
    mlp_file: list[str] | None = None
    training_structures: list[str] | None = None
    energy_key: str | None = None
    forces_key: str | None = None
    memory: float | None = None
    amplitude_fc2: float | None = None
    uncertainty: int | None = None
    uncertainty_mesh: list[float] | None = None
    error_budget: bool | None = None
    allow_imaginary: bool | None = None
    allow_poor_fit: bool | None = None
    scattering: str | None = None
    jobs: int | None = None
    executor: str | None = None
    part: str | None = None

    @property
    def n_models(self) -> int:
        """Number of models that are given by their files or options."""
        return max(
            len(self.mlp_file or ()), len(self.force_calculator_options or ()), 1
        )

    def given(self) -> dict[str, Any]:
        """Return the given options by name; those given several times are one text."""
        values = {**vars(self)}
        for name in ("mlp_file", "force_calculator_options"):
            if values[name] is not None:
                values[name] = " | ".join(values[name])
        return {k: v for k, v in values.items() if v is not None}


class _SetupOperation(argparse.Action):
    """Record that the command belongs to phono3py-init."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        namespace.setup_operation = option_string


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this package, and those of phono3py 3 that 4.0 removed."""
    group = parser.add_argument_group(
        "machine-learning potentials (phono3py-mlp-plugin)",
        conflict_handler="resolve",
    )
    group.add_argument(
        "--force-calculator",
        metavar="NAME",
        help="Force calculator plugin; --pypolymlp is '--force-calculator pypolymlp'. "
        "'phono3py-mlp plugins' lists them",
    )
    group.add_argument(
        "--force-calculator-options",
        metavar='"key = value, ..."',
        action="append",
        help="Options of the force calculator (same as --mlp-params: give only one of "
        "them). @FILE stands for the options in a YAML file. If they are given several "
        "times, they are several models, as files are (--mlp-file)",
    )
    group.add_argument(
        "--mlp-file",
        metavar="FILE",
        action="append",
        help="Potential file to use as it is, with any name; polymlp.yaml means the "
        "hybrid model of polymlp.yaml.1, polymlp.yaml.2, ... if only these exist. If "
        "it is given several times, kappa is that of the first one, and the scatter of "
        "all is its error bar",
    )
    group.add_argument(
        "--training-structures",
        nargs="+",
        metavar="FILE",
        help="Output files of any program with structures of other sizes and shapes to "
        "train on, too",
    )
    group.add_argument(
        "--energy-key",
        metavar="NAME",
        help="Name of the energies in the files of --training-structures",
    )
    group.add_argument(
        "--forces-key",
        metavar="NAME",
        help="Name of the forces in the files of --training-structures",
    )
    group.add_argument(
        "--memory",
        metavar="GB",
        type=float,
        help="Maximum memory for training in GB (default: the free memory)",
    )
    group.add_argument(
        "--amplitude",
        dest="displacement_distance",
        metavar="LENGTH",
        type=float,
        help="Displacement distance of the supercells to evaluate, in angstrom "
        "(default: 0.01, or more if forces are noisy)",
    )
    group.add_argument(
        "--amplitude-fc2",
        metavar="LENGTH",
        type=float,
        help="Displacement distance of the dim-fc2 supercells, in angstrom (default: "
        "--amplitude)",
    )
    group.add_argument(
        "--uncertainty",
        metavar="N",
        type=int,
        help="Estimate error bars of kappa from an ensemble of N potentials, drawn "
        "around that of the run, or the first N of several models",
    )
    group.add_argument(
        "--uncertainty-mesh",
        nargs="+",
        metavar="N",
        type=float,
        help="Mesh for the ensemble: three numbers or one length (default: the mesh of "
        "the run)",
    )
    group.add_argument(
        "--error-budget",
        action=argparse.BooleanOptionalAction,
        help="Estimate what the error of kappa consists of: mesh, solver, range of "
        "fc3 (default: with error bars)",
    )
    group.add_argument(
        "--allow-imaginary",
        action="store_true",
        default=None,
        help="Compute kappa even if there are imaginary modes",
    )
    group.add_argument(
        "--allow-poor-fit",
        action="store_true",
        default=None,
        help="Continue even if the error of forces on the test set is larger than 30 "
        "%% of the rms force, or forces are found to be wrong",
    )
    group.add_argument(
        "--scattering",
        choices=("host", "fft"),
        help="Phonon-phonon scattering by phono3py itself (default without a force "
        "calculator), or by Fourier transform, with the same results in a fraction of "
        "the time (default with a force calculator)",
    )
    add_distribution_options(group)
    group.add_argument(
        "--rd-fc2",
        "--random-displacements-fc2",
        dest="random_displacements_fc2",
        metavar="NUMBER",
        help='Number of dim-fc2 supercells with random displacements or "auto"',
    )
    group.add_argument(
        "--rd-auto-factor",
        dest="rd_number_estimation_factor",
        metavar="FACTOR",
        type=float,
        help="Factor for the number of supercells estimated by --rd auto",
    )
    group.add_argument(
        "--cutoff-pair",
        "--cutoff-pair-distance",
        dest="cutoff_pair_distance",
        metavar="LENGTH",
        type=float,
        help="Cutoff distance of displaced atom pairs (angstrom)",
    )
    for names, nargs in _SETUP:
        group.add_argument(
            *names,
            action=_SetupOperation,
            nargs=nargs,
            help=argparse.SUPPRESS,
            default=argparse.SUPPRESS,
        )


def add_distribution_options(group: Any, *, parts: bool = True) -> None:
    """Add the options that say where chunks of work are computed.

    Parameters
    ----------
    group : argparse.ArgumentParser or group of arguments
    parts : bool
        Add ``--part``, too.
    """
    group.add_argument(
        "--jobs",
        metavar="N",
        type=int,
        help="Compute in N processes of this machine, with the same results to the "
        "last bit (default: one)",
    )
    group.add_argument(
        "--executor",
        metavar="KIND=PLACE",
        help="Compute by workers elsewhere: dask=tcp://HOST:PORT, dask=FILE (scheduler "
        "file), or slurm=FILE.yaml (options of executorlib)",
    )
    if parts:
        group.add_argument(
            "--part",
            metavar="i/N",
            help="Compute every N-th chunk, from the i-th on, of the first step that "
            "is not complete; for job arrays. phono3py-mlp collect goes on from there",
        )


def exit_with_error(parser: argparse.ArgumentParser, message: str) -> NoReturn:
    """Exit with the message of argparse on one line, without the usage."""
    one = " ".join(message.split())
    parser.exit(2, f"ERROR: {one}. '{parser.prog} --help' lists the options.\n")


def restore_filename(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Restore the input file name that an option with many values has consumed.

    In ``--mesh 40 phono3py_params.yaml`` argparse assigns the file to ``--mesh``.
    """
    if args.filename:
        return
    for action in parser._actions:
        values = getattr(args, action.dest, None)
        if action.nargs != "+" or not values or len(values) < 2:
            continue
        last = str(values[-1])
        if ".yaml" in last or Path(last).is_file():
            setattr(args, action.dest, list(values[:-1]))
            args.filename = [last]
            return


def option_quoted_in(args: argparse.Namespace, error: ValueError) -> str:
    """Return the option whose value the error message quotes, or an empty string."""
    for name, value in vars(args).items():
        words = value if isinstance(value, list) else [value]
        if any(isinstance(word, str) and repr(word) in str(error) for word in words):
            return f"{name} = {' '.join(map(str, words))}: "
    return ""

"""Options that this package adds to the host's commands, and arguments given back."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    """What the user gave of our own options."""

    force_calculator: str | None = None
    force_calculator_options: str | None = None
    mlp_file: str | None = None
    memory: float | None = None
    amplitude_fc2: float | None = None
    uncertainty: int | None = None
    uncertainty_mesh: list[float] | None = None
    allow_imaginary: bool | None = None
    allow_poor_fit: bool | None = None
    scattering: str | None = None

    def given(self) -> dict[str, Any]:
        """Return the options that were given, by name."""
        return {k: v for k, v in vars(self).items() if v is not None}


class _SetupOperation(argparse.Action):
    """Note that the command is one of phono3py-init's."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        namespace.setup_operation = option_string


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add our options, and those of phono3py 3 that the host refuses since 4.0."""
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
        help="Options of the force calculator; --mlp-params is the same",
    )
    group.add_argument(
        "--mlp-file", metavar="FILE", help="Potential to use, whatever its name"
    )
    group.add_argument(
        "--memory",
        metavar="GB",
        type=float,
        help="Memory that training may take; by default what is free",
    )
    group.add_argument(
        "--amplitude",
        dest="displacement_distance",
        type=float,
        help="Displacement distance of the supercells to evaluate (angstrom)",
    )
    group.add_argument(
        "--amplitude-fc2",
        type=float,
        help="The same for the supercells of dim-fc2 (default: as --amplitude)",
    )
    group.add_argument(
        "--uncertainty",
        metavar="N",
        type=int,
        help="Error bars of kappa from N potentials drawn about that of the run",
    )
    group.add_argument(
        "--uncertainty-mesh",
        nargs="+",
        metavar="N",
        type=float,
        help="Mesh that they are run on; by default that of the run",
    )
    group.add_argument(
        "--allow-imaginary",
        action="store_true",
        default=None,
        help="Go on to kappa although modes are imaginary",
    )
    group.add_argument(
        "--allow-poor-fit",
        action="store_true",
        default=None,
        help="Go on although the potential's error is of the size of the forces",
    )
    group.add_argument(
        "--scattering",
        choices=("host", "fft"),
        help="Phonon-phonon scattering by phono3py itself, or by Fourier transform "
        "(default where there is a force calculator)",
    )
    group.add_argument(
        "--rd-fc2",
        "--random-displacements-fc2",
        dest="random_displacements_fc2",
        help='Number of dim-fc2 supercells with random displacements or "auto"',
    )
    group.add_argument(
        "--rd-auto-factor",
        dest="rd_number_estimation_factor",
        type=float,
        help="Factor on the number of supercells that --rd auto estimates",
    )
    group.add_argument(
        "--cutoff-pair",
        "--cutoff-pair-distance",
        dest="cutoff_pair_distance",
        type=float,
        help="Cutoff of pairs of displaced atoms (angstrom)",
    )
    for names, nargs in _SETUP:
        group.add_argument(
            *names,
            action=_SetupOperation,
            nargs=nargs,
            help=argparse.SUPPRESS,
            default=argparse.SUPPRESS,
        )


def give_file_back(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Take the input file back from an option that takes any number of values.

    In ``--mesh 40 phono3py_params.yaml`` argparse gives the file to ``--mesh``.
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


def option_of(args: argparse.Namespace, error: ValueError) -> str:
    """Return the option whose value the error quotes, with its value, or nothing."""
    for name, value in vars(args).items():
        words = value if isinstance(value, list) else [value]
        if any(isinstance(word, str) and repr(word) in str(error) for word in words):
            return f"{name} = {' '.join(map(str, words))}: "
    return ""

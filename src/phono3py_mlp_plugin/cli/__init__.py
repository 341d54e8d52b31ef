"""The command ``phono3py-mlp``."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Sequence
from pathlib import Path

from phono3py_mlp_plugin.cli.campaign import add_campaign
from phono3py_mlp_plugin.cli.collect import add_collect
from phono3py_mlp_plugin.cli.converge import add_converge, run_converge
from phono3py_mlp_plugin.cli.convert import add_convert
from phono3py_mlp_plugin.cli.datasets import add_extend, add_import
from phono3py_mlp_plugin.cli.doctor import add_doctor
from phono3py_mlp_plugin.cli.export import add_export
from phono3py_mlp_plugin.cli.forecast import add_forecast, run_forecast
from phono3py_mlp_plugin.cli.kappa import add_kappa, run_kappa
from phono3py_mlp_plugin.cli.label import add_label
from phono3py_mlp_plugin.cli.listing import add_plugins
from phono3py_mlp_plugin.cli.parser import Parser
from phono3py_mlp_plugin.cli.report import add_report
from phono3py_mlp_plugin.errors import ParameterError
from phono3py_mlp_plugin.files import check_inputs
from phono3py_mlp_plugin.host.boundary import run_to_end
from phono3py_mlp_plugin.plugins import DISTRIBUTION
from phono3py_mlp_plugin.supervision import supervise
from phono3py_mlp_plugin.switch import SWITCH, is_switched_off

# Commands that start the supervised process themselves, with a lock of the folder.
_SUPERVISED = ("collect", "label", "report")

# What only tells, also if this package is switched off.
_ALWAYS = (["doctor"], ["--version"], ["--help"], ["-h"])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)

    def work() -> int:
        parser = _parser()
        if given[:1] not in _ALWAYS and is_switched_off():
            raise ParameterError(
                f"{SWITCH}=off: this package is switched off. Unset the variable."
            )
        if given[:1] == ["converge"]:
            # Its options are those of phono3py-load, parsed by another parser.
            return run_converge(given[1:], watched=arguments is None)
        if given[:1] == ["forecast"]:
            return run_forecast(given[1:], watched=arguments is None)
        if given[:1] == ["kappa"]:
            return run_kappa(given[1:], watched=arguments is None)
        args = parser.parse_args(given)
        check_inputs(Path(), vars(args).values())
        args.watched = arguments is None
        if args.watched and args.command not in _SUPERVISED:
            supervise(lambda process: None, lambda line: print(line, file=sys.stderr))
        return int(args.run(args))

    return run_to_end(work)


def _parser() -> Parser:
    """Return the parser of all commands."""
    parser = Parser(
        prog="phono3py-mlp",
        description="Machine-learning potentials and force-constants solvers for "
        "phono3py.",
    )
    parser.add_argument(
        "--version", action="version", version=f"phono3py-mlp {_version()}"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for add in (
        add_kappa,
        add_converge,
        add_forecast,
        add_campaign,
        add_report,
        add_label,
        add_collect,
        add_import,
        add_extend,
        add_convert,
        add_export,
        add_plugins,
        add_doctor,
    ):
        add(commands)
    return parser


def _version() -> str:
    """Return the version of this package and that of phono3py."""
    own, host = map(importlib.metadata.version, (DISTRIBUTION, "phono3py"))
    return f"{own} (phono3py {host})"

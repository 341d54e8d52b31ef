"""``phono3py-mlp forecast``: time and memory of a run before it is started."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from phono3py_mlp_plugin.errors import ParameterError
from phono3py_mlp_plugin.workflow import cost_lines

if TYPE_CHECKING:
    from phono3py_mlp_plugin.workflow import CostOfRun

_DESCRIPTION = (
    "Measure on samples what a run takes on this machine, without starting it: time "
    "and memory of training, force constants and kappa. The options are those of the "
    "run, all options of phono3py-load and of this package."
)


def add_forecast(commands: Any) -> None:
    """Add ``forecast``, which has the options of phono3py-load."""
    commands.add_parser(
        "forecast",
        help="time and memory of a run before it is started",
        add_help=False,
        prefix_chars=" ",
    ).add_argument("arguments", nargs="*")


def run_forecast(arguments: Sequence[str], *, watched: bool) -> int:
    """Run ``phono3py-mlp forecast``.

    Parameters
    ----------
    arguments : sequence of str
        Command-line arguments after ``forecast``.
    watched : bool
        Whether to run in a separate, supervised process.
    """
    from phono3py_mlp_plugin.host.command import run_study
    from phono3py_mlp_plugin.host.forecast import ForecastRun

    parser = forecast_parser()
    args = parser.parse_args(list(arguments))
    workers = args.__dict__.pop("workers")
    if any(n < 1 for n in workers):
        raise ParameterError(
            f"--workers = {' '.join(map(str, workers))}; expected positive numbers."
        )
    log_level = 0 if args.quiet else 1

    def finish(cost: CostOfRun) -> None:
        print("\n".join(cost_lines(cost, workers)))

    return run_study(parser, args, ForecastRun(finish, log_level), watched=watched)


def forecast_parser() -> argparse.ArgumentParser:
    """Return the parser of ``forecast``."""
    from phono3py_mlp_plugin.host.command import study_parser

    parser = study_parser("phono3py-mlp forecast", _DESCRIPTION)
    parser.add_argument(
        "--workers",
        nargs="+",
        type=int,
        default=[],
        metavar="N",
        help="also show the time on N machines such as this one",
    )
    return parser

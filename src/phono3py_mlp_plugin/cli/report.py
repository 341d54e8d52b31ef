"""``phono3py-mlp report``: a one-page report on the runs of a folder."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from phono3py_mlp_plugin.cli.inputs import (
    PARAMS,
    SUMMARY,
    add_model_options,
    add_quiet,
    requested_calculator,
)
from phono3py_mlp_plugin.cli.parser import example
from phono3py_mlp_plugin.errors import PotentialError
from phono3py_mlp_plugin.files import potential_files


def add_report(commands: Any) -> None:
    """Add ``report`` to the commands."""
    parser = commands.add_parser(
        "report",
        help="one page on the runs of a folder: errors, phonons, kappa, provenance",
        description="Make phono3py_mlp_report.html from the output files of runs in "
        "this folder: errors of the potential, convergence, phonons, kappa with error "
        "bars, checks and provenance. The page is a single file that needs no network "
        "access. Figures are also written as PNG, SVG and PDF, numbers as JSON.",
        epilog=example("phono3py-mlp report"),
    )
    parser.add_argument(
        "filename",
        metavar=PARAMS,
        type=Path,
        nargs="?",
        help=f"crystal and dataset (default: {PARAMS} or {SUMMARY})",
    )
    parser.add_argument(
        "--force-calculator",
        default="pypolymlp",
        metavar="NAME",
        help="force calculator of the potential (default: %(default)s)",
    )
    add_model_options(parser)
    add_quiet(parser)
    parser.set_defaults(run=_report)


def _report(args: argparse.Namespace) -> int:
    from phono3py_mlp_plugin.api.reports import contents_of_run
    from phono3py_mlp_plugin.host.command import work_in_folder
    from phono3py_mlp_plugin.host.output import show
    from phono3py_mlp_plugin.reports import write_report

    folder = Path()
    work_in_folder(folder, watched=args.watched)
    log_level = 0 if args.quiet else 1
    request, file = requested_calculator(args)
    if file is not None and not potential_files(file):
        raise PotentialError(f'--mlp-file: "{file}" is not found.')
    contents = contents_of_run(
        args.filename, request, file, lambda note: show([note], log_level)
    )
    written = write_report(contents, folder)
    figures = [path.name for path in written if path.suffix == ".png"]
    lines = [
        *map(str, contents.checks),
        f'The report is in "{written[0]}", its numbers are in "{written[1]}".',
        f"Figures: {', '.join(figures)} (also .svg and .pdf).",
    ]
    show(lines, log_level)
    return 0

"""``phono3py-mlp campaign``: kappa of many crystals, one table."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from phono3py_mlp_plugin.api.campaigns import LOG, CampaignRuns
from phono3py_mlp_plugin.cli.parser import example
from phono3py_mlp_plugin.errors import DatasetError, ParameterError
from phono3py_mlp_plugin.parallel import Part


def add_campaign(commands: Any) -> None:
    """Add ``campaign`` to the commands."""
    parser = commands.add_parser(
        "campaign",
        help="kappa of many crystals, in one table",
        description="Compute kappa of all crystals of a list, each in a folder of its "
        "name by the commands of the documentation. Finished crystals are not computed "
        "again. The results are in a page (.html) that leads to the reports, and in "
        "the files .csv and .json of the name of the list.",
        epilog=example(
            "phono3py-mlp campaign salts.yaml --jobs 4",
            "",
            "salts.yaml:",
            "  options: {mesh: 19 19 19, ts: 300}",
            "  crystals:",
            "    NaCl: {dataset: nacl/phono3py_params.yaml}",
            "    KCl: {cell: KCl.vasp, dim: 2 2 2, force-calculator: mace}",
        ),
    )
    parser.add_argument("list", metavar="LIST.yaml", type=Path, help="the crystals")
    parser.add_argument(
        "--jobs",
        type=int,
        default=1,
        metavar="N",
        help="number of crystals at a time, which share the cores (default: 1)",
    )
    parser.add_argument(
        "--part",
        metavar="i/N",
        help="every N-th crystal, from the i-th on, for job arrays",
    )
    parser.set_defaults(run=_campaign)


def _campaign(args: argparse.Namespace) -> int:
    part = Part.parse("1/1" if args.part is None else args.part)
    if args.jobs < 1:
        raise ParameterError(f"--jobs = {args.jobs}; expected 1 or more.")
    runs = CampaignRuns(args.list, args.jobs, lambda line: print(line, flush=True))
    total = len(runs.tasks)
    failed = runs.run([k for k in range(total) if part.has(k)])
    result = runs.result()
    result.save()
    print(f'{result.done} of {total} crystals: "{result.page}"')
    if failed:
        raise DatasetError(
            f"{args.list}: {len(failed)} of {total} crystals failed: "
            f"{', '.join(failed)}. Their {LOG} tells why. The same command tries "
            "again."
        )
    return 0

"""The command ``phono3py-mlp``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from phono3py_mlp_plugin.cli.doctor import doctor
from phono3py_mlp_plugin.cli.listing import list_plugins
from phono3py_mlp_plugin.errors import MLPError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="phono3py-mlp",
        description="Machine-learning potentials and force-constants solvers for "
        "phono3py.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    plugins = commands.add_parser(
        "plugins", help="list force calculators and force-constants solvers"
    )
    plugins.add_argument("name", nargs="?", help="show the options of this one")
    health = commands.add_parser(
        "doctor", help="tell whether and how phono3py is bound"
    )
    health.add_argument(
        "--warm-up",
        action="store_true",
        help="compile the kernels of the polynomial engine now, not in the first run",
    )
    args = parser.parse_args(arguments)
    try:
        if args.command == "plugins":
            return list_plugins(args.name)
        return doctor(args.warm_up)
    except MLPError as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return 1

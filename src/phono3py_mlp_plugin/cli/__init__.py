"""The command ``phono3py-mlp``."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from phono3py_mlp_plugin.cli.converge import add_converge, run_converge
from phono3py_mlp_plugin.cli.datasets import add_extend, add_import
from phono3py_mlp_plugin.cli.doctor import add_doctor
from phono3py_mlp_plugin.cli.listing import add_plugins
from phono3py_mlp_plugin.cli.report import add_report
from phono3py_mlp_plugin.errors import message_for_user
from phono3py_mlp_plugin.files import check_inputs


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="phono3py-mlp",
        description="Machine-learning potentials and force-constants solvers for "
        "phono3py.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for add in (
        add_converge,
        add_report,
        add_import,
        add_extend,
        add_plugins,
        add_doctor,
    ):
        add(commands)
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if given[:1] == ["converge"]:
            # Its options are those of phono3py-load, which has a parser of its own.
            return run_converge(given[1:])
        args = parser.parse_args(given)
        check_inputs(Path(), vars(args).values())
        return int(args.run(args))
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except Exception as error:
        message = message_for_user(error)
        if message is None:
            raise
        print(f"ERROR: {message}", file=sys.stderr)
        return 1

"""The command ``phono3py-mlp``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from phono3py_mlp_plugin.cli.converge import add_converge
from phono3py_mlp_plugin.cli.datasets import add_extend, add_import
from phono3py_mlp_plugin.cli.doctor import add_doctor
from phono3py_mlp_plugin.cli.listing import add_plugins
from phono3py_mlp_plugin.cli.report import add_report
from phono3py_mlp_plugin.host.boundary import run_to_end
from phono3py_mlp_plugin.supervision import supervise

# They have their process watched themselves, together with the folder they work in.
_WATCHED = ("converge", "report")


class _Parser(argparse.ArgumentParser):
    """A parser that tells what is wrong on one line."""

    def error(self, message: str) -> NoReturn:
        one = " ".join(message.split())
        self.exit(2, f"ERROR: {one}. '{self.prog} --help' lists the options.\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = _Parser(
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

    def work() -> int:
        args = parser.parse_args(arguments)
        if arguments is None and args.command not in _WATCHED:
            supervise(lambda process: None, lambda line: print(line, file=sys.stderr))
        return int(args.run(args))

    return run_to_end(work)

"""``phono3py-mlp collect``: finish a run whose parts have been computed."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from phono3py_mlp_plugin.cli.parser import example
from phono3py_mlp_plugin.cli.steps import run_command
from phono3py_mlp_plugin.errors import DatasetError
from phono3py_mlp_plugin.host.arguments import add_distribution_options
from phono3py_mlp_plugin.parallel import ExecutorSpec, Part, read_command
from phono3py_mlp_plugin.supervision import raise_at_signals


def add_collect(commands: Any) -> None:
    """Add ``collect`` to the commands."""
    parser = commands.add_parser(
        "collect",
        help="finish a run whose parts have been computed by --part i/N",
        description="Run the command of the parts in this folder without --part. "
        "What the parts have computed is used. If some of a step that they have begun "
        "is missing, the command says so; steps that no part has begun are computed.",
        epilog=example(
            "phono3py phono3py_params.yaml --pypolymlp --br --mesh 40 --part 1/2",
            "phono3py phono3py_params.yaml --pypolymlp --br --mesh 40 --part 2/2",
            "phono3py-mlp collect",
        ),
    )
    add_distribution_options(parser, parts=False)
    parser.set_defaults(run=_collect)


def _collect(args: argparse.Namespace) -> int:
    from phono3py_mlp_plugin.host.distribution import COMMANDS

    ExecutorSpec.parse(args.jobs, args.executor)
    words = read_command(Path())
    if words is None or words[0] not in COMMANDS:
        raise DatasetError(
            "collect: no part of a run has been computed in this folder; expected "
            "commands with --part i/N before. Run them here."
        )
    command = _without_part(words)
    for name in ("jobs", "executor"):
        value = getattr(args, name)
        if value is not None:
            command += [f"--{name}", str(value)]
    if args.watched:
        raise_at_signals()
    return run_command(command)


def _without_part(words: Sequence[str]) -> list[str]:
    """Return a command that collects the parts of another.

    Examples
    --------
    >>> _without_part(["phono3py", "a.yaml", "--part", "2/8", "--jobs=4"])
    ['phono3py', 'a.yaml', '--part', 'collect/8']
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    add_distribution_options(parser)
    # The only abbreviation that the commands accept.
    parser.add_argument("--par", dest="part")
    given, rest = parser.parse_known_args(list(words[1:]))
    return [words[0], *rest, "--part", Part.parse(given.part).to_collect()]

"""``phono3py-mlp completion``: names of commands and options for the Tab key."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from phono3py_mlp_plugin.cli.converge import converge_parser
from phono3py_mlp_plugin.cli.forecast import forecast_parser
from phono3py_mlp_plugin.cli.kappa import kappa_parser
from phono3py_mlp_plugin.cli.parser import Parser, commands_of, example
from phono3py_mlp_plugin.errors import PluginNotFound
from phono3py_mlp_plugin.plugins import registry

_SHELLS = ("bash", "zsh", "fish")
_PROGRAMS = ("phono3py-mlp", "phono3py", "phono3py-load")

# Commands that have all options of phono3py, which their own parsers know.
_COMPLETE: dict[str, Callable[[], argparse.ArgumentParser]] = {
    "kappa": kappa_parser,
    "converge": converge_parser,
    "forecast": forecast_parser,
}

# Parts of the names of options whose values are files.
_FILES = ("file", "cell", "output", "structures", "supercell")


def add_completion(commands: Any, parser: Parser) -> None:
    """Add ``completion`` to the commands of a parser."""
    own = commands.add_parser(
        "completion",
        help="completion of commands and options for bash, zsh and fish",
        description="Print a script by which a shell completes commands, options, "
        "names of installed plugins and files. The documentation of the installation "
        "says where each shell looks for it. Make it anew after an update.",
        epilog=example(
            "folder=~/.local/share/bash-completion/completions",
            "mkdir -p $folder",
            "phono3py-mlp completion bash > $folder/phono3py-mlp",
            "phono3py-mlp completion bash phono3py > $folder/phono3py",
        ),
    )
    own.add_argument("shell", choices=_SHELLS, help="shell that reads the script")
    own.add_argument(
        "program",
        choices=_PROGRAMS,
        nargs="?",
        default=_PROGRAMS[0],
        help="command that is completed (default: %(default)s)",
    )

    def run(args: argparse.Namespace) -> int:
        print(_script(args.shell, args.program, parser))
        return 0

    own.set_defaults(run=run)


def _script(shell: str, program: str, parser: argparse.ArgumentParser) -> str:
    """Return the script of a shell.

    Raises
    ------
    PluginNotFound
        If the package that writes it is not installed.
    """
    try:
        import shtab
    except ImportError as error:
        raise PluginNotFound(
            f"completion {shell}: shtab is not installed. Install it by 'pip install "
            '"phono3py-mlp-plugin[completion]"\'.'
        ) from error
    if program == _PROGRAMS[0]:
        commands = commands_of(parser)
        commands.choices.update({name: make() for name, make in _COMPLETE.items()})
        for shown in commands._choices_actions:
            # Shells show one line for each command.
            commands.choices[shown.dest].description = shown.help
    else:
        from phono3py_mlp_plugin.host.command import study_parser

        parser = study_parser(program, "")
    known = registry()
    names = {
        "force_calculator": sorted(known.calculators),
        "fc_calculator": sorted(known.solvers),
        "name": sorted({*known.calculators, *known.solvers}),
    }
    for action in _actions(parser):
        if isinstance(action.metavar, str) and set(action.metavar) & {'"', ":"}:
            # They have a meaning in the script of zsh, where they are not quoted.
            action.metavar = None
        if action.choices is None and action.dest in names:
            action.choices = names[action.dest]
        elif action.choices is None and _takes_files(action):
            action.complete = shtab.FILE  # type: ignore[attr-defined]
    return str(shtab.complete(parser, shell))


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Yield the arguments of a parser, and those of its commands."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _actions(command)


def _takes_files(action: argparse.Action) -> bool:
    """Return whether the values of an argument are names of files."""
    if action.nargs == 0:
        return False
    is_positional = not action.option_strings
    named = is_positional or any(part in action.dest for part in _FILES)
    return named or action.type is Path

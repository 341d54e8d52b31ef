"""A parser of arguments with short errors, and examples below its help."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn

from phono3py_mlp_plugin.host.arguments import exit_with_error

_EXAMPLE = "example:\n"


def example(*lines: str) -> str:
    """Return the text below the help of a command: how it is used."""
    return _EXAMPLE + "\n".join(f"  {line}" for line in lines)


class _HelpFormatter(argparse.HelpFormatter):
    """Wraps paragraphs, and leaves the lines of examples as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if text.startswith(_EXAMPLE):
            return text
        return super()._fill_text(text, width, indent)


class Parser(argparse.ArgumentParser):
    """A parser that reports an error on one line, and keeps the lines of examples.

    Parameters
    ----------
    **settings
        As of `argparse.ArgumentParser`.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"formatter_class": _HelpFormatter, **settings})

    def error(self, message: str) -> NoReturn:
        """Exit with the message on one line, without the usage."""
        exit_with_error(self, message)


def commands_of(parser: argparse.ArgumentParser) -> argparse._SubParsersAction[Any]:
    """Return the commands of a parser, with their own parsers as ``choices``."""
    (commands,) = (
        action
        for action in parser._actions
        if isinstance(action, argparse._SubParsersAction)
    )
    return commands


def host_command_help(name: str, description: str, epilog: str) -> Parser:
    """Return a parser for the help of a command that has all options of phono3py.

    Its help is on the options that are added to it. phono3py lists the others.
    """
    parser = Parser(
        prog=name,
        usage=f"{name} [-h] [options] [phono3py_params.yaml]",
        description=description,
        epilog=epilog,
    )
    parser.add_argument(
        "filename",
        metavar="phono3py_params.yaml",
        nargs="?",
        help="crystal and dataset, as for phono3py",
    )
    return parser

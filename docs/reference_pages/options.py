"""Options of commands, from their parsers."""

from __future__ import annotations

import argparse
import copy
from collections.abc import Sequence

from phono3py_mlp_plugin.cli import _parser
from phono3py_mlp_plugin.cli.converge import converge_parser
from phono3py_mlp_plugin.cli.forecast import forecast_parser
from phono3py_mlp_plugin.cli.kappa import kappa_parser
from phono3py_mlp_plugin.host.arguments import add_options
from phono3py_mlp_plugin.host.command import study_parser
from reference_pages.markdown import sentence

PHONO3PY = "phono3py"
"""The name for the options that this package adds to the commands of phono3py."""

# Commands with parsers of their own.
_WITH_THOSE_OF_PHONO3PY = {
    "phono3py-mlp kappa": kappa_parser,
    "phono3py-mlp converge": converge_parser,
    "phono3py-mlp forecast": forecast_parser,
}

# Signatures of options are divided there.
_DIVIDER = ", "


def parsers() -> dict[str, argparse.ArgumentParser]:
    """Return the parsers of all commands, by command."""
    added = argparse.ArgumentParser(prog=PHONO3PY, add_help=False)
    add_options(added)
    (commands,) = (
        action.choices
        for action in _parser()._actions
        if isinstance(action, argparse._SubParsersAction)
    )
    return {
        PHONO3PY: added,
        **{f"phono3py-mlp {name}": parser for name, parser in commands.items()},
        **{name: make() for name, make in _WITH_THOSE_OF_PHONO3PY.items()},
    }


def shown(command: str) -> list[argparse.Action]:
    """Return what a command accepts, except what is not for users.

    All options of phono3py that a command has, too, are not repeated.
    """
    of_phono3py = set()
    if command in _WITH_THOSE_OF_PHONO3PY:
        of_phono3py = {_key(one) for one in study_parser(PHONO3PY, "")._actions}
    return [
        action
        for action in parsers()[command]._actions
        if action.help != argparse.SUPPRESS
        and action.dest != "help"
        and _key(action) not in of_phono3py
    ]


def _key(action: argparse.Action) -> tuple[str, str | None]:
    # Its names may be fewer, if the command has another option of one of these names.
    return action.dest, action.help


def name_of(action: argparse.Action) -> str:
    """Return the long name of an option, or that of an argument."""
    if not action.option_strings:
        return str(action.metavar or action.dest.upper())
    return max(action.option_strings, key=lambda name: name.startswith("--"))


def options_of(command: str, only: Sequence[str] = ()) -> str:
    """Return the options of a command as Markdown.

    Parameters
    ----------
    command : str
        Such as "phono3py-mlp label".
    only : sequence of str
        Names, several on a line; all options if there are none.

    Raises
    ------
    LookupError
        If there is no such command or option.
    """
    known = parsers()
    if command not in known:
        raise LookupError(f"{command}: no such command; known: {', '.join(known)}.")
    actions = {name_of(action): action for action in shown(command)}
    wanted = " ".join(only).split() or list(actions)
    unknown = [name for name in wanted if name not in actions]
    if unknown:
        raise LookupError(f"{command} has no {unknown[0]}.")
    if not wanted:
        return "It has no options.\n"
    formatter = known[command]._get_formatter()
    entries = [_entry(actions[name], formatter) for name in wanted]
    return "\n".join([f"```{{program}} {command}\n```\n", *entries])


def _entry(action: argparse.Action, formatter: argparse.HelpFormatter) -> str:
    """Return one option with its help, choices and default."""
    action = copy.copy(action)
    if not action.option_strings:
        action.metavar = name_of(action)
    metavar = formatter._get_default_metavar_for_optional(action)
    values = formatter._format_args(action, metavar).replace(_DIVIDER, ",")
    if action.nargs == 0 or isinstance(action, argparse.BooleanOptionalAction):
        values = ""
    names = [f"{name} {values}".strip() for name in action.option_strings]
    text = formatter._expand_help(action) if action.help else ""
    lines = [sentence(text)]
    if action.required and action.option_strings:
        lines.append("Required.")
    if action.choices and action.metavar and "one of" not in text:
        lines.append(f"One of {', '.join(map(str, action.choices))}.")
    if isinstance(action.default, int | float) and action.default is not False:
        lines += [] if "default" in text else [f"Default: {action.default}."]
    signature = _DIVIDER.join(names or [values])
    return f"```{{option}} {signature}\n{' '.join(lines)}\n```\n"

"""What phono3py calls while it is imported.

Only the standard library is imported here: if this module could not be imported, the
host would swallow that and its own code would run without a word.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import PurePath

_COMMANDS = ("phono3py", "phono3py-load", "phono3py-init")
_NEEDS_PLUGIN = ("--pypolymlp", "--force-calculator", "--mlp-file")


def register() -> None:
    """Bind this package to the phono3py that is being imported.

    The host swallows every ``Exception`` here. A command that needs the plugin is
    therefore ended by SystemExit where binding fails; users of the library are warned.
    """
    needed = _is_command_that_needs_plugin(sys.argv)
    try:
        from phono3py_mlp_plugin.host import bind

        bind()
        if needed:
            from phono3py_mlp_plugin.host.streams import guard_streams

            guard_streams()
    except Exception as error:
        message = f"phono3py-mlp-plugin is not active: {error}"
        if needed:
            raise SystemExit(f"ERROR: {message}") from error
        warnings.warn(message, RuntimeWarning, stacklevel=2)


def _is_command_that_needs_plugin(argv: list[str]) -> bool:
    command = PurePath(argv[0]).name if argv else ""
    return command.removesuffix(".exe") in _COMMANDS and any(
        argument.split("=")[0] in _NEEDS_PLUGIN for argument in argv[1:]
    )

"""Entry point that phono3py calls during its import.

Only the standard library is imported at module level. phono3py ignores errors in the
import of this module, and would then run its own code without a message.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import PurePath

_COMMANDS = ("phono3py", "phono3py-load", "phono3py-init")
_NEEDS_PLUGIN = ("--pypolymlp", "--force-calculator", "--mlp-file")


def register() -> None:
    """Bind this package to the phono3py that is being imported.

    phono3py ignores every ``Exception`` here. If the binding fails, a command that
    needs the plugin is therefore ended by SystemExit; otherwise a warning is issued.
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

"""Entry point that phono3py calls during its import.

Only the standard library and `switch` are imported at module level. phono3py ignores
errors in the import of this module, and would then run its own code without a message.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import PurePath

from phono3py_mlp_plugin.switch import SWITCH, is_switched_off

# Options that phono3py does not have without this package.
_OWN = ("--force-calculator", "--mlp-file")

_COMMANDS = ("phono3py", "phono3py-load", "phono3py-init")
_NEEDS_PLUGIN = ("--pypolymlp", *_OWN)


def register() -> None:
    """Bind this package to the phono3py that is being imported.

    phono3py ignores every ``Exception`` here. If the binding fails, a command that
    needs the plugin is therefore ended by SystemExit; otherwise a warning is issued.
    With ``PHONO3PY_MLP_PLUGIN=off``, phono3py is left as it is.
    """
    if is_switched_off():
        if _is_command_with(_OWN, sys.argv):
            raise SystemExit(
                f"ERROR: {SWITCH}=off: {' and '.join(_OWN)} are options of "
                "phono3py-mlp-plugin. Unset the variable."
            )
        return
    needed = _is_command_with(_NEEDS_PLUGIN, sys.argv)
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


def _is_command_with(options: tuple[str, ...], argv: list[str]) -> bool:
    """Return whether a command of phono3py is running with one of these options."""
    command = PurePath(argv[0]).name if argv else ""
    return command.removesuffix(".exe") in _COMMANDS and any(
        argument.split("=")[0] in options for argument in argv[1:]
    )

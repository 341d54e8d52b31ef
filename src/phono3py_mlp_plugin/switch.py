"""The switch that leaves phono3py as it is. Standard library only."""

from __future__ import annotations

import os

SWITCH = "PHONO3PY_MLP_PLUGIN"
"""Environment variable with the value on (default) or off."""


def is_switched_off() -> bool:
    """Return whether the user has switched this package off.

    Any other value than "off" and "on" ends the process, because it would be ignored.
    """
    value = os.environ.get(SWITCH, "")
    if value.lower() not in ("", "on", "off"):
        raise SystemExit(f"ERROR: {SWITCH}={value}; expected on or off. Correct it.")
    return value.lower() == "off"

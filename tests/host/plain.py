"""The host as it is where no package offers it anything.

Two uses of the same trick, for it must be done before phono3py is imported:

    python tests/host/plain.py phono3py-load ARGS...    a command of the host
    python -m pytest -p plain ...                       the host's tests
"""

from __future__ import annotations

import sys
from importlib import metadata
from typing import Any

HOST_GROUP = "phono3py.conductivity"
HOST_PACKAGES = ("phono3py", "phonopy")

_entry_points = metadata.entry_points


def _entry_points_of_others(**params: Any) -> metadata.EntryPoints:
    """Return what `importlib.metadata.entry_points` does, nothing for the host."""
    if params.get("group") == HOST_GROUP:
        return metadata.EntryPoints(())
    return _entry_points(**params)


if "phono3py" in sys.modules:
    raise RuntimeError("phono3py is imported already: too late to hide the plugin.")
metadata.entry_points = _entry_points_of_others


def _command(name: str) -> metadata.EntryPoint:
    for package in HOST_PACKAGES:
        for script in metadata.distribution(package).entry_points:
            if script.group == "console_scripts" and script.name == name:
                return script
    raise SystemExit(f"ERROR: {name} is no command of {' or '.join(HOST_PACKAGES)}.")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit("ERROR: no command given; expected e.g. phono3py-load ARGS")
    sys.argv = sys.argv[1:]
    sys.exit(_command(sys.argv[0]).load()())

"""How commands start each other."""

from __future__ import annotations

import sys

_FUNCTIONS = {
    "phono3py": ("phono3py.scripts.phono3py", "run"),
    "phono3py-load": ("phono3py.scripts.phono3py_load", "run"),
    "phono3py-mlp": ("phono3py_mlp_plugin.cli", "main"),
}


def program(name: str) -> list[str]:
    """Return how a command is started by this Python."""
    module, function = _FUNCTIONS[name]
    code = f"import sys; from {module} import {function}; sys.exit({function}())"
    return [sys.executable, "-c", code]

"""How commands start each other."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence

from phono3py_mlp_plugin.supervision import run_step

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


def run_command(words: Sequence[str], log_level: int = 1) -> int:
    """Print a command, run it in a process of its own, and return its exit code."""
    if log_level:
        print(f"$ {shlex.join(words)}", flush=True)
    code, line = run_step([*program(words[0]), *words[1:]])
    if line is not None:
        print(line, file=sys.stderr)
    return code

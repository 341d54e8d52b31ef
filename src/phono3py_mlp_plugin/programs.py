"""How commands start each other."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from collections.abc import Sequence

from phono3py_mlp_plugin.supervision import run_step

_FUNCTIONS = {
    "phono3py": ("phono3py.scripts.phono3py", "run"),
    "phono3py-load": ("phono3py.scripts.phono3py_load", "run"),
    "phono3py-mlp": ("phono3py_mlp_plugin.cli", "main"),
}


def program(name: str) -> list[str]:
    """Return how a command is started by this Python, to end with this process.

    A process that is killed cannot end its commands. The kernel then asks them to stop,
    as a user would: they remove what is not finished.
    """
    module, function = _FUNCTIONS[name]
    code = (
        "import sys\n"
        "from phono3py_mlp_plugin.supervision import end_with_parent\n"
        f"end_with_parent({os.getpid()}, {int(signal.SIGTERM)})\n"
        f"sys.argv[0] = {name!r}\n"
        f"from {module} import {function}\n"
        f"sys.exit({function}())\n"
    )
    return [sys.executable, "-c", code]


def run_command(words: Sequence[str], log_level: int = 1) -> int:
    """Print a command, run it in a process of its own, and return its exit code."""
    if log_level:
        print(f"$ {shlex.join(words)}", flush=True)
    code, line = run_step([*program(words[0]), *words[1:]])
    if line is not None:
        print(line, file=sys.stderr)
    return code

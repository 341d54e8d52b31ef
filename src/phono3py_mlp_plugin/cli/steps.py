"""Commands that run others, one step after the other."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence

from phono3py_mlp_plugin.programs import program
from phono3py_mlp_plugin.supervision import run_step


def run_command(words: Sequence[str], log_level: int = 1) -> int:
    """Print a command, run it in a process of its own, and return its exit code."""
    if log_level:
        print(f"$ {shlex.join(words)}", flush=True)
    code, line = run_step([*program(words[0]), *words[1:]])
    if line is not None:
        print(line, file=sys.stderr)
    return code

"""How this package starts commands, of phono3py and its own."""

from __future__ import annotations

import os
import signal
import sys

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

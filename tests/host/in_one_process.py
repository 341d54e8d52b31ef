"""Run commands of phono3py one after the other in one process, as Python may call them.

    python tests/host/in_one_process.py '[["phono3py-load", "phono3py.yaml"], ...]'

After each of them its exit code is printed, and what it has changed in the process.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import phono3py.cui.phono3py_script as script
from phono3py.phonon3 import gruneisen

from phono3py_mlp_plugin.files import lock
from phono3py_mlp_plugin.host import scattering, solvers, writing

assert gruneisen  # Imported by commands, and changed then.
# The package exports a function of this name.
bindings = sys.modules["phono3py_mlp_plugin.host.bindings"]
NAMES = (*bindings.bindings(), *bindings.SCATTERING_BINDINGS)


def state() -> Mapping[str, Any]:
    """Return what commands may change, outside their own objects."""
    found: dict[str, Any] = {
        "excepthook": sys.excepthook,
        "streams": (sys.stdout, sys.stderr),
        "without potential": solvers.is_host_only(),
        "scattering": scattering._active,
        "originals": set(bindings._originals) - late,
        "lock": Path(lock.NAME).exists(),
    }
    for binding in NAMES:
        if str(binding) not in late:
            owner, attribute = bindings._owner(binding)
            found[str(binding)] = getattr(owner, attribute)
    for name in writing._MODULES:
        module = importlib.import_module(name)
        found[name] = {key: vars(module).get(key) for key in ("open", "h5py")}
    return found


# Replaced for good, when the first file is read.
late = {str(binding) for binding in bindings.LATE_BINDINGS}
before = state()
for words in json.loads(sys.argv[1]):
    sys.argv = words
    try:
        script.main(load_phono3py_yaml=True, mode="run")
        code = None
    except SystemExit as end:
        code = end.code
    after = state()
    left = [name for name, value in before.items() if after[name] != value]
    print("ended:", json.dumps([code, left]), flush=True)

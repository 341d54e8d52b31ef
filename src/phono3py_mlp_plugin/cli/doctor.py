"""``phono3py-mlp doctor``: whether the bridge into phono3py stands."""

from __future__ import annotations

import importlib
import importlib.metadata
import platform
import warnings

from phono3py_mlp_plugin.errors import IncompatibleHost
from phono3py_mlp_plugin.host import bindings, is_bound
from phono3py_mlp_plugin.host.bindings import BINDINGS, check
from phono3py_mlp_plugin.plugins import DISTRIBUTION

_PACKAGES = (DISTRIBUTION, "phono3py", "phonopy", "symfc", "pypolymlp", "numpy")


def doctor() -> int:
    """Print versions and bindings; return 1 where the bridge does not stand."""
    print(f"Python {platform.python_version()}")
    for name in _PACKAGES:
        try:
            print(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            print(f"{name} is not installed")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RuntimeWarning)
        importlib.import_module("phono3py")
    reasons = [str(w.message) for w in caught if DISTRIBUTION in str(w.message)]
    if is_bound():
        reasons += _print_bindings()
    elif not reasons:
        reasons.append("phono3py did not call the plugin while it was imported.")
    print(f"Bridge: {'active' if not reasons else 'NOT ACTIVE'}")
    for reason in reasons:
        print(f"  {reason}")
    return 1 if reasons else 0


def _print_bindings() -> list[str]:
    """Print what is bound; return what is not as it should be."""
    problems = []
    for binding in bindings():
        try:
            found = check(binding)
        except IncompatibleHost as error:
            problems.append(str(error))
            continue
        if binding not in BINDINGS:
            print(f"  {binding} (bound when a command starts)")
        elif hasattr(found, "__wrapped__"):
            print(f"  {binding} -> {binding.replacement}")
        else:
            problems.append(f"{binding} was rebound by somebody else.")
    return problems

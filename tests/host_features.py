"""What the phono3py that is installed has, for tests that need it."""

from __future__ import annotations

import importlib.util

import pytest
from phono3py.cui.settings import Phono3pySettings

SWITCHES = ("average_degenerate_weights", "exclude_gamma_acoustic")
"""Settings without which rounding errors change kappa."""

OPTIONS = tuple(f"--{name.replace('_', '-')}" for name in SWITCHES)
"""Their options on the command line."""

HAS_SWITCHES = all(hasattr(Phono3pySettings(), name) for name in SWITCHES)

needs_switches = pytest.mark.skipif(
    not HAS_SWITCHES, reason="this phono3py does not have the settings"
)

# phono3py 4.10 has both the settings and the limits, phono3py 4.4 neither.
needs_limits = pytest.mark.skipif(
    not HAS_SWITCHES,
    reason="this phono3py leaves out tetrahedra with a corner exactly at the frequency",
)

needs_pypolymlp = pytest.mark.skipif(
    importlib.util.find_spec("pypolymlp") is None, reason="needs pypolymlp"
)

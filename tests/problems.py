"""Force-constants problems from the host's own test data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import phono3py
from phono3py import Phono3py
from phono3py.phonon3.dataset import get_displacements_and_forces_fc3

from phono3py_mlp_plugin.contracts import ForceConstantsProblem


def load(host_source: Path, name: str, **options: Any) -> Phono3py:
    """Return the host's object of a file among its tests, without force constants."""
    path = host_source / "test" / name
    return phono3py.load(path, produce_fc=False, log_level=0, **options)


def force_constants_problem(host: Phono3py, **changes: Any) -> ForceConstantsProblem:
    """Return the problem that the host would solve, supercells in its order."""
    displacements, forces = get_displacements_and_forces_fc3(host.dataset)
    values = {
        "supercell": host.supercell,
        "primitive": host.primitive,
        "symmetry": host.symmetry,
        "displacements": displacements,
        "forces": forces,
        "orders": (2, 3),
        "dataset": host.dataset,
    }
    return ForceConstantsProblem(**(values | changes))

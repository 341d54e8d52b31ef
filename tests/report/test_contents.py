"""What is gathered belongs together: each number to the structure it was made for."""

import numpy as np
import pytest
from phono3py import Phono3py

from phono3py_mlp_plugin.contracts import (
    ForceCalculator,
    NoOptions,
)
from phono3py_mlp_plugin.reference import RigidIonNaCl, nacl_dataset
from phono3py_mlp_plugin.report import gather
from phono3py_mlp_plugin.workflow.request import Request

IONS = ForceCalculator(
    name="ions",
    summary="an analytic crystal",
    load=lambda path, options: RigidIonNaCl(),
)
REQUEST = Request(IONS, NoOptions())
UNITCELL, _ = nacl_dataset(1, repeats=1)


def crystal(shift=0.0, **cells):
    cell = UNITCELL.copy()
    positions = cell.positions
    positions[0, 0] += shift
    cell.positions = positions
    return Phono3py(
        cell, supercell_matrix=[1, 1, 1], primitive_matrix=np.eye(3), **cells
    )


@pytest.mark.parametrize("relaxed", [True, False])
def test_reference_forces_are_those_of_the_structure_that_was_run(tmp_path, relaxed):
    given = crystal(shift=0.1)
    evaluated = crystal() if relaxed else None
    if evaluated is not None:
        evaluated.generate_displacements(distance=0.01, number_of_snapshots=2)
    found = gather(given, tmp_path, REQUEST, evaluated, {})
    (residual, *_) = found.checks
    assert residual.text.startswith("forces on undisplaced atoms")
    assert residual.passed is relaxed

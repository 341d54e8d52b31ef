"""What is gathered belongs together: each number to the structure it was made for."""

import h5py
import numpy as np
import pytest
from phono3py import Phono3py

from phono3py_mlp_plugin import plugins
from phono3py_mlp_plugin.contracts import (
    ForceCalculator,
    ForceConstantsProblem,
    NoOptions,
)
from phono3py_mlp_plugin.reference import RigidIonNaCl, nacl_dataset
from phono3py_mlp_plugin.reports import gather
from phono3py_mlp_plugin.reports.transport import budget_checks
from phono3py_mlp_plugin.uncertainty import Contribution, ErrorBudget
from phono3py_mlp_plugin.workflow import request_solver
from phono3py_mlp_plugin.workflow.request import CalculatorSpec

IONS = ForceCalculator(
    name="ions",
    summary="an analytic crystal",
    load=lambda path, options: RigidIonNaCl(),
)
REQUEST = CalculatorSpec(IONS, NoOptions())
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


def with_forces(supercell):
    """Thirty snapshots of a supercell."""
    rng = np.random.default_rng(0)
    displacements = rng.normal(scale=0.01, size=(30, len(supercell), 3))
    cells = [supercell.copy() for _ in displacements]
    for cell, displacement in zip(cells, displacements, strict=True):
        cell.positions = cell.positions + displacement
    forces = RigidIonNaCl().evaluate(cells).forces
    return {"displacements": displacements, "forces": forces}


def fc2_of(given):
    """What a run makes for the supercell of fc2."""
    data, symfc = with_forces(given.phonon_supercell), request_solver("symfc")
    problem = ForceConstantsProblem(
        supercell=given.phonon_supercell,
        primitive=given.phonon_primitive,
        symmetry=given.phonon_supercell_symmetry,
        displacements=data["displacements"],
        forces=data["forces"],
        orders=(2,),
        options=symfc.options,
    )
    return plugins.solve(symfc.solver, problem)[2]


@pytest.mark.slow
@pytest.mark.parametrize("own_forces", [True, False])
def test_fc2_of_its_own_supercell_is_compared_with_the_forces_there_are(
    tmp_path, own_forces
):
    given = crystal(phonon_supercell_matrix=[2, 2, 2])
    with h5py.File(tmp_path / "fc2.hdf5", "w") as file:
        file["force_constants"] = fc2_of(given)
    if own_forces:
        given.phonon_dataset = with_forces(given.phonon_supercell)
    else:
        given.dataset = with_forces(given.supercell)
    bands = gather(given, tmp_path, REQUEST, None, {}).bands
    run, direct = (
        np.array(bands.frequencies[name])
        for name in ("force constants", "first principles")
    )
    difference = np.abs(run - direct).max()
    if own_forces:
        assert difference < 1e-6
        assert "say nothing about the potential" in bands.remark
    else:
        # Eight atoms do not hold the range of fc2.
        assert difference > 0.1
        assert "(64 atoms), first principles of 8 atoms" in bands.remark


def test_remedy_of_a_check_is_that_of_the_contribution():
    solver = Contribution("solver", ((0.1,) * 3,), "why", "Do this.")
    (check,) = budget_checks(ErrorBudget((300.0,), (solver,)))
    assert check.remedy == "Do this."

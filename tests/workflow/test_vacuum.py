"""Vacuum: where it is, what needs it, and what the relaxation leaves unchanged."""

import numpy as np
import pytest
from phonopy.structure.atoms import PhonopyAtoms

from phono3py_mlp_plugin import plugins
from phono3py_mlp_plugin.contracts import Evaluation
from phono3py_mlp_plugin.errors import DatasetError, PhysicsError
from phono3py_mlp_plugin.workflow import (
    check_extended,
    check_vacuum,
    relax_cell,
    request_calculator,
)
from phono3py_mlp_plugin.workflow.vacuum import gaps, vacuum_axes

TILTED = np.array([[3.0, 0, 0], [1.5, 2.6, 0], [1.0, 0.5, 15.0]])


def layer(lattice, *heights):
    positions = [height * lattice[2] / lattice[2, 2] for height in heights]
    return PhonopyAtoms(
        symbols=["Al"] * len(heights), cell=lattice, positions=positions
    )


def test_gap_is_measured_along_the_normal_and_across_the_boundary():
    cell = layer(TILTED, 14.0, 1.0, 3.0)
    # From 3 to 14 angstrom.
    assert gaps(cell.cell, cell.positions)[2] == pytest.approx(11.0)
    assert vacuum_axes(cell) == [2]


def test_crystals_of_layers_have_no_vacuum():
    cell = layer(np.diag([3.0, 3.0, 6.2]), 1.0, 4.1)
    assert vacuum_axes(cell) == []


@pytest.mark.parametrize(
    ("pbc", "height", "is_refused"),
    [
        ((True, True, True), 3.0, False),
        ((True, True, False), 15.0, False),
        ((True, True, False), 6.0, True),
        ((False, True, False), 15.0, True),
    ],
)
def test_what_is_not_periodic_needs_a_gap(pbc, height, is_refused):
    cell = layer(np.diag([3.0, 3.0, height]), 0.0, 2.0)
    if is_refused:
        with pytest.raises(DatasetError, match=r"a\.xyz: not periodic along [ac], wi"):
            check_vacuum(cell.cell, cell.positions, pbc, "a.xyz")
    else:
        check_vacuum(cell.cell, cell.positions, pbc, "a.xyz")


def test_molecule_in_a_box_conducts_no_heat():
    check_extended(layer(np.diag([3.0, 12.0, 12.0]), 0.0, 2.0))
    with pytest.raises(PhysicsError, match="a molecule in a box conducts no heat"):
        check_extended(layer(12 * np.eye(3), 0.0, 2.0))


class Attractive:
    """EMT, and a stress that closes the vacuum, as of a dispersion correction."""

    elements = ()

    def __init__(self):
        spec = request_calculator("emt")
        self._emt = plugins.load(spec.calculator, None, spec.options)

    def evaluate(self, supercells):
        found = self._emt.evaluate(supercells)
        closing = 0.01 * np.outer([0, 0, 1], [0, 0, 1])
        return Evaluation(found.energies, found.forces, found.stresses + closing)


@pytest.mark.parametrize("axes", ["abc", "cab"])
def test_relaxation_of_a_slab_leaves_its_vacuum_unchanged(axes):
    pytest.importorskip("ase")
    order = [axes.index(axis) for axis in "abc"]
    lattice = np.diag([4.0, 4.0, 16.0])[order]
    positions = [[0, 0, 5.0], [2, 2, 5.0], [0, 2, 7.0], [2, 0, 7.0]]
    cell = PhonopyAtoms(symbols=["Al"] * 4, cell=lattice, positions=positions)
    found = relax_cell("emt", Attractive(), cell)
    assert found.is_converged and found.is_lattice_relaxed and found.has_vacuum
    change = found.cell.cell - lattice
    # In the plane the lattice relaxes, along the normal it does not.
    assert np.abs(change[:, 2]).max() < 1e-12
    assert 0.01 < np.abs(change).max() < 0.5


def test_lattice_is_kept_if_the_normal_of_the_vacuum_is_no_axis():
    pytest.importorskip("ase")
    turned = np.array([[0, 0.8, 0.6], [1, 0, 0], [0, 0.6, -0.8]])
    lattice = np.diag([4.0, 4.0, 16.0]) @ turned
    positions = np.array([[0, 0, 5], [2, 2, 5], [0, 2, 7], [2, 0, 7]]) @ turned
    cell = PhonopyAtoms(symbols=["Al"] * 4, cell=lattice, positions=positions)
    found = relax_cell("emt", Attractive(), cell)
    assert not found.is_lattice_relaxed and found.has_vacuum
    np.testing.assert_allclose(found.cell.cell, lattice, atol=1e-12)

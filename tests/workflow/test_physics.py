"""Verdicts on phonons and potentials."""

import numpy as np
import pytest
from phonopy.structure.atoms import PhonopyAtoms
from phonopy.structure.cells import get_supercell

from phono3py_mlp_plugin.errors import MLPError, ParameterError, PhysicsError
from phono3py_mlp_plugin.host.settings import mesh_of
from phono3py_mlp_plugin.reference import nacl_dataset
from phono3py_mlp_plugin.solvers.hiphive import HiphiveOptions
from phono3py_mlp_plugin.solvers.pivots import undetermined_orders
from phono3py_mlp_plugin.taylor import Lattice, check_force_constants
from phono3py_mlp_plugin.uncertainty.intervals import absolute_error, norm_scatter
from phono3py_mlp_plugin.workflow import (
    DisplacementOptions,
    request_calculator,
    request_solver,
)
from phono3py_mlp_plugin.workflow.physics import (
    check_amplitude,
    check_anharmonicity,
    check_drift,
    check_fit,
    check_phonons,
    check_residual_forces,
    check_scattering_supercell,
    check_training,
)

_, NACL = nacl_dataset(10, repeats=1)


@pytest.mark.parametrize(
    ("lowest", "acoustic", "passed"),
    [
        (0.5, 1e-4, (True, True)),
        (-0.05, 1e-4, (True, True)),
        (-0.3, 1e-4, (False, True)),
        (0.5, 0.2, (True, False)),
    ],
)
def test_phonons(lowest, acoustic, passed):
    frequencies = np.array([[lowest, 2.0, 3.0, 4.0, 5.0, 6.0]])
    at_gamma = np.array([-acoustic, acoustic / 2, 0.0, 4.0, 5.0, 6.0])
    checks = check_phonons(frequencies, at_gamma)
    assert tuple(check.passed for check in checks) == passed


def test_residual_forces():
    assert check_residual_forces(np.full((4, 3), 1e-4)).passed
    failed = check_residual_forces(np.full((4, 3), 1e-2))
    assert str(failed).startswith("look  forces on undisplaced atoms: 0.01732")
    assert "--relax-atomic-positions" in str(failed)


def test_amplitude():
    trained = np.full((2, 3, 3), 0.03)
    assert check_amplitude(trained, trained).passed
    assert not check_amplitude(2 * trained, trained).passed


def test_drift():
    fc2 = np.zeros((2, 4, 3, 3))
    fc2[0, 0], fc2[0, 1] = np.eye(3), -np.eye(3)
    fc3 = np.zeros((2, 4, 4, 3, 3, 3))
    fc3[0, 1, 2, 0, 0, 0], fc3[0, 1, 3, 0, 0, 0] = 1.0, -1.0
    assert check_drift(fc2, fc3).passed
    fc3[0, 1, 3, 0, 0, 0] = -0.9
    assert not check_drift(fc2, fc3).passed


def test_phonons_that_do_not_scatter_give_no_kappa():
    fc2, fc3 = np.eye(3)[None, None], np.zeros((1, 1, 1, 3, 3, 3))
    fc3[0, 0, 0, 0, 0, 0] = -1e-4
    check_anharmonicity(fc2, fc3)
    fc3 *= 1e-7
    with pytest.raises(PhysicsError, match=r"fc3: .* take a larger supercell"):
        check_anharmonicity(fc2, fc3)


def test_training():
    few, many = range(1), range(9)
    good, equations = check_training(1e-5, NACL, many, 100)
    assert good.passed and equations.passed
    bad, equations = check_training(0.1, NACL, few, 100)
    assert "kappa" not in str(bad)
    assert not bad.passed
    assert not equations.passed
    assert "0.24 force components per coefficient" in str(equations)


TYPICAL = float(np.sqrt((NACL.forces**2).mean()))


@pytest.mark.parametrize("share", [0.002, 0.02, 0.2])
def test_error_that_a_fit_may_have_goes_on(share):
    assert check_fit(share * TYPICAL, NACL.forces).passed == (share < 0.01)


@pytest.mark.parametrize("error", [0.4 * TYPICAL, 1.0, np.nan, np.inf, None])
def test_error_that_no_fit_has_stops_unless_told_to_go_on(error):
    with pytest.raises(PhysicsError, match=r"test error of forces.*To continue"):
        check_fit(error, NACL.forces)
    assert not check_fit(error, NACL.forces, allow=True).passed


def spoilt(array, value):
    array = np.array(array, dtype="double")
    array.reshape(-1)[-1] = value
    return array


FC2 = np.eye(3)[None, None] * np.array([1.0, -1.0])[None, :, None, None]
FC3 = np.zeros((1, 2, 2, 3, 3, 3))
VERDICTS = {
    "phonons": lambda x: check_phonons(spoilt(np.ones((2, 6)), x), np.zeros(6)),
    "gamma": lambda x: check_phonons(np.ones((2, 6)), spoilt(np.zeros(6), x)),
    "residual forces": lambda x: [check_residual_forces(spoilt(np.zeros((2, 3)), x))],
    "amplitude": lambda x: [
        check_amplitude(spoilt(np.zeros((1, 2, 3)), x), np.ones((1, 2, 3)))
    ],
    "amplitude trained": lambda x: [
        check_amplitude(np.ones((1, 2, 3)), spoilt(np.ones((1, 2, 3)), x - x))
    ],
    "drift of fc2": lambda x: [check_drift(spoilt(FC2, x), FC3)],
    "drift of fc3": lambda x: [check_drift(FC2, spoilt(FC3, x))],
    "fit": lambda x: [check_fit(x, NACL.forces, allow=True)],
    "fit to forces": lambda x: [check_fit(0.0, spoilt(NACL.forces, x - x), allow=True)],
    "training": lambda x: check_training(x, NACL, range(9), 100),
}


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("check", VERDICTS)
def test_no_verdict_is_passed_by_what_is_not_finite(check, value):
    assert not all(verdict.passed for verdict in VERDICTS[check](value))


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_no_error_bar_is_finite_of_what_is_not(value):
    one = np.ones(2)
    draws = np.array([[1.0, value], [1.0, 1.0]])
    assert norm_scatter(one, list(draws)) == np.inf
    assert absolute_error(one, draws, np.empty((0, 2)), 5)[1] == np.inf
    assert absolute_error(one, np.array([one]), draws, 5)[1] == np.inf


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0, 0.0])
@pytest.mark.parametrize(
    "make",
    [
        lambda x: DisplacementOptions(amplitude=x),
        lambda x: DisplacementOptions(amplitude_fc2=x),
        lambda x: mesh_of([x, x, x], "--uncertainty-mesh"),
        lambda x: HiphiveOptions(cutoffs=(x,)),
        lambda x: request_solver("symfc", {"cutoff": x}),
        lambda x: request_solver("symfc", f"cutoff = {x}"),
        lambda x: request_calculator("pypolymlp", {"cutoff": x}),
        lambda x: request_calculator("pypolymlp", f"force_weight = {x}"),
    ],
)
def test_no_option_takes_what_is_not_positive_and_finite(make, value):
    with pytest.raises(ParameterError):
        make(value)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_no_force_constants_that_are_not_finite_describe_forces(value):
    n = NACL.forces.shape[1]
    lattice = Lattice(np.arange(n), np.arange(n)[None])
    fc2 = spoilt(np.zeros((n, n, 3, 3)), value)
    with pytest.raises(MLPError):
        check_force_constants("a", {2: fc2}, NACL.displacements, NACL.forces, lattice)


def test_pivots_that_are_not_known_determine_nothing():
    assert undetermined_orders(np.array([1.0, 0.5, np.nan]), [(2, 2), (3, 1)]) == [3]


@pytest.mark.parametrize(
    ("basis", "dim", "vanishes"),
    [
        ([[0, 0, 0]], 2, True),
        ([[0, 0, 0]], 3, False),
        ([[0, 0, 0], [0.5, 0.5, 0.5]], 1, True),
        ([[0, 0, 0], [0.5, 0.5, 0.5]], 2, False),
        ([[0, 0, 0], [0.25, 0.25, 0.25]], 1, False),
    ],
)
def test_fc3_vanishes_where_each_atom_is_its_own_image_under_inversion(
    basis, dim, vanishes
):
    cell = PhonopyAtoms(
        symbols=["Al"] * len(basis), cell=4 * np.eye(3), scaled_positions=basis
    )
    supercell = get_supercell(cell, dim * np.eye(3, dtype=int))
    if vanishes:
        with pytest.raises(PhysicsError, match="are half lattice vectors"):
            check_scattering_supercell(supercell)
    else:
        check_scattering_supercell(supercell)

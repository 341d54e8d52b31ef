"""Verdicts on phonons and potentials."""

import numpy as np
import pytest

from phono3py_mlp_plugin.reference import nacl_dataset
from phono3py_mlp_plugin.workflow.physics import (
    check_amplitude,
    check_drift,
    check_phonons,
    check_residual_forces,
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


def test_training():
    few, many = range(1), range(9)
    good, equations = check_training(1e-5, NACL, many, 100)
    assert good.passed and equations.passed
    bad, equations = check_training(0.1, NACL, few, 100)
    assert not bad.passed
    assert not equations.passed
    assert "0.24 force components per coefficient" in str(equations)

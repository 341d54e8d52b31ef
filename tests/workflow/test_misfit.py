"""What a fit leaves unexplained of the forces, and when it is told."""

from dataclasses import replace

import numpy as np
import pytest
from phonopy.structure.atoms import PhonopyAtoms

from phono3py_mlp_plugin.contracts import (
    Dataset,
    NestedFit,
    RidgePenalty,
    TrainedPotential,
)
from phono3py_mlp_plugin.uncertainty import ErrorBar
from phono3py_mlp_plugin.workflow import misfit_of, penalty_note

CELL = PhonopyAtoms(
    symbols=["Ar"] * 2, cell=5 * np.eye(3), scaled_positions=[[0.0] * 3, [0.5] * 3]
)


# Of 25 supercells.
BARS = [ErrorBar(0.02, 0.0, 25), ErrorBar(0.01, 0.0, 25)]


def dataset(anharmonic=0.0):
    """Springs to the sites, and a cubic force that breaks reciprocity."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20, 2, 3))
    x -= x.mean(axis=1, keepdims=True)
    forces = -x - anharmonic * x**3
    return Dataset(CELL, 0.03 * x, forces / np.sqrt(np.mean(forces**2)))


def fit(left_out, training, test, alpha=0.1):
    path = (RidgePenalty(0.1, training, test), RidgePenalty(1.0, None, None))
    trained = TrainedPotential(None, 100, alpha, path)
    return NestedFit(20, trained, [], [], left_out)


def test_errors_as_large_on_training_supercells_are_told():
    misfit = misfit_of(fit(0.01, 0.9, 1.0), dataset(), BARS)
    assert misfit.unexplained == pytest.approx(0.01)
    # Half of the bar of a single supercell, of the direction with the larger one.
    assert misfit.error == pytest.approx(0.5 * 0.02 * 5)
    assert not misfit.is_too_anharmonic
    assert "1 % of the forces of other supercells" in str(misfit)
    assert "about 5 %" in str(misfit)
    assert "about 20 %" in str(replace(misfit, error=0.18))


def test_large_displacements_are_told():
    assert misfit_of(fit(0.01, 0.9, 1.0), dataset(1.0), BARS).is_too_anharmonic


@pytest.mark.parametrize(
    "good",
    [
        # Too few supercells, which the error bar covers.
        fit(0.01, 0.1, 1.0),
        # Nothing is known about this penalty.
        fit(0.01, 0.9, 1.0, alpha=1.0),
        fit(0.01, 0.9, 1.0, alpha=None),
    ],
)
def test_nothing_is_told_of_other_fits(good):
    assert misfit_of(good, dataset(), BARS) is None


def test_nothing_is_told_if_kappa_depends_little_on_single_supercells():
    # As for first-principles data of NaCl and MgO.
    small = [ErrorBar(0.002, 0.0, 40)]
    assert misfit_of(fit(0.0005, 0.9, 1.0), dataset(), small) is None


def test_forces_that_vanish_are_no_misfit():
    still = dataset()
    still = replace(still, forces=np.zeros_like(still.forces))
    assert misfit_of(fit(0.01, 0.9, 1.0), still, BARS) is None


@pytest.mark.parametrize(
    "alpha, smallest, values",
    [
        (1e-3, 1e-3, "-8 1 10"),
        # What is proposed is not proposed again.
        (1e-8, 1e-8, None),
        (0.0, 0.0, None),
        (1e-2, 1e-3, None),
        (None, None, None),
        # A single penalty is the wish of the user.
        (1e-3, None, None),
    ],
)
def test_the_smallest_penalty_of_several_is_noted_if_it_is_the_best(
    alpha, smallest, values
):
    note = penalty_note(alpha, smallest)
    assert (note is None) == (values is None)
    assert note is None or f"'reg_alpha_params = {values}'" in note

"""Structures of other sizes, with virials, are fitted together with the supercells."""

from __future__ import annotations

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from phono3py_mlp_plugin.polynomial.regression import problem as problem_module
from phono3py_mlp_plugin.polynomial.regression.path import (
    curve,
    regression,
    ridge_paths,
)
from phono3py_mlp_plugin.polynomial.regression.problem import Problem
from phono3py_mlp_plugin.polynomial.regression.targets import StructureTargets, Targets

ALPHAS = 10.0 ** np.linspace(-2, 1, 4)
N_ATOMS, N_TEST = 3, 4
# Atoms of each structure, and whether its virials and its energy are known.
OTHERS = ((2, True, True), (5, False, True), (8, True, False), (3, True, True))
FORMS = pytest.mark.parametrize("primal", [True, False], ids=["primal", "dual"])
# Energies are of the size of those of crystals: only their differences count.
TOLERANCE = 1e-8


@pytest.fixture(autouse=True)
def one_thread():
    with threadpool_limits(1, user_api="blas"):
        yield


class Known:
    """A design matrix that is known, rows of one structure after the other."""

    def __init__(self, rows):
        self.rows = rows

    @property
    def n_features(self):
        return self.rows[0].shape[1]

    def fill(self, matrix, column, supercells):
        for s in supercells:
            rows = self.rows[s]
            assert not matrix[:, column : column + len(rows)].any()
            matrix[:, column : column + len(rows)] = rows.T
            column += len(rows)

    def part(self, supercells):
        return Known(self.rows[supercells.start : supercells.stop])


class Example:
    """Random features in proportion to the number of atoms, and what they can fit."""

    def __init__(self, n_features=40, n=10, energies=True):
        random = np.random.default_rng(1)
        per_atom = 30 * random.normal(size=n_features)
        units = 10 ** random.uniform(-6, 6, size=n_features)
        coefficients = random.normal(size=n_features) / units
        self.rows, others = [], []
        sizes = [*OTHERS, *[(N_ATOMS, False, True)] * (n + N_TEST)]
        values = []
        for n_atoms, has_virials, has_energy in sizes:
            n_rows = 1 + 3 * n_atoms + 6 * has_virials
            rows = random.normal(size=(n_rows, n_features))
            rows[0] += per_atom * n_atoms
            rows *= units
            values.append(rows @ coefficients + 0.1 * random.normal(size=n_rows))
            if not has_energy:
                values[-1][0] = np.nan
            self.rows.append(rows)
        for (n_atoms, has_virials, has_energy), value in zip(
            OTHERS, values, strict=False
        ):
            forces = value[1 : 1 + 3 * n_atoms].reshape(3, n_atoms)
            others.append(
                StructureTargets(
                    value[0] if has_energy and energies else None,
                    forces,
                    value[1 + 3 * n_atoms :] if has_virials else None,
                )
            )
        m = len(OTHERS)
        own = np.array(values[m:])
        self.energies = own[:, 0] if energies else None
        self.forces = own[:, 1:].reshape(-1, 3, N_ATOMS)
        self.others, self.n = tuple(others), n

    def problem(self, first, last, others=True):
        m = len(OTHERS)
        energies = None if self.energies is None else self.energies[first:last]
        rows = self.rows[m + first : m + last]
        targets = Targets(
            energies, self.forces[first:last], others=self.others if others else ()
        )
        return Problem(Known([*self.rows[: m * others], *rows]), targets)

    def training(self, n=None):
        return self.problem(0, n or self.n)

    def test(self):
        return self.problem(self.n, self.n + N_TEST, others=False)


def weights_and_values(targets):
    """One structure after the other, written out once more."""
    energies = [other.energy for other in targets.others]
    own = [None] * len(targets.forces) if targets.energies is None else targets.energies
    energies += list(own)
    forces = [other.forces for other in targets.others] + list(targets.forces)
    virials = [other.virials for other in targets.others]
    virials += [None] * len(targets.forces)
    sizes = [f.shape[1] for f in forces]
    known = [e / size for e, size in zip(energies, sizes, strict=True) if e is not None]
    lowest = min(known, default=0.0)
    weights, values = [], []
    for energy, force, virial, size in zip(
        energies, forces, virials, sizes, strict=True
    ):
        weight, value = [0.0], [0.0]
        if energy is not None:
            per_atom, value = energy / size, [energy]
            weight = [1.0]
            if per_atom > 0.75 * lowest:
                weight = [0.5]
            if per_atom > 0.5 * lowest:
                weight = [0.3]
            if per_atom > 0:
                weight = [0.1]
            weight[0] *= N_ATOMS / size
        for factor, numbers in ((1.0, force), (0.1, virial)):
            if numbers is not None:
                value += list(numbers.reshape(-1))
                weight += [factor * min(1, 1 / abs(x)) for x in numbers.reshape(-1)]
        weights.append(np.array(weight))
        values.append(np.array(value))
    return weights, values


class Reference:
    """Dense least squares with the penalty as further rows."""

    def __init__(self, problem):
        self.weights, self.values = weights_and_values(problem.targets)
        self.rows = problem.design.rows
        m = len(problem.targets.others)
        self.scales = np.std([rows[0] for rows in self.rows[m:]], axis=0)

    def coefficients(self, alpha, without=None):
        some = [s for s in range(len(self.rows)) if s != without]
        x = np.vstack([self.rows[s] * self.weights[s][:, None] for s in some])
        y = np.concatenate([self.values[s] * self.weights[s] for s in some])
        x = np.vstack([x / self.scales, np.sqrt(alpha) * np.eye(x.shape[1])])
        y = np.append(y, np.zeros(len(self.scales)))
        return np.linalg.lstsq(x, y, rcond=None)[0] / self.scales

    def rmse(self, coefficients):
        errors = [
            w * (y - x @ coefficients)
            for w, y, x in zip(self.weights, self.values, self.rows, strict=True)
        ]
        return np.linalg.norm(np.concatenate(errors)) / np.linalg.norm(
            np.concatenate(self.weights)
        )


def assert_same_predictions(rows, one, other, tolerance=TOLERANCE):
    expected = np.concatenate([r[1:] for r in rows]) @ other
    found = np.concatenate([r[1:] for r in rows]) @ one
    assert np.abs(found - expected).max() <= tolerance * np.abs(expected).max()


@FORMS
@pytest.mark.parametrize("energies", [True, False], ids=["energies", "forces"])
@pytest.mark.parametrize("n_features", [40, 300], ids=["over", "under"])
def test_every_penalty_is_least_squares(primal, energies, n_features):
    example = Example(n_features, energies=energies)
    training = example.training()
    (path,) = ridge_paths(training, example.test(), ALPHAS, is_primal=lambda _n: primal)
    reference = Reference(training)
    for k, alpha in enumerate(ALPHAS):
        expected = reference.coefficients(alpha)
        assert_same_predictions(example.rows, path.coefficients[k], expected)
        assert path.rmse_training[k] == pytest.approx(reference.rmse(expected), 1e-6)


@FORMS
@pytest.mark.parametrize("block", [1, 3], ids=["single", "three"])
def test_leaving_out_a_structure_is_fitting_again(monkeypatch, primal, block):
    example = Example()
    training = example.training()
    most = training.targets.most_rows
    monkeypatch.setattr(problem_module, "BLOCK_BYTES", 8 * 40 * most * block)
    reference = Reference(training)
    found = regression(training, primal).leave_one_out(0.1, changes=True)
    assert found.forces.shape == (example.n, 3, N_ATOMS)
    whole = reference.coefficients(0.1)
    m = len(OTHERS)
    for s in range(m + example.n):
        refitted = reference.coefficients(0.1, without=s)
        assert_same_predictions(example.rows, whole + found.changes[s], refitted, 1e-7)
        if s >= m:
            errors = training.design.rows[s][1:] @ refitted
            errors -= example.forces[s - m].reshape(-1)
            np.testing.assert_allclose(found.forces[s - m].reshape(-1), errors, 1e-5)


def test_the_curve_is_independent_fits():
    example = Example()
    m = len(OTHERS)
    points = curve(example.training(), example.test(), ALPHAS, [m + 4, m + 10])
    for n, point in zip((4, 10), points, strict=True):
        (path,) = ridge_paths(example.training(n), example.test(), ALPHAS)
        np.testing.assert_allclose(point.path.rmse_test, path.rmse_test, rtol=1e-7)
        assert len(point.left_out.changes) == m + n


def test_a_structure_whose_features_are_not_finite_is_named():
    example = Example()
    example.rows[2][4, 1] = np.nan
    with pytest.raises(Exception, match="training structure 3"):
        ridge_paths(example.training(), example.test(), ALPHAS)
    example = Example()
    example.rows[len(OTHERS) + 2][4, 1] = np.nan
    with pytest.raises(Exception, match="supercell 3"):
        ridge_paths(example.training(), example.test(), ALPHAS)

"""Training of potentials on datasets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from phono3py_mlp_plugin.contracts import (
    Dataset,
    Ensemble,
    FloatArray,
    MapChunks,
    NestedFit,
    Progress,
    TrainedPotential,
    map_here,
    no_progress,
)
from phono3py_mlp_plugin.polynomial.design_matrix import Features, StructureFeatures
from phono3py_mlp_plugin.polynomial.model.feature_list import (
    FeatureList,
    list_features,
)
from phono3py_mlp_plugin.polynomial.model.invariants import Table, invariants
from phono3py_mlp_plugin.polynomial.model.parameters import ModelParameters
from phono3py_mlp_plugin.polynomial.potential import PolynomialPotential
from phono3py_mlp_plugin.polynomial.regression.forecast import forecast
from phono3py_mlp_plugin.polynomial.regression.options import RidgeOptions
from phono3py_mlp_plugin.polynomial.regression.path import (
    CurvePoint,
    RidgePath,
    curve,
    regression,
    ridge_paths,
)
from phono3py_mlp_plugin.polynomial.regression.problem import Problem
from phono3py_mlp_plugin.polynomial.regression.targets import targets_of
from phono3py_mlp_plugin.polynomial.structures.structure import structures_of
from phono3py_mlp_plugin.uncertainty import multiplier_jackknife


def fit(
    parameters: ModelParameters,
    training: Dataset,
    test: Dataset,
    options: RidgeOptions,
    table: Table = invariants,
    progress: Progress = no_progress,
    map_chunks: MapChunks = map_here,
) -> TrainedPotential:
    """Fit the coefficients by ridge regression; the test set selects the penalty.

    Parameters
    ----------
    parameters : ModelParameters
    training, test : Dataset
    options : RidgeOptions
    table : callable
        Table of invariants.
    progress : Progress
    map_chunks : MapChunks
        Computes features and sums over supercells.

    Raises
    ------
    PotentialError
        If all penalties failed, or the cutoff does not suit the crystal.
    ResourceError
        If the memory is not sufficient.
    """
    primal = forecast(parameters, training, options, table).form == "primal"
    features = Features(list_features(parameters, table))
    problem = regression_problem(features, training, options)
    test_problem = regression_problem(features, test.without_structures(), options)
    with progress("Training", len(problem) + len(test_problem)) as advance:
        (path,) = ridge_paths(
            problem,
            test_problem,
            options.alphas,
            is_primal=lambda _n: primal,
            advance=advance,
            map_chunks=map_chunks,
        )
    alpha = options.alphas[path.best]

    def sample(size: int, seed: int) -> FloatArray:
        """Factorise again, because keeping the factor would need memory."""
        return regression(problem, primal).samples(alpha, size, seed)

    potential = PolynomialPotential(
        features.feature_list, path.coefficients[path.best], sample, path
    )
    potential.save_all = options.save_all
    return _trained(potential, path)


def learning_curve(
    parameters: ModelParameters,
    training: Dataset,
    test: Dataset,
    sizes: Sequence[int],
    ensemble: Ensemble,
    options: RidgeOptions,
    table: Table = invariants,
    progress: Progress = no_progress,
    map_chunks: MapChunks = map_here,
) -> Iterator[NestedFit]:
    """Yield the fit to the first n supercells and its ensemble, for ascending n.

    Parameters
    ----------
    parameters, training, test, options, table, progress, map_chunks
        See `fit`.
    sizes : sequence of int
        Numbers of supercells in ascending order.
    ensemble : Ensemble
        Settings of the ensemble for each fit.

    Raises
    ------
    PotentialError
        If all penalties failed, or a number is not finite.
    """
    features = Features(list_features(parameters, table))
    problem = regression_problem(features, training, options)
    test_problem = regression_problem(features, test.without_structures(), options)
    others = len(training.structures)
    numbers = [others + size for size in sizes]
    with progress("Training", max(numbers)) as advance:
        points = curve(
            problem, test_problem, options.alphas, numbers, advance, map_chunks
        )
        for size, point in zip(sizes, points, strict=True):
            yield _nested_fit(features.feature_list, point, size, ensemble)


def regression_problem(
    features: Features, dataset: Dataset, options: RidgeOptions
) -> Problem:
    """Return the features and the targets of a dataset."""
    parameters = features.feature_list.parameters
    energies = parameters.atomic_energies or (0.0,) * parameters.n_types
    by_element = dict(zip(parameters.elements, energies, strict=True))
    others = [structure.cell for structure in dataset.structures]
    structures = structures_of(others, parameters.elements, "training structure")
    structures += structures_of(dataset.supercells(), parameters.elements)
    targets = targets_of(
        dataset, by_element, options.energy_weight, options.force_weight
    )
    virials = [other.virials is not None for other in targets.others]
    virials += [False] * len(dataset)
    return Problem(StructureFeatures(features, structures, virials), targets)


def _trained(potential: PolynomialPotential, path: RidgePath) -> TrainedPotential:
    """Return the trained potential with the best penalty."""
    return TrainedPotential(
        potential=potential,
        n_features=potential.feature_list.n_features,
        alpha=float(path.alphas[path.best]),
        penalties=path.penalties,
    )


def _nested_fit(
    feature_list: FeatureList, point: CurvePoint, size: int, ensemble: Ensemble
) -> NestedFit:
    """Return a point of a learning curve, with its ensemble of potentials."""
    path = point.path
    best = path.coefficients[path.best]
    if ensemble.method == "posterior":
        alpha = float(path.alphas[path.best])
        members = point.form.samples(alpha, ensemble.members, ensemble.seed)
    else:
        assert point.left_out.changes is not None
        members = best + multiplier_jackknife(
            point.left_out.changes, ensemble.members, ensemble.seed
        )
    return NestedFit(
        size=size,
        trained=_trained(PolynomialPotential(feature_list, best), path),
        members=[PolynomialPotential(feature_list, c) for c in members],
        alternatives=[PolynomialPotential(feature_list, c) for c in point.alternatives],
        left_out=float(np.sqrt((point.left_out.forces**2).mean())),
    )

"""The engine of this package behind the calculator."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from phono3py_mlp_plugin.calculators.pypolymlp import library
from phono3py_mlp_plugin.calculators.pypolymlp.options import PypolymlpOptions
from phono3py_mlp_plugin.contracts import (
    Dataset,
    Ensemble,
    FloatArray,
    NestedFit,
    Progress,
    RidgePenalty,
    TrainedPotential,
)
from phono3py_mlp_plugin.errors import PotentialError
from phono3py_mlp_plugin.polynomial.design_matrix import Features, SupercellFeatures
from phono3py_mlp_plugin.polynomial.file.read import parse_potential
from phono3py_mlp_plugin.polynomial.memory import available_memory
from phono3py_mlp_plugin.polynomial.model.feature_list import (
    count_features,
    list_features,
)
from phono3py_mlp_plugin.polynomial.model.invariants import Invariants, invariants
from phono3py_mlp_plugin.polynomial.model.parameters import (
    ModelParameters,
    active_pair_params,
    gaussian_pair_params,
)
from phono3py_mlp_plugin.polynomial.potential import (
    PenaltyFit,
    PolynomialPotential,
)
from phono3py_mlp_plugin.polynomial.regression.forecast import Forecast
from phono3py_mlp_plugin.polynomial.regression.forecast import (
    forecast as forecast_training,
)
from phono3py_mlp_plugin.polynomial.regression.forms import LeaveOneOut
from phono3py_mlp_plugin.polynomial.regression.ridge import (
    Regression,
    RidgePath,
    nested_paths,
    ridge_paths,
)
from phono3py_mlp_plugin.polynomial.regression.targets import Targets, targets_of
from phono3py_mlp_plugin.polynomial.structures.neighbours import check_cutoff
from phono3py_mlp_plugin.polynomial.structures.structure import structures_of
from phono3py_mlp_plugin.uncertainty import multiplier_jackknife

# The order up to which this package defines invariants itself.
_OWN_ORDER = 3

# From these on a smaller model is named.
_LONG = 120.0  # seconds
_LARGE = 4e9  # bytes


def forecast(
    training: Dataset, test: Dataset, options: PypolymlpOptions
) -> Sequence[str]:
    """Return what a training will take, in lines.

    Raises
    ------
    ResourceError
        The memory would not suffice.
    """
    del test
    found = _forecast(training, options)
    unknowns = "coefficients" if found.form == "primal" else "rows"
    lines = [
        f"Regression: {found.n_features:,} features, {found.n_rows:,} rows; "
        f"{found.form} form (unknowns: {unknowns}), about {found.memory / 1e9:.1f} GB "
        f"and {_duration(found.seconds)}."
    ]
    if found.n_rows < found.n_features:
        lines.append(
            f"Note: {found.n_rows / found.n_features:.2f} equations per coefficient; "
            "ridge regression bears that, and the test error tells how well. More "
            "supercells, or a smaller model, say more."
        )
    large = found.seconds > _LONG or found.memory > _LARGE
    if large and options.preset == "default":
        lines.append(
            "Smaller and, for NaCl and MgO, as accurate for kappa: --mlp-params "
            "'preset = compact'."
        )
    return lines


def train(
    training: Dataset, test: Dataset, options: PypolymlpOptions, progress: Progress
) -> TrainedPotential:
    """Fit the coefficients by ridge regression, the penalty chosen by the test set.

    Raises
    ------
    PotentialError
        Every penalty failed, or ``atom_energies`` lacks an element.
    ResourceError
        The memory would not suffice.
    """
    primal = _forecast(training, options).form == "primal"
    feature_list = list_features(model_parameters(training, options), invariants_table)
    features = Features(feature_list)
    design, targets = regression_problem(features, training, options)
    test_design, test_targets = regression_problem(features, test, options)
    with progress("Training", len(training) + len(test)) as advance:
        (path,) = ridge_paths(
            design,
            targets,
            _alphas(options),
            test_design,
            test_targets,
            primal=lambda _n: primal,
            advance=advance,
        )
    best = path.best
    alpha = float(path.alphas[best])

    def sample(size: int, seed: int) -> FloatArray:
        """Fit once more: keeping the factor would keep its memory."""
        regression = Regression(design, targets, primal)
        return regression.samples(alpha, size, seed)

    fits = [
        PenaltyFit(float(penalty), None, None, None)
        if np.isnan(tested)
        else PenaltyFit(float(penalty), float(trained), float(tested), fitted)
        for penalty, trained, tested, fitted in zip(
            path.alphas,
            path.rmse_training,
            path.rmse_test,
            path.coefficients,
            strict=True,
        )
    ]
    potential = PolynomialPotential(feature_list, path.coefficients[best], sample, fits)
    potential.save_all = not options.optimal
    return TrainedPotential(
        potential=potential,
        n_features=feature_list.n_features,
        alpha=alpha,
        penalties=_penalties(path),
    )


def train_nested(
    training: Dataset,
    test: Dataset,
    sizes: Sequence[int],
    options: PypolymlpOptions,
    ensemble: Ensemble,
    progress: Progress,
) -> Iterator[NestedFit]:
    """Yield fits to the first supercells for ascending sizes, with their ensembles.

    Raises
    ------
    PotentialError, ResourceError
        As `train`.
    """
    _forecast(training, options)
    feature_list = list_features(model_parameters(training, options), invariants_table)
    features = Features(feature_list)
    design, targets = regression_problem(features, training, options)
    test_design, test_targets = regression_problem(features, test, options)

    def draw(
        coefficients: FloatArray,
        left_out: LeaveOneOut,
        posterior: Callable[[int, int], FloatArray],
    ) -> FloatArray:
        if ensemble.method == "posterior":
            return posterior(ensemble.members, ensemble.seed)
        assert left_out.changes is not None
        changes = multiplier_jackknife(
            left_out.changes, ensemble.members, ensemble.seed
        )
        return coefficients + changes

    with progress("Training", max(sizes)) as advance:
        for found in nested_paths(
            design,
            targets,
            _alphas(options),
            test_design,
            test_targets,
            sizes,
            draw,
            advance,
        ):
            path, best = found.path, found.best
            potential = PolynomialPotential(feature_list, path.coefficients[best])
            yield NestedFit(
                size=found.size,
                trained=TrainedPotential(
                    potential=potential,
                    n_features=feature_list.n_features,
                    alpha=float(path.alphas[best]),
                    penalties=_penalties(path),
                ),
                members=[PolynomialPotential(feature_list, c) for c in found.draws],
                alternatives=[
                    PolynomialPotential(feature_list, c) for c in found.alternatives
                ],
                left_out=float(np.sqrt((found.left_out.forces**2).mean())),
            )


def _alphas(options: PypolymlpOptions) -> list[float]:
    first, last, number = options.reg_alpha_params
    return [float(alpha) for alpha in 10.0 ** np.linspace(first, last, number)]


def _penalties(path: RidgePath) -> tuple[RidgePenalty, ...]:
    return tuple(
        RidgePenalty(float(alpha), None, None)
        if np.isnan(tested)
        else RidgePenalty(float(alpha), float(trained), float(tested))
        for alpha, trained, tested in zip(
            path.alphas, path.rmse_training, path.rmse_test, strict=True
        )
    )


def load(text: str, where: str) -> PolynomialPotential:
    """Read the text of a potential file.

    Raises
    ------
    PotentialError
        It is not a polynomial potential.
    NotCovered
        It is of a kind that only pypolymlp knows.
    """
    found = parse_potential(text, where)
    # Before they are listed: a file may define more than there is memory for.
    n_features = count_features(found.parameters, invariants_table)
    if len(found.coefficients) != n_features:
        raise PotentialError(
            f"{where}: n_coeffs = {len(found.coefficients)}; expected {n_features}, "
            "the number of features that its parameters define. Train it again, or "
            "name another file by --mlp-file."
        )
    feature_list = list_features(found.parameters, invariants_table)
    return PolynomialPotential(feature_list, found.coefficients)


def model_parameters(training: Dataset, options: PypolymlpOptions) -> ModelParameters:
    """Return the model of these options for the elements of a dataset."""
    symbols = tuple(dict.fromkeys(training.supercell.symbols))
    pair_params = gaussian_pair_params(
        options.gaussian_params1, options.gaussian_params2
    )
    return ModelParameters(
        elements=symbols,
        cutoff=options.cutoff,
        pair_params=pair_params,
        conditional_pair_params={
            (symbols.index(first), symbols.index(second)): active_pair_params(
                pair_params, distances
            )
            for (first, second), distances in options.distances(symbols).items()
        },
        model_type=options.model_type,
        max_p=options.max_p,
        feature_type=options.feature_type,
        gtinv_order=options.gtinv_order,
        gtinv_maxl=options.maxl,
        gtinv_version=options.gtinv_version,
        atomic_energies=options.atomic_energies(symbols),
    )


def _forecast(training: Dataset, options: PypolymlpOptions) -> Forecast:
    cell = training.supercell
    check_cutoff(cell.cell, cell.positions, options.cutoff)
    memory = available_memory() if options.memory is None else 1e9 * options.memory
    return forecast_training(
        model_parameters(training, options),
        len(training),
        len(training.supercell),
        options.reg_alpha_params[2],
        memory,
        invariants_table,
    )


def regression_problem(
    features: Features, dataset: Dataset, options: PypolymlpOptions
) -> tuple[SupercellFeatures, Targets]:
    """Return the design matrix and the targets of a dataset."""
    parameters: ModelParameters = features.feature_list.parameters
    by_element = dict(zip(parameters.elements, parameters.atomic_energies, strict=True))
    isolated = sum(by_element[symbol] for symbol in dataset.supercell.symbols)
    structures = structures_of(dataset.supercells(), parameters.elements)
    targets = replace(
        targets_of(dataset, isolated),
        energy_weight=options.energy_weight,
        force_weight=options.force_weight if options.include_force else 0.0,
    )
    if not options.include_energy:
        targets = replace(targets, energies=None)
    return SupercellFeatures(features, structures), targets


def invariants_table(order: int, maxl: Sequence[int], version: int) -> Invariants:
    """Return all invariants up to an order, pypolymlp's beyond those of this package.

    Raises
    ------
    PotentialError
        pypolymlp is needed and not installed.
    """
    table = invariants if order <= _OWN_ORDER else library.invariants
    return table(order, maxl, version)


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"

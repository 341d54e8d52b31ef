"""Polynomial potentials computed by the engine of this package."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from phono3py_mlp_plugin import polynomial
from phono3py_mlp_plugin.calculators.pypolymlp import library
from phono3py_mlp_plugin.calculators.pypolymlp.options import PypolymlpOptions
from phono3py_mlp_plugin.contracts import (
    Dataset,
    Ensemble,
    MapChunks,
    NestedFit,
    Progress,
    TrainedPotential,
    TrainingCost,
    map_here,
)
from phono3py_mlp_plugin.polynomial import (
    Invariants,
    ModelParameters,
    PolynomialPotential,
    RidgeOptions,
    active_pair_params,
    gaussian_pair_params,
)
from phono3py_mlp_plugin.wording import duration

# Highest order of the invariants implemented in this package.
_NATIVE_ORDER = 3

# Time and memory above which a smaller model is recommended.
_LONG = 120.0  # seconds
_LARGE = 4e9  # bytes


def forecast(
    training: Dataset, test: Dataset, options: PypolymlpOptions
) -> Sequence[str]:
    """Return the expected cost of a training as lines of text.

    Raises
    ------
    ResourceError
        If the memory is not sufficient.
    """
    del test
    parameters = model_parameters(training, options)
    needs = polynomial.forecast(
        parameters, training, ridge_options(options), invariants_table
    )
    unknowns = "coefficients" if needs.form == "primal" else "rows"
    lines = [
        f"Regression: {needs.n_features:,} features, {needs.n_rows:,} rows; "
        f"{needs.form} form (unknowns: {unknowns}), about {needs.memory / 1e9:.1f} GB "
        f"and {duration(needs.seconds)}."
    ]
    if needs.n_rows < needs.n_features:
        lines.append(
            f"Note: {needs.n_rows / needs.n_features:.2f} equations per coefficient; "
            "ridge regression can handle that, and the test error shows how well. More "
            "supercells, or a smaller model, are more reliable."
        )
    cell = training.supercell
    other = polynomial.cutoff_between_shells(cell.cell, cell.positions, options.cutoff)
    if other != options.cutoff:
        lines.append(
            f"Note: neighbours at the cutoff, {options.cutoff:g} angstrom, so that "
            "force constants cannot be derivatives (--fc-calculator exact, converge, "
            f"--uncertainty). With --mlp-params 'cutoff = {other:g}' they can."
        )
    large = needs.seconds > _LONG or needs.memory > _LARGE
    if large and options.preset == "default":
        lines.append(
            "Smaller and, for NaCl and MgO, as accurate for kappa: --mlp-params "
            "'preset = compact'."
        )
    return lines


def cost(
    training: Dataset, test: Dataset, options: PypolymlpOptions, members: int
) -> TrainingCost:
    """Return what a training costs on this machine."""
    return polynomial.measure(
        model_parameters(training, options),
        training,
        test,
        ridge_options(options),
        members,
        invariants_table,
    )


def train(
    training: Dataset,
    test: Dataset,
    options: PypolymlpOptions,
    progress: Progress,
    map_chunks: MapChunks = map_here,
) -> TrainedPotential:
    """Fit the coefficients by ridge regression; the test set selects the penalty.

    Raises
    ------
    ParameterError
        If an element is missing in ``atom_energies``.
    PotentialError
        If all penalties failed.
    ResourceError
        If the memory is not sufficient.
    """
    return polynomial.fit(
        model_parameters(training, options),
        training,
        test,
        ridge_options(options),
        invariants_table,
        progress,
        map_chunks,
    )


def learning_curve(
    training: Dataset,
    test: Dataset,
    sizes: Sequence[int],
    options: PypolymlpOptions,
    ensemble: Ensemble,
    progress: Progress,
    map_chunks: MapChunks = map_here,
) -> Iterator[NestedFit]:
    """Return an iterator over fits to the first supercells, with their ensembles.

    Raises
    ------
    ParameterError, PotentialError
        See `train`.
    """
    return polynomial.learning_curve(
        model_parameters(training, options),
        training,
        test,
        sizes,
        ensemble,
        ridge_options(options),
        invariants_table,
        progress,
        map_chunks,
    )


def load(text: str, where: str) -> PolynomialPotential:
    """Read the text of a potential file.

    Raises
    ------
    PotentialError
        If it is not a polynomial potential.
    NotCovered
        If it is of a kind that only pypolymlp supports.
    """
    return polynomial.load(text, where, invariants_table)


def model_parameters(training: Dataset, options: PypolymlpOptions) -> ModelParameters:
    """Return the model parameters from the options and the elements of a dataset."""
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


def ridge_options(options: PypolymlpOptions) -> RidgeOptions:
    """Return the options of the ridge regression."""
    first, last, number = options.reg_alpha_params
    return RidgeOptions(
        alphas=tuple(float(a) for a in 10.0 ** np.linspace(first, last, number)),
        energy_weight=options.energy_weight if options.include_energy else 0.0,
        force_weight=options.force_weight if options.include_force else 0.0,
        memory=None if options.memory is None else 1e9 * options.memory,
        save_all=not options.optimal,
    )


def invariants_table(order: int, maxl: Sequence[int], version: int) -> Invariants:
    """Return all invariants up to an order; those of high orders are from pypolymlp.

    Raises
    ------
    PotentialError
        If pypolymlp is needed and not installed.
    """
    table = polynomial.invariants if order <= _NATIVE_ORDER else library.invariants
    return table(order, maxl, version)

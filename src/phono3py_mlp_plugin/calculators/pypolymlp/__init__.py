"""Polynomial machine-learning potentials: the calculator that ``--pypolymlp`` means.

A. Seko, J. Appl. Phys. 133, 011101 (2023). Runs on the engine of this package
(`native`); the pypolymlp library (`library`) is optional, for what the engine does not
cover and for comparison.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from phono3py_mlp_plugin.calculators.pypolymlp.options import PypolymlpOptions
from phono3py_mlp_plugin.contracts import (
    Dataset,
    Ensemble,
    ForceCalculator,
    NestedFit,
    Potential,
    Progress,
    TrainedPotential,
)
from phono3py_mlp_plugin.errors import (
    NotCovered,
    ParameterError,
    PotentialError,
    one_line,
)
from phono3py_mlp_plugin.files import UNREADABLE, open_text
from phono3py_mlp_plugin.hookspecs import hookimpl

__all__ = ["PypolymlpOptions"]


def forecast(
    training: Dataset, test: Dataset, options: PypolymlpOptions
) -> Sequence[str]:
    """Return what a training will take, in lines.

    Raises
    ------
    ResourceError
        The memory would not suffice.
    """
    from phono3py_mlp_plugin.calculators.pypolymlp import native

    if options.engine == "pypolymlp":
        return ()
    return native.forecast(training, test, options)


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
    from phono3py_mlp_plugin.calculators.pypolymlp import library, native

    if options.engine == "pypolymlp":
        return library.train(training, test, options, progress)
    return native.train(training, test, options, progress)


def train_nested(
    training: Dataset,
    test: Dataset,
    sizes: Sequence[int],
    options: PypolymlpOptions,
    ensemble: Ensemble,
    progress: Progress,
) -> Iterator[NestedFit]:
    """Return fits to the first supercells with their ensembles, made one by one.

    Raises
    ------
    ParameterError
        ``engine = pypolymlp``, which has no errors of supercells left out.
    PotentialError, ResourceError
        As `train`.
    """
    from phono3py_mlp_plugin.calculators.pypolymlp import native

    if options.engine == "pypolymlp":
        raise ParameterError(
            "engine = pypolymlp gives no error bars. Leave it out: engine = native."
        )
    return native.train_nested(training, test, sizes, options, ensemble, progress)


def load(path: Path | None, options: PypolymlpOptions) -> Potential:
    """Read a potential file, compressed or not.

    Raises
    ------
    PotentialError
        There is no file, or it is not a polynomial potential.
    """
    from phono3py_mlp_plugin.calculators.pypolymlp import library, native

    if path is None:
        raise PotentialError(
            "pypolymlp: a potential file is needed; train one or give --mlp-file."
        )
    try:
        with open_text(path) as file:
            text = file.read()
    except UNREADABLE as error:
        raise PotentialError(
            f"{path}: not a polynomial potential ({one_line(error)}). Remove it or "
            "name another one by --mlp-file."
        ) from error
    if options.engine == "pypolymlp":
        return library.load(text, str(path))
    try:
        return native.load(text, str(path))
    except NotCovered:
        if options.engine == "native":
            raise
        return library.load(text, str(path))


@hookimpl
def phono3py_mlp_force_calculators() -> Iterable[ForceCalculator]:
    """Offer polynomial potentials."""
    yield ForceCalculator(
        name="pypolymlp",
        summary="polynomial machine-learning potentials, trained on the dataset",
        load=load,
        train=train,
        train_nested=train_nested,
        forecast=forecast,
        options=PypolymlpOptions,
        file_names=("polymlp.yaml", "phonopy.pmlp", "phono3py.pmlp"),
        citation="A. Seko, J. Appl. Phys. 133, 011101 (2023)",
    )

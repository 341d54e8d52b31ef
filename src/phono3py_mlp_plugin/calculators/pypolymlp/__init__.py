"""Polynomial machine-learning potentials: the calculator that ``--pypolymlp`` means.

A. Seko, J. Appl. Phys. 133, 011101 (2023). Runs on the engine of this package
(`native`); the pypolymlp library (`library`) is optional, for what the engine does not
cover and for comparison.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
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
from phono3py_mlp_plugin.files import UNREADABLE, open_text, potential_files
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


def learning_curve(
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
    return native.learning_curve(training, test, sizes, options, ensemble, progress)


def load(path: Path | None, options: PypolymlpOptions) -> Potential:
    """Read a potential file, compressed or not, or the files of a hybrid model.

    Raises
    ------
    PotentialError
        There is no file, it is not a polynomial potential, or files do not make one
        hybrid model.
    """
    from phono3py_mlp_plugin.calculators.pypolymlp import library, native
    from phono3py_mlp_plugin.calculators.pypolymlp.hybrid import Part, joined

    if path is None:
        raise PotentialError(
            "pypolymlp: a potential file is needed; train one or give --mlp-file."
        )
    texts = {str(file): _text(file) for file in potential_files(path) or (path,)}

    def read(engine: Callable[[str, str], Part]) -> Potential:
        return joined({name: engine(text, name) for name, text in texts.items()})

    if options.engine == "pypolymlp":
        return read(library.load)
    try:
        return read(native.load)
    except NotCovered:
        if options.engine == "native":
            raise
        return read(library.load)


def _text(path: Path) -> str:
    try:
        with open_text(path) as file:
            return file.read()
    except UNREADABLE as error:
        raise PotentialError(
            f"{path}: not a polynomial potential ({one_line(error)}). Remove it or "
            "name another one by --mlp-file."
        ) from error


@hookimpl
def phono3py_mlp_force_calculators() -> Iterable[ForceCalculator]:
    """Offer polynomial potentials."""
    yield ForceCalculator(
        name="pypolymlp",
        summary="polynomial machine-learning potentials, trained on the dataset",
        load=load,
        train=train,
        learning_curve=learning_curve,
        forecast=forecast,
        options=PypolymlpOptions,
        file_names=("polymlp.yaml", "phonopy.pmlp", "phono3py.pmlp"),
        citation="A. Seko, J. Appl. Phys. 133, 011101 (2023)",
    )

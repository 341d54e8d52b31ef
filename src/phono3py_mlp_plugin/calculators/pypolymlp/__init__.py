"""Polynomial machine-learning potentials, the calculator of ``--pypolymlp``.

A. Seko, J. Appl. Phys. 133, 011101 (2023). The engine of this package (`native`) is
used by default. The pypolymlp library (`library`) is optional; it is used for models
that the engine does not support, and for comparison.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from phono3py_mlp_plugin.calculators.pypolymlp.options import PypolymlpOptions
from phono3py_mlp_plugin.contracts import (
    Dataset,
    Ensemble,
    ForceCalculator,
    MapChunks,
    NestedFit,
    Potential,
    Progress,
    TrainedPotential,
    TrainingCost,
    map_here,
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
    """Return the expected cost of a training as lines of text.

    Raises
    ------
    ResourceError
        If the memory is not sufficient.
    """
    from phono3py_mlp_plugin.calculators.pypolymlp import native

    if options.engine == "pypolymlp":
        return ()
    return native.forecast(training, test, options)


def cost(
    training: Dataset, test: Dataset, options: PypolymlpOptions, members: int
) -> TrainingCost:
    """Return what a training by the engine of this package costs on this machine.

    Raises
    ------
    ParameterError
        If ``engine = pypolymlp``.
    ResourceError
        If the memory is not sufficient.
    """
    from phono3py_mlp_plugin.calculators.pypolymlp import native

    if options.engine == "pypolymlp":
        raise ParameterError(
            "engine = pypolymlp: there is no forecast for it. Leave it out."
        )
    return native.cost(training, test, options, members)


def train(
    training: Dataset,
    test: Dataset,
    options: PypolymlpOptions,
    progress: Progress,
    map_chunks: MapChunks = map_here,
) -> TrainedPotential:
    """Fit the coefficients by ridge regression; the test set selects the penalty.

    pypolymlp itself does not use ``map_chunks``.

    Raises
    ------
    ParameterError
        If ``engine = pypolymlp`` and there are structures besides supercells.
    PotentialError
        If all penalties failed, or an element is missing in ``atom_energies``.
    ResourceError
        If the memory is not sufficient.
    """
    from phono3py_mlp_plugin.calculators.pypolymlp import library, native

    if options.engine == "pypolymlp":
        if training.structures:
            raise ParameterError(
                "engine = pypolymlp: is trained on supercells alone here. Leave it "
                "out, or leave out --training-structures."
            )
        return library.train(training, test, options, progress)
    return native.train(training, test, options, progress, map_chunks)


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
    ParameterError
        If ``engine = pypolymlp``, which does not support it.
    PotentialError, ResourceError
        See `train`.
    """
    from phono3py_mlp_plugin.calculators.pypolymlp import native

    if options.engine == "pypolymlp":
        raise ParameterError(
            "engine = pypolymlp gives no error bars. Leave it out: engine = native."
        )
    return native.learning_curve(
        training, test, sizes, options, ensemble, progress, map_chunks
    )


def load(path: Path | None, options: PypolymlpOptions) -> Potential:
    """Read a potential file, which may be compressed, or the files of a hybrid model.

    Raises
    ------
    PotentialError
        If there is no file, it is not a polynomial potential, or the files do not form
        a hybrid model.
    """
    from phono3py_mlp_plugin.calculators.pypolymlp import library, native
    from phono3py_mlp_plugin.calculators.pypolymlp.hybrid import Part, single_or_hybrid

    if path is None:
        raise PotentialError(
            "pypolymlp: a potential file is needed; train one or give --mlp-file."
        )
    texts = {str(file): _text(file) for file in potential_files(path) or (path,)}

    def read(engine: Callable[[str, str], Part]) -> Potential:
        return single_or_hybrid(
            {name: engine(text, name) for name, text in texts.items()}
        )

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
    """Register the calculator pypolymlp."""
    yield ForceCalculator(
        name="pypolymlp",
        summary="polynomial machine-learning potentials, trained on the dataset",
        load=load,
        train=train,
        learning_curve=learning_curve,
        forecast=forecast,
        cost=cost,
        options=PypolymlpOptions,
        file_names=("polymlp.yaml", "phonopy.pmlp", "phono3py.pmlp"),
        citation="A. Seko, J. Appl. Phys. 133, 011101 (2023)",
        derivatives=True,
        takes_structures=True,
        distributes_training=True,
    )

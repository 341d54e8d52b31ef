"""Training a potential, and what it was made from."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from phono3py_mlp_plugin.contracts import Dataset, Potential, Progress, no_progress
from phono3py_mlp_plugin.errors import ParameterError
from phono3py_mlp_plugin.files import Provenance, fingerprint, write_potential
from phono3py_mlp_plugin.files.potential import FORMAT_VERSION
from phono3py_mlp_plugin.options import READING, RESOURCE
from phono3py_mlp_plugin.plugins import DISTRIBUTION, blame
from phono3py_mlp_plugin.workflow.crystal import check_supercell
from phono3py_mlp_plugin.workflow.dataset import Split
from phono3py_mlp_plugin.workflow.evaluate import evaluate, root_mean_square_errors
from phono3py_mlp_plugin.workflow.request import Request


@dataclass(frozen=True, eq=False)
class Training:
    """A trained potential and its provenance.

    Attributes
    ----------
    potential : Potential
    provenance : Provenance
        Split, parameters, errors, ridge path, versions.
    """

    potential: Potential
    provenance: Provenance

    def save(self, path: str | Path) -> None:
        """Write the potential with its provenance; whole or not at all."""
        write_potential(self.potential, Path(path), self.provenance)


def train(
    request: Request, dataset: Dataset, split: Split, progress: Progress = no_progress
) -> Training:
    """Train a potential and measure its errors on both sets.

    Parameters
    ----------
    request : Request
        Calculator and options.
    dataset : Dataset
    split : Split
    progress : Progress

    Raises
    ------
    DatasetError
        The supercell is no crystal that can be computed.
    ParameterError
        The calculator cannot be trained.
    PluginFailed
        Its training raised.
    """
    calculator = request.calculator
    if calculator.train is None:
        raise ParameterError(
            f"force calculator {calculator.name!r} cannot be trained; it is used as it "
            "is."
        )
    check_supercell(dataset.supercell, "supercell of the dataset")
    training, test = dataset.select(split.training), dataset.select(split.test)
    with blame(f"force calculator {calculator.name!r} failed in training"):
        trained = calculator.train(training, test, request.options, progress)
    rmse = {
        name: root_mean_square_errors(
            part,
            evaluate(
                calculator.name,
                trained.potential,
                part.supercells(),
                progress,
                f"Evaluating the {name} set",
            ),
        )
        for name, part in (("training", training), ("test", test))
    }
    provenance = Provenance(
        fingerprint=training_fingerprint(request, dataset, split),
        calculator=calculator.name,
        parameters=_plain_options(request),
        split=str(split),
        n_training=len(training),
        n_test=len(test),
        n_features=trained.n_features,
        rmse=rmse,
        alpha=trained.alpha,
        penalties=[asdict(penalty) for penalty in trained.penalties],
        engine=engine_of(trained.potential),
        versions=_versions(engine_of(trained.potential) or calculator.name),
    )
    return Training(trained.potential, provenance)


def forecast(request: Request, dataset: Dataset, split: Split) -> Sequence[str]:
    """Return lines on what a training will take, where the calculator tells.

    Raises
    ------
    ResourceError
        The memory would not suffice.
    """
    calculator = request.calculator
    if calculator.forecast is None:
        return ()
    training, test = dataset.select(split.training), dataset.select(split.test)
    with blame(f"force calculator {calculator.name!r} failed in its forecast"):
        return calculator.forecast(training, test, request.options)


def engine_of(potential: Potential) -> str:
    """Return what computes the potential, where it has a name."""
    return str(getattr(potential, "engine", ""))


def training_fingerprint(request: Request, dataset: Dataset, split: Split) -> str:
    """Return the fingerprint of all that decides what a training yields."""
    cell = dataset.supercell
    return fingerprint(
        {
            "format": FORMAT_VERSION,
            "calculator": request.calculator.name,
            "options": deciding_options(request),
            "lattice": cell.cell,
            "positions": cell.scaled_positions,
            "symbols": list(cell.symbols),
            "displacements": dataset.displacements,
            "forces": dataset.forces,
            "energies": dataset.energies,
            "training": split.training,
            "test": split.test,
        }
    )


def training_parameters(request: Request, split: Split) -> dict[str, Any]:
    """Return the options and the sizes of the split, by name."""
    sizes = {"ntrain": len(split.training), "ntest": len(split.test)}
    return {**_plain_options(request), **sizes, "split": str(split)}


def unused_parameters(request: Request) -> list[str]:
    """Return the names of parameters given that only a training would use."""
    if request.calculator.train is None:
        return []
    defaults = type(request.options)()
    given = [
        item.name
        for item in fields(request.options)
        if READING not in item.metadata
        and getattr(request.options, item.name) != getattr(defaults, item.name)
    ]
    return given + [
        item.name
        for item in fields(request.split)
        if getattr(request.split, item.name) != item.default
    ]


def deciding_options(request: Request) -> dict[str, Any]:
    """Return the options that decide what a training yields."""
    return {
        item.name: getattr(request.options, item.name)
        for item in fields(request.options)
        if RESOURCE not in item.metadata
    }


def _plain_options(request: Request) -> dict[str, Any]:
    """Return these options as YAML knows them: lists for tuples."""
    return {k: _plain(v) for k, v in deciding_options(request).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value


def _versions(engine: str) -> dict[str, str]:
    """Return the versions of what took part: an engine may be a distribution."""
    versions = {}
    for name in (DISTRIBUTION, "phono3py", engine.split()[0]):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions

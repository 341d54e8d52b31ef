"""Training of potentials, and the record of their origin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from phono3py_mlp_plugin.contracts import (
    Dataset,
    ForceCalculator,
    Potential,
    Progress,
    no_progress,
)
from phono3py_mlp_plugin.errors import ParameterError
from phono3py_mlp_plugin.files import (
    Provenance,
    content_of,
    fingerprint,
    versions_of,
    write_potential,
)
from phono3py_mlp_plugin.files.provenance import FORMAT_VERSION
from phono3py_mlp_plugin.options import READING, RESOURCE
from phono3py_mlp_plugin.parallel import SERIAL, Distribution
from phono3py_mlp_plugin.plugins import DISTRIBUTION, plugin_errors, registry
from phono3py_mlp_plugin.workflow.arguments import check_arguments
from phono3py_mlp_plugin.workflow.crystal import check_supercell
from phono3py_mlp_plugin.workflow.dataset import Split
from phono3py_mlp_plugin.workflow.evaluate import evaluate, root_mean_square_errors
from phono3py_mlp_plugin.workflow.physics import check_fit
from phono3py_mlp_plugin.workflow.request import CalculatorSpec
from phono3py_mlp_plugin.workflow.reuse import engine_of
from phono3py_mlp_plugin.workflow.structures import (
    check_structures_used,
    errors_on_structures,
    structures_content,
)

CONTINUE_REMEDY = (
    "To continue anyway, use --allow-poor-fit, or allow_poor_fit = True in Python."
)
"""How to accept a poor fit, the last sentence of the error message."""


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
        """Write the potential with its provenance atomically."""
        check_arguments(path=path)
        write_potential(self.potential, Path(path), self.provenance)


def train(
    spec: CalculatorSpec,
    dataset: Dataset,
    split: Split,
    progress: Progress = no_progress,
    allow_poor_fit: bool = False,
    distribution: Distribution = SERIAL,
) -> Training:
    """Train a potential and compute its errors on the training and test sets.

    Parameters
    ----------
    spec : CalculatorSpec
        The calculator and its options.
    dataset : Dataset
    split : Split
    progress : Progress
    allow_poor_fit : bool
        Whether a potential with a large test error is returned, too.
    distribution : Distribution
        Where features, their sums and the errors are computed. Each part of a run
        computes them all.

    Raises
    ------
    DatasetError
        If the supercell is invalid.
    ParameterError
        If the calculator cannot be trained.
    PluginFailed
        If the calculator raised an exception.
    PhysicsError
        If the test error is comparable to the forces; see `check_fit`.
    """
    calculator = spec.calculator
    if calculator.train is None:
        raise ParameterError(
            f"force calculator {calculator.name!r} cannot be trained; it is used as it "
            "is."
        )
    check_supercell(dataset.supercell, "supercell of the dataset")
    check_structures_used(calculator, dataset)
    training, test = dataset.select(split.training), dataset.select(split.test)
    with plugin_errors(f"force calculator {calculator.name!r} failed in training"):
        trained = calculator.train(
            training,
            test,
            spec.options,
            progress,
            **training_arguments(calculator, distribution),
        )
    rmse = {
        name: root_mean_square_errors(
            part,
            evaluate(
                calculator.name,
                trained.potential,
                part.supercells(),
                progress,
                f"Evaluating the {name} set",
                distribution=distribution.without_parts(),
            ),
        )
        for name, part in (("training", training), ("test", test))
    }
    if dataset.structures:
        rmse["structures"] = errors_on_structures(
            calculator.name, trained.potential, dataset.structures
        )
    check_fit(
        rmse["test"]["force"], test.forces, allow=allow_poor_fit, remedy=CONTINUE_REMEDY
    )
    provenance = Provenance(
        fingerprint=training_fingerprint(spec, dataset, split),
        calculator=calculator.name,
        parameters=_plain_options(spec),
        split=str(split),
        n_training=len(training),
        n_test=len(test),
        n_features=trained.n_features,
        n_structures=len(dataset.structures),
        rmse=rmse,
        alpha=trained.alpha,
        penalties=[asdict(penalty) for penalty in trained.penalties],
        engine=engine_of(trained.potential),
        versions=_versions(engine_of(trained.potential) or calculator.name, spec),
    )
    return Training(trained.potential, provenance)


def training_arguments(
    calculator: ForceCalculator, distribution: Distribution
) -> dict[str, Any]:
    """Return the keywords by which a training gives work to workers, if it does."""
    if not calculator.distributes_training:
        return {}
    return {"map_chunks": distribution.mapped("training")}


def forecast(spec: CalculatorSpec, dataset: Dataset, split: Split) -> Sequence[str]:
    """Return the expected cost of a training as lines of text, if it is known.

    Raises
    ------
    ResourceError
        If the memory is not sufficient.
    """
    calculator = spec.calculator
    if calculator.forecast is None:
        return ()
    training, test = dataset.select(split.training), dataset.select(split.test)
    with plugin_errors(f"force calculator {calculator.name!r} failed in its forecast"):
        return calculator.forecast(training, test, spec.options)


def training_fingerprint(spec: CalculatorSpec, dataset: Dataset, split: Split) -> str:
    """Return the fingerprint of everything that affects the result of a training."""
    cell = dataset.supercell
    return fingerprint(
        {
            "format": FORMAT_VERSION,
            "calculator": spec.calculator.name,
            "options": content_of(deciding_options(spec)),
            "versions": _deciding_versions(spec),
            "lattice": cell.cell,
            "positions": cell.scaled_positions,
            "symbols": list(cell.symbols),
            "displacements": dataset.displacements,
            "forces": dataset.forces,
            "energies": dataset.energies,
            "training": split.training,
            "test": split.test,
            **structures_content(dataset.structures),
        }
    )


def training_parameters(spec: CalculatorSpec, split: Split) -> dict[str, Any]:
    """Return the options, versions and sizes of the split by name."""
    sizes = {"ntrain": len(split.training), "ntest": len(split.test)}
    versions = _deciding_versions(spec)
    return {**_plain_options(spec), **versions, **sizes, "split": str(split)}


def unused_parameters(spec: CalculatorSpec) -> list[str]:
    """Return the names of the given parameters that are used only in a training."""
    if spec.calculator.train is None:
        return []
    defaults = type(spec.options)()
    given = [
        item.name
        for item in fields(spec.options)
        if READING not in item.metadata
        and getattr(spec.options, item.name) != getattr(defaults, item.name)
    ]
    return given + [
        item.name
        for item in fields(spec.split)
        if getattr(spec.split, item.name) != item.default
    ]


def deciding_options(spec: CalculatorSpec) -> dict[str, Any]:
    """Return the options that affect the result of a training."""
    return {
        item.name: getattr(spec.options, item.name)
        for item in fields(spec.options)
        if RESOURCE not in item.metadata
    }


def _deciding_versions(spec: CalculatorSpec) -> dict[str, str]:
    """Return the versions that affect the result of a training.

    Results of this package change only with the version of the file format.
    """
    versions = {}
    offered = registry().calculators.get(spec.calculator.name)
    if offered is not None and offered.origin.distribution != DISTRIBUTION:
        versions[offered.origin.distribution] = offered.origin.version
    engine = getattr(spec.options, "engine", None)
    return versions | (versions_of([engine]) if engine else {})


def _plain_options(spec: CalculatorSpec) -> dict[str, Any]:
    """Return the options as plain YAML types, with lists instead of tuples."""
    return {k: _plain(v) for k, v in deciding_options(spec).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value


def _versions(engine: str, spec: CalculatorSpec) -> dict[str, str]:
    """Return the versions of all packages used; an engine may be one of them."""
    names = (DISTRIBUTION, "phono3py", engine.split()[0])
    return versions_of(names) | _deciding_versions(spec)

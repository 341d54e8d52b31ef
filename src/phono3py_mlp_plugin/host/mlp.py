"""The host's PhonopyMLP on top of force-calculator plugins."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from phonopy.interface.mlp import PhonopyMLP

from phono3py_mlp_plugin import plugins
from phono3py_mlp_plugin.contracts import Dataset, Potential
from phono3py_mlp_plugin.errors import DatasetError, ParameterError, PotentialError
from phono3py_mlp_plugin.files import (
    PartialEvaluations,
    Provenance,
    back_up,
    find_potential,
    fingerprint,
    open_text,
    other_parts,
    potential_files,
    read_provenance,
    write_potential,
)
from phono3py_mlp_plugin.host.bindings import original
from phono3py_mlp_plugin.host.output import error_table, progress, ridge_lines, show
from phono3py_mlp_plugin.host.solvers import leave_to_host
from phono3py_mlp_plugin.workflow import (
    Request,
    Split,
    check_dataset,
    check_fit,
    check_split,
    decide_potential,
    engine_of,
    evaluate,
    forecast,
    read_dataset,
    request_calculator,
    root_mean_square_errors,
    train,
    training_fingerprint,
    training_parameters,
    unused_parameters,
)

if TYPE_CHECKING:
    from phono3py import Phono3py
    from phonopy.structure.atoms import PhonopyAtoms

DEFAULT_CALCULATOR = "pypolymlp"
DEFAULT_FILE = "polymlp.yaml"

_GO_ON = "--allow-poor-fit goes on."


class PluginMLP(PhonopyMLP):
    """What ``Phono3py.mlp`` is: a potential of any force calculator.

    Attributes
    ----------
    calculator : str
    potential : Potential or None
    provenance : Provenance or None
        None for a potential that was read and does not say.
    origin : str or None
        Fingerprint of what decides the potential's forces.
    folder : Path or None
        Where long evaluations are kept by parts.
    """

    def __init__(self, mlp: Any = None, log_level: int = 0) -> None:
        super().__init__(mlp=mlp, log_level=log_level)
        self.calculator = DEFAULT_CALCULATOR
        self.potential: Potential | None = None
        self.provenance: Provenance | None = None
        self.origin: str | None = None
        self.folder: Path | None = None

    @property
    def mlp(self) -> Any:
        """The native object of the library behind the potential, where it has one."""
        if self.potential is None:
            return self._mlp
        return getattr(self.potential, "polymlp", self.potential)

    def develop(
        self,
        mlp_dataset: Any,
        supercell: PhonopyAtoms,
        params: Any = None,
        test_size: float = 0.1,
        allow_poor_fit: bool = False,
    ) -> None:
        """Train on displacements, forces and energies of one supercell."""
        dataset = read_dataset(mlp_dataset, supercell, "mlp_dataset")
        if dataset is None:
            raise DatasetError("mlp_dataset: forces are missing; training needs them.")
        request = request_calculator(self.calculator, _by_name(params), "mlp_params")
        split = request.divide(len(dataset), test_size)
        show(dataset_notes(dataset, split), self._log_level)
        self.train(request, dataset, split, allow_poor_fit)

    def train(
        self,
        request: Request,
        dataset: Dataset,
        split: Split,
        allow_poor_fit: bool = False,
    ) -> None:
        """Train as requested."""
        training = train(
            request, dataset, split, progress(self._log_level), allow_poor_fit
        )
        self.calculator = request.calculator.name
        self.potential = training.potential
        self.provenance = training.provenance
        self.origin = training.provenance.fingerprint

    def load(self, filename: str | os.PathLike[str] | None = None) -> PluginMLP:
        """Read a potential of the default calculator."""
        path = Path(DEFAULT_FILE if filename is None else filename)
        return self.read(request_calculator(self.calculator), path)

    def read(self, request: Request, path: Path | None) -> PluginMLP:
        """Read a potential from a file, or make one that needs none."""
        if path is not None and not potential_files(path):
            raise PotentialError(
                f'"{path}" is not found. Train a potential or name one.'
            )
        self.calculator = request.calculator.name
        self.potential = plugins.load(request.calculator, path, request.options)
        self.provenance = None if path is None else read_provenance(path)
        self.origin = _origin(request, path)
        return self

    def save(
        self, filename: str | os.PathLike[str] | None = None, optimal: bool = True
    ) -> None:
        """Write the potential with its provenance; not ``optimal``: every penalty's."""
        if self.potential is None:
            raise PotentialError("there is no potential to save; train or load one.")
        if not optimal:
            if not hasattr(self.potential, "save_all"):
                raise ParameterError(
                    f"optimal = False: {self.calculator} has no potentials of other "
                    "penalties."
                )
            self.potential.save_all = True
        path = Path(DEFAULT_FILE if filename is None else filename)
        if self.provenance is None:
            self.potential.save(path)
        else:
            write_potential(self.potential, path, self.provenance)

    def evaluate(
        self, supercells_with_displacements: Sequence[PhonopyAtoms | None]
    ) -> tuple[Any, Any, Any]:
        """Return energies (n,), forces (n, N, 3) and the host's six stresses (n, 6).

        The stresses are in eV per supercell, xx yy zz xy yz zx, positive under
        compression, as the host has them; zero where the calculator gives none.
        """
        if self.potential is None:
            raise PotentialError(
                "there is no potential to evaluate; train or load one."
            )
        leave_to_host(False)
        cells = list(supercells_with_displacements)
        result = evaluate(
            self.calculator,
            self.potential,
            cells,
            progress(self._log_level),
            keep=self._partial(cells),
        )
        stresses = np.zeros((len(cells), 6))
        if result.stresses is not None:
            volumes = np.array([0.0 if c is None else c.volume for c in cells])
            virials = -result.stresses * volumes[:, None, None]
            stresses = virials[:, (0, 1, 2, 0, 1, 2), (0, 1, 2, 1, 2, 0)]
        return result.energies, result.forces, stresses

    def _partial(
        self, cells: Sequence[PhonopyAtoms | None]
    ) -> PartialEvaluations | None:
        """Return where parts of this evaluation are kept, in a run of a command."""
        if self.folder is None:
            return None
        positions = np.array([cell.positions for cell in cells if cell is not None])
        key = fingerprint({"potential": self.origin, "positions": positions})
        return PartialEvaluations(self.folder, key)


def develop_or_load(
    phonon: Any,
    mlp_params: Any = None,
    mlp_filename: str | os.PathLike[str] | None = None,
    log_level: int = 0,
) -> None:
    """Stand for the host's function of phono3py.load; phonopy keeps its own."""
    from phono3py import Phono3py

    if not isinstance(phonon, Phono3py):
        original("phonopy.cui.load_helper:develop_or_load_pypolymlp")(
            phonon,
            mlp_params=mlp_params,
            mlp_filename=mlp_filename,
            log_level=log_level,
        )
        return
    request = request_calculator(DEFAULT_CALCULATOR, _by_name(mlp_params), "mlp_params")
    dataset = read_dataset(phonon.mlp_dataset, phonon.supercell, "mlp_dataset")
    path = None if mlp_filename is None else Path(mlp_filename)
    obtain_potential(phonon, request, dataset, path, log_level)


def obtain_potential(
    ph3: Phono3py,
    request: Request,
    dataset: Dataset | None,
    path: Path | None,
    log_level: int,
    allow_poor_fit: bool = False,
) -> None:
    """Give ``ph3`` the potential asked for: read, used again, or trained and saved.

    Parameters
    ----------
    ph3 : Phono3py
    request : Request
    dataset : Dataset or None
        What there is to train on.
    path : Path or None
        The potential file that the user named: it is used as it is.
    log_level : int
    allow_poor_fit : bool
        Go on although its error is of the size of the forces.
    """
    calculator = request.calculator
    show(
        [
            f" {calculator.name} start ".center(76, "-"),
            calculator.summary[0].upper() + calculator.summary[1:] + ".",
            *([f"Please cite: {calculator.citation}."] if calculator.citation else []),
        ],
        log_level,
    )
    mlp = PluginMLP(log_level=log_level)
    if path is None and calculator.train is not None and dataset is not None:
        _reuse_or_train(mlp, request, dataset, log_level, allow_poor_fit)
    else:
        _read(mlp, request, path, dataset, log_level, allow_poor_fit)
    ph3.mlp = mlp
    show([f" {calculator.name} end ".center(76, "-")], log_level)


def _reuse_or_train(
    mlp: PluginMLP,
    request: Request,
    dataset: Dataset,
    log_level: int,
    allow_poor_fit: bool,
) -> None:
    """Use the potential in the folder where it is the one asked for, else train it."""
    names = request.calculator.file_names
    found = find_potential(names, Path())
    split = request.divide(len(dataset))
    notes = dataset_notes(dataset, split)
    if found is not None:
        decision = decide_potential(
            found,
            read_provenance(found),
            training_fingerprint(request, dataset, split),
            training_parameters(request, split),
        )
        show([decision.reason], log_level)
        if decision.reuse:
            mlp.read(request, found)
            _show_provenance(mlp, log_level)
            if mlp.provenance is not None:
                check_fit(
                    mlp.provenance.rmse["test"]["force"],
                    dataset.select(split.test).forces,
                    allow=allow_poor_fit,
                    remedy=_GO_ON,
                )
            return
    show(
        [
            "Parameters:",
            *(f"  {k}: {v}" for k, v in dataclasses.asdict(request.options).items()),
            *notes,
            _split_line(dataset, split),
            *forecast(request, dataset, split),
        ],
        log_level,
    )
    mlp.train(request, dataset, split, allow_poor_fit)
    target = Path(names[0] if names else f"{request.calculator.name}.potential")
    if target.is_file():
        show([f'The old potential is kept as "{back_up(target)}".'], log_level)
    mlp.save(target)
    mlp.origin = _origin(request, target)
    _show_provenance(mlp, log_level)
    show([f'The potential was written into "{target}".'], log_level)


def dataset_notes(dataset: Dataset, split: Split) -> list[str]:
    """Return lines on what looks suspicious; what cannot be used is an error."""
    notes = [*check_dataset(dataset), *check_split(dataset, split)]
    if dataset.energies is None:
        notes.append("the dataset has no energies: trained on forces alone.")
    return [f"Note: {note}" for note in notes]


def _split_line(dataset: Dataset, split: Split) -> str:
    training, test = (
        (f"{split}", "the rest") if split.shuffled else ("the first", "the last")
    )
    return (
        f"Training on {len(split.training)} supercells ({training}), testing on "
        f"{len(split.test)} ({test}) of {len(dataset)}..."
    )


def _read(
    mlp: PluginMLP,
    request: Request,
    path: Path | None,
    dataset: Dataset | None,
    log_level: int,
    allow_poor_fit: bool,
) -> None:
    """Read the potential named or found, and compare it with the dataset."""
    names = request.calculator.file_names
    found = path or find_potential(names, Path())
    if found is None and names:
        raise DatasetError(
            f"there is neither a dataset with forces to train on nor a potential "
            f"({', '.join(names)}). Give phono3py_params.yaml, or --mlp-file FILE."
        )
    mlp.read(request, found)
    if found is not None:
        show(_reading_lines(found), log_level)
    unused = unused_parameters(request)
    if unused:
        show(
            [f"Nothing is trained: {', '.join(unused)} given, and not used."], log_level
        )
    _show_provenance(mlp, log_level)
    if dataset is not None:
        assert mlp.potential is not None
        result = evaluate(
            mlp.calculator, mlp.potential, dataset.supercells(), progress(log_level)
        )
        rmse = root_mean_square_errors(dataset, result)
        show(
            [
                "Nothing is trained in this run. Forces differ from those of the "
                f"dataset ({len(dataset)} supercells) by {rmse['force']:.6f} "
                "eV/angstrom (rms)."
            ],
            log_level,
        )
        fit = check_fit(
            rmse["force"],
            dataset.forces,
            # A calculator that is not trained makes no claim on these forces.
            allow=allow_poor_fit or request.calculator.train is None,
            remedy=_GO_ON,
        )
        show([] if fit.passed else [str(fit)], log_level)


def _reading_lines(path: Path) -> list[str]:
    """Return which files were read, and what the user may have meant besides."""
    parts = " + ".join(f'"{part}"' for part in potential_files(path))
    remark = " (this format is obsolete)" if ".pmlp" in path.name else ""
    if not path.is_file():
        remark += ", the parts of a hybrid model"
    lines = [f"The potential was read from {parts}{remark}."]
    others = ", ".join(part.name for part in other_parts(path))
    if others:
        lines.append(
            f"Note: {others} beside it: not used. If they are parts of one hybrid "
            f"model, give --mlp-file {path.with_suffix('')} to use all."
        )
    return lines


def _show_provenance(mlp: PluginMLP, log_level: int) -> None:
    assert mlp.potential is not None
    engine = engine_of(mlp.potential)
    if engine:
        show([f"Engine: {engine}."], log_level)
    if mlp.provenance is not None:
        show([*ridge_lines(mlp.provenance), *error_table(mlp.provenance)], log_level)


def _origin(request: Request, path: Path | None) -> str:
    """Return the fingerprint of what decides the forces of a potential."""
    content: dict[str, Any] = {"calculator": request.calculator.name}
    if path is not None:
        texts = []
        for part in potential_files(path):
            with open_text(part) as file:
                texts.append(file.read())
        content["file"] = "".join(texts)
    if path is None or request.calculator.train is None:
        content["options"] = request.options
    return fingerprint(content)


def _by_name(params: Any) -> str | Mapping[str, Any] | None:
    """Return the host's parameters as text or by name, those not set left out."""
    if params is None or isinstance(params, str | Mapping):
        return params
    if dataclasses.is_dataclass(params) and not isinstance(params, type):
        return dataclasses.asdict(params)
    raise DatasetError(
        f"mlp_params is a {type(params).__name__}; expected text, a dict or "
        "PypolymlpParams."
    )

"""Polynomial machine-learning potentials of the pypolymlp library.

A. Seko, J. Appl. Phys. 133, 011101 (2023). The library is imported inside the
functions: it is optional, and asking for another calculator must not pay for it.
"""

from __future__ import annotations

import importlib.util
import io
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import yaml

from phono3py_mlp_plugin.contracts import (
    Dataset,
    Evaluation,
    ForceCalculator,
    Progress,
    RidgePenalty,
    TrainedPotential,
)
from phono3py_mlp_plugin.errors import ParameterError, PotentialError, one_line
from phono3py_mlp_plugin.files import UNREADABLE, open_text
from phono3py_mlp_plugin.hookspecs import hookimpl

if TYPE_CHECKING:
    from phonopy.structure.atoms import PhonopyAtoms

# pypolymlp marks a penalty whose Cholesky factorisation failed by an error above this.
_FAILED_RMSE = 1e6

# What pypolymlp's readers raise on a file that is something else.
_FOREIGN = (
    *UNREADABLE,
    AttributeError,
    IndexError,
    KeyError,
    TypeError,
    ValueError,
    yaml.YAMLError,
)

# xx yy zz xy yz zx, the order of pypolymlp's six components.
_ROWS, _COLUMNS = (0, 1, 2, 0, 1, 2), (0, 1, 2, 1, 2, 0)


@dataclass(frozen=True)
class PypolymlpOptions:
    """Model and regression parameters; names and defaults are those of the host."""

    cutoff: float = field(default=8.0, metadata={"help": "cutoff radius (angstrom)"})
    model_type: Literal[1, 2, 3, 4] = field(
        default=3,
        metadata={
            "help": "1: linear in the invariants, 2: polynomial of them, "
            "3: polynomial of pair invariants + linear, "
            "4: polynomial of pair and second-order invariants + linear"
        },
    )
    max_p: Literal[1, 2, 3] = field(
        default=2, metadata={"help": "order of the polynomial"}
    )
    gtinv_order: Literal[1, 2, 3, 4, 5, 6] = field(
        default=3, metadata={"help": "highest order of the invariants"}
    )
    gtinv_maxl: tuple[int, ...] = field(
        default=(8, 8), metadata={"help": "highest l of the invariants, from order 2"}
    )
    gaussian_params1: tuple[float, float, int] = field(
        default=(1.0, 1.0, 1), metadata={"help": "Gaussian exponents: from, to, number"}
    )
    gaussian_params2: tuple[float, float, int] = field(
        default=(0.0, 7.0, 10), metadata={"help": "Gaussian centres: from, to, number"}
    )
    atom_energies: dict[str, float] | None = field(
        default=None,
        metadata={"help": "energies of isolated atoms (eV), 'Na -1 Cl -2'"},
    )
    reg_alpha_params: tuple[float, float, int] = field(
        default=(-3.0, 1.0, 5),
        metadata={"help": "log10 of the ridge penalties: from, to, number"},
    )
    optimal: bool = field(
        default=True,
        metadata={"help": "false: also write the potential of every penalty"},
    )

    def __post_init__(self) -> None:
        if self.cutoff <= 0:
            raise ParameterError(f"cutoff = {self.cutoff}; expected a positive length.")
        if len(self.gtinv_maxl) < self.gtinv_order - 1:
            raise ParameterError(
                f"gtinv_maxl has {len(self.gtinv_maxl)} values; gtinv_order = "
                f"{self.gtinv_order} needs {self.gtinv_order - 1}."
            )
        for name in ("gaussian_params1", "gaussian_params2", "reg_alpha_params"):
            if getattr(self, name)[2] < 1:
                raise ParameterError(f"{name}: the number of values must be positive.")


class PolynomialPotential:
    """A trained pypolymlp model, its evaluator built once, at the first use."""

    def __init__(self, polymlp: Any, *, save_all: bool = False) -> None:
        self.polymlp = polymlp
        self.save_all = save_all
        self._evaluator: Any = None

    @property
    def elements(self) -> tuple[str, ...]:
        """Chemical symbols of the model, in its own order."""
        return tuple(self.polymlp.parameters.elements)

    @property
    def n_features(self) -> int:
        """Number of coefficients."""
        return len(np.ravel(self.polymlp.coeffs))

    def evaluate(self, supercells: Sequence[PhonopyAtoms]) -> Evaluation:
        """Return energies (eV), forces (eV/angstrom) and stresses (eV/angstrom^3)."""
        from pypolymlp.calculator.properties import Properties
        from pypolymlp.utils.phonopy_utils import phonopy_cell_to_structure

        if self._evaluator is None:
            self._evaluator = Properties(
                params=self.polymlp.parameters, coeffs=self.polymlp.coeffs
            )
        energies, forces, virials = self._evaluator.eval_multiple(
            [phonopy_cell_to_structure(cell) for cell in supercells]
        )
        volumes = np.array([cell.volume for cell in supercells])
        return Evaluation(
            np.array(energies, dtype="double"),
            np.array(np.transpose(forces, (0, 2, 1)), dtype="double", order="C"),
            _stresses(np.asarray(virials), volumes),
        )

    def save(self, path: Path) -> None:
        """Write the potential; also that of every penalty where that was asked."""
        self.polymlp.save_mlp(filename=str(path))
        if self.save_all:
            log = path.with_suffix(".log")
            self.polymlp.save_mlp(
                filename=str(path), filename_log=str(log), optimal=False
            )
            # The log names its files by path; they will be moved together with it.
            log.write_text(log.read_text().replace(f"{path.parent}{os.sep}", ""))


def train(
    training: Dataset, test: Dataset, options: PypolymlpOptions, progress: Progress
) -> TrainedPotential:
    """Fit the coefficients by ridge regression, the penalty chosen by the test set.

    Raises
    ------
    PotentialError
        Every penalty failed, or ``atom_energies`` lacks an element.
    """
    from pypolymlp.mlp_dev.pypolymlp import Pypolymlp
    from pypolymlp.utils.phonopy_utils import phonopy_cell_to_structure

    symbols = list(dict.fromkeys(training.supercell.symbols))
    polymlp = Pypolymlp()
    polymlp.set_params(
        elements=tuple(symbols),
        cutoff=options.cutoff,
        model_type=options.model_type,
        max_p=options.max_p,
        gtinv_order=options.gtinv_order,
        gtinv_maxl=options.gtinv_maxl,
        gaussian_params1=options.gaussian_params1,
        gaussian_params2=options.gaussian_params2,
        reg_alpha_params=options.reg_alpha_params,
        atomic_energy=_atomic_energies(symbols, options.atom_energies),
    )
    polymlp.set_datasets_displacements(
        *_arrays(training),
        *_arrays(test),
        phonopy_cell_to_structure(training.supercell),
    )
    _fit(polymlp, progress)
    chosen = polymlp.summary
    potential = PolynomialPotential(polymlp, save_all=not options.optimal)
    return TrainedPotential(
        potential=potential,
        n_features=potential.n_features,
        alpha=float(chosen.alpha),
        penalties=_ridge_path(polymlp),
    )


def load(path: Path | None, options: PypolymlpOptions) -> PolynomialPotential:
    """Read a potential file, compressed or not.

    Raises
    ------
    PotentialError
        There is no file, or it is not a polynomial potential.
    """
    del options
    from pypolymlp.mlp_dev.pypolymlp import Pypolymlp

    if path is None:
        raise PotentialError(
            "pypolymlp: a potential file is needed; train one or give --mlp-file."
        )
    polymlp = Pypolymlp()
    try:
        with open_text(path) as file:
            polymlp.load_mlp(io.StringIO(file.read()))
    except _FOREIGN as error:
        raise PotentialError(
            f"{path}: not a polynomial potential ({type(error).__name__}: "
            f"{one_line(error)}). Remove it or name another one by --mlp-file."
        ) from error
    coefficients = np.ravel(polymlp.coeffs)
    if not len(coefficients) or not np.isfinite(coefficients).all():
        raise PotentialError(
            f"{path}: its coefficients are missing or not finite. Train it again."
        )
    return PolynomialPotential(polymlp)


@hookimpl
def phono3py_mlp_force_calculators() -> Iterable[ForceCalculator]:
    """Offer pypolymlp."""
    yield ForceCalculator(
        name="pypolymlp",
        summary="polynomial machine-learning potentials, trained on the dataset",
        load=load,
        train=train,
        options=PypolymlpOptions,
        file_names=("polymlp.yaml", "phonopy.pmlp", "phono3py.pmlp"),
        obstacle=_obstacle,
        citation="A. Seko, J. Appl. Phys. 133, 011101 (2023)",
    )


def _obstacle() -> str | None:
    if importlib.util.find_spec("pypolymlp") is None:
        return (
            "pypolymlp is not installed. Install it by "
            "'conda install -c conda-forge pypolymlp' or as the README says."
        )
    return None


def _atomic_energies(
    symbols: Sequence[str], energies: dict[str, float] | None
) -> tuple[float, ...]:
    if energies is None:
        return (0.0,) * len(symbols)
    by_symbol = {symbol.capitalize(): energy for symbol, energy in energies.items()}
    missing = [s for s in symbols if s not in by_symbol]
    unknown = [s for s in by_symbol if s not in symbols]
    if missing or unknown:
        what = (
            f"lacks {missing[0]}"
            if missing
            else f"names {unknown[0]}, not in the crystal"
        )
        raise PotentialError(
            f"atom_energies {what}; expected {', '.join(symbols)}. "
            "Write 'atom_energies = " + " ".join(f"{s} energy" for s in symbols) + "'."
        )
    return tuple(by_symbol[s] for s in symbols)


def _arrays(dataset: Dataset) -> tuple[Any, Any, Any]:
    if dataset.energies is None:
        raise PotentialError(
            "the dataset has no energies; pypolymlp is trained on energies and forces. "
            "Collect it by 'phono3py-init --sp --cf3 ...' from VASP results."
        )
    return (
        dataset.displacements.transpose(0, 2, 1),
        dataset.forces.transpose(0, 2, 1),
        dataset.energies,
    )


def _fit(polymlp: Any, progress: Progress) -> None:
    """Run the regression, which does not tell how far it is."""
    with progress("Training", None):
        try:
            polymlp.fit(verbose=False)
        except RuntimeError as error:
            if "singular" in str(error) or "failed at all alpha" in str(error):
                raise PotentialError(
                    "training failed: X^T X + alpha I is singular at every penalty. "
                    "Use larger ones, e.g. --mlp-params 'reg_alpha_params = -1 1 3', "
                    "or a smaller model."
                ) from error
            raise


def _ridge_path(polymlp: Any) -> tuple[RidgePenalty, ...]:
    # Only the best model has a public accessor; the failed ones matter to the user.
    return tuple(
        RidgePenalty(float(model.alpha), None, None)
        if model.rmse_train is None or not model.rmse_train < _FAILED_RMSE
        else RidgePenalty(
            float(model.alpha), float(model.rmse_train), float(model.rmse_test)
        )
        for model in polymlp._mlp_all_models
    )


def _stresses(virials: Any, volumes: Any) -> Any:
    """Return -virial/volume as tensors, from pypolymlp's six numbers per supercell."""
    tensors = np.zeros((len(virials), 3, 3))
    tensors[:, _ROWS, _COLUMNS] = virials
    tensors[:, _COLUMNS, _ROWS] = virials
    return -tensors / volumes[:, None, None]

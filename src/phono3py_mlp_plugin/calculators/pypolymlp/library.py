"""Polynomial potentials computed by the pypolymlp library.

The library is imported inside the functions, because it is optional and its import
takes time.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from phono3py_mlp_plugin.calculators.pypolymlp.hybrid import isolated_energies
from phono3py_mlp_plugin.calculators.pypolymlp.options import PypolymlpOptions
from phono3py_mlp_plugin.contracts import (
    Dataset,
    Evaluation,
    Progress,
    RidgePenalty,
    TrainedPotential,
)
from phono3py_mlp_plugin.errors import PotentialError, one_line
from phono3py_mlp_plugin.files import UNREADABLE
from phono3py_mlp_plugin.polynomial import Invariants, check_cutoff

if TYPE_CHECKING:
    from phonopy.structure.atoms import PhonopyAtoms

# pypolymlp assigns a larger error than this to a penalty whose Cholesky factorisation
# failed.
_FAILED_RMSE = 1e6

# Exceptions of the readers of pypolymlp for files that are not potentials.
_FOREIGN = (
    *UNREADABLE,
    AttributeError,
    IndexError,
    KeyError,
    TypeError,
    ValueError,
    yaml.YAMLError,
)

# Order of the six components in pypolymlp: xx yy zz xy yz zx.
_VOIGT_ROWS, _VOIGT_COLUMNS = (0, 1, 2, 0, 1, 2), (0, 1, 2, 1, 2, 0)


class LibraryPotential:
    """A trained pypolymlp model. The evaluator is created when it is used first."""

    def __init__(self, polymlp: Any, *, save_all: bool = False) -> None:
        self.polymlp = polymlp
        self.save_all = save_all
        self._evaluator: Any = None

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without the evaluator, which is compiled code."""
        return {**vars(self), "_evaluator": None}

    @property
    def engine(self) -> str:
        """Name and version of the library."""
        return f"pypolymlp {importlib.metadata.version('pypolymlp')}"

    @property
    def elements(self) -> tuple[str, ...]:
        """Chemical symbols in the order of the model."""
        return tuple(self.polymlp.parameters.elements)

    @property
    def cutoff_radius(self) -> float:
        """Cutoff radius in angstrom."""
        return max(float(part.model.cutoff) for part in self.polymlp.parameters)

    @property
    def atomic_energies(self) -> dict[str, float]:
        """Energies of isolated atoms in eV by element, empty if they are unknown."""
        energies = self.polymlp.parameters.atomic_energy
        return dict(zip(self.elements, energies or (), strict=False))

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
        volumes = np.abs([cell.volume for cell in supercells])
        return Evaluation(
            # The energies of pypolymlp do not include those of isolated atoms.
            np.array(energies, dtype="double")
            + isolated_energies(self.atomic_energies, supercells),
            np.array(np.transpose(forces, (0, 2, 1)), dtype="double", order="C"),
            _stresses(np.asarray(virials), volumes),
        )

    def save(self, path: Path) -> None:
        """Write the potential and, with ``save_all``, those of all penalties."""
        self.polymlp.save_mlp(filename=str(path))
        if self.save_all:
            log = path.with_suffix(".log")
            self.polymlp.save_mlp(
                filename=str(path), filename_log=str(log), optimal=False
            )
            # Paths in the log are replaced by names, because all files will be moved.
            log.write_text(log.read_text().replace(f"{path.parent}{os.sep}", ""))


def train(
    training: Dataset, test: Dataset, options: PypolymlpOptions, progress: Progress
) -> TrainedPotential:
    """Fit the coefficients by ridge regression; the test set selects the penalty.

    Raises
    ------
    PotentialError
        If all penalties failed, or an element is missing in ``atom_energies``.
    """
    require("engine = pypolymlp")
    from pypolymlp.mlp_dev.pypolymlp import Pypolymlp
    from pypolymlp.utils.phonopy_utils import phonopy_cell_to_structure

    cell = training.supercell
    check_cutoff(cell.cell, cell.positions, options.cutoff)
    symbols = list(dict.fromkeys(training.supercell.symbols))
    polymlp = Pypolymlp()
    polymlp.set_params(
        elements=tuple(symbols),
        cutoff=options.cutoff,
        model_type=options.model_type,
        max_p=options.max_p,
        feature_type=options.feature_type,
        gtinv_order=options.gtinv_order,
        gtinv_maxl=options.maxl,
        gtinv_version=options.gtinv_version,
        gaussian_params1=options.gaussian_params1,
        gaussian_params2=options.gaussian_params2,
        distance=options.distances(symbols) or None,
        reg_alpha_params=options.reg_alpha_params,
        atomic_energy=options.atomic_energies(symbols),
    )
    polymlp.set_datasets_displacements(
        *_arrays(training),
        *_arrays(test),
        phonopy_cell_to_structure(training.supercell),
    )
    _fit(polymlp, progress)
    chosen = polymlp.summary
    potential = LibraryPotential(polymlp, save_all=not options.optimal)
    return TrainedPotential(
        potential=potential,
        n_features=potential.n_features,
        alpha=float(chosen.alpha),
        penalties=_ridge_path(polymlp),
    )


def load(text: str, where: str) -> LibraryPotential:
    """Read the text of a potential file.

    Raises
    ------
    PotentialError
        If it is not a polynomial potential, or pypolymlp is not installed.
    """
    require("a potential of this kind")
    from pypolymlp.mlp_dev.pypolymlp import Pypolymlp

    polymlp = Pypolymlp()
    try:
        polymlp.load_mlp(io.StringIO(text))
    except _FOREIGN as error:
        raise PotentialError(
            f"{where}: not a polynomial potential ({type(error).__name__}: "
            f"{one_line(error)}). Remove it or name another one by --mlp-file."
        ) from error
    coefficients = np.ravel(polymlp.coeffs)
    if not len(coefficients) or not np.isfinite(coefficients).all():
        raise PotentialError(
            f"{where}: its coefficients are missing or not finite. Train it again."
        )
    return LibraryPotential(polymlp)


def invariants(order: int, maxl: Sequence[int], version: int) -> Invariants:
    """Return the table of invariants of pypolymlp, needed for orders above 3."""
    require(f"gtinv_order = {order}")
    from pypolymlp.cxx.lib import libmlpcpp

    table = libmlpcpp.Readgtinv(order, list(maxl), version)
    degrees = tuple(tuple(int(l) for l in ls) for ls in table.get_l_comb())
    numbers = []
    for ls, sequence in zip(degrees, table.get_lm_seq(), strict=True):
        centre = np.array(ls) * (np.array(ls) + 1)
        numbers.append(np.array(sequence).reshape(-1, len(ls)) - centre)
    return Invariants(
        degrees,
        tuple(numbers),
        tuple(np.array(c, dtype=np.float64) for c in table.get_lm_coeffs()),
    )


def require(what: str) -> None:
    """Raise if pypolymlp is not installed."""
    if importlib.util.find_spec("pypolymlp") is None:
        raise PotentialError(
            f"{what} needs pypolymlp, which is not installed. Install it by "
            "'conda install -c conda-forge pypolymlp' or as the README says."
        )


def _arrays(dataset: Dataset) -> tuple[Any, Any, Any]:
    if dataset.energies is None:
        raise PotentialError(
            "the dataset has no energies; pypolymlp is trained on energies and forces. "
            "Collect it by 'phono3py-init --sp --cf3 ...' from output files."
        )
    return (
        dataset.displacements.transpose(0, 2, 1),
        dataset.forces.transpose(0, 2, 1),
        dataset.energies,
    )


def _fit(polymlp: Any, progress: Progress) -> None:
    """Run the regression, without information about its progress."""
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
    # There is no public access to models other than the best one.
    return tuple(
        RidgePenalty(float(model.alpha), None, None)
        if model.rmse_train is None or not model.rmse_train < _FAILED_RMSE
        else RidgePenalty(
            float(model.alpha), float(model.rmse_train), float(model.rmse_test)
        )
        for model in polymlp._mlp_all_models
    )


def _stresses(virials: Any, volumes: Any) -> Any:
    """Return -virial/volume as tensors, from the six components of pypolymlp."""
    tensors = np.zeros((len(virials), 3, 3))
    tensors[:, _VOIGT_ROWS, _VOIGT_COLUMNS] = virials
    tensors[:, _VOIGT_COLUMNS, _VOIGT_ROWS] = virials
    return -tensors / volumes[:, None, None]

"""What to look at before kappa is believed: one verdict each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from phono3py_mlp_plugin.contracts import Dataset, FloatArray, Potential
from phono3py_mlp_plugin.files import Provenance
from phono3py_mlp_plugin.workflow.evaluate import evaluate

if TYPE_CHECKING:
    from phonopy.structure.atoms import PhonopyAtoms

# Frequency (THz) of acoustic modes at Gamma, and of imaginary modes elsewhere, that is
# rounding and not physics.
_ACOUSTIC = 0.05
_IMAGINARY = -0.1

# Largest force (eV/angstrom) on an undisplaced atom that harmonic phonons bear.
_RESIDUAL = 5e-3

# Displacements of the evaluation over those of the training.
_EXTRAPOLATION = 1.5

# Sum over atoms of force constants over their largest element.
_DRIFT = 1e-3

# Rule of thumb, measured for NaCl and MgO: relative error of kappa over that of forces.
_KAPPA_OVER_FORCE = 9.0
_KAPPA_ERROR = 0.05


@dataclass(frozen=True)
class Check:
    """A verdict: what was found, and what to do where it is not well."""

    passed: bool
    text: str
    remedy: str = ""

    def __str__(self) -> str:
        if self.passed:
            return f"ok    {self.text}"
        return f"look  {self.text}. {self.remedy}"


def check_phonons(frequencies: FloatArray, at_gamma: FloatArray) -> list[Check]:
    """Check phonons on a mesh.

    Parameters
    ----------
    frequencies : ndarray
        In THz, of grid points other than Gamma, shape ``(n, n_bands)``.
    at_gamma : ndarray
        In THz, shape ``(n_bands,)``.
    """
    acoustic = float(np.sort(np.abs(at_gamma))[:3].max())
    checks = [
        Check(
            acoustic < _ACOUSTIC,
            f"acoustic modes at Gamma: {acoustic:.4f} THz",
            "Translations are not free: symmetrise the force constants.",
        )
    ]
    if len(frequencies):
        lowest = float(frequencies.min())
        checks.insert(
            0,
            Check(
                lowest >= _IMAGINARY,
                f"lowest mode on the mesh: {lowest:.3f} THz",
                "It is imaginary: --relax-atomic-positions, or more supercells.",
            ),
        )
    return checks


def check_residual_forces(forces: FloatArray) -> Check:
    """Check the forces (eV/angstrom) on undisplaced atoms, shape ``(N, 3)``."""
    largest = float(np.linalg.norm(forces, axis=1).max())
    return Check(
        largest < _RESIDUAL,
        f"forces on undisplaced atoms: {largest:.5f} eV/angstrom",
        "Relax the structure by the potential: --relax-atomic-positions.",
    )


def check_amplitude(evaluated: FloatArray, trained: FloatArray) -> Check:
    """Check that displacements are not far beyond those trained on.

    Parameters
    ----------
    evaluated, trained : ndarray
        Displacements in angstrom, shape ``(n, N, 3)``.
    """
    length = float(np.linalg.norm(evaluated, axis=2).max())
    known = float(np.linalg.norm(trained, axis=2).max())
    return Check(
        length <= _EXTRAPOLATION * known,
        f"displacements: up to {length:.3f} angstrom; the potential was trained on up "
        f"to {known:.3f}",
        "It extrapolates: lower --amplitude.",
    )


def check_drift(fc2: FloatArray, fc3: FloatArray) -> Check:
    """Check the sum rules of force constants over their last atom."""
    worst = 0.0
    for fc in (fc2, fc3):
        order = fc.ndim // 2
        total = np.abs(fc.sum(axis=order - 1)).max()
        worst = max(worst, float(total / np.abs(fc).max()))
    return Check(
        worst < _DRIFT,
        f"drift of fc2 and fc3: {worst:.1e} of their largest element",
        "Use symfc, which keeps the sum rules.",
    )


def check_potential(
    calculator: str,
    potential: Potential,
    supercell: PhonopyAtoms,
    evaluated: FloatArray | None,
    dataset: Dataset | None,
    rows: Sequence[int],
    provenance: Provenance | None,
) -> list[Check]:
    """Check a potential against what it was trained on and asked for.

    Parameters
    ----------
    calculator : str
        Its name, for messages.
    potential : Potential
    supercell : PhonopyAtoms
        Without displacements.
    evaluated : ndarray or None
        Displacements (angstrom) that it was asked for, shape ``(n, N, 3)``.
    dataset : Dataset or None
        What it was trained on, where it is there.
    rows : sequence of int
        Snapshots that trained.
    provenance : Provenance or None
    """
    still = evaluate(calculator, potential, [supercell])
    checks = [check_residual_forces(still.forces[0])]
    if dataset is None:
        return checks
    if evaluated is not None:
        checks.append(check_amplitude(evaluated, dataset.displacements))
    if provenance is not None:
        error = provenance.rmse["test"]["force"]
        if error is not None:
            checks += check_training(error, dataset, rows, provenance.n_features)
    return checks


def check_training(
    test_error: float, dataset: Dataset, rows: Sequence[int], n_features: int
) -> list[Check]:
    """Check the error of forces and the number of equations of a training.

    Parameters
    ----------
    test_error : float
        Of forces, root mean square (eV/angstrom).
    dataset : Dataset
    rows : sequence of int
        Snapshots that trained.
    n_features : int
        Number of coefficients.
    """
    typical = float(np.sqrt((dataset.forces**2).mean()))
    relative = test_error / typical
    expected = _KAPPA_OVER_FORCE * relative
    percent = float(f"{100 * expected:.1g}")
    ratio = dataset.forces[np.asarray(rows)].size / n_features
    return [
        Check(
            expected < _KAPPA_ERROR,
            f"test error: {100 * relative:.2f} % of the rms force ({typical:.4f} "
            f"eV/angstrom); of the order of {percent:g} % of kappa",
            "More supercells, or a better model; phono3py-mlp converge tells.",
        ),
        Check(
            ratio >= 1.0,
            f"{ratio:.2f} force components per coefficient",
            "Ridge regression bears that, and phono3py-mlp converge tells how well.",
        ),
    ]

"""Checks of the results that thermal conductivity depends on.

All comparisons are written such that a value that is not a number does not pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from phono3py_mlp_plugin.contracts import Dataset, FloatArray, Potential
from phono3py_mlp_plugin.errors import PhysicsError
from phono3py_mlp_plugin.files import Provenance
from phono3py_mlp_plugin.wording import decimals
from phono3py_mlp_plugin.workflow.evaluate import evaluate

if TYPE_CHECKING:
    from phonopy.structure.atoms import PhonopyAtoms

# Largest frequency (THz) of acoustic modes at Gamma, and lowest frequency elsewhere,
# that can be due to rounding.
_ACOUSTIC = 0.05
_IMAGINARY = -0.1

IMAGINARY_REMEDY = (
    "The structure is not at its minimum (--relax-atomic-positions; the lattice too: "
    "phono3py-mlp kappa --relax), the potential is not good enough (more supercells), "
    "or the crystal is unstable in this symmetry; to continue anyway, use "
    "--allow-imaginary."
)

# Largest force (eV/angstrom) on an undisplaced atom for which harmonic phonons are
# accurate.
_RESIDUAL = 5e-3

# Largest ratio of the displacements of the evaluation to those of the training.
_EXTRAPOLATION = 1.5

# Largest sum over atoms of force constants relative to their largest element.
_DRIFT = 1e-3

# Largest fc3 relative to fc2 (1/angstrom) that can be due to rounding. In crystals it
# is of the order of 1.
_HARMONIC = 1e-8

# Largest deviation (scaled coordinates) from half a lattice vector by digits of files.
_HALF_VECTOR = 1e-5

# Test error over the rms force of the test set, for a good fit (these models reach 0.05
# to 1 %) and for a failed one. Models trained on a handful of supercells reach 20 %;
# forces that belong to other displacements give 90 % and more.
_GOOD_FIT = 0.01
_POOR_FIT = 0.3


@dataclass(frozen=True)
class Check:
    """Result of a check: whether it passed, what was observed, and a remedy."""

    passed: bool
    text: str
    remedy: str = ""

    def __str__(self) -> str:
        if self.passed:
            return f"ok    {self.text}"
        return f"look  {self.text}. {self.remedy}"


def check_phonons(
    frequencies: FloatArray, at_gamma: FloatArray, where: str = "on the mesh"
) -> list[Check]:
    """Check the phonon frequencies on a mesh, or at other points.

    Parameters
    ----------
    frequencies : ndarray
        Frequencies in THz at points other than Gamma, shape ``(n, n_bands)``.
    at_gamma : ndarray
        Frequencies in THz at Gamma, shape ``(n_bands,)``.
    where : str
        Description of the points, used in messages.
    """
    # Sorting moves values that are not numbers to the end, where they are ignored.
    acoustic = float(np.sort(np.abs(at_gamma))[:3].max())
    if not np.isfinite(at_gamma).all():
        acoustic = float("nan")
    checks = [
        Check(
            acoustic < _ACOUSTIC,
            f"acoustic modes at Gamma: {acoustic:.4f} THz",
            "Translations are not free: symmetrise the force constants.",
        )
    ]
    if len(frequencies):
        finite = bool(np.isfinite(frequencies).all())
        lowest = float(frequencies.min()) if finite else float("nan")
        checks.insert(
            0,
            Check(
                not is_imaginary(lowest),
                f"lowest mode {where}: {lowest:.3f} THz",
                "It is imaginary: --relax-atomic-positions, or more supercells.",
            ),
        )
    return checks


def is_imaginary(lowest: float) -> bool:
    """Return whether a lowest frequency (THz) is imaginary beyond rounding."""
    return not lowest >= _IMAGINARY


def check_residual_forces(forces: FloatArray) -> Check:
    """Check the forces on undisplaced atoms, in eV/angstrom, shape ``(N, 3)``."""
    largest = float(np.linalg.norm(forces, axis=1).max())
    return Check(
        largest < _RESIDUAL,
        f"forces on undisplaced atoms: {largest:.5f} eV/angstrom",
        "Relax the structure with the potential: --relax-atomic-positions.",
    )


def check_amplitude(evaluated: FloatArray, trained: FloatArray) -> Check:
    """Check that displacements are not much larger than those of the training.

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
    shares = []
    for fc in (fc2, fc3):
        order = fc.ndim // 2
        total, largest = np.abs(fc.sum(axis=order - 1)).max(), np.abs(fc).max()
        shares.append(total / largest if largest != 0 else total)
    # Python's max ignores values that are not numbers.
    worst = float(np.max(shares))
    return Check(
        worst < _DRIFT,
        f"drift of fc2 and fc3: {worst:.1e} of their largest element",
        "Use symfc, which keeps the sum rules.",
    )


_VANISHES = (
    "In a supercell where each atom is its own image under inversion, such as 2x2x2 of "
    "one atom or the cube of fcc, fc3 vanishes by symmetry: take a larger supercell."
)


def check_scattering_supercell(supercell: PhonopyAtoms) -> None:
    """Raise if fc3 vanishes by the symmetry of the supercell, before it is computed.

    Inversion about an atom maps each atom onto itself or its image if all vectors
    between atoms are half lattice vectors.

    Raises
    ------
    PhysicsError
        If kappa would be infinite.
    """
    scaled = supercell.scaled_positions
    doubled = 2 * (scaled - scaled[0])
    if np.abs(doubled - np.rint(doubled)).max() < _HALF_VECTOR:
        raise PhysicsError(
            f"supercell of {len(supercell)} atoms: all vectors between atoms are half "
            "lattice vectors; expected others: phonons do not scatter, and kappa is "
            f"infinite. {_VANISHES}"
        )


def check_anharmonicity(fc2: FloatArray, fc3: FloatArray) -> None:
    """Raise if phonons do not scatter, because fc3 vanishes.

    Parameters
    ----------
    fc2, fc3 : ndarray
        In eV/angstrom^2 and eV/angstrom^3.

    Raises
    ------
    PhysicsError
        If kappa would be infinite.
    """
    largest = float(np.abs(fc3).max())
    if largest <= _HARMONIC * float(np.abs(fc2).max()):
        raise PhysicsError(
            f"fc3: largest element = {largest:.1e} eV/angstrom^3; expected more than "
            f"rounding: phonons do not scatter, and kappa is infinite. {_VANISHES} "
            "Otherwise, check the potential and cutoffs."
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
    """Check a potential with respect to its training data and its evaluations.

    Parameters
    ----------
    calculator : str
        Name of the force calculator, used in messages.
    potential : Potential
    supercell : PhonopyAtoms
        The supercell without displacements.
    evaluated : ndarray or None
        Displacements (angstrom) for which forces are evaluated, shape ``(n, N, 3)``.
    dataset : Dataset or None
        Training data, if they are available.
    rows : sequence of int
        Indices of the snapshots used for training.
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


def check_fit(
    test_error: float | None,
    forces: FloatArray,
    *,
    allow: bool = False,
    remedy: str = "To continue anyway, use allow_poor_fit = True.",
) -> Check:
    """Check the error of forces relative to the forces, and raise if it is too large.

    Parameters
    ----------
    test_error : float or None
        Root mean square error (eV/angstrom); None if it is unknown.
    forces : ndarray
        Reference forces in eV/angstrom, shape ``(n, N, 3)``.
    allow : bool
        Whether to return the result instead of raising an exception.
    remedy : str
        How to continue nevertheless, used in the message.

    Raises
    ------
    PhysicsError
        If the error is larger than 30 % of the forces, unknown, or not a number.
    """
    typical = float(np.sqrt((forces**2).mean()))
    share = np.nan if test_error is None else test_error
    with np.errstate(divide="ignore", invalid="ignore"):
        share = float(np.divide(share, typical))
    if not share <= _POOR_FIT and not allow:
        raise PhysicsError(
            f"potential: test error of forces = {test_error:.4f} eV/angstrom, "
            f"{100 * share:.0f} % of the rms force ({typical:.4f}); expected at most "
            f"{100 * _POOR_FIT:.0f} %. Check that forces belong to their displacements "
            f"and atoms, add supercells or use a better model. {remedy}"
            if test_error is not None
            else f"potential: the test error of forces is unknown. {remedy}"
        )
    return Check(
        share <= _GOOD_FIT,
        f"test error: {decimals(100 * share, 2)} % of the rms force "
        f"({typical:.4f} eV/angstrom)",
        "Use more supercells or a better model; phono3py-mlp converge helps to decide.",
    )


def check_training(
    test_error: float, dataset: Dataset, rows: Sequence[int], n_features: int
) -> list[Check]:
    """Check the error of forces and the number of equations of a training.

    Parameters
    ----------
    test_error : float
        Root mean square error of forces (eV/angstrom).
    dataset : Dataset
    rows : sequence of int
        Indices of the snapshots used for training.
    n_features : int
        Number of coefficients.
    """
    ratio = dataset.forces[np.asarray(rows, dtype=np.intp)].size / n_features
    return [
        check_fit(test_error, dataset.forces, allow=True),
        Check(
            ratio >= 1.0,
            f"{ratio:.2f} force components per coefficient",
            "Ridge regression can handle that; phono3py-mlp converge shows how well.",
        ),
    ]

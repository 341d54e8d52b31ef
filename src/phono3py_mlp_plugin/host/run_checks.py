"""Checks of the phonons, force constants and potential of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from phonopy.harmonic.dynmat_to_fc import get_commensurate_points

from phono3py_mlp_plugin.contracts import Dataset, FloatArray
from phono3py_mlp_plugin.errors import PhysicsError
from phono3py_mlp_plugin.host.mlp import PluginMLP
from phono3py_mlp_plugin.workflow import (
    IMAGINARY_REMEDY,
    CalculatorSpec,
    Check,
    check_anharmonicity,
    check_drift,
    check_phonons,
    check_potential,
    harmonic_crystal,
    phonon_frequencies,
)

if TYPE_CHECKING:
    from phono3py import Phono3py


def physics_checks(
    ph3: Phono3py,
    spec: CalculatorSpec | None,
    dataset: Dataset | None,
    *,
    allow_imaginary: bool,
) -> list[Check]:
    """Check a run whose phonons on the mesh are known.

    Parameters
    ----------
    ph3 : Phono3py
        With potential, force constants and phonons.
    spec : CalculatorSpec or None
        How the training data are split.
    dataset : Dataset or None
        Training data, if available.
    allow_imaginary : bool
        If True, imaginary modes do not raise an error.

    Raises
    ------
    PhysicsError
        If a mode on the mesh is imaginary, or fc3 vanishes.
    """
    frequencies, _, addresses = ph3.get_phonon_data()
    gamma = np.abs(addresses).max(axis=1) == 0
    elsewhere = ~gamma
    if not np.isfinite(frequencies).all():
        raise PhysicsError(
            "phonons: frequencies on the mesh are not finite. Check Born charges, "
            "dielectric tensor, masses and force constants."
        )
    checks = []
    if gamma.any():
        checks += check_phonons(
            frequencies[elsewhere], _at_gamma(ph3, frequencies[gamma][0])
        )
        if not checks[0].passed and not allow_imaginary:
            worst = frequencies[elsewhere].min(axis=1).argmin()
            q = addresses[elsewhere][worst] / np.array(ph3.mesh_numbers)
            raise PhysicsError(
                f"imaginary modes: {checks[0].text} at q = "
                f"{' '.join(f'{x:.3f}' for x in q)}. {IMAGINARY_REMEDY}"
            )
    of_forces = _checks_of_forces(ph3, spec, dataset)
    check_anharmonicity(ph3.fc2, ph3.fc3)
    return checks + of_forces


def _at_gamma(ph3: Phono3py, frequencies: FloatArray) -> FloatArray:
    """Return frequencies at Gamma, of which phono3py may have set three to zero."""
    if not getattr(ph3.phph_interaction, "exclude_gamma_acoustic", False):
        return frequencies
    harmonic = harmonic_crystal(ph3, ph3.fc2, symmetry=False)
    return np.asarray(phonon_frequencies(harmonic, np.zeros((1, 3)))[0])


def checks_without_mesh(
    ph3: Phono3py, spec: CalculatorSpec, dataset: Dataset | None
) -> list[str]:
    """Check a run that ends with force constants, and return lines to print.

    Parameters
    ----------
    ph3 : Phono3py
        With potential and force constants.
    spec, dataset
        See `physics_checks`.

    Raises
    ------
    PhysicsError
        If a force constant is not finite.
    """
    checks = _checks_of_forces(ph3, spec, dataset)
    harmonic = harmonic_crystal(ph3, ph3.fc2, symmetry=False)
    # At these points the phonons need no interpolation.
    points = get_commensurate_points(
        np.rint(np.linalg.solve(ph3.primitive_matrix, harmonic.supercell_matrix))
        .astype(int)
        .tolist()
    )
    frequencies = phonon_frequencies(harmonic, points)
    gamma = np.abs(points).max(axis=1) < 1e-8
    phonons = check_phonons(
        frequencies[~gamma], frequencies[gamma][0], "at points of the supercell"
    )
    return [f"  {check}" for check in (*phonons, *checks)]


def _checks_of_forces(
    ph3: Phono3py, spec: CalculatorSpec | None, dataset: Dataset | None
) -> list[Check]:
    """Check force constants and the potential."""
    for name, fc in (("fc2", ph3.fc2), ("fc3", ph3.fc3)):
        if not np.isfinite(fc).all():
            raise PhysicsError(
                f"{name}: holds numbers that are not finite. Remove {name}.hdf5 and "
                "compute it anew."
            )
    checks = [check_drift(ph3.fc2, ph3.fc3)]
    mlp = ph3.mlp
    if isinstance(mlp, PluginMLP) and mlp.potential is not None:
        rows = []
        if dataset is not None and spec is not None:
            rows = spec.divide(len(dataset)).training.tolist()
        checks += check_potential(
            mlp.calculator,
            mlp.potential,
            ph3.supercell,
            None if ph3.dataset is None else ph3.displacements,
            dataset,
            rows,
            mlp.provenance,
        )
    return checks

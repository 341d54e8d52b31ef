"""Checks of Born charges and the dielectric tensor against the crystal.

The host does not check them: a wrong value changes phonons and kappa without any
message, and a value that is not finite gives phonons that are not finite.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from phono3py_mlp_plugin.contracts import FloatArray
from phono3py_mlp_plugin.errors import DatasetError, one_line

if TYPE_CHECKING:
    from phono3py import Phono3py

# Largest sum of the charges over the primitive cell, as a fraction of the largest
# charge and per atom. The twelve crystals of the host: 1e-5 (the sum was removed when
# they were written); raw linear response: 0.01 per atom. One wrong sign changes the sum
# by twice the charge of that atom.
_SUM = 0.15
_SUM_PER_ATOM = 0.01

# Largest difference between a tensor and its image under a symmetry operation, absolute
# and as a fraction of the largest element. The host's crystals: 1e-5. AlN with xx and
# zz exchanged: 0.12.
_IMAGE = 0.1
_IMAGE_SHARE = 0.03

# Eigenvalues of the electronic dielectric tensor: vacuum 1, NaMgF3 1.98, ZnTe 9.0,
# PbTe 33.
_VACUUM = 0.99
_LARGEST_DIELECTRIC = 1e3

# Largest charge of an atom (e): 8 to 10 in ferroelectrics.
_LARGEST_CHARGE = 30.0

_REMEDY = "Correct BORN, or nac_params in the yaml file, or run without them"


def check_born_charges(crystal: Phono3py) -> None:
    """Raise if the Born charges or the dielectric tensor do not fit the crystal.

    Parameters
    ----------
    crystal : Phono3py
        Nothing is checked if its ``nac_params`` is None.

    Raises
    ------
    DatasetError
        If a number is not finite, the charges do not add up to zero, the tensors do not
        have the symmetry of the crystal, or the dielectric tensor is not physical.
    """
    nac = crystal.nac_params
    if nac is None:
        return
    primitive, symmetry = crystal.primitive, crystal.primitive_symmetry
    born = _tensors(nac, "born", (len(primitive), 3, 3), "Born charges")
    dielectric = _tensors(nac, "dielectric", (3, 3), "dielectric tensor")
    _check_factor(nac)
    check_dielectric(dielectric)
    check_charge_sum(born)
    lattice = primitive.cell.T
    rotations = np.array(
        [
            lattice @ rotation @ np.linalg.inv(lattice)
            for rotation in symmetry.symmetry_operations["rotations"]
        ]
    )
    check_symmetry(born, dielectric, rotations, symmetry.atomic_permutations)


def check_dielectric(dielectric: FloatArray) -> None:
    """Raise if a dielectric tensor is not symmetric or its values are not physical.

    Parameters
    ----------
    dielectric : ndarray
        Shape ``(3, 3)``.

    Raises
    ------
    DatasetError
    """
    asymmetry = float(np.abs(dielectric - dielectric.T).max())
    if not asymmetry <= _allowed(dielectric):
        raise DatasetError(
            f"dielectric tensor: elements that should be equal differ by "
            f"{asymmetry:.3g}; expected a symmetric tensor. {_REMEDY}."
        )
    values = np.linalg.eigvalsh((dielectric + dielectric.T) / 2)
    if not (values[0] >= _VACUUM and values[-1] <= _LARGEST_DIELECTRIC):
        raise DatasetError(
            "dielectric tensor: principal values = "
            f"{' '.join(f'{value:.4g}' for value in values)}; expected 1 to "
            f"{_LARGEST_DIELECTRIC:g}. {_REMEDY}."
        )


def check_charge_sum(born: FloatArray) -> None:
    """Raise if Born charges do not add up to zero.

    Parameters
    ----------
    born : ndarray
        In units of the elementary charge, shape ``(N_p, 3, 3)``.

    Raises
    ------
    DatasetError
    """
    largest = float(np.abs(born).max())
    if not largest <= _LARGEST_CHARGE:
        raise DatasetError(
            f"Born charges: largest element = {largest:.4g}; expected up to "
            f"{_LARGEST_CHARGE:g}. {_REMEDY}."
        )
    total = born.sum(axis=0)
    i, j = np.unravel_index(int(np.abs(total).argmax()), (3, 3))
    limit = max(_SUM * largest, _SUM_PER_ATOM * len(born))
    if not abs(total[i, j]) <= limit:
        raise DatasetError(
            f"Born charges: sum over the {len(born)} atoms of the primitive cell = "
            f"{total[i, j]:.4g} ({'xyz'[i]}{'xyz'[j]}); expected 0 within {limit:.2g}. "
            "Does one have the wrong sign, or are the atoms in a different order? "
            f"{_REMEDY}."
        )


def check_symmetry(
    born: FloatArray,
    dielectric: FloatArray,
    rotations: FloatArray,
    permutations: NDArray[np.int64],
) -> None:
    """Raise if the tensors do not have the symmetry of the crystal.

    Parameters
    ----------
    born : ndarray
        Shape ``(N_p, 3, 3)``.
    dielectric : ndarray
        Shape ``(3, 3)``.
    rotations : ndarray
        Rotations of the symmetry operations in Cartesian coordinates, shape
        ``(n, 3, 3)``.
    permutations : ndarray
        Operation k maps atom i onto ``permutations[k, i]``, shape ``(n, N_p)``.

    Raises
    ------
    DatasetError
    """
    rotated = rotations @ dielectric @ rotations.transpose(0, 2, 1)
    change = float(np.abs(rotated - dielectric).max())
    if not change <= _allowed(dielectric):
        raise DatasetError(
            f"dielectric tensor: it changes by {change:.3g} under the symmetry of the "
            f"crystal; expected {_allowed(dielectric):.2g} at most. Are its axes those "
            f"of the cell? {_REMEDY}."
        )
    worst = (0.0, 0, 0)
    for rotation, permutation in zip(rotations, permutations, strict=True):
        images = rotation @ born @ rotation.T
        differences = np.abs(images - born[permutation]).max(axis=(1, 2))
        atom = int(differences.argmax())
        largest = (float(differences[atom]), atom, int(permutation[atom]))
        worst = max(worst, largest)
    if not worst[0] <= _allowed(born):
        one, other = sorted(worst[1:])
        which = f"atom {one + 1} and its image"
        if one != other:
            which = f"atoms {one + 1} and {other + 1}"
        raise DatasetError(
            f"Born charges: those of {which}, equal by symmetry, differ by "
            f"{worst[0]:.3g}; expected at most {_allowed(born):.2g}. Are the axes "
            f"those of the cell, and the atoms in its order? {_REMEDY}."
        )


def _tensors(
    nac: Mapping[str, Any], key: str, shape: tuple[int, ...], name: str
) -> FloatArray:
    try:
        array = np.array(nac[key], dtype=float)
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(
            f"{name}: cannot be read ({one_line(error)}). {_REMEDY}."
        ) from error
    if array.shape != shape:
        raise DatasetError(
            f"{name}: shape = {array.shape}; expected {shape}, one for each atom of "
            f"the primitive cell. {_REMEDY}."
            if len(shape) == 3
            else f"{name}: shape = {array.shape}; expected {shape}. {_REMEDY}."
        )
    if not np.isfinite(array).all():
        raise DatasetError(f"{name}: a number is not finite. {_REMEDY}.")
    return array


def _check_factor(nac: Mapping[str, Any]) -> None:
    factor = nac.get("factor")
    if factor is None:
        return
    try:
        positive = 0 < float(factor) < np.inf
    except (TypeError, ValueError):
        positive = False
    if not positive:
        raise DatasetError(
            f"Born charges: unit conversion factor = {factor}; expected a positive "
            f"number (14.4 for eV and angstrom). {_REMEDY}."
        )


def _allowed(tensors: FloatArray) -> float:
    """Return the largest accepted difference between equal elements."""
    return max(_IMAGE, _IMAGE_SHARE * float(np.abs(tensors).max()))

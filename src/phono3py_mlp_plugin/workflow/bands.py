"""Phonons at points and along paths of the Brillouin zone."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from phono3py_mlp_plugin.contracts import FloatArray

if TYPE_CHECKING:
    from phono3py import Phono3py
    from phonopy import Phonopy
    from phonopy.structure.cells import Primitive


@dataclass(frozen=True, eq=False)
class PathSegment:
    """A straight line in the Brillouin zone.

    Attributes
    ----------
    start, end : tuple
        Label ("GAMMA", "X_1") and fractional coordinates in the reciprocal basis of the
        primitive cell, shape ``(3,)``.
    """

    start: tuple[str, FloatArray]
    end: tuple[str, FloatArray]


def band_path(primitive: Primitive) -> list[PathSegment]:
    """Return the path through the high-symmetry points of a primitive cell.

    Points and labels are those of Y. Hinuma et al., Comput. Mater. Sci. 128, 140
    (2017), given in the basis of this cell, whatever its setting.
    """
    found = _path(primitive)
    points = {label: np.array(q) for label, q in found["point_coords"].items()}
    return [
        PathSegment((start, points[start]), (end, points[end]))
        for start, end in found["path"]
    ]


def high_symmetry_points(primitive: Primitive) -> list[tuple[str, FloatArray]]:
    """Return labels and fractional coordinates of the points on the band path."""
    points: dict[str, FloatArray] = {}
    for segment in band_path(primitive):
        for label, q in (segment.start, segment.end):
            points.setdefault(label, q)
    return list(points.items())


def _path(primitive: Primitive) -> dict[str, Any]:
    import seekpath

    with warnings.catch_warnings():
        # Cells between two Bravais types have a path all the same.
        warnings.simplefilter("ignore")
        found: dict[str, Any] = seekpath.get_path_orig_cell(primitive.totuple())
    return found


def harmonic_crystal(crystal: Phono3py, fc2: FloatArray) -> Phonopy:
    """Return a crystal with these force constants and its Born charges.

    Parameters
    ----------
    crystal : Phono3py
        Cells and Born charges; fc2 belongs to its phonon supercell.
    fc2 : ndarray
        In eV/angstrom^2, shape ``(N or N_p, N, 3, 3)``.
    """
    from phonopy import Phonopy

    matrix = crystal.phonon_supercell_matrix
    harmonic = Phonopy(
        crystal.unitcell,
        supercell_matrix=crystal.supercell_matrix if matrix is None else matrix,
        primitive_matrix=crystal.primitive_matrix,
        symprec=crystal.symmetry.tolerance,
    )
    harmonic.force_constants = fc2
    harmonic.nac_params = crystal.nac_params
    return harmonic


def phonon_frequencies(harmonic: Phonopy, qpoints: FloatArray) -> FloatArray:
    """Return frequencies in THz, ascending, imaginary ones negative.

    Parameters
    ----------
    harmonic : Phonopy
        As `harmonic_crystal` returns it; other force constants may have been set.
    qpoints : ndarray
        Fractional coordinates in the reciprocal basis of the primitive cell, shape
        ``(n, 3)``.

    Returns
    -------
    ndarray
        Shape ``(n, n_bands)``.
    """
    harmonic.run_qpoints(qpoints)
    assert harmonic.qpoints is not None
    frequencies = np.array(harmonic.qpoints.frequencies, dtype="double")
    return np.sort(frequencies, axis=1)

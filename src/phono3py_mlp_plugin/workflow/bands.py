"""Phonons at points and along paths of the Brillouin zone."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from phono3py_mlp_plugin.contracts import FloatArray
from phono3py_mlp_plugin.uncertainty import absolute_error

if TYPE_CHECKING:
    from phono3py import Phono3py
    from phonopy import Phonopy
    from phonopy.structure.cells import Primitive


@dataclass(frozen=True)
class PhononsAt:
    """Phonons at a point of the Brillouin zone, with their error bars.

    Attributes
    ----------
    label : str
        "GAMMA", "X", ...
    q : list of float
        Fractional coordinates in the reciprocal basis of the primitive cell.
    frequencies, errors : list of float
        In THz: ascending frequencies, and half the lengths of their 68 % intervals.
    """

    label: str
    q: list[float]
    frequencies: list[float]
    errors: list[float]


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


def harmonic_crystal(
    crystal: Phono3py, fc2: FloatArray, *, symmetry: bool = True
) -> Phonopy:
    """Return a crystal with these force constants and its Born charges.

    Parameters
    ----------
    crystal : Phono3py
        Cells and Born charges; fc2 belongs to its phonon supercell.
    fc2 : ndarray
        In eV/angstrom^2, shape ``(N or N_p, N, 3, 3)``.
    symmetry : bool
        Find the symmetry, which meshes of q-points use; single ones do not need it, and
        it takes long in large supercells.
    """
    from phonopy import Phonopy

    matrix = crystal.phonon_supercell_matrix
    harmonic = Phonopy(
        crystal.unitcell,
        supercell_matrix=crystal.supercell_matrix if matrix is None else matrix,
        primitive_matrix=crystal.primitive_matrix,
        symprec=crystal.symmetry.tolerance,
        is_symmetry=symmetry,
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


def phonons_with_errors(
    points: Sequence[tuple[str, FloatArray]],
    frequencies: FloatArray,
    members: int,
    n: int,
) -> list[PhononsAt]:
    """Return phonons at high-symmetry points with their error bars.

    Parameters
    ----------
    points : sequence of tuple
        As `high_symmetry_points` returns them.
    frequencies : ndarray
        In THz: of the fit, of the members of an ensemble, and with other penalties,
        shape ``(n_potentials, n_points, n_bands)``.
    members : int
        Number of members.
    n : int
        Number of training supercells.
    """
    own, drawn, others = np.split(frequencies, [1, 1 + members])
    errors = absolute_error(own[0], drawn, others, n)
    return [
        PhononsAt(label, q.tolist(), own[0, k].tolist(), errors[k].tolist())
        for k, (label, q) in enumerate(points)
    ]


def frequencies_of(
    crystal: Phono3py,
    force_constants: Sequence[FloatArray],
    points: Sequence[tuple[str, FloatArray]],
) -> FloatArray:
    """Return the frequencies of several fc2 of one crystal.

    Parameters
    ----------
    crystal : Phono3py
        Cells and Born charges.
    force_constants : sequence of ndarray
        In eV/angstrom^2, shape ``(N or N_p, N, 3, 3)`` each.
    points : sequence of tuple
        As `high_symmetry_points` returns them.

    Returns
    -------
    ndarray
        In THz, ascending, shape ``(n_potentials, n_points, n_bands)``.
    """
    qpoints = np.array([q for _, q in points])
    harmonic = harmonic_crystal(crystal, force_constants[0], symmetry=False)
    frequencies = []
    for fc2 in force_constants:
        harmonic.force_constants = fc2
        frequencies.append(phonon_frequencies(harmonic, qpoints))
    return np.array(frequencies)


def least_sure(phonons: Sequence[PhononsAt]) -> str:
    """Return the frequency with the largest error, as text."""
    errors = [max(point.errors) for point in phonons]
    point = phonons[int(np.argmax(errors))]
    band = int(np.argmax(point.errors))
    return (
        f"{point.frequencies[band]:.3f} +- {point.errors[band]:.3f} THz at "
        f"{point.label}, band {band + 1}"
    )


def certainty(fc2_error: float, fc3_error: float) -> str:
    """Return the errors of force constants relative to their norms, as text."""
    fc2 = f"{100 * fc2_error:.2g} % (fc2)" if fc2_error else "first principles (fc2)"
    return f"{fc2} and {100 * fc3_error:.2g} % (fc3)"

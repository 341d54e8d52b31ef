"""Phonons at points and along paths of the Brillouin zone."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from phono3py_mlp_plugin.contracts import FloatArray
from phono3py_mlp_plugin.uncertainty import absolute_error, around_first

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
        Frequencies in ascending order and half widths of their 68 % intervals, in THz.
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
        Label (e.g. "GAMMA" or "X_1") and fractional coordinates in the reciprocal basis
        of the primitive cell, shape ``(3,)``.
    """

    start: tuple[str, FloatArray]
    end: tuple[str, FloatArray]


def band_path(primitive: Primitive) -> list[PathSegment]:
    """Return the path through the high-symmetry points of a primitive cell.

    Points and labels are those of Y. Hinuma et al., Comput. Mater. Sci. 128, 140
    (2017), expressed in the reciprocal basis of the given cell.
    """
    path = _seekpath_result(primitive)
    points = {label: np.array(q) for label, q in path["point_coords"].items()}
    return [
        PathSegment((start, points[start]), (end, points[end]))
        for start, end in path["path"]
    ]


def high_symmetry_points(primitive: Primitive) -> list[tuple[str, FloatArray]]:
    """Return labels and fractional coordinates of the points on the band path."""
    points: dict[str, FloatArray] = {}
    for segment in band_path(primitive):
        for label, q in (segment.start, segment.end):
            points.setdefault(label, q)
    return list(points.items())


def _seekpath_result(primitive: Primitive) -> dict[str, Any]:
    import seekpath

    with warnings.catch_warnings():
        # seekpath warns about cells between two Bravais types; their path is valid.
        warnings.simplefilter("ignore")
        path: dict[str, Any] = seekpath.get_path_orig_cell(primitive.totuple())
    return path


def harmonic_crystal(
    crystal: Phono3py, fc2: FloatArray, *, symmetry: bool = True
) -> Phonopy:
    """Return a Phonopy object with the given force constants and Born charges.

    Parameters
    ----------
    crystal : Phono3py
        Provides cells and Born charges; fc2 belongs to its phonon supercell.
    fc2 : ndarray
        In eV/angstrom^2, shape ``(N or N_p, N, 3, 3)``.
    symmetry : bool
        Whether to search for the symmetry. It is needed for meshes of q-points only,
        and the search is slow in large supercells.
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
    """Return phonon frequencies, with imaginary ones as negative numbers.

    Parameters
    ----------
    harmonic : Phonopy
        As returned by `harmonic_crystal`; its force constants may have been replaced.
    qpoints : ndarray
        Fractional coordinates in the reciprocal basis of the primitive cell, shape
        ``(n, 3)``.

    Returns
    -------
    ndarray
        Frequencies in THz in ascending order, shape ``(n, n_bands)``.
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
    *,
    of_models: bool = False,
) -> list[PhononsAt]:
    """Return phonons at high-symmetry points with their error bars.

    Parameters
    ----------
    points : sequence of tuple
        As returned by `high_symmetry_points`.
    frequencies : ndarray
        Frequencies in THz of the fit, of the members of an ensemble, and of fits with
        other penalties, in this order, shape ``(n_potentials, n_points, n_bands)``.
    members : int
        Number of ensemble members.
    n : int
        Number of training supercells, or of models.
    of_models : bool
        Whether fit and members are models of their own, with an unknown mean.
    """
    fit, ensemble, alternatives = np.split(frequencies, [1, 1 + members])
    if of_models:
        ensemble = around_first(np.concatenate([fit, ensemble]))
    errors = absolute_error(fit[0], ensemble, alternatives, n)
    return [
        PhononsAt(label, q.tolist(), fit[0, k].tolist(), errors[k].tolist())
        for k, (label, q) in enumerate(points)
    ]


def frequencies_of(
    crystal: Phono3py,
    force_constants: Sequence[FloatArray],
    points: Sequence[tuple[str, FloatArray]],
) -> FloatArray:
    """Return the phonon frequencies for several sets of fc2 of one crystal.

    Parameters
    ----------
    crystal : Phono3py
        Provides cells and Born charges.
    force_constants : sequence of ndarray
        In eV/angstrom^2, shape ``(N or N_p, N, 3, 3)`` each.
    points : sequence of tuple
        As returned by `high_symmetry_points`.

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


def most_uncertain_frequency(phonons: Sequence[PhononsAt]) -> str:
    """Return the phonon frequency with the largest error as text."""
    errors = [max(point.errors) for point in phonons]
    point = phonons[int(np.argmax(errors))]
    band = int(np.argmax(point.errors))
    return (
        f"{point.frequencies[band]:.3f} +- {point.errors[band]:.3f} THz at "
        f"{point.label}, band {band + 1}"
    )


def force_constant_errors_text(fc2_error: float, fc3_error: float) -> str:
    """Return the errors of force constants, relative to their norms, as text."""
    fc2 = f"{100 * fc2_error:.2g} % (fc2)" if fc2_error else "first principles (fc2)"
    return f"{fc2} and {100 * fc3_error:.2g} % (fc3)"

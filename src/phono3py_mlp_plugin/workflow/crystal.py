"""Checks of the lattice, atoms and matrices that define a crystal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.spatial import cKDTree

from phono3py_mlp_plugin.contracts import FloatArray
from phono3py_mlp_plugin.errors import DatasetError, ResourceError

if TYPE_CHECKING:
    from phonopy.structure.atoms import PhonopyAtoms
    from phonopy.structure.cells import Primitive

# fc3 of ten thousand atoms needs 20 GB for each atom of the primitive cell.
_MOST_ATOMS = 20_000

# Smallest distance between nuclei (angstrom). It is smaller than that of H2 (0.74), and
# than distances at all pressures reached in experiments.
_CLOSEST = 0.3

# Smallest volume of the cell as a fraction of that of a box with the same edges.
_FLATTEST = 1e-4

# Difference of masses (atomic mass units) by digits of files.
_SAME_MASS = 1e-3

_SHIFTS = np.array(np.meshgrid(*[(-1, 0, 1)] * 3)).reshape(3, -1).T


@dataclass(frozen=True, eq=False)
class Cell:
    """A unit cell as read from a file, before it is used.

    Attributes
    ----------
    lattice : array_like
        Rows are lattice vectors (angstrom), shape ``(3, 3)``.
    scaled_positions : array_like
        In units of the lattice vectors, shape ``(N, 3)``.
    masses : iterable of float or None, optional
        In atomic mass units; None for an atom whose mass is unknown.
    may_overlap : bool
        Whether sites may be shared by several species.
    """

    lattice: Any
    scaled_positions: Any
    masses: Iterable[Any] | None = None
    may_overlap: bool = False


def check_crystal(cell: Cell, matrices: Mapping[str, Any], where: str) -> None:
    """Raise if the definition of a crystal is invalid.

    Parameters
    ----------
    cell : Cell
        The unit cell.
    matrices : mapping
        Arrays with the names ``supercell_matrix``, ``phonon_supercell_matrix`` and
        ``primitive_matrix``; each may be None, and the last one a string ("auto").
    where : str
        Source of the crystal, used in error messages.

    Raises
    ------
    DatasetError
        If a number is not finite or has the wrong sign, the lattice vectors lie in a
        plane, or atoms overlap.
    ResourceError
        If a supercell would have too many atoms.
    """
    lattice = check_lattice(cell.lattice, f"{where}: lattice")
    positions = _numbers(
        cell.scaled_positions, f"{where}: coordinates", "three for each atom"
    )
    if positions.ndim != 2 or positions.shape[1] != 3 or not len(positions):
        raise DatasetError(
            f"{where}: coordinates: shape = {positions.shape}; expected three for each "
            "atom."
        )
    check_masses(cell.masses, where)
    if not cell.may_overlap:
        _check_distances(lattice, positions, where)
    for name in ("supercell_matrix", "phonon_supercell_matrix"):
        if matrices.get(name) is not None:
            _check_supercell(matrices[name], len(positions), f"{where}: {name}")
    primitive = matrices.get("primitive_matrix")
    if primitive is not None and not isinstance(primitive, str):
        _check_primitive(primitive, len(positions), f"{where}: primitive_matrix")


def check_supercell(supercell: PhonopyAtoms, where: str) -> None:
    """Raise if a supercell is invalid; see `check_crystal`."""
    check_ordered(supercell, where)
    cell = Cell(supercell.cell, supercell.scaled_positions, supercell.masses)
    check_crystal(cell, {}, where)


def check_ordered(cell: PhonopyAtoms, where: str) -> None:
    """Raise if a site is shared by several species, for which there are no forces.

    Raises
    ------
    DatasetError
    """
    if shares_sites(cell):
        raise DatasetError(
            f"{where}: sites are shared by several elements; expected one element on "
            "each. Potentials know no mixtures: give an ordered supercell."
        )


def shares_sites(cell: PhonopyAtoms) -> bool:
    """Return whether atoms of several species share sites.

    Older versions of phonopy do not support this, and do not have the attribute.
    """
    return bool(getattr(cell, "is_site_mixture", False))


def check_masses(masses: Iterable[Any] | None, where: str) -> None:
    """Raise if a mass is not a positive number; None is accepted for unknown ones."""
    for number, mass in enumerate(() if masses is None else masses, start=1):
        value = np.nan if not _is_number(mass) else float(mass)
        if mass is not None and not 0 < value < np.inf:
            raise DatasetError(
                f"{where}: mass of atom {number} = {mass}; expected a positive number "
                "of atomic mass units. Correct it, or leave all masses out."
            )


def check_equivalent_masses(supercell: PhonopyAtoms, primitive: Primitive) -> None:
    """Raise if atoms that a primitive cell takes for one have different masses.

    Parameters
    ----------
    supercell : PhonopyAtoms
    primitive : Primitive
        Of this supercell.

    Raises
    ------
    DatasetError
        phono3py would take the mass of the first for all of them.
    """
    representative = np.asarray(primitive.s2p_map)
    masses = np.asarray(supercell.masses, dtype="double")
    different = np.abs(masses - masses[representative]) > _SAME_MASS
    if different.any():
        atom = int(different.argmax())
        raise DatasetError(
            f"masses: {masses[atom]:g} and {masses[representative[atom]]:g} for atoms "
            f"({supercell.symbols[atom]}) that are one in the primitive cell; expected "
            "one mass. Give --pa P for isotopes in order, or the same masses."
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def _numbers(values: Any, where: str, expected: str) -> FloatArray:
    try:
        array = np.array(values, dtype="double")
    except (TypeError, ValueError, OverflowError):
        array = np.array([np.nan])
    if not np.isfinite(array).all():
        raise DatasetError(
            f"{where}: not all are finite numbers; expected {expected}. Is the file "
            "complete?"
        )
    return array


def _matrix(values: Any, where: str) -> FloatArray:
    array = _numbers(values, where, "3 x 3 numbers")
    if array.shape == (3,):
        array = np.diag(array)
    if array.shape != (3, 3):
        raise DatasetError(f"{where}: shape = {array.shape}; expected (3, 3).")
    return array


def check_lattice(values: Any, where: str) -> FloatArray:
    """Return lattice vectors (angstrom), shape ``(3, 3)``, that span a volume.

    Raises
    ------
    DatasetError
        If they are not numbers, lie in a plane, or are left-handed.
    """
    lattice = _numbers(values, where, "three vectors")
    if lattice.shape != (3, 3):
        raise DatasetError(f"{where}: shape = {lattice.shape}; expected (3, 3).")
    lengths = np.linalg.norm(lattice, axis=1)
    volume = float(np.linalg.det(lattice))
    if not abs(volume) > _FLATTEST * float(np.prod(lengths)):
        raise DatasetError(
            f"{where}: volume = {volume:.4g} angstrom^3; expected three vectors "
            "that do not lie in a plane."
        )
    if volume < 0:
        raise DatasetError(
            f"{where}: volume = {volume:.4g} angstrom^3; expected vectors that follow "
            "the right-hand rule. Exchange two of them, and the coordinates with them."
        )
    return lattice


def _check_distances(lattice: FloatArray, positions: FloatArray, where: str) -> None:
    wrapped = positions - np.floor(positions)
    images = ((wrapped[:, None] + _SHIFTS) @ lattice).reshape(-1, 3)
    distances, nearest = cKDTree(images).query(wrapped @ lattice, k=2)
    atom = int(distances[:, 1].argmin())
    if not distances[atom, 1] > _CLOSEST:
        other = int(nearest[atom, 1]) // len(_SHIFTS)
        if other == atom:
            other = int(nearest[atom, 0]) // len(_SHIFTS)
        raise DatasetError(
            f"{where}: atoms {min(atom, other) + 1} and {max(atom, other) + 1} are "
            f"{distances[atom, 1]:.3g} angstrom apart; expected more than {_CLOSEST}. "
            "Is an atom there twice, or the lattice in another unit?"
        )


def _check_supercell(values: Any, n_atoms: int, where: str) -> None:
    matrix = _matrix(values, where)
    rows = ", ".join(" ".join(f"{x:g}" for x in row) for row in matrix)
    volume = float(np.linalg.det(matrix))
    if not (matrix == np.rint(matrix)).all() or not volume > 0.5:
        raise DatasetError(
            f"{where} = [{rows}] (determinant {volume:.3g}); expected integers with a "
            "positive determinant."
        )
    if volume * n_atoms > _MOST_ATOMS:
        raise ResourceError(
            f"{where} = [{rows}]: a supercell of {volume * n_atoms:.7g} atoms; "
            f"expected at most {_MOST_ATOMS}. Use a smaller one."
        )


def _check_primitive(values: Any, n_atoms: int, where: str) -> None:
    matrix = _matrix(values, where)
    volume = float(np.linalg.det(matrix))
    if not volume * n_atoms > 0.5:
        raise DatasetError(
            f"{where}: determinant = {volume:.3g}; expected a positive one that leaves "
            f"at least one of {n_atoms} atoms. Use 'auto', or the centring's matrix."
        )

"""fc2 and fc3 of potentials of one model in a supercell, from their derivatives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

from phono3py_mlp_plugin.contracts import FloatArray, ForceConstants, IntArray
from phono3py_mlp_plugin.errors import PotentialError
from phono3py_mlp_plugin.polynomial.derivatives.centre import Centre, CentreEnergy
from phono3py_mlp_plugin.polynomial.derivatives.expansion import Basis
from phono3py_mlp_plugin.polynomial.derivatives.patterns import PatternDerivatives
from phono3py_mlp_plugin.polynomial.derivatives.symmetry import (
    Operations,
    PairOrbit,
    SiteSymmetry,
)
from phono3py_mlp_plugin.polynomial.kernels.tensors import (
    add_moved_pairs,
    add_rotated_pairs,
)
from phono3py_mlp_plugin.polynomial.model.feature_list import FeatureList
from phono3py_mlp_plugin.polynomial.model.tables import centre_tables
from phono3py_mlp_plugin.polynomial.structures.neighbours import find_neighbours
from phono3py_mlp_plugin.polynomial.structures.structure import Structure
from phono3py_mlp_plugin.threads import threads

# Atoms whose third derivatives are computed at a time.
_ATOMS = 5

# Bytes of the sums of fc3 of the potentials that are computed at a time.
_SUMS = 5e8

# Distance (angstrom) from the cutoff within which second derivatives are not defined:
# those of the cutoff function jump there.
_AT_CUTOFF = 1e-5


@dataclass(eq=False)
class _Sums:
    """Sums of derivatives over centres, by sublattice of the first atom."""

    fc2: dict[int, FloatArray]
    fc3: dict[int, FloatArray]


class ForceConstantsOfModel:
    """Force constants of potentials of one model in one supercell.

    Parameters
    ----------
    feature_list : FeatureList
    structure : Structure
        The supercell without displacements.
    operations : Operations
    rows : sequence of int
        Atoms that the first index of the force constants runs over.
    orders : tuple of int
        ``(2,)`` or ``(2, 3)``.
    n_threads : int, optional
        All cores by default; the result does not depend on it.

    Raises
    ------
    PotentialError
        If atoms are at the cutoff, where derivatives are not defined.
    """

    def __init__(
        self,
        feature_list: FeatureList,
        structure: Structure,
        operations: Operations,
        rows: Sequence[int],
        orders: tuple[int, ...],
        n_threads: int | None = None,
    ) -> None:
        parameters = feature_list.parameters
        self._structure = structure
        self._symmetry = SiteSymmetry(operations)
        self._rows = list(rows)
        self._averaging = {
            atom: self._symmetry.averaging(atom)
            for atom in self._symmetry.inequivalent.tolist()
        }
        self._order = max(orders)
        self._n_threads = n_threads
        self._basis = Basis(parameters.pair_params, parameters.cutoff, parameters.max_l)
        self._n_types = parameters.n_types
        self._neighbours = find_neighbours(
            structure.lattice, structure.positions, parameters.cutoff + _AT_CUTOFF
        )
        self._check_cutoff(parameters.cutoff)
        self._tables = centre_tables(feature_list)
        self._patterns: dict[int, PatternDerivatives] = {}

    def _check_cutoff(self, cutoff: float) -> None:
        lengths = np.sqrt((self._neighbours.vectors**2).sum(axis=1))
        if (lengths > cutoff - _AT_CUTOFF).any():
            raise PotentialError(
                f"neighbours at the cutoff, {cutoff:g} angstrom: second derivatives of "
                "the potential jump there. Train with another cutoff, or use "
                "displacements (-d)."
            )

    def compute(self, coefficients: FloatArray) -> Iterator[ForceConstants]:
        """Yield fc2 and fc3 for each row of coefficients.

        Parameters
        ----------
        coefficients : ndarray
            Shape ``(n_potentials, n_features)``.
        """
        n, n_sums = len(self._structure), len(np.unique(self._symmetry.sublattices))
        size = 8 * n_sums * (3 * n) ** 2 * (3 if self._order == 3 else 1)
        step = max(1, int(_SUMS / size))
        for first in range(0, len(coefficients), step):
            sums = self._sums(coefficients[first : first + step])
            while sums:
                yield self._unfolded(sums.pop(0))

    def _sums(self, coefficients: FloatArray) -> list[_Sums]:
        """Return the sums over inequivalent pairs of centres and atoms."""
        n = len(self._structure)
        sublattices = np.unique(self._symmetry.sublattices).tolist()
        sums = []
        for _ in coefficients:
            fc2 = {s: np.zeros((n, 3, 3)) for s in sublattices}
            if self._order == 2:
                sums.append(_Sums(fc2, {}))
                continue
            fc3 = {s: np.zeros((n, n, 3, 3, 3)) for s in sublattices}
            sums.append(_Sums(fc2, fc3))
        with threads(self._n_threads) as executor:
            for atom in self._symmetry.inequivalent.tolist():
                self._add_centre(self._centre(atom), coefficients, sums, executor)
        return sums

    def _add_centre(
        self,
        centre: Centre,
        coefficients: FloatArray,
        sums: Sequence[_Sums],
        executor: Executor,
    ) -> None:
        """Add the derivatives of all pairs with an inequivalent centre."""
        atom = centre.expansion.centre
        atoms = np.append(centre.expansion.neighbours, atom)
        place = {a: k for k, a in enumerate(atoms.tolist())}
        # Pairs farther apart than the cutoff do not interact.
        orbits = [o for o in self._symmetry.pair_orbits(atom) if o.atom in place]
        energies = list(
            executor.map(
                lambda row: CentreEnergy(centre, row, self._order), coefficients
            )
        )
        for energy, target in zip(energies, sums, strict=True):
            second = energy.second()
            for orbit in orbits:
                moved = self._symmetry.to_sublattice(orbit.atom)
                part = second[:, :, place[orbit.atom]].transpose(0, 2, 1)
                fc2 = target.fc2[int(moved[orbit.atom])]
                fc2[moved[atoms]] += orbit.weight * part
        if self._order == 2:
            return
        chunks = _chunks(orbits, centre, place)
        tasks = [
            (energy, target, chunk)
            for energy, target in zip(energies, sums, strict=True)
            for chunk in chunks
        ]
        # Added in one order, so that results do not depend on the number of threads.
        thirds = executor.map(
            lambda task: task[0].third([place[orbit.atom] for orbit in task[2]]), tasks
        )
        for (_, target, chunk), third in zip(tasks, thirds, strict=True):
            for orbit, part in zip(chunk, third, strict=True):
                moved = self._symmetry.to_sublattice(orbit.atom)
                fc3 = target.fc3[int(moved[orbit.atom])]
                add_moved_pairs(part, moved[atoms], orbit.weight, fc3)

    def _centre(self, atom: int) -> Centre:
        structure, neighbours = self._structure, self._neighbours
        here = slice(neighbours.start[atom], neighbours.start[atom + 1])
        partners = neighbours.partners[here]
        expansion = self._basis.expand(
            atom,
            partners,
            structure.types[partners],
            neighbours.vectors[here],
            self._n_types,
            self._order,
        )
        t = int(structure.types[atom])
        if t not in self._patterns:
            self._patterns[t] = PatternDerivatives(
                self._tables[t].rows, self._n_types, self._basis.n_lm
            )
        return Centre(self._tables[t], self._patterns[t], expansion, self._order)

    def _unfolded(self, sums: _Sums) -> ForceConstants:
        """Return the force constants of all rows from the sums."""
        fc2: dict[int, FloatArray] = {}
        fc3: dict[int, FloatArray] = {}
        for atom in self._symmetry.inequivalent.tolist():
            fc2[atom] = self._averaged(sums.fc2, atom)
            if self._order == 3:
                fc3[atom] = self._averaged(sums.fc3, atom)
        sums.fc2.clear()
        sums.fc3.clear()
        result = {2: self._all_rows(fc2)}
        if self._order == 3:
            result[3] = self._all_rows(fc3)
        return result

    def _averaged(self, sums: dict[int, FloatArray], atom: int) -> FloatArray:
        """Return force constants of an inequivalent atom: the mean over its site's."""
        symmetry = self._symmetry
        total = np.zeros_like(sums[atom])
        for sublattice, part in sums.items():
            if symmetry.atoms[sublattice] == atom:
                rotation, moved = symmetry.between(sublattice, atom)
                _add_rotated(part, moved, rotation, total)
        for step in self._averaging[atom]:
            mean = total.copy()
            for rotation, moved in step:
                _add_rotated(total, moved, rotation, mean)
            total = mean / (len(step) + 1)
        return total

    def _all_rows(self, of_atom: dict[int, FloatArray]) -> FloatArray:
        first = next(iter(of_atom.values()))
        result = np.zeros((len(self._rows), *first.shape))
        for row, atom in enumerate(self._rows):
            known = int(self._symmetry.atoms[atom])
            rotation, moved = self._symmetry.between(known, atom)
            _add_rotated(of_atom[known], moved, rotation, result[row])
        return result


def _add_rotated(
    source: FloatArray, moved: IntArray, rotation: FloatArray, target: FloatArray
) -> None:
    """Add the force constants of an atom as an operation moves and rotates them."""
    if source.ndim == 3:
        target[moved] += rotation @ source @ rotation.T
    elif np.array_equal(rotation, np.eye(3)):
        target[np.ix_(moved, moved)] += source
    else:
        add_rotated_pairs(source, moved, rotation, target)


def _chunks(
    orbits: Sequence[PairOrbit], centre: Centre, place: dict[int, int]
) -> list[list[PairOrbit]]:
    """Divide atoms into groups of one type, the centre alone."""
    ends = [part.stop // 3 for part in centre.slices]
    groups: dict[int, list[PairOrbit]] = {}
    for orbit in orbits:
        at = place[orbit.atom]
        groups.setdefault(int(np.searchsorted(ends, at, side="right")), []).append(
            orbit
        )
    return [
        group[first : first + _ATOMS]
        for group in groups.values()
        for first in range(0, len(group), _ATOMS)
    ]

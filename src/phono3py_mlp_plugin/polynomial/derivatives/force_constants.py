"""fc2 and fc3 of potentials of one model in a supercell, from their derivatives."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

from phono3py_mlp_plugin.contracts import (
    FloatArray,
    ForceConstants,
    IntArray,
    MapChunks,
    Progress,
    map_here,
    no_progress,
)
from phono3py_mlp_plugin.errors import PotentialError
from phono3py_mlp_plugin.polynomial.derivatives.centre import Centre
from phono3py_mlp_plugin.polynomial.derivatives.energy import CentreEnergy
from phono3py_mlp_plugin.polynomial.derivatives.expansion import Basis
from phono3py_mlp_plugin.polynomial.derivatives.patterns import PatternDerivatives
from phono3py_mlp_plugin.polynomial.derivatives.symmetry import (
    Operations,
    SiteSymmetry,
)
from phono3py_mlp_plugin.polynomial.derivatives.triples import (
    Triples,
    places,
    representative_triples,
)
from phono3py_mlp_plugin.polynomial.kernels.tensors import (
    add_rotated_pairs,
    add_weighted,
    sum_permutations,
)
from phono3py_mlp_plugin.polynomial.model.feature_list import FeatureList
from phono3py_mlp_plugin.polynomial.model.tables import centre_tables
from phono3py_mlp_plugin.polynomial.structures.neighbours import (
    cutoff_between_shells,
    find_neighbours,
)
from phono3py_mlp_plugin.polynomial.structures.structure import Structure
from phono3py_mlp_plugin.threads import threads

# Atoms whose third derivatives are computed at a time.
_ATOMS = 5

# Bytes of the sums of fc3 of the potentials that are computed at a time.
_SUMS = 5e8

# Potentials whose derivatives are computed by one worker: they share half of the work.
_TOGETHER = 4


@dataclass(eq=False)
class _Sums:
    """Sums of derivatives over centres, with a row for each sublattice.

    fc3 is that of representative triples: the sum over all permutations of its indices
    is still to be made.
    """

    fc2: FloatArray
    fc3: FloatArray | None


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
        symmetry = self._symmetry
        self._sublattices = np.unique(symmetry.sublattices)
        row_of = np.searchsorted(self._sublattices, symmetry.sublattices)
        # Those of the sublattices' own atoms after those of all atoms.
        self._row_of = np.concatenate((row_of, self._sublattices))
        self._translations = np.array(
            [symmetry.to_sublattice(atom) for atom in range(len(row_of))]
        )
        self._rows = list(rows)
        self._averaging = {
            atom: self._symmetry.averaging(atom)
            for atom in self._symmetry.inequivalent.tolist()
        }
        self._order = max(orders)
        self._n_threads = n_threads
        self._basis = Basis(parameters.pair_params, parameters.cutoff, parameters.max_l)
        self._n_types = parameters.n_types
        _check_cutoff(structure, parameters.cutoff)
        self._neighbours = find_neighbours(
            structure.lattice, structure.positions, parameters.cutoff
        )
        self._tables = centre_tables(feature_list)
        self._patterns: dict[int, PatternDerivatives] = {}

    def compute(
        self,
        coefficients: FloatArray,
        progress: Progress = no_progress,
        map_chunks: MapChunks = map_here,
    ) -> Iterator[ForceConstants]:
        """Yield fc2 and fc3 for each row of coefficients.

        Parameters
        ----------
        coefficients : ndarray
            Shape ``(n_potentials, n_features)``.
        progress : Progress
        map_chunks : MapChunks
            Computes derivatives by centre, or those of several potentials.
        """
        size = 8 * len(self._sublattices) * (3 * len(self._structure)) ** 2
        if self._order == 3:
            size *= 3
        step = max(1, int(_SUMS / size))
        for first in range(0, len(coefficients), step):
            found = self._of_inequivalent(
                coefficients[first : first + step], progress, map_chunks
            )
            while found:
                of_atoms = found.pop(0)
                yield {o: self._all_rows(of_atom) for o, of_atom in of_atoms.items()}

    def _of_inequivalent(
        self, coefficients: FloatArray, progress: Progress, map_chunks: MapChunks
    ) -> list[dict[int, dict[int, FloatArray]]]:
        """Return force constants of each potential by order and inequivalent atom."""
        atoms = self._symmetry.inequivalent.tolist()
        number = len(coefficients)
        total = number * sum(self._number_of_orbits(atom) for atom in atoms)
        task = f"Derivatives of {number} potential{'s' if number > 1 else ''}"
        with threads(self._n_threads) as executor, progress(task, total) as advance:
            if map_chunks is map_here:
                sums = self._zeros(number)
                for atom in atoms:
                    self._add_centre(atom, coefficients, sums, executor, advance)
            elif number == 1:
                sums = self._zeros(1)
                shared = self, coefficients[0]
                for atom, parts in zip(
                    atoms, map_chunks(_parts_of_centre, shared, atoms), strict=True
                ):
                    _add_parts(self, atom, parts, sums[0])
                    advance(self._number_of_orbits(atom))
            else:
                sums = []
                parts_of = [
                    coefficients[i : i + _TOGETHER] for i in range(0, number, _TOGETHER)
                ]
                for found in map_chunks(_sums_of_potentials, self, parts_of):
                    new = _sums_from(found)
                    sums += new
                    advance(len(new) * total // number)
            return list(executor.map(self._unfolded, sums))

    def _zeros(self, number: int) -> list[_Sums]:
        n, rows = len(self._structure), len(self._sublattices)
        return [
            _Sums(
                np.zeros((rows, n, 3, 3)),
                np.zeros((rows, n, n, 3, 3, 3)) if self._order == 3 else None,
            )
            for _ in range(number)
        ]

    def _add_centre(
        self,
        atom: int,
        coefficients: FloatArray,
        sums: Sequence[_Sums],
        executor: Executor,
        advance: Callable[[int], None],
    ) -> None:
        """Add the derivatives of the energy of an inequivalent centre."""
        centre = self._centre(atom)
        atoms = np.append(centre.expansion.neighbours, atom)
        triples = representative_triples(self._symmetry, atom, atoms[:-1])
        firsts = [t.first for t in triples] if self._order == 3 else []
        energies = list(
            executor.map(lambda row: CentreEnergy(centre, row, firsts), coefficients)
        )
        for energy, target in zip(energies, sums, strict=True):
            self._add_second(atom, atoms, triples, energy.second(), target.fc2)
        if self._order == 2:
            advance(len(triples) * len(sums))
            return
        chunks = _chunks(triples, centre)

        def add(energy: CentreEnergy, target: _Sums) -> None:
            for chunk in chunks:
                self._add_third(chunk, energy.third(chunk), atoms, target.fc3)

        if len(energies) > 1:
            for _ in executor.map(add, energies, sums):
                advance(len(triples))
            return
        # Added in one order, so that results do not depend on the number of threads.
        thirds = executor.map(energies[0].third, chunks)
        for chunk, parts in zip(chunks, thirds, strict=True):
            self._add_third(chunk, parts, atoms, sums[0].fc3)
            advance(len(chunk))

    def _add_second(
        self,
        atom: int,
        atoms: IntArray,
        triples: Sequence[Triples],
        second: FloatArray,
        fc2: FloatArray,
    ) -> None:
        """Add second derivatives by the first atoms of triples and the centre."""
        labels = self._symmetry.orbit_labels(atom)
        cells = self._symmetry.per_primitive_cell(atom)
        for place in [*(t.first for t in triples), len(atoms) - 1]:
            row, moved = self._to_row(int(atoms[place]))
            weight = cells * (labels == labels[atoms[place]]).sum()
            part = second[:, :, place].transpose(0, 2, 1)
            fc2[row, moved[atoms]] += weight * part

    def _add_third(
        self,
        chunk: Sequence[Triples],
        parts: Sequence[FloatArray],
        atoms: IntArray,
        fc3: FloatArray | None,
    ) -> None:
        """Add third derivatives by neighbours, and by the centre, the last atom."""
        assert fc3 is not None
        own_row, own = self._to_row(int(atoms[-1]))
        for item, part in zip(chunk, parts, strict=True):
            used = np.concatenate((atoms[item.second], atoms[item.first :]))
            row, moved = self._to_row(int(atoms[item.first]))
            add_weighted(
                part, item.weights, moved[used], own[used], fc3[row], fc3[own_row]
            )

    def _to_row(self, atom: int) -> tuple[int, IntArray]:
        """Return the row of an atom's sublattice, and the translation to it."""
        return int(self._row_of[atom]), self._translations[atom]

    def _number_of_orbits(self, atom: int) -> int:
        """Return the number of inequivalent neighbours of a centre."""
        start = self._neighbours.start
        partners = self._neighbours.partners[start[atom] : start[atom + 1]]
        return len(
            np.unique(self._symmetry.orbit_labels(atom)[partners[partners != atom]])
        )

    def _centre(self, atom: int) -> Centre:
        structure, neighbours = self._structure, self._neighbours
        here = slice(neighbours.start[atom], neighbours.start[atom + 1])
        partners = neighbours.partners[here]
        expansion = self._basis.expand(
            atom,
            partners,
            structure.types[partners],
            neighbours.vectors[here],
            places(self._symmetry, atom),
            self._n_types,
            self._order,
        )
        t = int(structure.types[atom])
        if t not in self._patterns:
            self._patterns[t] = PatternDerivatives(
                self._tables[t].rows, self._n_types, self._basis.n_lm
            )
        return Centre(self._tables[t], self._patterns[t], expansion, self._order)

    def _unfolded(self, sums: _Sums) -> dict[int, dict[int, FloatArray]]:
        """Return the force constants of inequivalent atoms from the sums."""
        symmetry = self._symmetry
        by_order = {2: sums.fc2}
        if sums.fc3 is not None:
            by_order[3] = sum_permutations(sums.fc3, self._row_of, self._translations)
            sums.fc3 = None
        return {
            order: {
                atom: self._averaged(found, atom)
                for atom in symmetry.inequivalent.tolist()
            }
            for order, found in by_order.items()
        }

    def _averaged(self, sums: FloatArray, atom: int) -> FloatArray:
        """Return force constants of an inequivalent atom: the mean over its site's."""
        symmetry = self._symmetry
        total: FloatArray = np.zeros_like(sums[0])
        equivalent = np.flatnonzero(symmetry.atoms[self._sublattices] == atom)
        for row in equivalent.tolist():
            rotation, moved = symmetry.between(int(self._sublattices[row]), atom)
            _add_rotated(sums[row], moved, rotation, total)
        total /= len(equivalent)
        for step in self._averaging[atom]:
            mean = total.copy()
            for rotation, moved in step:
                _add_rotated(total, moved, rotation, mean)
            mean /= len(step) + 1
            total = mean
        return total

    def _all_rows(self, of_atom: dict[int, FloatArray]) -> FloatArray:
        first = next(iter(of_atom.values()))
        result = np.zeros((len(self._rows), *first.shape))
        for row, atom in enumerate(self._rows):
            known = int(self._symmetry.atoms[atom])
            rotation, moved = self._symmetry.between(known, atom)
            _add_rotated(of_atom[known], moved, rotation, result[row])
        return result


def _check_cutoff(structure: Structure, cutoff: float) -> None:
    """Raise if second derivatives jump at the distance of some neighbours."""
    other = cutoff_between_shells(structure.lattice, structure.positions, cutoff)
    if other != cutoff:
        raise PotentialError(
            f"neighbours at the cutoff, {cutoff:g} angstrom: second derivatives of "
            "the potential jump there. Train with another cutoff, such as "
            f"--mlp-params 'cutoff = {other:g}', or use displacements (-d)."
        )


def _sums_of_potentials(
    model: ForceConstantsOfModel, coefficients: FloatArray
) -> dict[str, FloatArray]:
    """Return the sums over centres for each row of coefficients, in a worker."""
    sums = model._zeros(len(coefficients))
    with threads(None) as executor:
        for atom in model._symmetry.inequivalent.tolist():
            model._add_centre(atom, coefficients, sums, executor, lambda _done: None)
    found = {"second": np.array([s.fc2 for s in sums])}
    if model._order == 3:
        found["third"] = np.array([s.fc3 for s in sums])
    return found


def _sums_from(found: dict[str, FloatArray]) -> list[_Sums]:
    """Return the sums of several potentials that a worker has computed."""
    thirds = found.get("third", [None] * len(found["second"]))
    return [_Sums(*pair) for pair in zip(found["second"], thirds, strict=True)]


def _parts_of_centre(
    shared: tuple[ForceConstantsOfModel, FloatArray], atom: int
) -> dict[str, FloatArray]:
    """Return the derivatives of the energy of a centre by one potential.

    They are not added up yet: sums are made in one order by one process.
    """
    model, coefficients = shared
    centre = model._centre(atom)
    neighbours = centre.expansion.neighbours
    triples = representative_triples(model._symmetry, atom, neighbours)
    firsts = [t.first for t in triples] if model._order == 3 else []
    energy = CentreEnergy(centre, coefficients, firsts)
    parts = {
        "second": energy.second(),
        "neighbours": neighbours.astype(np.float64),
    }
    if firsts:
        chunks = _chunks(triples, centre)
        order = [item.first for chunk in chunks for item in chunk]
        parts["order"] = np.array(order, dtype=np.float64)
        for chunk in chunks:
            for item, part in zip(chunk, energy.third(chunk), strict=True):
                parts[f"third-{item.first}"] = part
    return parts


def _add_parts(
    model: ForceConstantsOfModel,
    atom: int,
    parts: dict[str, FloatArray],
    sums: _Sums,
) -> None:
    """Add derivatives of a centre in the order of a single process."""
    neighbours = parts["neighbours"].astype(np.int64)
    atoms = np.append(neighbours, atom)
    triples = representative_triples(model._symmetry, atom, neighbours)
    model._add_second(atom, atoms, triples, parts["second"], sums.fc2)
    if "order" in parts:
        by_first = {item.first: item for item in triples}
        for first in parts["order"].astype(np.int64).tolist():
            part = parts[f"third-{first}"]
            model._add_third([by_first[first]], [part], atoms, sums.fc3)


def _add_rotated(
    source: FloatArray, moved: IntArray, rotation: FloatArray, target: FloatArray
) -> None:
    """Add the force constants of an atom as an operation moves and rotates them."""
    if source.ndim == 3:
        target[moved] += rotation @ source @ rotation.T
    else:
        add_rotated_pairs(source, moved, rotation, target)


def _chunks(triples: Sequence[Triples], centre: Centre) -> list[list[Triples]]:
    """Divide triples into groups whose first atoms are of one type."""
    ends = [part.stop // 3 for part in centre.slices]
    groups: dict[int, list[Triples]] = {}
    for item in triples:
        t = int(np.searchsorted(ends, item.first, side="right"))
        groups.setdefault(t, []).append(item)
    return [
        group[first : first + _ATOMS]
        for group in groups.values()
        for first in range(0, len(group), _ATOMS)
    ]

"""Whether displacements, forces and energies can belong to one crystal.

Snapshots are counted from 1, as in the host's files. Units are eV and angstrom.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from phono3py_mlp_plugin.contracts import Dataset, FloatArray
from phono3py_mlp_plugin.errors import DatasetError
from phono3py_mlp_plugin.workflow.response import (
    Mistake,
    Response,
    mistakes_of,
    others_forces,
    response_of,
    strangers,
    unrelated,
)
from phono3py_mlp_plugin.workflow.work import (
    Work,
    named_scale,
    off_the_line,
    order_of_energies,
    scales,
    work_of,
)

if TYPE_CHECKING:
    from phonopy.structure.atoms import PhonopyAtoms

# Snapshots and relative error of the slope from which energies confirm the forces.
_CONFIRMED = 6
_WELL_KNOWN = 0.1

# Correlation of energy and work that leaves no doubt that they belong together, and
# that from which a slope is a matter of units. Good data: 0.96 and more.
_TOGETHER = 0.8

# Correlation below which a slope may come of an order of the energies.
_NO_DOUBT = 0.97

# Force over displacement (eV/angstrom^2). Crystals: argon 1, NaCl 2.3, diamond 50.
_SOFTEST = 0.1
_STIFFEST = 200.0

# Mean force at rest: over its standard error, over the rms force, and in eV/angstrom.
# Relaxed structures of the host: 1.1, 0.08 and 0.002 at most.
_AT_REST_ERROR = 2.0
_AT_REST_SHARE = 0.15
_AT_REST = 0.01

# Mistakes that are made together.
_COMMON = (
    (
        "forces in Ry/bohr",
        "forces in Ry/angstrom",
        "forces in hartree/bohr",
        "forces in hartree/angstrom",
        "forces in eV/bohr",
    ),
    ("energies in Ry", "energies in hartree", "energies per atom"),
    ("displacements in bohr", "displacements as fractions of the supercell"),
)

# Standard deviations of chance by which forces must point the wrong way.
_SURE = 5.0

# Unit cells along an axis that are looked for, and how near (fraction) they repeat.
_MOST_REPEATS = 6
_SAME_POINT = 1e-3


def check_forces(dataset: Dataset) -> list[str]:
    """Refuse forces that do not answer to the displacements; name the mistake.

    Directions are compared, so that units do not matter: signs, orders of snapshots
    and atoms, axes. Where energies follow the work of the forces, forces are right.

    Parameters
    ----------
    dataset : Dataset

    Returns
    -------
    list of str
        Notes on what is only suspicious.

    Raises
    ------
    DatasetError
        The mistake, and the snapshots where it is of single ones.
    """
    response = response_of(dataset)
    if response is None:
        return []
    work = _work(dataset, response)
    confirmed = work is not None and _confirms(work)
    if not confirmed:
        _check_all_forces(dataset, response)
    _check_each_force(response, work if confirmed else None)
    notes = [*_at_rest(dataset, response), *_stiffness(dataset, response)]
    if response.mean < -_SURE * response.chance:
        notes.append(
            "forces drive the atoms away from their places, and the energies agree: "
            "the structure without displacements is not at a minimum."
        )
    return notes


def check_energies(dataset: Dataset) -> None:
    """Refuse energies that do not follow the work of the forces; name the mistake.

    Parameters
    ----------
    dataset : Dataset
        Whose forces have passed `check_forces`.

    Raises
    ------
    DatasetError
        Units or signs that do not belong together, energies in another order or of
        other calculations.
    """
    response = response_of(dataset)
    work = None if response is None else _work(dataset, response)
    if work is None:
        return
    if not work.right:
        _refuse_scale(dataset, work)
    _check_each_energy(work)
    if work.scatters:
        _refuse_order(
            work,
            f"energies scatter by {work.scatter:.3g} eV about -1/2 sum of "
            f"displacements times forces; expected up to {work.bearable:.3g}",
        )


def _work(dataset: Dataset, response: Response) -> Work | None:
    if dataset.energies is None or len(dataset) < 2:
        return None
    return work_of(dataset.displacements, dataset, response.anharmonicity())


def _check_all_forces(dataset: Dataset, response: Response) -> None:
    mistakes = mistakes_of(response, _lattices(dataset))
    if mistakes:
        _refuse(response, mistakes)
    if unrelated(response):
        raise DatasetError(
            "forces have nothing to do with displacements: mean cosine of forces and "
            f"-displacements = {response.mean:.2f}; expected 0.6 to 1. Are they of "
            "this dataset, in the same order of snapshots and atoms?"
        )


def _refuse(response: Response, mistakes: list[Mistake]) -> NoReturn:
    best = mistakes[0]
    texts = list(dict.fromkeys(mistake.text for mistake in mistakes))[:3]
    raise DatasetError(
        f"forces do not answer to displacements: mean cosine of forces and "
        f"-displacements = {response.mean:.2f}; expected 0.6 to 1. What fits: "
        f"{', or '.join(texts)}; undone, it is {best.cosine:.2f}. {best.remedy}."
    )


def _check_each_force(response: Response, work: Work | None) -> None:
    """Refuse snapshots whose forces are not theirs, where energies do not confirm."""
    off = None if work is None else off_the_line(work)
    others = others_forces(response)
    if others:
        first, *rest = others.items()
        named = [f"{i + 1} those of {j + 1}" for i, j in rest[:4]]
        more = f" and {len(rest) - 4} more" if len(rest) > 4 else ""
        so = f" ({', '.join(named)}{more})" if named else ""
        raise DatasetError(
            f"snapshot {first[0] + 1}: its forces answer to the displacements of "
            f"snapshot {first[1] + 1}{so}, not to its own. Put forces and "
            "displacements in the same order of snapshots."
        )
    alone = [i for i in strangers(response) if off is None or i in off]
    if alone:
        cosines = dict(zip(response.snapshots, response.cosines, strict=True))
        raise DatasetError(
            f"snapshot {alone[0] + 1}: forces do not answer to its displacements: "
            f"cosine of forces and -displacements = {cosines[alone[0]]:.2f}; that of "
            f"the others is {np.median(response.cosines):.2f}"
            f"{_so_are(alone)}. Compute it again or leave it out."
        )


def _refuse_scale(dataset: Dataset, work: Work) -> NoReturn:
    """Name what makes the slope of energies on work another than 1."""
    line = work.line
    found = (
        f"energies change by {line.slope:.3g} times -1/2 sum of displacements times "
        f"forces (correlation {line.correlation:.2f}); expected 1"
    )
    odd = _odd_one(dataset, work)
    if odd is not None:
        raise DatasetError(
            f"snapshot {odd + 1}: its energy and its forces contradict each other; "
            "without it the others agree. Compute it again or leave it out."
        )
    named = []
    if abs(line.correlation) > _TOGETHER:
        named = _names(dataset, work)
        if abs(line.correlation) < _NO_DOUBT:
            order = order_of_energies(work, by_rank=False)
            if order is not None:
                named = [f"energies of snapshots in another order, {order}"]
        if not named:
            raise DatasetError(
                f"{found}. Units of energies (eV), forces (eV/angstrom) and "
                "displacements (angstrom) do not belong together: check each."
            )
    if named:
        raise DatasetError(
            f"{found}. What fits: {', or '.join(named[:4])}. Mend it: eV and angstrom, "
            "everything in the order of the displacements."
        )
    _refuse_order(work, found)


def _odd_one(dataset: Dataset, work: Work) -> int | None:
    """Return the one snapshot without which energies agree with forces."""
    if len(dataset) < _CONFIRMED:
        return None
    share = work.work / work.size.clip(1e-300)
    for odd in np.argsort(-np.abs(share - np.median(share)))[:3]:
        rest = dataset.select(np.delete(np.arange(len(dataset)), odd))
        response = response_of(rest)
        if response is None:
            continue
        if _confirms(work_of(rest.displacements, rest, response.anharmonicity())):
            return int(odd)
    return None


def _refuse_order(work: Work, found: str) -> NoReturn:
    order = order_of_energies(work)
    if order is not None:
        raise DatasetError(
            f"{found}. What fits: energies of snapshots in another order, {order}. Put "
            "energies in the order of the displacements."
        )
    raise DatasetError(
        f"{found}. Forces answer to the displacements, energies do not belong to "
        "them: take them from the same calculations, in the same order, or leave all "
        "energies out."
    )


def _names(dataset: Dataset, work: Work) -> list[str]:
    """Return the mistakes of scale that fit, the likeliest first."""
    known = [*scales(dataset), *_per_cell(dataset), *_fractions(dataset, work)]
    both = list(_two_scales(known))
    named = (
        named_scale(work, known)
        or named_scale(work, both)
        or named_scale(work, known, loose=True)
        or named_scale(work, both, loose=True)
    )
    if not named:
        named = [
            f"energies with the opposite sign, and {text}"
            for text in named_scale(work, known, sign=-1, loose=True)
        ]
    return named


def _per_cell(dataset: Dataset) -> Iterator[tuple[float, str]]:
    cell = dataset.supercell
    repeats = [_repeats(cell, axis) for axis in range(3)]
    unit, primitive = int(np.prod(repeats)), _translations(cell)
    if unit > 1:
        yield 1 / unit, f"energies per unit cell ({unit} in the supercell)"
    if primitive not in (1, unit):
        yield 1 / primitive, f"energies per primitive cell ({primitive} in all)"


def _two_scales(known: list[tuple[float, str]]) -> Iterator[tuple[float, str]]:
    """Yield slopes that two of the commonest mistakes cause together."""
    forces, energies, lengths = (
        [(slope, text) for slope, text in known if text in kind] for kind in _COMMON
    )
    for pairs in ((forces, energies), (forces, lengths), (energies, lengths)):
        for (one, first), (other, second) in product(*pairs):
            yield one * other, f"{first} with {second}"


def _fractions(dataset: Dataset, work: Work) -> Iterator[tuple[float, str]]:
    for name, lattice in _lattices(dataset).items():
        moved = work_of(dataset.displacements @ lattice, dataset, work.anharmonicity)
        line = moved.line
        if line.slope > 0 and line.correlation > _TOGETHER:
            yield (
                work.line.slope / line.slope,
                f"displacements as fractions of the {name}",
            )


def _check_each_energy(work: Work) -> None:
    """Refuse single energies that are not those of their snapshots."""
    wrong = off_the_line(work)
    if not wrong:
        return
    line = work.line
    expected = line.intercept + line.slope * work.work
    worst = wrong[0]
    text = (
        f"snapshot {worst + 1}: energy = {work.energies[worst]:.8g} eV; the forces of "
        f"the snapshots expect {expected[worst]:.8g}"
    )
    for other in wrong[1:]:
        pair = [worst, other]
        swapped = np.abs(work.energies[pair[::-1]] - expected[pair])
        if (swapped < 0.3 * np.abs(work.energies[pair] - expected[pair])).all():
            raise DatasetError(
                f"{text}. The energies of snapshots {worst + 1} and {other + 1} fit "
                "exchanged: put them in the order of the displacements."
            )
    raise DatasetError(
        f"{text}{_so_are(wrong)}. {_unit_of(work, worst, expected[worst])}"
        "Compute it again or leave it out."
    )


def _unit_of(work: Work, snapshot: int, expected: float) -> str:
    for factor, text in (
        (13.605693, "in Ry"),
        (27.211386, "in hartree"),
        (-1.0, "with the opposite sign"),
        (1 / 96.485332, "in kJ/mol"),
        (1 / 23.060548, "in kcal/mol"),
        (0.001, "in meV"),
    ):
        near = abs(factor * work.energies[snapshot] - expected)
        if near < 0.5 * work.size[snapshot] + 0.01 * abs(expected):
            return f"Is it {text}? "
    return "Is it of another calculation, or not converged? "


def _so_are(snapshots: list[int]) -> str:
    if len(snapshots) == 1:
        return ""
    others = ", ".join(str(i + 1) for i in sorted(snapshots[1:6]))
    more = f" and {len(snapshots) - 6} more" if len(snapshots) > 6 else ""
    return f" (so are snapshots {others}{more})"


def _confirms(work: Work) -> bool:
    line = work.line
    return (
        len(work.energies) >= _CONFIRMED
        and work.right
        and line.correlation > _TOGETHER
        and line.error < _WELL_KNOWN * line.slope
    )


def _lattices(dataset: Dataset) -> dict[str, FloatArray]:
    """Return lattice vectors that fractional displacements may refer to."""
    cell = np.asarray(dataset.supercell.cell, dtype=float)
    repeats = [_repeats(dataset.supercell, axis) for axis in range(3)]
    lattices = {"supercell": cell}
    if max(repeats) > 1:
        lattices["unit cell"] = cell / np.array(repeats)[:, None]
    return lattices


def _repeats(supercell: PhonopyAtoms, axis: int) -> int:
    """Return how often a supercell repeats itself along an axis, up to 6 times."""
    for repeats in range(_MOST_REPEATS, 1, -1):
        step = np.zeros(3)
        step[axis] = 1 / repeats
        if _maps(supercell, step):
            return repeats
    return 1


def _translations(supercell: PhonopyAtoms) -> int:
    """Return the number of primitive cells in a supercell."""
    points = supercell.scaled_positions
    alike = points[supercell.numbers == supercell.numbers[0]]
    return sum(_maps(supercell, point - alike[0]) for point in alike)


def _maps(supercell: PhonopyAtoms, step: FloatArray) -> bool:
    """Return whether a translation (fractions) maps each atom onto one of its kind."""
    points = supercell.scaled_positions
    for number in np.unique(supercell.numbers):
        alike = points[supercell.numbers == number]
        off = alike[:, None] + step - alike[None]
        nearest = np.abs(off - np.round(off)).max(axis=2).min(axis=1)
        if nearest.max() > _SAME_POINT:
            return False
    return True


def _at_rest(dataset: Dataset, response: Response) -> list[str]:
    """Return a note where forces at zero displacement are not zero."""
    n = len(dataset)
    if response.sparse or n < 5:
        return []
    middle = dataset.forces.mean(axis=0)
    rms = float(np.sqrt((dataset.forces**2).mean()))
    rest = float(np.sqrt((middle**2).mean()))
    change = float(np.sqrt(((dataset.forces - middle) ** 2).mean()))
    # What displacements that do not average to zero explain.
    shifted = np.sqrt((dataset.displacements.mean(axis=0) ** 2).mean())
    shifted /= np.sqrt((dataset.displacements**2).mean())
    chance = max(change / np.sqrt(n), 1.5 * change * float(shifted))
    if rest < max(_AT_REST_ERROR * chance, _AT_REST_SHARE * rms, _AT_REST):
        return []
    atom = int(np.linalg.norm(middle, axis=1).argmax())
    return [
        f"the structure is not relaxed: forces without displacements are "
        f"{rest:.3g} eV/angstrom (rms; {np.linalg.norm(middle[atom]):.3g} on atom "
        f"{atom + 1}), of {rms:.3g} in all. Relax it before it is displaced, or relax "
        "it by the potential (--relax-atomic-positions)."
    ]


def _stiffness(dataset: Dataset, response: Response) -> list[str]:
    """Return a note where forces over displacements are not those of a crystal."""
    some = response.snapshots
    lengths, strengths = (
        np.sqrt((array[some] ** 2).sum(axis=(1, 2)))
        for array in (dataset.displacements, dataset.forces)
    )
    stiffness = float(np.median(response.cosines * strengths / lengths))
    if not stiffness > 0 or _SOFTEST <= stiffness <= _STIFFEST:
        return []
    what = "forces in Ry/bohr or hartree/bohr"
    if stiffness > _STIFFEST:
        what = "displacements in fractions of the cell, or forces in meV/angstrom"
    return [
        f"forces over displacements are {stiffness:.3g} eV/angstrom^2; crystals have "
        f"{_SOFTEST:g} to {_STIFFEST:g}. Are units right ({what}?)?"
    ]

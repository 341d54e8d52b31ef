"""Checks that displacements, forces and energies belong to one crystal.

Snapshots are numbered from 1, as in the host's files. Units are eV and angstrom.
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
    exchanged_forces,
    mistakes_of,
    response_of,
    snapshots_with_unrelated_forces,
    unrelated,
)
from phono3py_mlp_plugin.workflow.work import (
    Work,
    energy_outliers,
    fitting_order_of_energies,
    mistakes_near_slope,
    scale_mistakes,
    work_of,
)

if TYPE_CHECKING:
    from phonopy.structure.atoms import PhonopyAtoms

# Least number of snapshots and largest relative error of the slope for which energies
# confirm the forces.
_CONFIRMED = 6
_WELL_KNOWN = 0.1

# Correlation of energy and work above which they belong together, so that a wrong slope
# is due to units. Good data: 0.96 and more.
_TOGETHER = 0.8

# Correlation below which a wrong slope may be due to the order of the energies.
_NO_DOUBT = 0.97

# Force over displacement (eV/angstrom^2). Crystals: argon 1, NaCl 2.3, diamond 50.
_SOFTEST = 0.1
_STIFFEST = 200.0

# Mean force without displacements: relative to its standard error, relative to the rms
# force, and in eV/angstrom. Relaxed structures of the host: at most 1.1, 0.08 and
# 0.002.
_AT_REST_ERROR = 2.0
_AT_REST_SHARE = 0.15
_AT_REST = 0.01

# Mistakes that commonly occur together.
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

# Number of standard deviations (of unrelated forces) by which forces must point in the
# wrong direction.
_SIGNIFICANT = 5.0

# Largest number of unit cells along an axis that is tried, and tolerance (fractional
# coordinates) of the repetition.
_MOST_REPEATS = 6
_SAME_POINT = 1e-3


def check_forces(dataset: Dataset) -> list[str]:
    """Raise if forces are not those of the displacements, and name the mistake.

    Only directions are compared, which does not depend on units. Wrong signs, orders
    of snapshots and atoms, and axes are recognised. Forces are accepted if the
    energies agree with their work.

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
        The message names the mistake, and the snapshots if only some are wrong.
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
    if response.mean < -_SIGNIFICANT * response.chance:
        notes.append(
            "forces push the atoms away from their sites, and the energies agree: "
            "the structure without displacements is not at a minimum."
        )
    return notes


def check_energies(dataset: Dataset) -> None:
    """Raise if energies do not agree with the work of the forces; name the mistake.

    Parameters
    ----------
    dataset : Dataset
        Its forces have passed `check_forces`.

    Raises
    ------
    DatasetError
        If units or signs do not match, or energies are in another order or from
        other calculations.
    """
    response = response_of(dataset)
    work = None if response is None else _work(dataset, response)
    if work is None:
        return
    if not work.slope_is_plausible:
        _raise_wrong_scale(dataset, work)
    _check_each_energy(work)
    if work.scatters_too_much:
        _raise_wrong_order(
            work,
            f"energies scatter by {work.scatter:.3g} eV about -1/2 sum of "
            f"displacements times forces; expected up to {work.scatter_limit:.3g}",
        )


def _work(dataset: Dataset, response: Response) -> Work | None:
    if dataset.energies is None or len(dataset) < 2:
        return None
    return work_of(dataset.displacements, dataset, response.anharmonicity())


def _check_all_forces(dataset: Dataset, response: Response) -> None:
    mistakes = mistakes_of(response, _lattices(dataset))
    if mistakes:
        _raise_mistakes(response, mistakes)
    if unrelated(response):
        raise DatasetError(
            "forces have nothing to do with displacements: mean cosine of forces and "
            f"-displacements = {response.mean:.2f}; expected 0.6 to 1. Are they of "
            "this dataset, in the same order of snapshots and atoms?"
        )


def _raise_mistakes(response: Response, mistakes: list[Mistake]) -> NoReturn:
    best = mistakes[0]
    texts = list(dict.fromkeys(mistake.text for mistake in mistakes))[:3]
    raise DatasetError(
        f"forces do not answer to displacements: mean cosine of forces and "
        f"-displacements = {response.mean:.2f}; expected 0.6 to 1. What fits: "
        f"{', or '.join(texts)}; corrected, it is {best.cosine:.2f}. {best.remedy}."
    )


def _check_each_force(response: Response, work: Work | None) -> None:
    """Raise if single snapshots have wrong forces that energies do not confirm."""
    outliers = None if work is None else energy_outliers(work)
    others = exchanged_forces(response)
    if others:
        first, *rest = others.items()
        named = [f"{i + 1} those of {j + 1}" for i, j in rest[:4]]
        more = f" and {len(rest) - 4} more" if len(rest) > 4 else ""
        listed = f" ({', '.join(named)}{more})" if named else ""
        raise DatasetError(
            f"snapshot {first[0] + 1}: its forces answer to the displacements of "
            f"snapshot {first[1] + 1}{listed}, not to its own. Put forces and "
            "displacements in the same order of snapshots."
        )
    wrong = snapshots_with_unrelated_forces(response)
    if outliers is not None:
        wrong = [i for i in wrong if i in outliers]
    if wrong:
        cosines = dict(zip(response.snapshots, response.cosines, strict=True))
        raise DatasetError(
            f"snapshot {wrong[0] + 1}: forces do not answer to its displacements: "
            f"cosine of forces and -displacements = {cosines[wrong[0]]:.2f}; that of "
            f"the others is {np.median(response.cosines):.2f}"
            f"{_list_of_others(wrong)}. Compute it again or leave it out."
        )


def _raise_wrong_scale(dataset: Dataset, work: Work) -> NoReturn:
    """Raise an error that names why the slope of energies over work is not 1."""
    line = work.line
    observed = (
        f"energies change by {line.slope:.3g} times -1/2 sum of displacements times "
        f"forces (correlation {line.correlation:.2f}); expected 1"
    )
    outlier = _single_outlier(dataset, work)
    if outlier is not None:
        raise DatasetError(
            f"snapshot {outlier + 1}: its energy and its forces contradict each other; "
            "without it the others agree. Compute it again or leave it out."
        )
    named = []
    if abs(line.correlation) > _TOGETHER:
        named = _names(dataset, work)
        if abs(line.correlation) < _NO_DOUBT:
            order = fitting_order_of_energies(work, by_rank=False)
            if order is not None:
                named = [f"energies of snapshots in another order, {order}"]
        if not named:
            raise DatasetError(
                f"{observed}. Units of energies (eV), forces (eV/angstrom) and "
                "displacements (angstrom) do not belong together: check each."
            )
    if named:
        raise DatasetError(
            f"{observed}. What fits: {', or '.join(named[:4])}. Correct it: use eV and "
            "angstrom, everything in the order of the displacements."
        )
    _raise_wrong_order(work, observed)


def _single_outlier(dataset: Dataset, work: Work) -> int | None:
    """Return the snapshot without which energies agree with forces, or None."""
    if len(dataset) < _CONFIRMED:
        return None
    share = work.work / work.size.clip(1e-300)
    for candidate in np.argsort(-np.abs(share - np.median(share)))[:3]:
        rest = dataset.select(np.delete(np.arange(len(dataset)), candidate))
        response = response_of(rest)
        if response is None:
            continue
        if _confirms(work_of(rest.displacements, rest, response.anharmonicity())):
            return int(candidate)
    return None


def _raise_wrong_order(work: Work, observed: str) -> NoReturn:
    order = fitting_order_of_energies(work)
    if order is not None:
        raise DatasetError(
            f"{observed}. What fits: energies of snapshots in another order, {order}. "
            "Put energies in the order of the displacements."
        )
    raise DatasetError(
        f"{observed}. Forces answer to the displacements, energies do not belong to "
        "them: take them from the same calculations, in the same order, or leave all "
        "energies out."
    )


def _names(dataset: Dataset, work: Work) -> list[str]:
    """Return the mistakes in scale that explain the slope, the most likely first."""
    known = [*scale_mistakes(dataset), *_per_cell(dataset), *_fractions(dataset, work)]
    both = list(_two_scales(known))
    named = (
        mistakes_near_slope(work, known)
        or mistakes_near_slope(work, both)
        or mistakes_near_slope(work, known, loose=True)
        or mistakes_near_slope(work, both, loose=True)
    )
    if not named:
        named = [
            f"energies with the opposite sign, and {text}"
            for text in mistakes_near_slope(work, known, sign=-1, loose=True)
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
    """Yield the slopes caused by pairs of common mistakes."""
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
    """Raise if single energies are not those of their snapshots."""
    wrong = energy_outliers(work)
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
        f"{text}{_list_of_others(wrong)}. {_unit_of(work, worst, expected[worst])}"
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


def _list_of_others(snapshots: list[int]) -> str:
    if len(snapshots) == 1:
        return ""
    others = ", ".join(str(i + 1) for i in sorted(snapshots[1:6]))
    more = f" and {len(snapshots) - 6} more" if len(snapshots) > 6 else ""
    return f" (so are snapshots {others}{more})"


def _confirms(work: Work) -> bool:
    line = work.line
    return (
        len(work.energies) >= _CONFIRMED
        and work.slope_is_plausible
        and line.correlation > _TOGETHER
        and line.error < _WELL_KNOWN * line.slope
    )


def _lattices(dataset: Dataset) -> dict[str, FloatArray]:
    """Return the lattices that fractional displacements may refer to, by name."""
    cell = np.asarray(dataset.supercell.cell, dtype=float)
    repeats = [_repeats(dataset.supercell, axis) for axis in range(3)]
    lattices = {"supercell": cell}
    if max(repeats) > 1:
        lattices["unit cell"] = cell / np.array(repeats)[:, None]
    return lattices


def _repeats(supercell: PhonopyAtoms, axis: int) -> int:
    """Return the number of unit cells of a supercell along an axis, at most 6."""
    for repeats in range(_MOST_REPEATS, 1, -1):
        step = np.zeros(3)
        step[axis] = 1 / repeats
        if _is_translation(supercell, step):
            return repeats
    return 1


def _translations(supercell: PhonopyAtoms) -> int:
    """Return the number of primitive cells in a supercell."""
    points = supercell.scaled_positions
    alike = points[supercell.numbers == supercell.numbers[0]]
    return sum(_is_translation(supercell, point - alike[0]) for point in alike)


def _is_translation(supercell: PhonopyAtoms, step: FloatArray) -> bool:
    """Return whether a fractional translation maps the supercell onto itself."""
    points = supercell.scaled_positions
    for number in np.unique(supercell.numbers):
        alike = points[supercell.numbers == number]
        distances = alike[:, None] + step - alike[None]
        nearest = np.abs(distances - np.round(distances)).max(axis=2).min(axis=1)
        if nearest.max() > _SAME_POINT:
            return False
    return True


def _at_rest(dataset: Dataset, response: Response) -> list[str]:
    """Return a note if forces at zero displacement are not zero."""
    n = len(dataset)
    if response.sparse or n < 5:
        return []
    mean = dataset.forces.mean(axis=0)
    rms = float(np.sqrt((dataset.forces**2).mean()))
    rest = float(np.sqrt((mean**2).mean()))
    change = float(np.sqrt(((dataset.forces - mean) ** 2).mean()))
    # The part explained by displacements that do not average to zero.
    shifted = np.sqrt((dataset.displacements.mean(axis=0) ** 2).mean())
    shifted /= np.sqrt((dataset.displacements**2).mean())
    chance = max(change / np.sqrt(n), 1.5 * change * float(shifted))
    if rest < max(_AT_REST_ERROR * chance, _AT_REST_SHARE * rms, _AT_REST):
        return []
    atom = int(np.linalg.norm(mean, axis=1).argmax())
    return [
        f"the structure is not relaxed: forces without displacements are "
        f"{rest:.3g} eV/angstrom (rms; {np.linalg.norm(mean[atom]):.3g} on atom "
        f"{atom + 1}), of {rms:.3g} in all. Relax it before it is displaced, or relax "
        "it by the potential (--relax-atomic-positions)."
    ]


def _stiffness(dataset: Dataset, response: Response) -> list[str]:
    """Return a note if the ratio of forces to displacements is unusual."""
    rows = response.snapshots
    lengths, strengths = (
        np.sqrt((array[rows] ** 2).sum(axis=(1, 2)))
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

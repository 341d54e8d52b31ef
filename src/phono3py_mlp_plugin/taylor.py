"""Forces of the Taylor expansion, and whether force constants answer to forces.

Force constants are judged by what they are for, whatever solved for them: the forces
that they give at the displacements they come from (*do they describe them?*) and at
other displacements of the same kind (*are they determined by them?*).

Notation as in `contracts`: ``n`` supercells of ``N`` atoms, ``N_p`` rows of compact
force constants; ``T`` lattice translations of the supercell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phono3py_mlp_plugin.contracts import FloatArray, ForceConstants
from phono3py_mlp_plugin.errors import SolverError

# Bytes of products of fc3 and displacements held at a time.
_BLOCK = 100e6

# Best factor on an order's forces. Least squares give 1 to rounding, finite differences
# 0.998 to 1.001; a regularised fit more, for it shrinks what it finds.
_FACTORS = (0.85, 1.25)

# Share of the forces (root mean square) that may be left over, of all and of those that
# are even in the displacements. Fits leave up to 0.15 (hiPhive's cutoff of fc2) and
# 0.28 (fc3 of nearest neighbours only); wrong factors, axes and atoms 1 and more.
_UNEXPLAINED = 0.6
_UNEXPLAINED_EVEN = 0.9

# Forces at other displacements over those at the displacements solved for: 0.95 to 1.12
# for those that are determined.
_PROPORTIONS = (0.7, 2.0)

# Share of the forces (root mean square) below which an order's are rounding.
_NOTHING = 1e-5

# Displaced atoms of a supercell up to which they are looked at one by one.
_FEW = 4

# Supercells mixed into one, and mixed ones, for other displacements of the same kind.
_MIXED = 16
_OTHERS = 16

# Root mean square of displacements (angstrom) that are the same, or opposite.
_SAME = 1e-8


@dataclass(frozen=True, eq=False)
class Lattice:
    """Which atoms of the supercell are equivalent by its lattice translations.

    Attributes
    ----------
    rows : ndarray
        Atoms that are the rows of compact force constants, shape ``(N_p,)``.
    translations : ndarray
        The host's ``primitive.atomic_permutations``: atom ``translations[t, i]`` is
        atom ``i`` moved by translation ``t``, shape ``(T, N)``.
    """

    rows: NDArray[np.int64]
    translations: NDArray[np.int64]


def taylor_forces(
    force_constants: Mapping[int, FloatArray],
    displacements: FloatArray,
    lattice: Lattice,
) -> ForceConstants:
    r"""Return the forces of each order at displacements.

    .. math:: -\Phi u \quad\text{and}\quad -\tfrac{1}{2} \Phi u u

    Parameters
    ----------
    force_constants : mapping
        fc2 and fc3 by order (eV/angstrom^2, eV/angstrom^3), compact or full.
    displacements : ndarray
        In angstrom, shape ``(n, N, 3)``.
    lattice : Lattice
        Used for compact ones only.

    Returns
    -------
    dict
        Forces in eV/angstrom by order, shape ``(n, N, 3)``.
    """
    n_atoms = displacements.shape[1]
    everywhere = Lattice(np.arange(n_atoms), np.arange(n_atoms)[None])
    return {
        order: _forces(fc, displacements, everywhere if len(fc) == n_atoms else lattice)
        for order, fc in force_constants.items()
    }


def _forces(fc: FloatArray, displacements: FloatArray, lattice: Lattice) -> FloatArray:
    """Return forces of fc2 or fc3, row by row and some supercells at a time."""
    if (np.abs(displacements).max(axis=2) > 0).sum(axis=1).max(initial=0) <= _FEW:
        return _forces_of_few(fc, displacements, lattice)
    forces = np.zeros_like(displacements)
    moved = lattice.translations
    for row, atom in enumerate(lattice.rows):
        near = _reached(fc[row])
        if not len(near):
            continue
        size = 3 * len(near)
        # As a matrix from the last displacement to what is left: (3 [3K], 3K).
        if fc.ndim == 4:
            matrix = fc[row][near].transpose(1, 0, 2).reshape(3, size)
        else:
            pairs = fc[row][np.ix_(near, near)].transpose(2, 0, 3, 1, 4)
            matrix = pairs.reshape(3 * size, size)
        step = max(1, int(_BLOCK / (8 * len(matrix) * len(moved))))
        for begin in range(0, len(displacements), step):
            some = displacements[begin : begin + step]
            u = some[:, moved[:, near]].reshape(-1, size)
            product = matrix @ u.T
            if fc.ndim == 4:
                found = -product.T
            else:
                found = -0.5 * np.einsum("ajm,mj->ma", product.reshape(3, size, -1), u)
            forces[begin : begin + step, moved[:, atom]] = found.reshape(
                len(some), len(moved), 3
            )
    return forces


def _forces_of_few(
    fc: FloatArray, displacements: FloatArray, lattice: Lattice
) -> FloatArray:
    """Return the same where each supercell displaces few atoms, one by one."""
    forces = np.zeros_like(displacements)
    atoms = lattice.translations[:, lattice.rows]
    origins = np.argsort(lattice.translations, axis=1)
    for one, found in zip(displacements, forces, strict=True):
        displaced = np.flatnonzero(np.abs(one).max(axis=1) > 0)
        u, columns = one[displaced], origins[:, displaced]
        if fc.ndim == 4:
            found[atoms] = -np.einsum("rtjab,jb->tra", fc[:, columns], u)
        else:
            pairs = fc[:, columns[:, :, None], columns[:, None, :]]
            found[atoms] = -0.5 * np.einsum(
                "rtjkabc,jb,kc->tra", pairs, u, u, optimize=True
            )
    return forces


def _reached(row: FloatArray) -> NDArray[np.intp]:
    """Return the atoms that a row of force constants is not zero for."""
    if row.ndim == 3:
        return np.flatnonzero(np.any(row, axis=(1, 2)))
    pairs = np.any(row, axis=(2, 3, 4))
    return np.flatnonzero(np.any(pairs, axis=0) | np.any(pairs, axis=1))


@dataclass(frozen=True)
class Agreement:
    """How force constants agree with forces.

    Attributes
    ----------
    factors : dict of int to float
        On the forces of each order, of the best fit: 1 for force constants that are
        right. Nothing of an order whose forces are rounding.
    unexplained : float
        Left of the forces over the forces, root mean square.
    unexplained_even : float or None
        The same for their part that is even in the displacements, which fc3 is for;
        None where no displacements come with their opposites, or there is none.
    proportions : dict of int to float
        Forces at other displacements of the same kind over those here: about 1 for
        force constants that are determined. Nothing where few atoms are displaced.
    """

    factors: dict[int, float]
    unexplained: float
    unexplained_even: float | None
    proportions: dict[int, float]


def agreement(
    force_constants: Mapping[int, FloatArray],
    displacements: FloatArray,
    forces: FloatArray,
    lattice: Lattice,
) -> Agreement:
    """Compare force constants with the forces that they were solved for.

    Parameters
    ----------
    force_constants, displacements, lattice
        As in `taylor_forces`.
    forces : ndarray
        In eV/angstrom, shape ``(n, N, 3)``.
    """
    parts = taylor_forces(force_constants, displacements, lattice)
    size = float(np.linalg.norm(forces))
    parts = {
        order: part
        for order, part in parts.items()
        # Not "smaller is left out": what is not finite is to be judged.
        if not np.linalg.norm(part) <= _NOTHING * size
    }
    left = forces - sum(parts.values())
    factors = _best_factors(parts, forces)
    return Agreement(
        factors,
        _share(left, forces),
        _even_share(displacements, forces, left) if 3 in force_constants else None,
        _proportions(force_constants, parts, displacements, lattice),
    )


def check_force_constants(
    name: str,
    force_constants: Mapping[int, FloatArray],
    displacements: FloatArray,
    forces: FloatArray,
    lattice: Lattice,
) -> None:
    """Refuse force constants that do not answer to the forces they were solved for.

    Parameters
    ----------
    name : str
        Of the solver, for messages.
    force_constants, displacements, forces, lattice
        As in `agreement`.

    Raises
    ------
    SolverError
        They do not describe the forces, or the forces do not determine them.
    """
    found = agreement(force_constants, displacements, forces, lattice)
    # Each limit is written so that what is not a number is beyond it.
    for order, proportion in found.proportions.items():
        if not _PROPORTIONS[0] <= proportion <= _PROPORTIONS[1]:
            raise SolverError(
                f"{name}: fc{order} gives {proportion:.3g} times the forces at other "
                "displacements of the same length; expected about 1, so that the "
                f"{len(forces)} supercells do not determine it. "
                f"{more_supercells(displacements)}"
            )
    for order, factor in found.factors.items():
        if not _FACTORS[0] <= factor <= _FACTORS[1]:
            raise SolverError(
                f"{name}: forces of fc{order} fit those that it was solved for by a "
                f"factor of {factor:.3g}; expected 1: it does not describe the forces. "
                "Check the solver's units and factors, or use --fc-calculator symfc."
            )
    for what, share, most in (
        ("the forces", found.unexplained, _UNEXPLAINED),
        (
            "the forces that are even in the displacements",
            found.unexplained_even,
            _UNEXPLAINED_EVEN,
        ),
    ):
        if share is not None and not share <= most:
            raise SolverError(
                f"{name}: force constants leave {100 * share:.0f} % of {what}; "
                f"expected at most {100 * most:.0f} %: they do not describe the "
                "forces. Check forces and order of atoms, use a longer cutoff, smaller "
                "displacements or --fc-calculator symfc."
            )


def more_supercells(displacements: FloatArray, needed: int | None = None) -> str:
    """Return the remedy where supercells do not determine force constants.

    Parameters
    ----------
    displacements : ndarray
        Shape ``(n, N, 3)``.
    needed : int, optional
        Number of supercells, or of pairs with opposite displacements, where it is
        known.
    """
    what = ""
    if needed is not None:
        is_paired = 2 * len(opposites(displacements)) == len(displacements)
        what = f"--rd N with N >= {needed}" if is_paired else f"{needed} or more"
        what = f" ({what})"
    return (
        f"Add supercells with independent random displacements of all atoms{what}, set "
        "a cutoff or take a larger supercell."
    )


def _best_factors(
    parts: Mapping[int, FloatArray], forces: FloatArray
) -> dict[int, float]:
    """Return the factors on the forces of each order that fit the forces best.

    Forces on undisplaced atoms, which no force constants give, are among the forces:
    with them left out of both, factors are others. The nearest to 1 is taken.
    """
    found = _factors(parts, forces)
    if len(forces) < 3:
        return found
    centred = {order: part - part.mean(axis=0) for order, part in parts.items()}
    other = _factors(centred, forces - forces.mean(axis=0))
    return {
        order: min(factor, other[order], key=lambda x: abs(np.log(abs(x))))
        if factor * other[order] > 0
        else factor
        for order, factor in found.items()
    }


def _factors(parts: Mapping[int, FloatArray], forces: FloatArray) -> dict[int, float]:
    if not parts:
        return {}
    columns = np.array([part.ravel() for part in parts.values()])
    norms = np.linalg.norm(columns, axis=1)
    norms[norms == 0] = 1.0
    gram = (columns @ columns.T) / np.outer(norms, norms)
    right = (columns @ forces.ravel()) / norms
    if not np.isfinite(gram).all():
        return dict.fromkeys(parts, float("nan"))
    factors = np.linalg.lstsq(gram, right, rcond=1e-10)[0] / norms
    return dict(zip(parts, factors.tolist(), strict=True))


def _share(left: FloatArray, whole: FloatArray) -> float:
    size = float(np.linalg.norm(whole))
    return float(np.linalg.norm(left)) / size if size > 0 else 0.0


def _even_share(
    displacements: FloatArray, forces: FloatArray, left: FloatArray
) -> float | None:
    """Return the share left over of forces that are even in the displacements."""
    pairs = opposites(displacements)
    if len(pairs) == 0:
        return None
    even, rest = (x[pairs[:, 0]] + x[pairs[:, 1]] for x in (forces, left))
    if not np.linalg.norm(even) > _NOTHING * np.linalg.norm(forces):
        return None
    found = _share(rest, even)
    if len(pairs) > 2:
        # Forces on undisplaced atoms are even too.
        found = min(found, _share(rest - rest.mean(axis=0), even - even.mean(axis=0)))
    return found


def opposites(displacements: FloatArray) -> NDArray[np.intp]:
    """Return pairs of supercells with opposite displacements, shape ``(k, 2)``."""
    keys = np.round(displacements.reshape(len(displacements), -1) / _SAME) + 0.0
    waiting: dict[bytes, list[int]] = {}
    pairs = []
    for i, key in enumerate(keys):
        others = waiting.get((0.0 - key).tobytes())
        if others:
            pairs.append((others.pop(), i))
        else:
            waiting.setdefault(key.tobytes(), []).append(i)
    return np.array(pairs, dtype=np.intp).reshape(-1, 2)


def _proportions(
    force_constants: Mapping[int, FloatArray],
    parts: Mapping[int, FloatArray],
    displacements: FloatArray,
    lattice: Lattice,
) -> dict[int, float]:
    """Return forces at other displacements over those here, root mean square.

    Force constants that forces do not determine have a part that gives no forces at
    these displacements. At sums of them, moved by lattice translations and as large, it
    does.
    """
    size = np.linalg.norm(displacements, axis=2)
    is_random = bool((np.median(size > 0, axis=0).mean()) >= 0.5)
    if not is_random or len(displacements) < 2:
        return {}
    rng = np.random.default_rng(0)
    n_atoms = displacements.shape[1]
    others = np.zeros((_OTHERS, n_atoms, 3))
    for one in others:
        for k in rng.integers(len(displacements), size=_MIXED):
            moved = lattice.translations[rng.integers(len(lattice.translations))]
            one += rng.normal() * displacements[k][moved]
    # Of the fourth power, for the forces of fc3 go by the square.
    typical = ((displacements**2).mean(axis=(1, 2)) ** 2).mean() ** 0.25
    others *= typical / np.sqrt((others**2).mean(axis=(1, 2)))[:, None, None]
    there = taylor_forces({o: force_constants[o] for o in parts}, others, lattice)
    here_2 = np.sqrt((displacements**2).mean())
    found = {}
    for order, forces in there.items():
        scale = (here_2 / typical) if order == 2 else 1.0
        here = np.sqrt((parts[order] ** 2).mean())
        found[order] = float(scale * np.sqrt((forces**2).mean()) / here)
    return found

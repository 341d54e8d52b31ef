"""Forces of the Taylor expansion, and checks of force constants with these forces.

Force constants of any solver are checked by their forces at the displacements that they
were solved for (whether they describe the forces), and at other displacements of the
same kind (whether they are determined by the forces).

The notation is that of `contracts`: ``n`` supercells of ``N`` atoms, ``N_p`` rows of
compact force constants, and ``T`` lattice translations of the supercell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phono3py_mlp_plugin.contracts import FloatArray, ForceConstants
from phono3py_mlp_plugin.errors import SolverError

# Largest block of products of fc3 and displacements (bytes).
_BLOCK = 100e6

# Range of the factor on the forces of an order that gives the best fit. Least squares
# give 1 within rounding, finite differences 0.998 to 1.001, and regularised fits more
# than 1, because their force constants are too small.
_FACTORS = (0.85, 1.25)

# Largest part of the forces (rms) that is not explained, of all forces and of those
# that are even in the displacements. Good fits: up to 0.15 (hiPhive's cutoff of fc2)
# and 0.28 (fc3 of nearest neighbours only); wrong factors, axes and atoms: 1 and more.
_UNEXPLAINED = 0.6
_UNEXPLAINED_EVEN = 0.9

# Range of the ratio of forces at other displacements to those at the displacements of
# the fit. Force constants that are determined: 0.95 to 1.12.
_PROPORTIONS = (0.7, 2.0)

# Part of the forces (rms) below which the forces of an order are due to rounding.
_NEGLIGIBLE = 1e-5

# Largest number of displaced atoms of a supercell that are treated one by one.
_FEW = 4

# Number of supercells that are combined to one, and number of such combinations, for
# other displacements of the same kind.
_MIXED = 16
_OTHERS = 16

# Displacements that agree within this tolerance (angstrom) are the same, or opposite.
_SAME = 1e-8


# Pairs of random displacements at which derivatives of a potential are compared with
# its forces, their rms length (angstrom), and the largest parts of odd and even forces
# that may be unexplained, because of higher orders. Forces in single precision are
# known to 1e-6 eV/angstrom.
_DERIVATIVE_PAIRS = 2
_DERIVATIVE_LENGTH = 0.01
_DERIVATIVE_ERROR = 0.05
_DERIVATIVE_ERROR_EVEN = 0.2
_DERIVATIVE_ROUNDING = 5e-6


@dataclass(frozen=True, eq=False)
class Lattice:
    """Lattice translations of a supercell.

    Attributes
    ----------
    rows : ndarray
        Atoms of the rows of compact force constants, shape ``(N_p,)``.
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
        It is used for compact force constants only.

    Returns
    -------
    dict
        Forces in eV/angstrom by order, shape ``(n, N, 3)``.
    """
    n_atoms = displacements.shape[1]
    full = Lattice(np.arange(n_atoms), np.arange(n_atoms)[None])
    return {
        order: _forces(fc, displacements, full if len(fc) == n_atoms else lattice)
        for order, fc in force_constants.items()
    }


def _forces(fc: FloatArray, displacements: FloatArray, lattice: Lattice) -> FloatArray:
    """Return forces of fc2 or fc3, computed by rows and blocks of supercells."""
    if (np.abs(displacements).max(axis=2) > 0).sum(axis=1).max(initial=0) <= _FEW:
        return _forces_of_few(fc, displacements, lattice)
    forces = np.zeros_like(displacements)
    moved = lattice.translations
    for row, atom in enumerate(lattice.rows):
        near = _interacting_atoms(fc[row])
        if not len(near):
            continue
        size = 3 * len(near)
        # As a matrix that multiplies the last displacement, shape (3 [3K], 3K).
        if fc.ndim == 4:
            matrix = fc[row][near].transpose(1, 0, 2).reshape(3, size)
        else:
            pairs = fc[row][np.ix_(near, near)].transpose(2, 0, 3, 1, 4)
            matrix = pairs.reshape(3 * size, size)
        step = max(1, int(_BLOCK / (8 * len(matrix) * len(moved))))
        for begin in range(0, len(displacements), step):
            block = displacements[begin : begin + step]
            u = block[:, moved[:, near]].reshape(-1, size)
            product = matrix @ u.T
            if fc.ndim == 4:
                on_atom = -product.T
            else:
                products = product.reshape(3, size, -1)
                on_atom = -0.5 * np.einsum("ajm,mj->ma", products, u)
            forces[begin : begin + step, moved[:, atom]] = on_atom.reshape(
                len(block), len(moved), 3
            )
    return forces


def _forces_of_few(
    fc: FloatArray, displacements: FloatArray, lattice: Lattice
) -> FloatArray:
    """Return forces of supercells with few displaced atoms."""
    forces = np.zeros_like(displacements)
    atoms = lattice.translations[:, lattice.rows]
    origins = np.argsort(lattice.translations, axis=1)
    for displacement, force in zip(displacements, forces, strict=True):
        displaced = np.flatnonzero(np.abs(displacement).max(axis=1) > 0)
        u, columns = displacement[displaced], origins[:, displaced]
        if fc.ndim == 4:
            force[atoms] = -np.einsum("rtjab,jb->tra", fc[:, columns], u)
        else:
            pairs = fc[:, columns[:, :, None], columns[:, None, :]]
            force[atoms] = -0.5 * np.einsum(
                "rtjkabc,jb,kc->tra", pairs, u, u, optimize=True
            )
    return forces


def _interacting_atoms(row: FloatArray) -> NDArray[np.intp]:
    """Return the atoms with non-zero elements in a row of force constants."""
    if row.ndim == 3:
        return np.flatnonzero(np.any(row, axis=(1, 2)))
    pairs = np.any(row, axis=(2, 3, 4))
    return np.flatnonzero(np.any(pairs, axis=0) | np.any(pairs, axis=1))


@dataclass(frozen=True)
class Agreement:
    """Agreement of force constants with forces.

    Attributes
    ----------
    factors : dict of int to float
        Factors on the forces of each order that give the best fit, 1 for correct force
        constants. Orders whose forces are negligible are left out.
    unexplained : float
        Root mean square of the unexplained forces relative to that of the forces.
    unexplained_even : float or None
        The same for the part that is even in the displacements, which is due to fc3.
        None if there is no such part, or there are no opposite displacements.
    proportions : dict of int to float
        Forces at other displacements of the same kind relative to those at the
        displacements of the fit, about 1 for force constants that are determined. Empty
        if few atoms are displaced.
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
        # Written such that forces that are not finite are included.
        if not np.linalg.norm(part) <= _NEGLIGIBLE * size
    }
    rest = forces - sum(parts.values())
    factors = _best_factors(parts, forces)
    return Agreement(
        factors,
        _ratio(rest, forces),
        _even_ratio(displacements, forces, rest) if 3 in force_constants else None,
        _proportions(force_constants, parts, displacements, lattice),
    )


def check_force_constants(
    name: str,
    force_constants: Mapping[int, FloatArray],
    displacements: FloatArray,
    forces: FloatArray,
    lattice: Lattice,
) -> None:
    """Raise if force constants do not agree with the forces they were solved for.

    Parameters
    ----------
    name : str
        Name of the solver, used in messages.
    force_constants, displacements, forces, lattice
        See `agreement`.

    Raises
    ------
    SolverError
        If the force constants do not describe the forces, or are not determined by
        them.
    """
    result = agreement(force_constants, displacements, forces, lattice)
    # Comparisons are written such that a value that is not a number does not pass.
    for order, proportion in result.proportions.items():
        if not _PROPORTIONS[0] <= proportion <= _PROPORTIONS[1]:
            raise SolverError(
                f"{name}: fc{order} gives {proportion:.3g} times the forces at other "
                "displacements of the same length; expected about 1, so that the "
                f"{len(forces)} supercells do not determine it. "
                f"{more_supercells(displacements)}"
            )
    for order, factor in result.factors.items():
        if not _FACTORS[0] <= factor <= _FACTORS[1]:
            raise SolverError(
                f"{name}: forces of fc{order} fit those that it was solved for by a "
                f"factor of {factor:.3g}; expected 1: it does not describe the forces. "
                "Check the solver's units and factors, or use --fc-calculator symfc."
            )
    for what, share, most in (
        ("the forces", result.unexplained, _UNEXPLAINED),
        (
            "the forces that are even in the displacements",
            result.unexplained_even,
            _UNEXPLAINED_EVEN,
        ),
    ):
        if share is not None and not share <= most:
            raise SolverError(
                f"{name}: force constants leave {100 * share:.0f} % of {what} "
                f"unexplained; expected at most {100 * most:.0f} %: they do not "
                "describe the forces. Check forces and order of atoms, use a longer "
                "cutoff, smaller displacements or --fc-calculator symfc."
            )


def derivative_displacements(n_atoms: int) -> FloatArray:
    """Return displacements at which derivatives are compared with forces.

    None at first, then pairs of opposite ones, in angstrom, shape ``(n, N, 3)``.
    """
    rng = np.random.default_rng(0)
    moved = rng.normal(size=(_DERIVATIVE_PAIRS, n_atoms, 3))
    moved *= _DERIVATIVE_LENGTH / np.sqrt(3)
    return np.concatenate([np.zeros((1, n_atoms, 3)), moved, -moved])


def check_derivatives(
    name: str,
    force_constants: Mapping[int, FloatArray],
    displacements: FloatArray,
    forces: FloatArray,
    lattice: Lattice,
) -> None:
    """Raise if derivatives of a potential do not describe its forces.

    Parameters
    ----------
    name : str
        Name of the solver, used in messages.
    force_constants, lattice
        See `taylor_forces`.
    displacements, forces : ndarray
        Those of `derivative_displacements`, and the forces there.

    Raises
    ------
    SolverError
    """
    n = (len(displacements) - 1) // 2
    plus, minus = forces[1 : n + 1], forces[n + 1 :]
    parts = taylor_forces(force_constants, displacements[1 : n + 1], lattice)
    odd, even = 0.5 * (plus - minus), 0.5 * (plus + minus) - forces[0]
    size = float(np.linalg.norm(odd))
    rounding = _DERIVATIVE_ROUNDING * np.sqrt(odd.size)
    checks = [(2, odd, _DERIVATIVE_ERROR), (3, even, _DERIVATIVE_ERROR_EVEN)]
    for order, wanted, most in checks:
        if order not in parts:
            continue
        rest = float(np.linalg.norm(wanted - parts[order]))
        allowed = most * float(np.linalg.norm(wanted)) + rounding
        if order == 3:
            allowed += _NEGLIGIBLE * size
        # Written such that a value that is not a number does not pass.
        if not rest <= allowed:
            raise SolverError(
                f"{name}: fc{order} leaves {100 * rest / max(size, rounding):.2g} % of "
                f"the forces unexplained at displacements of {_DERIVATIVE_LENGTH:g} "
                "angstrom; expected nothing: it is not the derivative of the "
                "potential. Use displacements (-d), and report it to the authors."
            )


def more_supercells(displacements: FloatArray, needed: int | None = None) -> str:
    """Return the remedy for supercells that do not determine force constants.

    Parameters
    ----------
    displacements : ndarray
        Shape ``(n, N, 3)``.
    needed : int, optional
        Number of supercells, or of pairs with opposite displacements, if it is known.
    """
    what = ""
    if needed is not None:
        is_paired = 2 * len(opposites(displacements)) == len(displacements)
        what = f"--rd N with N >= {needed}" if is_paired else f"{needed} or more"
        what = f" ({what})"
    return (
        f"Add supercells with independent random displacements of all atoms{what}, set "
        "a cutoff or use a larger supercell."
    )


def _best_factors(
    parts: Mapping[int, FloatArray], forces: FloatArray
) -> dict[int, float]:
    """Return the factors on the forces of each order that fit the forces best.

    Forces without displacements, which force constants do not describe, affect the
    factors. Factors are therefore computed with and without the mean forces, and the
    one closer to 1 is returned.
    """
    plain = _factors(parts, forces)
    if len(forces) < 3:
        return plain
    centred_parts = {order: part - part.mean(axis=0) for order, part in parts.items()}
    centred = _factors(centred_parts, forces - forces.mean(axis=0))
    return {
        order: min(factor, centred[order], key=lambda x: abs(np.log(abs(x))))
        if factor * centred[order] > 0
        else factor
        for order, factor in plain.items()
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


def _ratio(rest: FloatArray, forces: FloatArray) -> float:
    size = float(np.linalg.norm(forces))
    return float(np.linalg.norm(rest)) / size if size > 0 else 0.0


def _even_ratio(
    displacements: FloatArray, forces: FloatArray, unexplained: FloatArray
) -> float | None:
    """Return the unexplained part of forces that are even in the displacements."""
    pairs = opposites(displacements)
    if len(pairs) == 0:
        return None
    even, rest = (x[pairs[:, 0]] + x[pairs[:, 1]] for x in (forces, unexplained))
    if not np.linalg.norm(even) > _NEGLIGIBLE * np.linalg.norm(forces):
        return None
    ratio = _ratio(rest, even)
    if len(pairs) > 2:
        # Forces without displacements are even, too.
        ratio = min(ratio, _ratio(rest - rest.mean(axis=0), even - even.mean(axis=0)))
    return ratio


def opposites(displacements: FloatArray) -> NDArray[np.intp]:
    """Return pairs of supercells with opposite displacements, shape ``(k, 2)``."""
    keys = np.round(displacements.reshape(len(displacements), -1) / _SAME) + 0.0
    unpaired: dict[bytes, list[int]] = {}
    pairs = []
    for i, key in enumerate(keys):
        others = unpaired.get((0.0 - key).tobytes())
        if others:
            pairs.append((others.pop(), i))
        else:
            unpaired.setdefault(key.tobytes(), []).append(i)
    return np.array(pairs, dtype=np.intp).reshape(-1, 2)


def _proportions(
    force_constants: Mapping[int, FloatArray],
    parts: Mapping[int, FloatArray],
    displacements: FloatArray,
    lattice: Lattice,
) -> dict[int, float]:
    """Return the ratios of rms forces at other displacements to those of the fit.

    Force constants that are not determined have a part that does not contribute to the
    forces at the displacements of the fit. It contributes at linear combinations of
    them after lattice translations, scaled to the same amplitude.
    """
    size = np.linalg.norm(displacements, axis=2)
    is_random = bool((np.median(size > 0, axis=0).mean()) >= 0.5)
    if not is_random or len(displacements) < 2:
        return {}
    rng = np.random.default_rng(0)
    n_atoms = displacements.shape[1]
    others = np.zeros((_OTHERS, n_atoms, 3))
    for other in others:
        for k in rng.integers(len(displacements), size=_MIXED):
            moved = lattice.translations[rng.integers(len(lattice.translations))]
            other += rng.normal() * displacements[k][moved]
    # Mean of the fourth power, because forces of fc3 are quadratic in displacements.
    typical = ((displacements**2).mean(axis=(1, 2)) ** 2).mean() ** 0.25
    others *= typical / np.sqrt((others**2).mean(axis=(1, 2)))[:, None, None]
    other_forces = taylor_forces(
        {o: force_constants[o] for o in parts}, others, lattice
    )
    rms_displacement = np.sqrt((displacements**2).mean())
    proportions = {}
    for order, forces in other_forces.items():
        scale = (rms_displacement / typical) if order == 2 else 1.0
        rms_force = np.sqrt((parts[order] ** 2).mean())
        proportions[order] = float(scale * np.sqrt((forces**2).mean()) / rms_force)
    return proportions

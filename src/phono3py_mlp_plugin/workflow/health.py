"""Examination of a potential that comes without an estimate of its errors.

Fifteen evaluations of the supercell of the run show whether forces are reproducible,
the gradient of the energy and independent of position, orientation and order of atoms,
and how noisy they are. All comparisons are written such that a value that is not a
number does not pass.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from phono3py_mlp_plugin.contracts import (
    Evaluation,
    FloatArray,
    Potential,
    Progress,
    no_progress,
)
from phono3py_mlp_plugin.errors import PluginFailed, PotentialError
from phono3py_mlp_plugin.files import fingerprint, read_json, write_json
from phono3py_mlp_plugin.workflow.evaluate import evaluate
from phono3py_mlp_plugin.workflow.physics import Check

if TYPE_CHECKING:
    from phonopy.structure.atoms import PhonopyAtoms

HEALTH_FILE = "phono3py_mlp_health.json"

# Results in this file: those of several models, and of several supercells.
_KEPT = 16

# Steps (angstrom) along two random directions in which all atoms move by the same
# distance. Differences over the first give derivatives; over the second, everything but
# noise vanishes in the sixth difference.
_STEP = 0.02
_FINE_STEP = 1e-3
_FINE = np.array([1.0, -6.0, 15.0, -20.0, 15.0, -6.0, 1.0])
_FOURTH = np.array([1.0, -4.0, 6.0, -4.0, 1.0])

# Differences relative to the typical force: what is worth a look, and what is wrong.
# Wrong units, signs, axes or factors change forces by a fifth or more.
_LOOK = 1e-3
_WRONG = 0.2

# Differences below this multiple of the noise are noise.
_NOISE = 20.0

# Noise of fc3 over the noise of a force divided by the rms third-order force, as
# measured for NaCl, Al (32 and 108 atoms) and an hcp crystal with artificial noise:
# 0.070 to 0.092 times the number of atoms with systematic displacements, 0.53 to 0.73
# with random ones at two equations per force constant.
_SYSTEMATIC = 0.08
_RANDOM = 0.6

# Relative change of kappa over that of fc3 by higher orders, as measured for Al (EMT,
# Morse) at 0.05 and 0.1 angstrom: 1.4 to 2.7 with systematic displacements, 2.3 to 4.4
# with random ones.
_KAPPA_OF_FC3 = 3.0

# Relative noise of fc3 above which another amplitude is chosen, and above which fc3
# drowns: scattering rates contain its square.
_NOISY = 0.02
_DROWNED = 0.1

_LARGEST_AMPLITUDE = 0.05  # angstrom

# Fourth over second difference of forces at 0.02 angstrom: 0.01 to 0.4 for potentials
# with smooth forces, 1.7 for a kink, 2.7 for independent jumps.
_ROUGH = 1.0


# Evaluations of an examination, and time (s) from which it matters.
_EVALUATIONS = 15
_LONG = 60.0


@dataclass(frozen=True)
class PotentialHealth:
    """Properties of a potential in one supercell.

    Attributes
    ----------
    n_atoms : int
    typical : float
        Rms force component at displacements of 0.02 angstrom (eV/angstrom).
    repeat : float
        Largest change of a force component in a second evaluation (eV/angstrom).
    noise : float
        Rms noise of a force component (eV/angstrom).
    work_ratio : float
        Work of the forces over minus the change of the energy; 1 for a potential. Not
        a number if energies do not change.
    gradient : float
        Difference between work and minus the change of the energy, relative to the
        work, beyond the noise of energies.
    net_force : float
        Largest mean force (eV/angstrom).
    translation, rotation, permutation : float
        Rms change of a force component when the crystal is translated, when it is
        rotated, and when its atoms are in another order (eV/angstrom). Not a number if
        the calculator fails then.
    third : float
        Rms second derivative of a force component by the displacement of all atoms
        (eV/angstrom^3); 0 if it is below the noise.
    fifth : float
        The fourth derivative (eV/angstrom^5); 0 if it is below the noise.
    seconds : float
        Time of the examination.
    """

    n_atoms: int
    typical: float
    repeat: float
    noise: float
    work_ratio: float
    gradient: float
    net_force: float
    translation: float
    rotation: float
    permutation: float
    third: float
    fifth: float
    seconds: float

    def may_take_long(self, number: int) -> bool:
        """Return whether so many evaluations may take more than a minute.

        The examination may include the start of a library.
        """
        return number * self.seconds / _EVALUATIONS > _LONG

    @property
    def effective_noise(self) -> float:
        """Noise of a force component, including that of repetition (eV/angstrom)."""
        return float(np.max([self.noise, self.repeat]))

    @property
    def roughness(self) -> float:
        """Fourth over second difference of forces at steps of 0.02 angstrom."""
        return self.fifth * _STEP**2 / self.third if self.third else 0.0

    @property
    def is_rough(self) -> bool:
        """Whether forces are not smooth on the scale of displacements."""
        return not self.roughness <= _ROUGH

    def noise_of_fc3(self, amplitude: float, *, systematic: bool) -> float:
        """Return the expected noise of fc3 relative to fc3.

        Parameters
        ----------
        amplitude : float
            Length of displacements (angstrom).
        systematic : bool
            Whether displacements are systematic ones, or random ones.
        """
        if not self.third:
            return float("nan")
        factor = _SYSTEMATIC * self.n_atoms if systematic else _RANDOM
        return factor * self.effective_noise / (0.5 * self.third * amplitude**2)

    def anharmonicity(self, amplitude: float) -> float:
        """Return the expected error of fc3 by higher orders, relative to fc3."""
        if not self.third:
            return float("nan")
        return self.fifth * amplitude**2 / (12 * self.third)

    def error_of_kappa(self, amplitude: float, *, systematic: bool) -> float:
        """Return the expected relative error of kappa due to finite displacements.

        It is that of higher orders and of noise in fc3, and not a number where one of
        them is unknown or large.

        Parameters
        ----------
        amplitude : float
            Length of the displacements (angstrom).
        systematic : bool
            Whether they are systematic ones, or random ones.
        """
        noise = self.noise_of_fc3(amplitude, systematic=systematic)
        if self.is_rough or not noise <= _DROWNED:
            return float("nan")
        # Scattering rates contain the square of the noise, whose mean is zero.
        orders = _KAPPA_OF_FC3 * self.anharmonicity(amplitude)
        return float(np.hypot(orders, noise**2))

    def best_amplitude(self, default: float, *, systematic: bool) -> float:
        """Return the amplitude (angstrom) at which the error of fc3 is smallest.

        The default is returned if noise at the default is small or not known. Where
        forces are not smooth, the largest amplitude averages over the most.
        """
        if self.is_rough:
            return max(default, _LARGEST_AMPLITUDE)
        if not self.noise_of_fc3(default, systematic=systematic) > _NOISY:
            return default
        noise = self.noise_of_fc3(1.0, systematic=systematic)
        curvature = self.anharmonicity(1.0)
        best = (noise / curvature) ** 0.25 if curvature > 0 else _LARGEST_AMPLITUDE
        return round(min(max(best, default), _LARGEST_AMPLITUDE), 3)

    def check(self, name: str) -> None:
        """Raise an error if forces are wrong.

        Raises
        ------
        PotentialError
        """
        problem = self._wrong()
        if problem:
            raise PotentialError(
                f"{name}: {problem} Check units and signs of the calculator; to "
                "continue anyway, use --allow-poor-fit."
            )

    def _wrong(self) -> str:
        if not self.typical > 0:
            return (
                f"forces of displaced atoms = {self.typical}; expected forces that do "
                "not vanish."
            )
        if not self.gradient <= _WRONG and not np.isnan(self.work_ratio):
            return (
                f"work of the forces = {self.work_ratio:.4g} times the decrease of the "
                "energy; expected 1."
            )
        if not self.repeat <= _WRONG * self.typical:
            return (
                f"change of forces in a second evaluation = {self.repeat:.2g} "
                f"eV/angstrom, where forces are {self.typical:.2g}; expected 0."
            )
        return ""

    def checks(self) -> list[Check]:
        """Return the results that do not depend on the displacements of a run."""
        return [
            self._gradient_check(),
            *self._symmetry_checks(),
            Check(
                self.effective_noise <= _LOOK * self.typical,
                f"noise of forces: {self.noise:.1e} eV/angstrom"
                f"{_precision(self.noise, self.typical)}; repeated to "
                f"{self.repeat:.1e}",
                "Use double precision, or converge the calculator more tightly.",
            ),
            *self._smoothness_checks(),
        ]

    def _gradient_check(self) -> Check:
        if np.isnan(self.work_ratio):
            return Check(
                False,
                "energies do not change with displacements",
                "Forces cannot be compared with their gradient.",
            )
        return Check(
            self.gradient <= _LOOK,
            f"work of forces against the energy: {100 * self.gradient:.2g} % apart",
            "They are not derivatives of an energy: force constants have no definite "
            "value. Use a model with conservative forces.",
        )

    def _symmetry_checks(self) -> list[Check]:
        tolerance = max(_LOOK * self.typical, _NOISE * self.effective_noise)
        values = {
            "translation": self.translation,
            "rotation": self.rotation,
            "order of atoms": self.permutation,
            "net force": self.net_force,
        }
        passed = all(value <= tolerance for value in values.values())
        text = ", ".join(f"{name} {value:.1e}" for name, value in values.items())
        return [
            Check(
                passed,
                f"symmetry of forces: {text} eV/angstrom",
                f"Expected at most {tolerance:.1e}: the calculator depends on sites, "
                "axes, the order of atoms, or a numerical grid. That is right for one "
                "made for this supercell only.",
            )
        ]

    def _smoothness_checks(self) -> list[Check]:
        if not self.third:
            return []
        return [
            Check(
                not self.is_rough,
                f"smoothness: the fourth difference of forces at steps of {_STEP} "
                f"angstrom is {self.roughness:.2g} times the second",
                "Forces are not smooth, as where neighbours cross the cutoff of the "
                "model or angles reach 180 degrees: fc2 and fc3 depend on the "
                "amplitude. Compare several (--amplitude), or use another model.",
            )
        ]

    def amplitude_checks(self, amplitude: float, *, systematic: bool) -> list[Check]:
        """Return what noise means for fc3; nothing if that is not known.

        Parameters
        ----------
        amplitude : float
            Length of the displacements of a run (angstrom).
        systematic : bool
            Whether displacements are systematic ones, or random ones.
        """
        noise = self.noise_of_fc3(amplitude, systematic=systematic)
        if np.isnan(noise) or self.is_rough:
            return []
        best = self.best_amplitude(amplitude, systematic=systematic)
        remedy = "fc3 drowns in it: use "
        if best > amplitude:
            at_best = self.noise_of_fc3(best, systematic=systematic)
            remedy += f"--amplitude {best:g} ({100 * at_best:.2g} %), "
        remedy += "random displacements (--rd auto), " if systematic else ""
        return [
            Check(
                noise <= _DROWNED,
                f"noise in fc3 at displacements of {amplitude:g} angstrom: "
                f"{100 * noise:.2g} %, higher orders "
                f"{100 * self.anharmonicity(amplitude):.2g} %",
                remedy + "or a calculator in double precision.",
            )
        ]


def _precision(noise: float, typical: float) -> str:
    return (
        " (as of single precision)" if 1e-8 * typical < noise < 1e-4 * typical else ""
    )


def examine_potential(
    name: str,
    potential: Potential,
    supercell: PhonopyAtoms,
    progress: Progress = no_progress,
) -> PotentialHealth:
    """Examine a potential at small displacements of a supercell.

    Parameters
    ----------
    name : str
        Name of the force calculator, used in messages.
    potential : Potential
    supercell : PhonopyAtoms
        Supercell without displacements.
    progress : Progress

    Raises
    ------
    PotentialError, PluginFailed
        See `evaluate`.
    """
    start = time.perf_counter()
    points = _points(supercell)
    task = "Examining the potential"
    result = evaluate(name, potential, points.cells, progress, task)
    translated = _forces_of(name, potential, points.translated)
    rotated = _forces_of(name, potential, points.rotated)
    reordered = _forces_of(name, potential, points.reordered)
    again = evaluate(name, potential, [points.cells[_BASE]], progress, task)
    forces, base = result.forces, result.forces[_BASE]
    scale = float(np.linalg.norm(_FINE))
    noise = _rms(np.tensordot(_FINE, forces[_FINE_LINE], 1)) / scale
    # Fourth differences: three samples of noise, where the sixth is one.
    energies = np.convolve(result.energies[_FINE_LINE], _FOURTH, "valid")
    energy_noise = _rms(energies) / float(np.linalg.norm(_FOURTH))
    coarse = Evaluation(result.energies[:5], forces[:5])
    work_ratio, gradient = _compare_work(coarse, points.direction, energy_noise)
    third, fifth = _derivatives(coarse.forces, noise)
    return PotentialHealth(
        n_atoms=len(supercell),
        typical=_rms(base - forces[2]),
        repeat=float(np.max(np.abs(again.forces[0] - base))),
        noise=noise,
        work_ratio=work_ratio,
        gradient=gradient,
        net_force=float(np.max(np.abs(coarse.forces.mean(axis=1)))),
        translation=_rms(translated - base),
        rotation=_rms(rotated @ points.rotation - base),
        permutation=_rms(reordered[::-1] - base),
        third=third,
        fifth=fifth,
        seconds=time.perf_counter() - start,
    )


def examine_once(
    name: str,
    potential: Potential,
    supercell: PhonopyAtoms,
    origin: str,
    folder: Path,
    progress: Progress = no_progress,
) -> tuple[PotentialHealth, bool]:
    """Examine a potential unless this was done in the same folder before.

    Parameters
    ----------
    name, potential, supercell, progress
        See `examine_potential`.
    origin : str
        Fingerprint of everything that determines the forces of the potential.
    folder : Path
        Folder with the file in which the result is stored.

    Returns
    -------
    health : PotentialHealth
    known : bool
        Whether it was read from the file.
    """
    path = folder / HEALTH_FILE
    key = fingerprint(
        {
            "potential": origin,
            "lattice": supercell.cell,
            "positions": supercell.positions,
            "symbols": list(supercell.symbols),
        }
    )
    records = _records(read_json(path)) if path.exists() else []
    for record in records:
        found = _stored(record, key)
        if found is not None:
            return found, True
    health = examine_potential(name, potential, supercell, progress)
    # JSON has no number for NaN; null stands for it.
    values = {k: v if v == v else None for k, v in asdict(health).items()}
    newest = {"calculator": name, "fingerprint": key, "health": values}
    write_json(path, {**newest, "earlier": records[: _KEPT - 1]})
    return health, False


def _records(content: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    """Return the stored results, the newest first."""
    if content is None:
        return []
    newest = {key: value for key, value in content.items() if key != "earlier"}
    earlier = content.get("earlier")
    others = earlier if isinstance(earlier, list) else []
    return [newest, *(one for one in others if isinstance(one, dict))]


def _stored(content: Mapping[str, Any], key: str) -> PotentialHealth | None:
    """Return the stored result for this potential and supercell, if it is one."""
    if content.get("fingerprint") != key:
        return None
    values = content.get("health")
    names = {item.name for item in fields(PotentialHealth)}
    if not isinstance(values, dict) or set(values) != names:
        return None
    if not all(
        v is None or (isinstance(v, int | float) and not isinstance(v, bool))
        for v in values.values()
    ):
        return None
    numbers: dict[str, Any] = {
        k: float("nan") if v is None else v for k, v in values.items()
    }
    return PotentialHealth(**numbers)


@dataclass(frozen=True, eq=False)
class _Points:
    """Supercells to evaluate.

    The first five are on a line through the perfect supercell, the next six on a finer
    line through the fourth of these, the base, of which the others are copies.
    """

    cells: list[PhonopyAtoms]
    translated: PhonopyAtoms
    rotated: PhonopyAtoms
    reordered: PhonopyAtoms
    direction: FloatArray
    rotation: FloatArray


_BASE = 3
_FINE_LINE = [5, 6, 7, _BASE, 8, 9, 10]


def _points(supercell: PhonopyAtoms) -> _Points:
    random = np.random.default_rng(0)
    n_atoms = len(supercell)
    direction, other = _directions(random, n_atoms), _directions(random, n_atoms)
    coarse = [supercell.positions + k * _STEP * direction for k in (-2, -1, 0, 1, 2)]
    base = coarse[_BASE]
    fine = [base + k * _FINE_STEP * other for k in (-3, -2, -1, 1, 2, 3)]
    shift = random.uniform(-1, 1, size=3) @ supercell.cell
    rotation = _rotation(random)
    return _Points(
        cells=[_cell(supercell, p) for p in [*coarse, *fine]],
        translated=_cell(supercell, base + shift),
        rotated=_cell(supercell, base @ rotation.T, supercell.cell @ rotation.T),
        reordered=_reordered(_cell(supercell, base)),
        direction=direction,
        rotation=rotation,
    )


def _forces_of(name: str, potential: Potential, cell: PhonopyAtoms) -> FloatArray:
    """Return forces of a supercell for which the calculator need not be made."""
    try:
        forces: FloatArray = evaluate(name, potential, [cell]).forces[0]
    except PluginFailed:
        forces = np.full((len(cell), 3), np.nan)
    return forces


def _directions(random: np.random.Generator, n_atoms: int) -> FloatArray:
    """Return a random direction of length 1 for each atom."""
    vectors = random.normal(size=(n_atoms, 3))
    unit: FloatArray = vectors / np.linalg.norm(vectors, axis=1)[:, None]
    return unit


def _rotation(random: np.random.Generator) -> FloatArray:
    """Return a random proper rotation."""
    matrix = np.linalg.qr(random.normal(size=(3, 3)))[0]
    proper: FloatArray = matrix * np.linalg.det(matrix)
    return proper


def _cell(
    supercell: PhonopyAtoms, positions: FloatArray, lattice: FloatArray | None = None
) -> PhonopyAtoms:
    cell = supercell.copy()
    if lattice is not None:
        cell.cell = lattice
    cell.positions = positions
    return cell


def _reordered(cell: PhonopyAtoms) -> PhonopyAtoms:
    """Return the supercell with its atoms in reverse order."""
    from phonopy.structure.atoms import PhonopyAtoms

    moments = cell.magnetic_moments
    return PhonopyAtoms(
        symbols=cell.symbols[::-1],
        cell=cell.cell,
        positions=cell.positions[::-1],
        masses=cell.masses[::-1],
        magnetic_moments=None if moments is None else moments[::-1],
    )


def _rms(values: FloatArray) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def _compare_work(
    line: Evaluation, direction: FloatArray, energy_noise: float
) -> tuple[float, float]:
    """Compare the work of forces with the energy, from the middle to both ends.

    Simpson's rule has an error of 1e-4 or less of the work of smooth forces.
    """
    along = np.tensordot(line.forces, direction, 2)
    simpson = np.array([1.0, 4.0, 1.0]) * _STEP / 3
    work = np.array([-simpson @ along[:3], simpson @ along[2:]])
    change = line.energies[[0, 4]] - line.energies[2]
    if not np.any(change):
        return float("nan"), float("nan")
    ratio = -float(work @ change / (change @ change))
    total = float(np.linalg.norm(work))
    difference = float(np.linalg.norm(work + change))
    # Where forces of atoms have jumps, those along the line add up at random.
    jumps = _rms(np.tensordot(_FOURTH, line.forces, 1)) * np.sqrt(len(direction))
    tolerance = _NOISE * energy_noise + float(jumps) * _STEP
    if difference <= tolerance:
        return ratio, 0.0
    return ratio, (difference - tolerance) / total if total > 0 else float("inf")


def _derivatives(forces: FloatArray, noise: float) -> tuple[float, float]:
    """Return rms second and fourth derivatives of forces along a line; 0 for noise."""
    second = np.array([-1.0, 16.0, -30.0, 16.0, -1.0]) / (12 * _STEP**2)
    derivatives = []
    for weights in (second, _FOURTH / _STEP**4):
        value = _rms(np.tensordot(weights, forces, 1))
        limit = 5 * noise * float(np.linalg.norm(weights))
        derivatives.append(value if value > limit else 0.0)
    return derivatives[0], derivatives[1]

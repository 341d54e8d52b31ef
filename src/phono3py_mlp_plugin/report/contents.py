"""What a report tells, as plain records, and how it is found in a folder."""

from __future__ import annotations

import importlib.metadata
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from phono3py_mlp_plugin import plugins
from phono3py_mlp_plugin.contracts import Dataset, FloatArray
from phono3py_mlp_plugin.convergence import (
    CONVERGENCE_FILE,
    Point,
    read_convergence,
)
from phono3py_mlp_plugin.errors import DatasetError, MLPError, one_line
from phono3py_mlp_plugin.files import (
    CHANGED,
    UNCERTAINTY_FILE,
    KappaFile,
    Provenance,
    find_kappa,
    find_potential,
    read_force_constants,
    read_kappa,
    read_provenance,
    read_stamp,
    read_uncertainty,
)
from phono3py_mlp_plugin.uncertainty import ErrorBar
from phono3py_mlp_plugin.workflow import (
    CalculatorSpec,
    Check,
    PathSegment,
    band_path,
    check_dataset,
    check_drift,
    check_phonons,
    check_potential,
    evaluate,
    force_constants_problem,
    harmonic_crystal,
    read_dataset,
    request_solver,
    split_dataset,
    supercells_of,
)

if TYPE_CHECKING:
    from phono3py import Phono3py

_T = TypeVar("_T")

# Median absolute deviations, in units of a standard deviation, beyond which an error of
# a snapshot is an outlier.
_OUTLIER = 5.0
_MAD = 1.4826

# Supercells from which on fc2 is fitted alone: fc3 takes its share of few of them, and
# minutes and gigabytes for a large cell. For NaCl the rms change of bands is 0.0006 THz
# with twenty supercells, 0.010 THz with five.
_MANY = 20

# Points on each segment of the band path; mesh of the density of states.
_POINTS = 51
_DOS_MESH = 60.0  # angstrom, as the host's --mesh of one number


@dataclass(frozen=True, eq=False)
class Snapshots:
    """First principles and potential, supercell by supercell.

    Attributes
    ----------
    forces, predicted_forces : ndarray
        In eV/angstrom, shape ``(n, N, 3)``.
    energies, predicted_energies : ndarray or None
        In eV per atom, relative to their means, shape ``(n,)``.
    training, test : ndarray
        Indices of snapshots of the two sets; of neither where the potential does not
        say.
    """

    forces: FloatArray
    predicted_forces: FloatArray
    energies: FloatArray | None
    predicted_energies: FloatArray | None
    training: NDArray[np.intp]
    test: NDArray[np.intp]

    def force_errors(self) -> FloatArray:
        """Return root mean square errors of forces (eV/angstrom), shape ``(n,)``."""
        square = (self.predicted_forces - self.forces) ** 2
        return np.asarray(np.sqrt(square.mean(axis=(1, 2))))

    def outliers(self) -> list[int]:
        """Return indices of snapshots whose error is out of line."""
        errors = self.force_errors()
        middle = np.median(errors)
        scale = _MAD * np.median(np.abs(errors - middle))
        return np.flatnonzero(errors > middle + _OUTLIER * scale).tolist()


@dataclass(frozen=True, eq=False)
class Bands:
    """Phonons along the band path, and their density of states.

    Attributes
    ----------
    path : list of PathSegment
    distances : list of ndarray
        Along each segment (1/angstrom).
    frequencies : dict
        In THz by what they are from ("force constants", "first principles"): arrays of
        shape ``(n_points, n_bands)``, one for each segment.
    dos : dict
        Frequencies (THz) and densities (1/THz) by what they are from.
    remark : str
        On what is compared, where it is not as usual.
    """

    path: list[PathSegment]
    distances: list[FloatArray]
    frequencies: dict[str, list[FloatArray]]
    dos: dict[str, tuple[FloatArray, FloatArray]]
    remark: str = ""


@dataclass(frozen=True, eq=False)
class Contents:
    """All that was found in a folder; what is missing is told by section.

    Attributes
    ----------
    formula : str
    n_atoms : int
        Of the supercell.
    provenance : Provenance or None
    snapshots : Snapshots or None
    points : list of Point
        Of the convergence study.
    bands : Bands or None
    kappa : KappaFile or None
    bars : dict
        Error bars of xx, yy and zz by temperature.
    checks : list of Check
    facts : list of tuple
        What everything was made from: a name and a value.
    missing : dict
        Why a section is empty and what fills it, by the section's name.
    """

    formula: str
    n_atoms: int
    provenance: Provenance | None = None
    snapshots: Snapshots | None = None
    points: list[Point] = field(default_factory=list)
    bands: Bands | None = None
    kappa: KappaFile | None = None
    bars: dict[float, list[ErrorBar]] = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)
    facts: list[tuple[str, str]] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)

    def directions(self) -> list[int]:
        """Return the directions whose kappa is not that of an earlier one."""
        found: list[int] = []
        if self.kappa is not None:
            values = self.kappa.kappa
            for c in range(3):
                if not any(
                    np.allclose(values[:, c], values[:, d], rtol=1e-4) for d in found
                ):
                    found.append(c)
        return found

    def room_temperature(self) -> int:
        """Return the index of the temperature of kappa that is nearest to 300 K."""
        assert self.kappa is not None
        return int(np.abs(self.kappa.temperatures - 300.0).argmin())


def gather(
    crystal: Phono3py,
    folder: Path,
    spec: CalculatorSpec,
    evaluated: Phono3py | None,
    settings: Mapping[str, Any],
) -> Contents:
    """Return all that the files of a folder tell.

    Parameters
    ----------
    crystal : Phono3py
        Cells, dataset and Born charges.
    folder : Path
    spec : CalculatorSpec
        Force calculator and its options.
    evaluated : Phono3py or None
        Crystal whose supercells the potential was asked for: its positions are relaxed
        where the run relaxed them.
    settings : mapping
        Options of the run by name.

    Raises
    ------
    DatasetError
        There is neither a potential nor force constants nor kappa.
    """
    return _Gathering(crystal, folder, spec, evaluated).contents(settings)


class _Gathering:
    """One folder; a section that cannot be made says why."""

    def __init__(
        self,
        crystal: Phono3py,
        folder: Path,
        spec: CalculatorSpec,
        evaluated: Phono3py | None,
    ) -> None:
        self._crystal = crystal
        self._evaluated = evaluated
        # What fc2, fc3 and kappa of the run belong to.
        self._run = evaluated or crystal
        self._folder = folder
        self._request = spec
        self._missing: dict[str, str] = {}
        self._dataset = self._try("parity", lambda: _sound_dataset(crystal))
        self._own_fc2 = None
        if crystal.phonon_supercell_matrix is not None:
            self._own_fc2 = self._try(
                "direct",
                lambda: read_dataset(crystal.phonon_dataset, crystal.phonon_supercell),
            )

    def contents(self, settings: Mapping[str, Any]) -> Contents:
        """Return the whole."""
        path = find_potential(self._request.calculator.file_names, self._folder)
        provenance = None if path is None else read_provenance(path)
        potential = self._try("parity", lambda: self._load(path))
        training, test = self._rows(provenance)
        fcs = {order: self._force_constants(order) for order in (2, 3)}
        kappa = self._kappa()
        if potential is None and fcs[2] is None and kappa is None:
            raise DatasetError(
                f'nothing to report in "{self._folder.resolve().name}": no potential, '
                "fc2.hdf5 or kappa file. Run phono3py-load --pypolymlp first."
            )
        snapshots = None
        checks: list[Check] = []
        if potential is not None:
            snapshots = self._try(
                "parity", lambda: self._snapshots(potential, training, test)
            )
        mesh = None if kappa is None else kappa.mesh
        bands = None
        if fcs[2] is not None:
            fc2: FloatArray = fcs[2]
            checks += self._try("bands", lambda: self._phonon_checks(fc2, mesh)) or []
            bands = self._try("bands", lambda: self._bands(fc2))
            if fcs[3] is not None:
                checks.append(check_drift(fc2, fcs[3]))
        if potential is not None:
            found = self._try(
                "parity",
                lambda: check_potential(
                    self._request.calculator.name,
                    potential,
                    self._run.supercell,
                    self._evaluated and self._evaluated.displacements,
                    self._dataset,
                    training.tolist(),
                    provenance if len(training) else None,
                ),
            )
            checks += found or []
        points = self._points()
        bars = self._bars(kappa)
        if provenance is None or not provenance.penalties:
            self._missing.setdefault(
                "penalties", "The potential carries no record of a training."
            )
        return Contents(
            formula=_formula(self._crystal.primitive.symbols),
            n_atoms=len(self._crystal.supercell),
            provenance=provenance,
            snapshots=snapshots,
            points=points,
            bands=bands,
            kappa=kappa,
            bars=bars,
            checks=checks,
            facts=self._facts(path, provenance, kappa, settings),
            missing=self._missing,
        )

    def _try(self, section: str, make: Callable[[], _T]) -> _T | None:
        """Return what is made; None where one of our errors says why not."""
        try:
            return make()
        except MLPError as error:
            self._missing.setdefault(section, one_line(error))
            return None

    def _load(self, path: Path | None) -> Any:
        if path is None and self._request.calculator.file_names:
            raise DatasetError(
                "No potential: phono3py-load --pypolymlp phono3py_params.yaml trains "
                "one."
            )
        return plugins.load(self._request.calculator, path, self._request.options)

    def _rows(
        self, provenance: Provenance | None
    ) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return which snapshots of the dataset trained and tested."""
        nothing = np.empty(0, dtype=np.intp)
        if provenance is None or self._dataset is None:
            return nothing, nothing
        head, _, seed = provenance.split.partition(", seed ")
        try:
            split = split_dataset(
                len(self._dataset),
                provenance.n_training,
                provenance.n_test,
                seed=int(seed) if head == "shuffled" else None,
            )
        except (MLPError, ValueError):
            self._missing["split"] = (
                f"The potential was trained on {provenance.n_training} supercells and "
                f"tested on {provenance.n_test}; this dataset has "
                f"{len(self._dataset)}: it is another one."
            )
            return nothing, nothing
        return split.training, split.test

    def _snapshots(
        self, potential: Any, training: NDArray[np.intp], test: NDArray[np.intp]
    ) -> Snapshots:
        dataset = self._dataset
        if dataset is None:
            raise DatasetError(
                "No dataset with forces: give phono3py_params.yaml to the report."
            )
        found = evaluate(self._request.calculator.name, potential, dataset.supercells())
        energies = predicted = None
        if dataset.energies is not None:
            n_atoms = len(dataset.supercell)
            energies, predicted = dataset.energies / n_atoms, found.energies / n_atoms
            predicted = predicted - energies.mean()
            energies = energies - energies.mean()
        return Snapshots(
            dataset.forces, found.forces, energies, predicted, training, test
        )

    def _force_constants(self, order: int) -> FloatArray | None:
        path = self._folder / f"fc{order}.hdf5"
        cell, primitive = self._run.supercell, self._run.primitive
        if order == 2 and self._run.phonon_supercell_matrix is not None:
            cell, primitive = self._run.phonon_supercell, self._run.phonon_primitive
        n = len(cell)
        shape = (*(n,) * order, *(3,) * order)
        if not path.is_file():
            self._missing.setdefault(
                "bands", f"No {path.name}: phono3py-load --pypolymlp --rd N makes it."
            )
            return None
        p2s_map = [int(i) for i in primitive.p2s_map]
        return self._try("bands", lambda: read_force_constants(path, shape, p2s_map))

    def _kappa(self) -> KappaFile | None:
        paths = find_kappa(self._folder)
        if not paths:
            damaged = sorted(p.name for p in self._folder.glob("kappa-*.hdf5"))
            self._missing["kappa"] = (
                f"No kappa in {', '.join(damaged)}: compute it anew."
                if damaged
                else "No kappa file: phono3py-load --mesh N N N --br makes one."
            )
            return None
        kappa = self._try("kappa", lambda: read_kappa(paths[0]))
        if kappa is not None and kappa.mode_kappa is None:
            self._missing["cumulative"] = (
                f"{kappa.name} does not hold the parts of single modes."
            )
        return kappa

    def _points(self) -> list[Point]:
        records = read_convergence(self._folder / CONVERGENCE_FILE)
        points = [Point.from_record(record) for record in records]
        found = [point for point in points if point is not None]
        # As a new study yields them: an interrupted one may have mended a middle.
        found.sort(key=lambda point: (point.label, point.order, point.size))
        if not found:
            self._missing["convergence"] = (
                f"{self._absent(CONVERGENCE_FILE)}: phono3py-mlp converge "
                "phono3py_params.yaml --mesh N N N tells whether the supercells are "
                "enough."
            )
        return found

    def _absent(self, name: str) -> str:
        """Return that a file is not there, or that nothing is to be had from it."""
        if (self._folder / name).is_file():
            return f"{name} is damaged, or of another version"
        return f"No {name}"

    def _bars(self, kappa: KappaFile | None) -> dict[float, list[ErrorBar]]:
        """Return error bars by temperature, where they are of this kappa."""
        found: dict[float, list[ErrorBar]] = {}
        if kappa is None:
            return found
        records = read_uncertainty(self._folder / UNCERTAINTY_FILE)
        for record in records:
            same = np.isclose(kappa.temperatures, record["temperature"])
            values = kappa.kappa[same]
            if len(values) and np.allclose(values[0], record["kappa"], rtol=1e-6):
                bars = [ErrorBar(**bar) for bar in record["bars"]]
                found[float(record["temperature"])] = bars
        if records and not found:
            self._missing["bars"] = (
                f"{UNCERTAINTY_FILE} is of another kappa than {kappa.name}."
            )
        elif not found:
            self._missing["bars"] = (
                f"{self._absent(UNCERTAINTY_FILE)}: --uncertainty N of phono3py-load "
                "makes it."
            )
        return found

    def _phonon_checks(
        self, fc2: FloatArray, mesh: tuple[int, ...] | None
    ) -> list[Check]:
        harmonic = harmonic_crystal(self._run, fc2)
        harmonic.run_mesh(
            _DOS_MESH if mesh is None or len(mesh) != 3 else mesh, is_gamma_center=True
        )
        found: Any = harmonic.mesh
        gamma = np.abs(found.qpoints).max(axis=1) < 1e-8
        frequencies = np.array(found.frequencies)
        return check_phonons(frequencies[~gamma], frequencies[gamma][0])

    def _bands(self, fc2: FloatArray) -> Bands:
        sources = {"force constants": (self._run, fc2)}
        direct = self._try("direct", self._direct_fc2)
        if direct is not None:
            sources["first principles"] = direct
        path = band_path(self._run.primitive)
        reciprocal = np.linalg.inv(self._run.primitive.cell)
        along = np.linspace(0, 1, _POINTS)
        lines = [s.start[1] + along[:, None] * (s.end[1] - s.start[1]) for s in path]
        frequencies, dos = {}, {}
        for name, (crystal, values) in sources.items():
            harmonic = harmonic_crystal(crystal, values)
            # Not point by point: at Gamma the direction of the path decides.
            harmonic.run_band_structure(lines)
            found: Any = harmonic.band_structure
            frequencies[name] = [np.sort(f, axis=1) for f in found.frequencies]
            harmonic.run_mesh(_DOS_MESH)
            harmonic.run_total_dos()
            assert harmonic.total_dos is not None
            dos[name] = (
                np.array(harmonic.total_dos.frequency_points),
                np.array(harmonic.total_dos.dos),
            )
        distances = [
            along * np.linalg.norm(reciprocal @ (s.end[1] - s.start[1])) for s in path
        ]
        return Bands(path, distances, frequencies, dos, self._remark())

    def _direct_fc2(self) -> tuple[Phono3py, FloatArray]:
        """Return fc2 of the first-principles forces themselves, and its crystal."""
        own = self._own_fc2 is not None
        crystal = self._crystal if own else _without_own_fc2(self._crystal)
        part = supercells_of(crystal)[-1]
        data = part.read_dataset()
        if data is None:
            raise DatasetError("No first-principles forces to compare with.")
        request = request_solver("symfc")
        orders = (2,) if own or len(data) >= _MANY else (2, 3)
        problem = force_constants_problem(part, request, orders, forces=data.forces)
        return crystal, np.asarray(plugins.solve(request.solver, problem)[2])

    def _remark(self) -> str:
        """Return what is compared where it is not one supercell's forces by two."""
        if self._run.phonon_supercell_matrix is None:
            return ""
        if self._own_fc2 is not None:
            return (
                "fc2.hdf5 itself comes from first-principles forces, those of dim-fc2: "
                "the two are to coincide, and say nothing about the potential."
            )
        large, small = len(self._run.phonon_supercell), len(self._crystal.supercell)
        return (
            f"fc2.hdf5 is of the supercell of dim-fc2 ({large} atoms), first "
            f"principles of {small} atoms: the range of fc2 differs too."
        )

    def _facts(
        self,
        path: Path | None,
        provenance: Provenance | None,
        kappa: KappaFile | None,
        settings: Mapping[str, Any],
    ) -> list[tuple[str, str]]:
        """Return what everything was made from."""
        facts = []
        for name in ("phono3py-mlp-plugin", "phono3py", "phonopy", "symfc"):
            facts.append((f"{name}, of this report", importlib.metadata.version(name)))
        if self._dataset is not None:
            facts.append(("supercells with forces", str(len(self._dataset))))
        if path is not None:
            facts.append(("potential", path.name))
        if provenance is not None:
            facts += _facts_of_training(provenance)
        for order in (2, 3):
            file = self._folder / f"fc{order}.hdf5"
            if file.is_file():
                facts.append((file.name, self._origin(file)))
        if kappa is not None:
            mesh = "x".join(map(str, kappa.mesh))
            facts.append(("kappa", f"{kappa.name}, mesh {mesh}"))
        facts += [(f"option {name}", str(value)) for name, value in settings.items()]
        return facts

    def _origin(self, file: Path) -> str:
        stamp = self._try("bands", lambda: read_stamp(file))
        if stamp is None:
            return "no record: made by the user or by another program"
        if stamp == CHANGED:
            return f"by this package, and {CHANGED}"
        direct = file.name == "fc2.hdf5" and self._own_fc2 is not None
        source = "first-principles forces of dim-fc2" if direct else "the potential"
        return f"by this package from {source}; fingerprint {stamp}"


def _sound_dataset(crystal: Phono3py) -> Dataset | None:
    """Return the dataset with forces; an error where it contradicts itself."""
    dataset = read_dataset(crystal.dataset, crystal.supercell)
    if dataset is not None:
        check_dataset(dataset)
    return dataset


def _without_own_fc2(crystal: Phono3py) -> Phono3py:
    """Return the crystal with one supercell for fc2 and fc3."""
    from phono3py import Phono3py

    if crystal.phonon_supercell_matrix is None:
        return crystal
    plain = Phono3py(
        crystal.unitcell,
        supercell_matrix=crystal.supercell_matrix,
        primitive_matrix=crystal.primitive_matrix,
        symprec=crystal.symmetry.tolerance,
    )
    plain.nac_params = crystal.nac_params
    if crystal.dataset is not None:
        plain.dataset = crystal.dataset
    return plain


def _formula(symbols: Sequence[str]) -> str:
    """Return the composition, elements in the order of the cell."""
    counts = dict.fromkeys(symbols, 0)
    for symbol in symbols:
        counts[symbol] += 1
    divisor = math.gcd(*counts.values())
    return "".join(
        symbol + (str(n // divisor) if n > divisor else "")
        for symbol, n in counts.items()
    )


def _facts_of_training(provenance: Provenance) -> list[tuple[str, str]]:
    facts = [
        ("force calculator", provenance.calculator),
        ("engine", provenance.engine),
        ("fingerprint of the training", provenance.fingerprint),
        (
            "supercells of training and test",
            f"{provenance.n_training} and {provenance.n_test} ({provenance.split})",
        ),
        ("coefficients", str(provenance.n_features)),
        ("ridge penalty", "" if provenance.alpha is None else f"{provenance.alpha:g}"),
    ]
    facts += [
        (f"parameter {name}", str(value))
        for name, value in provenance.parameters.items()
        if value is not None
    ]
    facts += [
        (f"{name}, of the training", version)
        for name, version in provenance.versions.items()
    ]
    return [(name, value) for name, value in facts if value]

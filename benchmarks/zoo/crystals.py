"""The crystals of the calibration.

Crystals with analytic potentials have as many supercells as requested, and the kappa of
the potential itself is known. First-principles datasets are in the source packages of
phono3py.
"""

from __future__ import annotations

import dataclasses
import gzip
import lzma
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from phono3py import Phono3py
from phonopy.structure.atoms import PhonopyAtoms
from scipy.optimize import minimize

from phono3py_mlp_plugin.contracts import Dataset, FloatArray, Potential
from phono3py_mlp_plugin.host.reading import read_crystal
from phono3py_mlp_plugin.workflow import read_dataset
from zoo.potentials import (
    AnalyticPotential,
    AsePotential,
    Bonds,
    Ions,
    LennardJones,
)

ROOT = Path(__file__).resolve().parents[2]

TEST = 20
"""Number of supercells with which the penalty is chosen, as in a study."""

# Steps of the differences from which exact force constants are extrapolated.
_STEPS = (0.02, 0.01)  # angstrom


@dataclass(frozen=True, kw_only=True)
class Crystal:
    """What all crystals have.

    Attributes
    ----------
    name : str
    structure : str
        Structure type.
    mesh : tuple of int
    """

    name: str
    structure: str
    mesh: tuple[int, int, int]

    @property
    def is_analytic(self) -> bool:
        """Whether the exact force constants are known."""
        return isinstance(self, Analytic)


@dataclass(frozen=True, kw_only=True)
class Analytic(Crystal):
    """A crystal with an analytic potential.

    Attributes
    ----------
    potential : callable
        Returns the potential.
    cell : callable
        Returns the primitive cell, not relaxed.
    supercell : tuple
        Supercell matrix.
    amplitude : float
        Length of the displacement of each atom in angstrom; directions are random.
    noise : float
        Standard deviation of the noise of forces in eV/angstrom.
    n_reference : int
        Number of supercells of the reference.
    """

    potential: Callable[[], Potential]
    cell: Callable[[], PhonopyAtoms]
    supercell: Any
    amplitude: float = 0.03
    noise: float = 0.0
    n_reference: int = 160

    @cached_property
    def _potential(self) -> Potential:
        return self.potential()

    @cached_property
    def relaxed(self) -> PhonopyAtoms:
        """The primitive cell at zero stress, with the symmetry of the initial one."""
        return relaxed_cell(self.cell(), self._potential)

    def phono3py(self) -> Phono3py:
        """Return the crystal without displacements."""
        return Phono3py(
            self.relaxed,
            supercell_matrix=self.supercell,
            primitive_matrix=np.eye(3),
        )

    def dataset(self, n: int, *stream: int) -> Dataset:
        """Return n displaced supercells; they do not depend on n.

        Parameters
        ----------
        n : int
        *stream : int
            Different numbers give independent supercells.
        """
        supercell = self.phono3py().supercell
        rngs = [np.random.default_rng([*stream, k]) for k in range(n)]
        shape = (len(supercell), 3)
        displacements = np.array([rng.normal(size=shape) for rng in rngs])
        displacements *= self.amplitude / np.linalg.norm(
            displacements, axis=2, keepdims=True
        )
        undone = Dataset(supercell, displacements, np.zeros_like(displacements))
        evaluation = self._potential.evaluate(undone.supercells())
        noise = np.array([rng.normal(size=shape) for rng in rngs])
        forces = evaluation.forces + self.noise * noise
        return Dataset(supercell, displacements, forces, evaluation.energies)

    def training(self, order: int, largest: int) -> Dataset:
        """Return training and test supercells of an order."""
        return _joined(self.dataset(largest, 1, order), self.dataset(TEST, 0))

    def reference(self) -> Dataset:
        """Return training and test supercells of the reference."""
        return _joined(self.dataset(self.n_reference, 2), self.dataset(TEST, 0))

    def exact_force_constants(self) -> tuple[FloatArray, FloatArray]:
        """Return fc2 and fc3 of the potential by Richardson extrapolation."""
        found = []
        for step in _STEPS:
            ph3 = self.phono3py()
            ph3.generate_displacements(distance=step, is_plusminus=True)
            cells = ph3.supercells_with_displacements
            ph3.forces = self._potential.evaluate(cells).forces
            ph3.produce_fc3(is_compact_fc=True)
            ph3.symmetrize_fc3()
            ph3.symmetrize_fc2()
            found.append((ph3.fc2, ph3.fc3))
        (fc2, fc3), (near_fc2, near_fc3) = found
        return (4 * near_fc2 - fc2) / 3, (4 * near_fc3 - fc3) / 3


@dataclass(frozen=True, kw_only=True)
class Published(Crystal):
    """A crystal with first-principles forces.

    Attributes
    ----------
    file : str
        In the source package of phono3py.
    limit : int or None
        Number of supercells that are used.
    """

    file: str
    limit: int | None = None

    @cached_property
    def _content(self) -> tuple[Phono3py, Dataset]:
        return read_published(self.file, self.limit)

    @property
    def n_reference(self) -> int:
        """Number of supercells of the reference; two choose its penalty."""
        return len(self._content[1]) - 2

    def phono3py(self) -> Phono3py:
        """Return the crystal without displacements and supercell of fc2."""
        published = self._content[0]
        crystal = Phono3py(
            published.unitcell,
            supercell_matrix=published.supercell_matrix,
            primitive_matrix=published.primitive_matrix,
        )
        crystal.nac_params = published.nac_params
        return crystal

    def training(self, order: int, largest: int) -> Dataset:
        """Return training and test supercells of an order."""
        dataset = self._content[1]
        rows = np.random.default_rng(1000 + order).permutation(len(dataset))
        return dataset.select([*rows[:largest], *rows[-TEST:]])

    def reference(self) -> Dataset:
        """Return all supercells."""
        return self._content[1]


@cache
def read_published(file: str, limit: int | None) -> tuple[Phono3py, Dataset]:
    """Return a crystal and its dataset from the source package of phono3py."""
    sys.path.insert(0, str(ROOT / "example" / "NaCl-pypolymlp"))
    from fetch_data import host_source

    packed = (Path(host_source()) / file).read_bytes()
    unpack = gzip.decompress if file.endswith(".gz") else lzma.decompress
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "params.yaml"
        path.write_bytes(unpack(packed))
        crystal = read_crystal(path)
    dataset = read_dataset(crystal.dataset, crystal.supercell)
    assert dataset is not None
    if limit is not None:
        dataset = dataset.select(np.arange(limit))
    return crystal, dataset


def _joined(one: Dataset, other: Dataset) -> Dataset:
    assert one.energies is not None and other.energies is not None
    return Dataset(
        one.supercell,
        np.concatenate([one.displacements, other.displacements]),
        np.concatenate([one.forces, other.forces]),
        np.concatenate([one.energies, other.energies]),
    )


def relaxed_cell(cell: PhonopyAtoms, potential: Potential) -> PhonopyAtoms:
    """Return the cell at zero stress and forces, found from the symmetric one.

    Gradients have the symmetry of the cell, and the steps follow them.
    """
    n, length = len(cell), cell.volume ** (1 / 3)

    def strained(x: FloatArray) -> tuple[PhonopyAtoms, FloatArray]:
        strain = x[:9].reshape(3, 3)
        deformation = np.eye(3) + (strain + strain.T) / 2
        positions = cell.scaled_positions + x[9:].reshape(n, 3) / length
        new = PhonopyAtoms(
            symbols=cell.symbols,
            masses=cell.masses,
            cell=cell.cell @ deformation,
            scaled_positions=positions,
        )
        return new, deformation

    def energy(x: FloatArray) -> tuple[float, FloatArray]:
        new, deformation = strained(x)
        found = potential.evaluate([new])
        assert found.stresses is not None
        by_strain = found.stresses[0] * new.volume @ np.linalg.inv(deformation).T
        by_position = -found.forces[0] @ new.cell.T / length
        gradient = [((by_strain + by_strain.T) / 2).ravel(), by_position.ravel()]
        return float(found.energies[0]), np.concatenate(gradient)

    x = np.zeros(9 + 3 * n)
    for _ in range(4):
        # Small first steps, so that the structure is not left.
        options = {"gtol": 1e-7, "maxiter": 500, "hess_inv0": 0.005 * np.eye(len(x))}
        result = minimize(energy, x, jac=True, method="BFGS", options=options)
        x = result.x
        if np.abs(result.jac).max() < 1e-6:
            break
    return strained(x)[0]


def _fcc(a: float) -> FloatArray:
    return np.asarray(a / 2 * (np.ones((3, 3)) - np.eye(3)))


def _hexagonal(a: float, c: float) -> FloatArray:
    return np.array([[a, 0, 0], [-a / 2, a * np.sqrt(0.75), 0], [0, 0, c]])


def _cubic(n: int) -> tuple[tuple[int, ...], ...]:
    """Supercell of n^3 conventional cells of a face-centred lattice."""
    return ((-n, n, n), (n, -n, n), (n, n, -n))


def _cell(lattice: Any, **sites: Any) -> PhonopyAtoms:
    """Return a cell from the sites of each element."""
    return PhonopyAtoms(
        symbols=[element for element, at in sites.items() for _ in at],
        cell=lattice,
        scaled_positions=[site for at in sites.values() for site in at],
    )


_ORIGIN, _QUARTER, _HALF = [0.0] * 3, [0.25] * 3, [0.5] * 3
_OXYGEN = (22764.0, 0.149, 27.88)
_FLUORINE = (1127.7, 0.2753, 15.83)


def _emt() -> Potential:
    from ase.calculators.emt import EMT

    return AsePotential(EMT())


def _silicon() -> Potential:
    return AnalyticPotential((Bonds(2.1683, 2.0951),))


def _argon() -> Potential:
    return AnalyticPotential((LennardJones(0.0104, 3.4),))


def _nacl() -> Potential:
    born = {
        "Na-Na": (0.2637 * np.exp(2.340 / 0.317), 0.317, 1.05),
        "Na-Cl": (0.2110 * np.exp(2.755 / 0.317), 0.317, 6.99),
        "Cl-Cl": (0.1582 * np.exp(3.170 / 0.317), 0.317, 72.4),
    }
    return AnalyticPotential((Ions({"Na": 1, "Cl": -1}, born),))


def _mgo() -> Potential:
    pairs = {"Mg-O": (821.6, 0.3242, 0.0), "O-O": _OXYGEN}
    return AnalyticPotential((Ions({"Mg": 2, "O": -2}, pairs),))


def _caf2() -> Potential:
    pairs = {"Ca-F": (1272.8, 0.2997, 0.0), "F-F": _FLUORINE}
    return AnalyticPotential((Ions({"Ca": 2, "F": -1}, pairs),))


def _kmgf3() -> Potential:
    pairs = {
        "K-F": (2426.8, 0.277, 0.0),
        "Mg-F": (927.69, 0.2716, 0.0),
        "F-F": _FLUORINE,
    }
    return AnalyticPotential((Ions({"K": 1, "Mg": 2, "F": -1}, pairs),))


def _tio2() -> Potential:
    """M. Matsui and M. Akaogi, Mol. Simul. 6, 239 (1991)."""
    pairs = {
        "Ti-O": (16957.53, 0.194, 12.59),
        "Ti-Ti": (31120.2, 0.154, 5.25),
        "O-O": (11782.76, 0.234, 30.22),
    }
    return AnalyticPotential((Ions({"Ti": 2.196, "O": -1.098}, pairs),))


def _gan() -> Potential:
    """Bonds of unlike atoms of A. Bere and A. Serra, Phil. Mag. 86, 2159 (2006)."""
    bonds = Bonds(2.17, 1.695, big_a=7.917, big_b=0.72, strength=32.5, between="Ga-N")
    return AnalyticPotential((bonds,))


def _cdte() -> Potential:
    """Bonds of Z. Q. Wang, D. Stroud and A. J. Markworth, PRB 40, 3129 (1989)."""
    bonds = Bonds(
        1.03, 2.51, big_a=5.1726, big_b=0.8807, strength=25.0, between="Cd-Te"
    )
    return AnalyticPotential((bonds,))


def _layers() -> Potential:
    """Buckled layers with bonds, and a Lennard-Jones potential between them."""
    bonds = Bonds(2.0, 2.0, strength=30.0, cosine=-0.12, a=1.5)
    between = LennardJones(0.03, 3.6, begin=3.2, full=3.55, cutoff=8.0)
    return AnalyticPotential((bonds, between))


def _rough_layers() -> Potential:
    """The same with neighbours at the distance where the potential is switched on.

    The range of distances over which it changes is small for the model.
    """
    bonds = Bonds(2.0, 2.0, strength=30.0, cosine=-0.12, a=1.5)
    between = LennardJones(0.03, 3.5, begin=3.4, full=4.0, cutoff=8.0)
    return AnalyticPotential((bonds, between))


def _layered_cell() -> PhonopyAtoms:
    sites = [[1 / 3, 2 / 3, -0.12], [2 / 3, 1 / 3, 0.12]]
    return _cell(_hexagonal(3.07, 4.32), As=sites)


def _wurtzite(a: float, c: float, u: float, **_: Any) -> PhonopyAtoms:
    one, other = [1 / 3, 2 / 3, 0.0], [2 / 3, 1 / 3, 0.5]
    return _cell(
        _hexagonal(a, c),
        Ga=[one, other],
        N=[[*one[:2], u], [*other[:2], 0.5 + u]],
    )


def _triclinic() -> PhonopyAtoms:
    """A network of six atoms found by random search: P-1, four bonds per atom."""
    lattice = [
        [-3.721882, 1.245304, 0.890584],
        [0.512398, 4.389752, 0.780492],
        [-1.773664, 1.71912, -5.982351],
    ]
    sites = [
        [0.802006, 0.872935, 0.948241],
        [0.089376, 0.457307, 0.714992],
        [0.321412, 0.842621, 0.407385],
    ]
    return _cell(lattice, Si=[*sites, *(1 - np.array(sites)).tolist()])


def _silicon_cell() -> PhonopyAtoms:
    return _cell(_fcc(5.431), Si=[_ORIGIN, _QUARTER])


def _argon_cell() -> PhonopyAtoms:
    return _cell(_fcc(5.25), Ar=[_ORIGIN])


_FOUR = ((4, 0, 0), (0, 4, 0), (0, 0, 4))

CRYSTALS: tuple[Analytic | Published, ...] = (
    Published(
        name="NaCl",
        structure="rock salt",
        mesh=(5, 5, 5),
        file="example/NaCl-rd/phono3py_params_NaCl.yaml.xz",
    ),
    Published(
        name="MgO",
        structure="rock salt",
        mesh=(5, 5, 5),
        file="test/phono3py_params_MgO-222rd-444rd.yaml.xz",
    ),
    Published(
        name="C",
        structure="diamond",
        mesh=(5, 5, 5),
        file="test/phonon4/phonopy_params-C-diamond.yaml.xz",
    ),
    Published(
        name="Si thermal",
        structure="diamond",
        mesh=(5, 5, 5),
        file="test/phono3py_params-Si111-rd.yaml.xz",
        limit=400,
    ),
    Analytic(
        name="Si bonds",
        structure="diamond",
        mesh=(5, 5, 5),
        potential=_silicon,
        cell=_silicon_cell,
        supercell=_cubic(2),
    ),
    Analytic(
        name="Si noise",
        structure="diamond",
        mesh=(5, 5, 5),
        potential=_silicon,
        cell=_silicon_cell,
        supercell=_cubic(2),
        noise=0.002,
    ),
    Analytic(
        name="CdTe bonds",
        structure="zincblende",
        mesh=(5, 5, 5),
        potential=_cdte,
        cell=lambda: _cell(_fcc(6.48), Cd=[_ORIGIN], Te=[_QUARTER]),
        supercell=_cubic(2),
    ),
    Analytic(
        name="Cu EMT",
        structure="fcc",
        mesh=(7, 7, 7),
        potential=_emt,
        cell=lambda: _cell(_fcc(3.6), Cu=[_ORIGIN]),
        supercell=_FOUR,
    ),
    Analytic(
        name="Al EMT",
        structure="fcc",
        mesh=(7, 7, 7),
        potential=_emt,
        cell=lambda: _cell(_fcc(4.0), Al=[_ORIGIN]),
        supercell=_FOUR,
    ),
    Analytic(
        name="Ar pairs",
        structure="fcc",
        mesh=(7, 7, 7),
        potential=_argon,
        cell=_argon_cell,
        supercell=_FOUR,
    ),
    Analytic(
        name="NaCl ions",
        structure="rock salt",
        mesh=(5, 5, 5),
        potential=_nacl,
        cell=lambda: _cell(_fcc(5.65), Na=[_ORIGIN], Cl=[_HALF]),
        supercell=_cubic(2),
    ),
    Analytic(
        name="MgO ions",
        structure="rock salt",
        mesh=(5, 5, 5),
        potential=_mgo,
        cell=lambda: _cell(_fcc(4.24), Mg=[_ORIGIN], O=[_HALF]),
        supercell=_cubic(2),
    ),
    Analytic(
        name="CaF2 ions",
        structure="fluorite",
        mesh=(5, 5, 5),
        potential=_caf2,
        cell=lambda: _cell(_fcc(5.47), Ca=[_ORIGIN], F=[_QUARTER, [0.75] * 3]),
        supercell=((3, 0, 0), (0, 3, 0), (0, 0, 3)),
    ),
    Analytic(
        name="GaN bonds",
        structure="wurtzite",
        mesh=(5, 5, 3),
        potential=_gan,
        cell=lambda: _wurtzite(3.19, 5.21, 0.375),
        supercell=((3, 0, 0), (0, 3, 0), (0, 0, 2)),
    ),
    Analytic(
        name="layers",
        structure="A7-like",
        mesh=(5, 5, 5),
        potential=_layers,
        cell=_layered_cell,
        supercell=((4, 0, 0), (0, 4, 0), (0, 0, 2)),
    ),
    Analytic(
        name="Si triclinic",
        structure="P-1, six atoms",
        mesh=(3, 3, 3),
        potential=_silicon,
        cell=_triclinic,
        supercell=((2, 0, 0), (0, 2, 0), (0, 0, 2)),
    ),
    Analytic(
        name="KMgF3 ions",
        structure="perovskite",
        mesh=(4, 4, 4),
        potential=_kmgf3,
        cell=lambda: _cell(
            3.91 * np.eye(3),
            K=[_HALF],
            Mg=[_ORIGIN],
            F=[[0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5]],
        ),
        supercell=((0, 2, 2), (2, 0, 2), (2, 2, 0)),
    ),
    Analytic(
        name="TiO2 ions",
        structure="rutile",
        mesh=(3, 3, 4),
        potential=_tio2,
        cell=lambda: _cell(
            np.diag([4.489, 4.489, 3.015]),
            Ti=[_ORIGIN, _HALF],
            O=[
                [0.305, 0.305, 0],
                [0.695, 0.695, 0],
                [0.805, 0.195, 0.5],
                [0.195, 0.805, 0.5],
            ],
        ),
        supercell=((2, 0, 0), (0, 2, 0), (0, 0, 3)),
    ),
    Published(
        name="AlN",
        structure="wurtzite",
        mesh=(5, 5, 3),
        file="example/AlN-rd/phonopy_params_mp-661.yaml.xz",
    ),
)

STRONG: tuple[Analytic, ...] = (
    Analytic(
        name="layers rough",
        structure="A7-like",
        mesh=(5, 5, 5),
        potential=_rough_layers,
        cell=_layered_cell,
        supercell=((4, 0, 0), (0, 4, 0), (0, 0, 2)),
    ),
    Analytic(
        name="Ar 0.2 A",
        structure="fcc",
        mesh=(7, 7, 7),
        potential=_argon,
        cell=_argon_cell,
        supercell=_FOUR,
        amplitude=0.2,
    ),
    Analytic(
        name="Si 0.2 A",
        structure="diamond",
        mesh=(5, 5, 5),
        potential=_silicon,
        cell=_silicon_cell,
        supercell=_cubic(2),
        amplitude=0.2,
    ),
)
"""Crystals that are too much for the model, or displacements too large for it."""


def named(name: str) -> Analytic | Published:
    """Return a crystal by its name."""
    for crystal in (*CRYSTALS, *STRONG):
        if crystal.name == name:
            return crystal
    raise SystemExit(
        f"no crystal {name!r}; there are "
        + "; ".join(c.name for c in (*CRYSTALS, *STRONG))
    )


def setting_of(crystal: Crystal) -> dict[str, Any]:
    """Return what determines the supercells and the mesh of a crystal, as JSON."""
    setting = {
        name: value
        for name, value in vars(crystal).items()
        if name in {field.name for field in dataclasses.fields(crystal)}
        and not callable(value)
    }
    return {
        k: np.array(v).tolist() if isinstance(v, tuple) else v
        for k, v in setting.items()
    }

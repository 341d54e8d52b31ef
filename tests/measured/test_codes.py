"""The table of programs: what import reads of their output, against other readings."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from phonopy import Phonopy
from phonopy.interface.calculator import get_calc_dataset, read_crystal_structure
from phonopy.physical_units import get_calculator_physical_units

pytest.importorskip("ase")

import ase.io as ase_io
import ase.units as ase_units

import program_output
from measured.tables import Column, Table
from phono3py_mlp_plugin.contracts import Dataset, FloatArray
from phono3py_mlp_plugin.files import Frame, read_frames
from phono3py_mlp_plugin.files.program_output import PROGRAMS
from phono3py_mlp_plugin.reference import nacl_dataset
from phono3py_mlp_plugin.workflow.join import dataset_of_frames, frames_of_dataset

# Rydberg / bohr: phonopy's Rydberg constant is 4.5e-7 above CODATA's, which ASE has.
HOST_QE = get_calculator_physical_units("qe").force_to_eVperA


@dataclass(frozen=True)
class Real:
    """Output of a program in the source package of phonopy.

    Attributes
    ----------
    program : str
    calculator : str
        Name of the program in phonopy.
    folder : str
    unitcell : str
    files : tuple of str
    distance : float
        Of its displacements, in the unit of the program.
    energy : str
        Expression that finds the energy in the text.
    unit : float
        Of the energy, in eV.
    """

    program: str
    calculator: str
    folder: str
    unitcell: str
    files: tuple[str, ...]
    distance: float
    energy: str
    unit: float = 1.0


REAL = (
    Real(
        "VASP, `vasprun.xml`",
        "vasp",
        "NaCl",
        "POSCAR-unitcell",
        ("vasprun.xml-001", "vasprun.xml-002"),
        0.01,
        r'<i name="e_fr_energy"> *(\S+) *</i>',
    ),
    Real(
        "Quantum ESPRESSO, NaCl",
        "qe",
        "NaCl-QE",
        "NaCl.in",
        ("NaCl-001.out", "NaCl-002.out"),
        0.02,
        r"^! +total energy += +(\S+) Ry",
        ase_units.Ry,
    ),
    Real(
        "Quantum ESPRESSO, Si",
        "qe",
        "Si-QE",
        "Si.in",
        ("supercell-001.out",),
        0.02,
        r"^! +total energy += +(\S+) Ry",
        ase_units.Ry,
    ),
    Real(
        "ABINIT, NaCl",
        "abinit",
        "NaCl-abinit",
        "NaCl.in",
        ("supercell-001.out", "supercell-002.out"),
        0.05,
        r"^ +etotal +(\S+)",
        ase_units.Ha,
    ),
    Real(
        "ABINIT, Si",
        "abinit",
        "Si-abinit",
        "Si.in",
        ("supercell-001.out",),
        0.02,
        r"^ +etotal +(\S+)",
        ase_units.Ha,
    ),
    Real(
        "FHI-aims, `aims.out`",
        "aims",
        "diamond-FHI-aims",
        "geometry.in",
        ("disp-001/aims.out",),
        0.01,
        r"Total energy of the DFT / Hartree-Fock s.c.f. calculation +: +(\S+) eV",
    ),
)


def as_text(write: Callable[[Frame], str]) -> Callable[[Frame, Path], None]:
    """Return a function that writes a file."""
    return lambda frame, path: path.write_text(write(frame)) and None


def by_ase(frame: Frame, path: Path) -> None:
    """Write a file of ASE."""
    from ase import Atoms
    from ase.calculators.singlepoint import SinglePointCalculator

    atoms = Atoms(frame.symbols, frame.positions, cell=frame.lattice, pbc=True)
    atoms.calc = SinglePointCalculator(atoms, forces=frame.forces, energy=frame.energy)
    ase_io.write(path, atoms)


# Program, name of the file, and what writes it.
WRITTEN: dict[str, tuple[str, Callable[[Frame, Path], None]]] = {
    "CP2K 2023": ("a.out", as_text(program_output.cp2k)),
    "CP2K 2025": ("a.out", as_text(program_output.cp2k_2025)),
    "SIESTA 4.1": ("a.out", as_text(program_output.siesta)),
    "LAMMPS, dump": ("dump.0", as_text(program_output.lammps)),
    "extended XYZ (GPUMD, ...)": ("a.extxyz", by_ase),
    "ASE, `.traj`": ("a.traj", by_ase),
    "ASE, `.db`": ("a.db", by_ase),
    "ASE, `.json`": ("a.json", by_ase),
}
# What ASE reads, and of which there is no file here.
UNTRIED = {
    "CASTEP": ["1 of ASE's test data", "ASE", "only read", "-", "-", "-"],
    "GPAW and others": ["none", "ASE", "not tested", "-", "-", "-"],
}

TABLE = Table(
    "codes",
    (
        Column("output of"),
        Column("files"),
        Column("read by"),
        Column("compared with"),
        Column("displacements (angstrom)", 3, 1e-8),
        Column("forces (eV/angstrom)", 3, 1e-8),
        Column("energy (relative)", 3, 1e-9),
    ),
    tuple((name,) for name in (*(r.program for r in REAL), *WRITTEN, *UNTRIED)),
)


def within(value: float, floor: float) -> str:
    """Return a deviation, or that it is less than what is compared."""
    assert value == value
    return f"{value:.0e}" if value > floor else f"below {floor:.0e}"


def deviations(found: Dataset, expected: Dataset) -> list[str]:
    """Return the cells of the largest deviations."""
    displacements = np.abs(found.displacements - expected.displacements).max()
    forces = np.abs(found.forces - expected.forces).max()
    cells = [within(displacements, 1e-8), within(forces, 1e-8)]
    if found.energies is None or expected.energies is None:
        return [*cells, "none in the file"]
    ratio = np.abs(found.energies / expected.energies - 1).max()
    return [*cells, within(ratio, 1e-9)]


def reader(path: Path) -> str:
    """Return who reads a file."""
    head = path.read_bytes()[:100_000]
    own = any(all(m in head for m in program.marks) for program in PROGRAMS.values())
    return "this package" if own else "ASE"


# The host's parsers leave files open.
@pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
@pytest.mark.parametrize("real", REAL, ids=lambda real: real.program)
def test_output_of_programs_is_read_as_phonopy_reads_it(phonopy_source, take, real):
    folder = phonopy_source / "example" / real.folder
    paths = [folder / name for name in real.files]
    units = get_calculator_physical_units(real.calculator)
    crystal = Phonopy(
        read_crystal_structure(folder / real.unitcell, real.calculator)[0],
        [2, 2, 2],
        primitive_matrix="auto",
        calculator=real.calculator,
        log_level=0,
    )
    crystal.generate_displacements(distance=real.distance)
    supercell = crystal.supercell.copy()
    supercell.cell = supercell.cell * units.distance_to_A
    found = dataset_of_frames([f for p in paths for f in read_frames(p)], supercell)
    planned = np.array(
        [
            cell.positions - crystal.supercell.positions
            for cell in crystal.supercells_with_displacements
        ]
    )
    host = get_calc_dataset(real.calculator, len(supercell), paths, verbose=False)
    forces = np.array(host["forces"]) * units.force_to_eVperA
    if real.calculator == "qe":
        forces *= ase_units.Ry / ase_units.Bohr / HOST_QE
    energies = [
        float(re.findall(real.energy, path.read_text(), re.MULTILINE)[-1]) * real.unit
        for path in paths
    ]
    expected = Dataset(
        supercell,
        nearest(planned * units.distance_to_A, found.displacements),
        forces,
        np.array(energies),
    )
    cells = deviations(without_drift(found), without_drift(expected))
    files = f"{len(paths)} of phonopy's example {real.folder}"
    take(
        TABLE, (real.program, files, reader(paths[0]), "phonopy, text of file", *cells)
    )
    # Digits of the files.
    assert np.abs(found.displacements - expected.displacements).max() < 1e-6
    np.testing.assert_allclose(
        without_drift(found).forces, without_drift(expected).forces, atol=1e-8
    )


def nearest(planned: FloatArray, found: FloatArray) -> FloatArray:
    """Return which of the planned displacements each snapshot has."""
    distances = np.abs(planned - found[:, None]).max(axis=(2, 3))
    return planned[distances.argmin(axis=1)]


def without_drift(dataset: Dataset) -> Dataset:
    """Return a dataset without the mean force, which programs remove or not."""
    forces = dataset.forces - dataset.forces.mean(axis=1, keepdims=True)
    return Dataset(dataset.supercell, dataset.displacements, forces, dataset.energies)


@pytest.mark.parametrize("program", WRITTEN)
def test_files_in_the_format_of_programs_are_read_as_they_were_written(
    tmp_path, take, program
):
    name, write = WRITTEN[program]
    _, known = nacl_dataset(2, repeats=1)
    frames = []
    for number, frame in enumerate(frames_of_dataset(known, "a")):
        path = tmp_path / str(number) / name
        path.parent.mkdir()
        write(frame, path)
        frames += read_frames(path)
    found = dataset_of_frames(frames, known.supercell)
    by = "by ASE" if write is by_ase else "in its format by the tests"
    take(
        TABLE,
        (
            program,
            f"written {by}",
            reader(path),
            "what was written",
            *deviations(found, known),
        ),
    )


def test_table_has_a_row_for_each_program(request):
    if request.config.getoption("--write-tables"):
        for program, cells in UNTRIED.items():
            TABLE.write([program, *cells])
        TABLE.fill()
    TABLE.check_rows()
    text = (Path(__file__).parents[2] / "docs" / "howto" / "codes.md").read_text()
    for program in (*PROGRAMS, *(row[0] for row in TABLE.rows)):
        assert program.split(",")[0].split()[0].split("-")[0].lower() in text.lower()

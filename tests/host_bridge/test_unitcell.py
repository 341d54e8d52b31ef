"""A unit cell of any program is read in angstrom."""

import numpy as np
import pytest
from phono3py import Phono3py
from phonopy.interface.calculator import write_crystal_structure
from phonopy.structure.atoms import PhonopyAtoms

from phono3py_mlp_plugin.errors import DatasetError, ParameterError, PluginNotFound
from phono3py_mlp_plugin.host.unitcell import read_unitcell
from units import RIGHT, write_in_units

ase_io = pytest.importorskip("ase.io")

QE = """&control
    calculation = 'scf'
/
&system
    ibrav = 0
    nat = 2
    ntyp = 2
    ecutwfc = 40
/
ATOMIC_SPECIES
 Na 22.99 Na.upf
 Cl 35.45 Cl.upf
ATOMIC_POSITIONS crystal
 Na 0.0 0.0 0.0
 Cl 0.5 0.5 0.5
CELL_PARAMETERS angstrom
 0.0 2.8 2.8
 2.8 0.0 2.8
 2.8 2.8 0.0
K_POINTS automatic
 4 4 4 0 0 0
"""
# Which neither phono3py nor ASE reads.
QE_IBRAV = QE.replace("ibrav = 0", "ibrav = 2\n    a = 5.6").split("CELL_")[0]

NACL = PhonopyAtoms(
    symbols=["Na", "Cl"],
    cell=2.8 * (np.ones((3, 3)) - np.eye(3)),
    scaled_positions=[[0, 0, 0], [0.5, 0.5, 0.5]],
)


def by_ase(path, file_format):
    from ase import Atoms

    atoms = Atoms(
        NACL.symbols, scaled_positions=NACL.scaled_positions, cell=NACL.cell, pbc=True
    )
    ase_io.write(path, atoms, format=file_format)


def in_bohr(path, interface):
    cell = NACL.copy()
    cell.cell = NACL.cell / 0.529177207423948
    write_crystal_structure(path, cell, interface_mode=interface)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("POSCAR-unitcell", lambda p: write_crystal_structure(p, NACL)),
        ("any-name", lambda p: write_crystal_structure(p, NACL)),
        ("NaCl.in", lambda p: p.write_text(QE)),
        ("NaCl.pwi", lambda p: p.write_text(QE)),
        ("geometry.in", lambda p: write_crystal_structure(p, NACL, "aims")),
        ("unitcell.cell", lambda p: write_crystal_structure(p, NACL, "castep")),
        ("abinit.in", lambda p: in_bohr(p, "abinit")),
        ("input.fdf", lambda p: in_bohr(p, "siesta")),
        ("NaCl.cif", lambda p: by_ase(p, "cif")),
        ("NaCl.xyz", lambda p: by_ase(p, "extxyz")),
        ("NaCl.traj", lambda p: by_ase(p, "traj")),
        ("NaCl.xsf", lambda p: by_ase(p, "xsf")),
    ],
)
def test_every_format_gives_the_same_crystal(tmp_path, name, write):
    path = tmp_path / name
    write(path)
    ph3 = read_unitcell(path, [2, 2, 2], "auto")
    np.testing.assert_allclose(
        np.sort(np.linalg.norm(ph3.unitcell.cell, axis=1)),
        np.linalg.norm(NACL.cell, axis=1),
        rtol=1e-6,
    )
    assert abs(ph3.unitcell.volume) == pytest.approx(2 * 2.8**3, rel=1e-6)
    assert sorted(ph3.unitcell.symbols) == ["Cl", "Na"]
    assert len(ph3.supercell) == 16
    assert len(ph3.primitive) == 2
    assert ph3.calculator is None


def test_crystal_in_a_yaml_of_a_calculator_is_converted(tmp_path):
    from phono3py import Phono3py

    from phono3py_mlp_plugin.reference import nacl_dataset

    unitcell, data = nacl_dataset(2, repeats=1)
    ph3 = Phono3py(unitcell, supercell_matrix=[1, 1, 1], primitive_matrix="F")
    ph3.dataset = {
        "displacements": data.displacements,
        "forces": data.forces,
        "supercell_energies": data.energies,
    }
    write_in_units(ph3, "qe", tmp_path / "phono3py_disp.yaml", RIGHT)
    found = read_unitcell(tmp_path / "phono3py_disp.yaml", [1, 1, 1], "F")
    np.testing.assert_allclose(found.unitcell.cell, unitcell.cell, atol=1e-12)


def test_what_holds_no_crystal_is_told(tmp_path):
    path = tmp_path / "a.xyz"
    path.write_text("1\n\nNa 0 0 0\n")
    with pytest.raises(DatasetError, match="no periodic crystal"):
        read_unitcell(path, [1, 1, 1], "P")
    path = tmp_path / "NaCl.in"
    path.write_text(QE_IBRAV)
    with pytest.raises(DatasetError, match=r"ibrav.*Give lattice vectors in full"):
        read_unitcell(path, [1, 1, 1], "P")
    path = tmp_path / "input.fdf"
    path.write_text("SystemName x\n")
    with pytest.raises(DatasetError, match="not a crystal of siesta"):
        read_unitcell(path, [1, 1, 1], "P")


def test_package_that_phono3py_needs_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "cp2k_input_tools.parser", None)
    path = tmp_path / "unitcell.inp"
    path.write_text("&GLOBAL\n&END GLOBAL\n")
    with pytest.raises(PluginNotFound, match="pip install cp2k-input-tools"):
        read_unitcell(path, [1, 1, 1], "P")


def test_species_that_auto_does_not_distinguish_are_told_with_the_remedy(tmp_path):
    cell = PhonopyAtoms(
        symbols=["Al", "Al", "Al1", "Al1"],
        cell=4 * np.eye(3),
        scaled_positions=[[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]],
    )
    path = tmp_path / "cell.yaml"
    Phono3py(cell, supercell_matrix=[1, 1, 1], primitive_matrix="P").save(path)
    with pytest.raises(ParameterError, match=r"--pa: .*--pa P takes the unit cell"):
        read_unitcell(path, [2, 2, 2], "auto")
    assert len(read_unitcell(path, [2, 2, 2], "P").supercell) == 32

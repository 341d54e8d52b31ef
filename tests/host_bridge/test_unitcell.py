"""A unit cell of any program is read in angstrom."""

import re

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


def fcc(**keywords):
    from ase.build import bulk

    atoms = bulk("Al", cubic=True, a=4.0)
    for name, values in keywords.items():
        getattr(atoms, f"set_{name}")(values)
    return atoms


POSCAR = """{title}
1.0
4 0 0
0 4 0
0 0 4
{elements}
4
Direct
0 0 0
0 0.5 0.5
0.5 0 0.5
0.5 0.5 0
"""


@pytest.mark.parametrize("name", ["POSCAR", "any-name"])
@pytest.mark.parametrize("element", ["Xx", "D", "al"])
def test_unknown_elements_are_not_taken_for_hydrogen(tmp_path, name, element):
    path = tmp_path / name
    path.write_text(POSCAR.format(title="t", elements=element))
    with pytest.raises(DatasetError, match=f"elements = {element}; expected chemical"):
        read_unitcell(path, [1, 1, 1], "P")


def test_species_with_numbers_are_kept(tmp_path):
    path = tmp_path / "POSCAR"
    text = POSCAR.format(title="t", elements="Fe1 Fe2").replace("\n4\n", "\n2 2\n")
    path.write_text(text)
    crystal = read_unitcell(path, [1, 1, 1], "P")
    assert crystal.unitcell.symbols == ["Fe1", "Fe1", "Fe2", "Fe2"]
    assert set(crystal.unitcell.numbers) == {26}


CIF = """data_crystal
_cell_length_a 4.0
_cell_length_b 4.0
_cell_length_c 4.0
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_Int_Tables_number 225
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
"""


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ("Al1 Al 0 0 0 0.5\n", "Al 0.5"),
        ("Al1 Al 0 0 0 0.5\nCu1 Cu 0 0 0 0.5\n", "Al 0.5, Cu 0.5"),
    ],
)
def test_sites_occupied_in_part_are_refused(tmp_path, rows, found):
    path = tmp_path / "a.cif"
    path.write_text(CIF + rows)
    with pytest.raises(DatasetError, match=f"a site is occupied by {found}; expected"):
        read_unitcell(path, [1, 1, 1], "P")


@pytest.mark.parametrize("occupancy", ["1.0", "1.00(2)", "0.9999", ".", "?"])
def test_symmetry_of_a_cif_is_applied_to_full_sites(tmp_path, occupancy):
    path = tmp_path / "a.cif"
    path.write_text(f"{CIF}Al1 Al 0 0 0 {occupancy}\n")
    crystal = read_unitcell(path, [1, 1, 1], "auto")
    assert crystal.unitcell.symbols == ["Al"] * 4
    assert len(crystal.primitive) == 1


def test_last_of_several_structures_is_used_and_told(tmp_path, capsys):
    path = tmp_path / "a.traj"
    smaller = fcc()
    smaller.set_cell([3.9] * 3, scale_atoms=True)
    ase_io.write(path, [fcc(), smaller])
    crystal = read_unitcell(path, [1, 1, 1], "F")
    assert crystal.unitcell.volume == pytest.approx(3.9**3)
    assert "the last of 2 structures" in capsys.readouterr().out


def test_magnetic_order_is_that_of_the_file_or_of_the_option(tmp_path, capsys):
    path = tmp_path / "a.traj"
    ase_io.write(path, fcc(initial_magnetic_moments=[2, 2, -2, -2]))
    crystal = read_unitcell(path, [1, 1, 1], "auto")
    # The primitive cell has both directions.
    assert sorted(crystal.primitive.magnetic_moments) == [-2, 2]
    assert "magnetic ordering" in capsys.readouterr().out
    for moments in (["1", "1", "-1", "-1"], ["2*1", "2*-1"], ["2*1 -1", "-1"]):
        crystal = read_unitcell(path, [1, 1, 1], "P", moments=moments)
        assert list(crystal.unitcell.magnetic_moments) == [1, 1, -1, -1]


@pytest.mark.parametrize("moments", ["1 2", "4*", "*1", "-4*1", "0*1", "2*2*1", "a"])
def test_moments_that_are_not_one_per_atom_are_refused_as_they_are_written(
    tmp_path, moments
):
    path = tmp_path / "a.traj"
    ase_io.write(path, fcc())
    told = re.escape(f"--magmom {moments}; expected a number, or")
    with pytest.raises(ParameterError, match=told):
        read_unitcell(path, [1, 1, 1], "P", moments=moments.split())


def test_isotopes_in_order_need_a_primitive_cell_that_keeps_them(tmp_path):
    path = tmp_path / "a.traj"
    ase_io.write(path, fcc(masses=[26, 27, 27, 27]))
    with pytest.raises(DatasetError, match=r"masses: 27 and 26 .* Give --pa P"):
        read_unitcell(path, [1, 1, 1], "auto")
    crystal = read_unitcell(path, [1, 1, 1], "P")
    assert list(crystal.primitive.masses) == [26, 27, 27, 27]


def test_slab_needs_vacuum_where_it_is_not_periodic(tmp_path):
    path = tmp_path / "slab.extxyz"
    slab = fcc()
    slab.pbc = (True, True, False)
    slab.set_cell([4.0, 4.0, 12.0])
    ase_io.write(path, slab)
    assert len(read_unitcell(path, [1, 1, 1], "P").unitcell) == 4
    slab.set_cell([4.0, 4.0, 5.0])
    ase_io.write(path, slab)
    with pytest.raises(DatasetError, match=r"not periodic along c, with a gap of 3.*"):
        read_unitcell(path, [1, 1, 1], "P")


def test_tolerance_finds_the_symmetry_of_rounded_coordinates(tmp_path):
    path = tmp_path / "POSCAR"
    text = POSCAR.format(title="t", elements="Al").replace("4 0 0", "4 0.001 0", 1)
    path.write_text(text)
    operations = [
        len(read_unitcell(path, [1, 1, 1], "P", symprec).symmetry.pointgroup_operations)
        for symprec in (None, 0.01)
    ]
    assert operations[0] < operations[1] == 48


@pytest.mark.parametrize("name", ["POSCAR", "flat.extxyz"])
def test_lattice_vectors_in_a_plane_are_refused(tmp_path, name):
    path = tmp_path / name
    if name == "POSCAR":
        rows = ["Al", "1.0", "4 0 0", "4 0 0", "0 0 4", "Al", "1", "Direct", "0 0 0"]
        path.write_text("\n".join(rows) + "\n")
    else:
        lattice = 'Lattice="4 0 0 4 0 0 0 0 4" pbc="T T T"'
        path.write_text(f"1\n{lattice} Properties=species:S:1:pos:R:3\nAl 0 0 0\n")
    with pytest.raises(DatasetError, match="three vectors that do not lie in a plane"):
        read_unitcell(path, [2, 2, 2], None, 1e-5)

"""From unit cells of every kind to kappa, or to one line that says why not."""

import numpy as np
import pytest
import yaml

pytest.importorskip("ase")

from ase import Atoms
from ase.build import bulk, fcc111, molecule
from ase.io import read, write

MESH = ["--mesh", "3", "3", "3", "--ts", "300"]
EMT = ["--force-calculator", "emt"]
TWICE = ["--dim", "2", "2", "2"]


def kappa(name, *options):
    return ["phono3py-mlp", "kappa", "-c", name, *MESH, *options]


def refused(done, message):
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("ERROR: ")
    assert message in line


CIF = """data_alloy
_cell_length_a 3.8
_cell_length_b 3.8
_cell_length_c 3.8
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
Cu1 Cu 0 0 0 0.5
Au1 Au 0 0 0 0.5
"""


def slab_without_vacuum():
    atoms = fcc111("Al", (1, 1, 3), vacuum=1.0)
    atoms.info.clear()
    return atoms


def in_a_box():
    return Atoms(molecule("H2O", vacuum=5.0), pbc=True)


REFUSED = {
    "sites of two elements": (
        "a.cif",
        lambda p: p.write_text(CIF),
        TWICE,
        "a site is occupied by Cu 0.5, Au 0.5",
    ),
    "no elements": (
        "POSCAR",
        lambda p: p.write_text("x\n4\n1 0 0\n0 1 0\n0 0 1\n1\nDirect\n0 0 0\n"),
        TWICE,
        "elements = none; expected 1",
    ),
    "slab without vacuum": (
        "a.extxyz",
        lambda p: write(p, slab_without_vacuum()),
        TWICE,
        "not periodic along c",
    ),
    "molecule in a box": (
        "POSCAR",
        lambda p: write(p, in_a_box()),
        ["--dim", "1", "1", "1"],
        "a molecule in a box conducts no heat",
    ),
    "fc3 that vanishes by symmetry": (
        "POSCAR",
        lambda p: write(p, bulk("Al", cubic=True)),
        ["--dim", "1", "1", "1"],
        "all vectors between atoms are half lattice vectors",
    ),
    "left-handed axes": (
        "POSCAR",
        lambda p: write(p, Atoms("Al", cell=[[0, 4, 0], [4, 0, 0], [0, 0, 4]])),
        TWICE,
        "expected vectors that follow the right-hand rule",
    ),
    "an atom twice": (
        "POSCAR",
        lambda p: write(p, Atoms("Al2", [[0] * 3, [4, 0, 0]], cell=[4] * 3)),
        TWICE,
        "atoms 1 and 2 are 0 angstrom apart",
    ),
}


@pytest.mark.parametrize(
    ("name", "make", "options", "message"), REFUSED.values(), ids=REFUSED
)
def test_what_is_no_crystal_is_refused_before_any_work(
    tmp_path, run, name, make, options, message
):
    make(tmp_path / name)
    refused(run(kappa(name, *options, *EMT, "--relax"), tmp_path), message)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_shared_sites_have_no_forces(tmp_path, run):
    cells = pytest.importorskip("phonopy.structure.cells")
    if not hasattr(cells, "apply_site_mixture"):
        pytest.skip("phonopy without site mixtures")
    from phono3py import Phono3py
    from phonopy.structure.atoms import PhonopyAtoms

    cell = PhonopyAtoms(
        symbols=["Cu", "Au"], cell=2.7 * np.eye(3), scaled_positions=[[0] * 3] * 2
    )
    mixed = cells.apply_site_mixture(cell, [0.5, 0.5])
    crystal = Phono3py(mixed, supercell_matrix=[3, 2, 2], primitive_matrix="P")
    crystal.generate_displacements(number_of_snapshots=2, random_seed=1)
    crystal.save(tmp_path / "phono3py_disp.yaml")
    for words in (
        ["phono3py-mlp", "label", *EMT],
        ["phono3py-load", "phono3py_disp.yaml", "-d", *EMT],
        kappa("phono3py_disp.yaml", *TWICE, *EMT),
    ):
        refused(run(words, tmp_path), "sites are shared by several elements")


CHARGED = """
import numpy as np
from ase.calculators.lj import LennardJones


class Charged(LennardJones):
    implemented_properties = [
        *LennardJones.implemented_properties,
        "born_effective_charges",
        "dielectric_tensor",
    ]

    def calculate(self, atoms=None, properties=None, system_changes=()):
        super().calculate(atoms, properties, system_changes)
        sign = np.where(self.atoms.numbers == 11, 1.1, -1.1)
        self.results["born_effective_charges"] = sign[:, None, None] * np.eye(3)
        self.results["dielectric_tensor"] = 2.5 * np.eye(3)
"""


def salt(folder):
    atoms = bulk("NaCl", "cesiumchloride", a=3.0)
    write(folder / "POSCAR", atoms)
    init = ["phono3py-init", "--rd", "2", "--dim", "2", "2", "2", "-c", "POSCAR"]
    return [*init, "--pa", "P", "--random-seed", "1"]


def test_born_charges_are_those_of_a_calculator_that_predicts_them(tmp_path, run):
    (tmp_path / "charged.py").write_text(CHARGED)
    assert run(salt(tmp_path), tmp_path).returncode == 0
    options = "calculator = charged:Charged, sigma = 2.3, rc = 6.0, smooth = true"
    words = ["phono3py-mlp", "label", "--force-calculator", "ase"]
    done = run([*words, "--force-calculator-options", options], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Born charges are those of ase: up to 1.10, dielectric" in done.stdout
    content = yaml.safe_load((tmp_path / "phono3py_params.yaml").read_text())
    charges = np.array(content["nac"]["born_effective_charge"])
    np.testing.assert_allclose(charges, [1.1 * np.eye(3), -1.1 * np.eye(3)])
    np.testing.assert_allclose(content["nac"]["dielectric_constant"], 2.5 * np.eye(3))


@pytest.mark.slow
def test_missing_born_charges_are_told_once_for_salts_only(tmp_path, run):
    assert run(salt(tmp_path), tmp_path).returncode == 0
    options = "sigma = 2.3, rc = 6.0, smooth = true"
    words = ["phono3py-load", "phono3py_disp.yaml", "-d", "--force-calculator", "lj"]
    words += ["--force-calculator-options", options]
    done = run(words, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("there are no Born charges") == 1
    assert "Born charges" not in run([*words, "--nonac"], tmp_path).stdout


def kappa_printed(done):
    assert done.returncode == 0, done.stderr
    line = next(x for x in done.stdout.splitlines() if x.startswith("  300.0"))
    return np.array(line.split()[1:4], dtype=float)


def distorted():
    """Primitive cells of aluminium that is stretched along its diagonal."""
    atoms = bulk("Al", a=3.95)
    stretch = np.eye(3) + 0.02 / 3 * (np.ones((3, 3)) - np.eye(3))
    atoms.set_cell(atoms.cell @ stretch, scale_atoms=True)
    return atoms


@pytest.mark.slow
def test_kappa_does_not_depend_on_the_axes_of_a_rhombohedral_cell(tmp_path, run):
    """Of 24 atoms: 2x2x2 hexagonal cells of three atoms, or the same lattice."""
    from ase.build import make_supercell

    to_hexagonal = np.array([[1, -1, 0], [0, 1, -1], [1, 1, 1]])
    found = []
    for name, atoms, matrix in (
        ("hexagonal", make_supercell(distorted(), to_hexagonal), 2 * np.eye(3)),
        ("rhombohedral", distorted(), 2 * to_hexagonal.T),
    ):
        folder = tmp_path / name
        folder.mkdir()
        write(folder / "POSCAR", atoms)
        dim = ["--dim", *map(str, np.ravel(matrix).astype(int))]
        # Tetrahedra depend on the axes, the points of the mesh do not.
        options = [*dim, *EMT, "--sigma", "0.3", "--pa", "auto"]
        found.append(kappa_printed(run(kappa("POSCAR", *options), folder)))
    # The orientation differs, but not the trace; digits that are printed.
    assert found[0].sum() == pytest.approx(found[1].sum(), rel=2e-3)


@pytest.mark.slow
def test_slab_conducts_in_its_plane_and_its_vacuum_is_told(tmp_path, run):
    slab = fcc111("Cu", (1, 1, 2), vacuum=6.0)
    slab.info.clear()
    write(tmp_path / "slab.extxyz", slab)
    options = ["--dim", "3", "3", "1", *EMT, "--relax", "--mesh", "5", "5", "1"]
    done = run(kappa("slab.extxyz", *options), tmp_path)
    xx, yy, zz = kappa_printed(done)
    assert xx == pytest.approx(yy, rel=1e-3) and xx > 0.1
    assert zz == pytest.approx(0.0, abs=1e-3)
    assert "unchanged along the vacuum" in done.stdout
    assert "kappa refers to the volume of the cell, with its vacuum" in done.stdout
    relaxed = read(tmp_path / "POSCAR-relaxed")
    assert relaxed.cell.lengths()[2] == pytest.approx(slab.cell.lengths()[2])


@pytest.mark.slow
def test_magnetic_order_and_isotopes_reach_the_run(tmp_path, run):
    atoms = bulk("Ni", cubic=True, a=3.48)
    atoms.set_initial_magnetic_moments([1, 1, -1, -1])
    write(tmp_path / "a.traj", atoms)
    options = ["--dim", "2", "2", "2", *EMT, "--rd", "20", "--random-seed", "1"]
    kappa_printed(run(kappa("a.traj", *options, "--relax"), tmp_path))
    content = yaml.safe_load((tmp_path / "phono3py.yaml").read_text())
    points = content["primitive_cell"]["points"]
    assert sorted(point["magnetic_moment"] for point in points) == [-1, 1]

"""phono3py-mlp import and extend: results of any program become a dataset."""

import numpy as np
import phono3py
import pytest

from small_model import MODEL
from units import RIGHT, write_in_units

CELL = ["-c", "POSCAR-unitcell", "--dim", "2", "2", "2"]

ase_io = pytest.importorskip("ase.io")


def read(path):
    ph3 = phono3py.load(path, produce_fc=False, log_level=0)
    return ph3, ph3.dataset


@pytest.fixture(scope="session")
def snapshots(analytic_params):
    """Twelve NaCl supercells, as written by the host: it leaves no net force."""
    ph3, dataset = read(analytic_params)
    forces = dataset["forces"] - dataset["forces"].mean(axis=1, keepdims=True)
    return ph3, {**dataset, "forces": forces}


def write_extxyz(path, ph3, dataset, numbers, rng, energies=True):
    """Write snapshots as another program would: other order, wrapped."""
    from ase import Atoms
    from ase.calculators.singlepoint import SinglePointCalculator

    cell = ph3.supercell
    frames = []
    for i in numbers:
        order = rng.permutation(len(cell))
        atoms = Atoms(
            [cell.symbols[k] for k in order],
            positions=(cell.positions + dataset["displacements"][i])[order],
            cell=cell.cell,
            pbc=True,
        )
        atoms.wrap()
        results = {"forces": dataset["forces"][i][order]}
        if energies:
            results["energy"] = dataset["supercell_energies"][i]
        atoms.calc = SinglePointCalculator(atoms, **results)
        frames.append(atoms)
    ase_io.write(path, frames, format="extxyz")


@pytest.fixture
def results(tmp_path, snapshots):
    """A folder with two extended XYZ files of six supercells and the unit cell."""
    ph3, dataset = snapshots
    rng = np.random.default_rng(1)
    write_extxyz(tmp_path / "a.extxyz", ph3, dataset, range(6), rng)
    write_extxyz(tmp_path / "b.extxyz", ph3, dataset, range(6, 12), rng)
    from phonopy.interface.calculator import write_crystal_structure

    write_crystal_structure(tmp_path / "POSCAR-unitcell", ph3.unitcell)
    return tmp_path


@pytest.mark.slow
@pytest.mark.real_process
def test_extxyz_becomes_params_and_trains(run, results, snapshots):
    done = run(
        ["phono3py-mlp", "import", "a.extxyz", "b.extxyz", *CELL, "--pa", "auto"],
        results,
    )
    assert done.returncode == 0, done.stderr
    assert '12 supercells were written in "phono3py_params.yaml".' in done.stdout
    ph3, dataset = read(results / "phono3py_params.yaml")
    expected = snapshots[1]
    np.testing.assert_allclose(ph3.primitive_matrix, snapshots[0].primitive_matrix)
    # extxyz has eight decimals.
    for key in ("displacements", "forces", "supercell_energies"):
        np.testing.assert_allclose(dataset[key], expected[key][:12], atol=1.1e-8)
    done = run(
        ["phono3py-load", "phono3py_params.yaml", "--pypolymlp", "--mlp-params", MODEL],
        results,
    )
    assert done.returncode == 0, done.stderr


def test_supercell_of_phono3py_disp_and_files_without_energies(run, results, snapshots):
    ph3, dataset = snapshots
    numbers = [0, 3]
    write_extxyz(
        results / "c.xyz", ph3, dataset, numbers, np.random.default_rng(2), False
    )
    ph3.save(results / "phono3py_disp.yaml", settings={"force_sets": False})
    done = run(["phono3py-mlp", "import", "c.xyz", "-o", "c.yaml"], results)
    assert done.returncode == 0, done.stderr
    assert "there are no energies" in done.stdout
    found, forces_only = read(results / "c.yaml")
    assert "supercell_energies" not in forces_only
    assert np.abs(forces_only["forces"] - dataset["forces"][numbers]).max() < 1.1e-8
    assert found.nac_params is not None


@pytest.mark.slow
@pytest.mark.real_process
def test_extend_adds_in_order_and_keeps_the_old(run, results, snapshots):
    for name in "ab":
        done = run(
            ["phono3py-mlp", "import", f"{name}.extxyz", "-o", f"{name}.yaml", *CELL],
            results,
        )
        assert done.returncode == 0, done.stderr
    old = (results / "a.yaml").read_bytes()
    done = run(["phono3py-mlp", "extend", "a.yaml", "b.yaml"], results)
    assert done.returncode == 0, done.stderr
    assert 'The old "a.yaml" is kept as "a.yaml.bak".' in done.stdout
    assert (results / "a.yaml.bak").read_bytes() == old
    _, dataset = read(results / "a.yaml")
    expected = snapshots[1]
    for key in ("displacements", "forces", "supercell_energies"):
        np.testing.assert_allclose(dataset[key], expected[key][:12], atol=1.1e-8)
    again = run(["phono3py-mlp", "extend", "a.yaml", "b.yaml"], results)
    assert again.returncode == 1
    assert "ERROR: b.yaml, snapshot 1 is the same as a.yaml, snapshot 7" in again.stderr


def word(folder):
    (folder / "word").write_text("Na Cl\n")


def text(change):
    def spoil(folder):
        path = folder / "a.extxyz"
        path.write_text(change(path.read_text()))

    return spoil


@pytest.mark.parametrize(
    ("words", "spoil", "message"),
    [
        (["a.extxyz"], None, '"phono3py_disp.yaml" is not found'),
        (["no.extxyz", *CELL], None, "no.extxyz: No such file"),
        (["a.extxyz", "-c", "POSCAR-unitcell"], None, "-c and --dim: give both"),
        (["a.extxyz", *CELL[:2], "--dim", "2", "2"], None, "expected three positive"),
        (["a.extxyz", *CELL[:2], "--dim", "0", "2", "2"], None, "expected three pos"),
        (["a.extxyz", *CELL[:2], "--dim", "1", "1", "1"], None, "the supercell is Na1"),
        (["a.extxyz", *CELL, "--pa", "Q"], None, "--dim, --pa: "),
        (["a.extxyz", "-c", "word", *CELL[2:]], word, "word: no crystal is read"),
        (["a.extxyz", *CELL], text(lambda t: ""), "a.extxyz: empty"),
        (["*.xml", *CELL], None, "*.xml: no file matches"),
        (["a.yaml", "b.yaml", "a.extxyz"], None, "a.yaml and b.yaml: give one file"),
        (["a.yaml"], None, "a.yaml: there is no output file"),
        (["a.extxyz", *CELL, "--format", "qe"], None, "--format qe; expected a format"),
        (["a.extxyz", *CELL], text(lambda t: t[:9000]), "Is it complete"),
        (
            ["a.extxyz", *CELL],
            text(lambda t: "\0\xff" * 99),
            "cannot be read as 'extxyz' after frame 0",
        ),
        (
            ["a.extxyz", *CELL],
            text(lambda t: t.replace(":forces:", ":REF_forces:")),
            "frame 1: there is no 'forces'; found: 'REF_forces'. Name what to use, "
            "such as '--forces-key REF_forces'",
        ),
        (
            ["a.extxyz", *CELL],
            text(lambda t: t.replace("energy=", "dft=", 1)),
            "frame 1: there is no energy, and others have one",
        ),
        (
            ["a.extxyz", *CELL],
            text(lambda t: t.replace('pbc="T T T"', 'pbc="F F F"', 1)),
            "frame 1: there is no periodic cell",
        ),
    ],
)
def test_what_cannot_be_imported_is_told(run, results, words, spoil, message):
    if spoil is not None:
        spoil(results)
    before = sorted(p.name for p in results.iterdir())
    done = run(["phono3py-mlp", "import", *words], results)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1, done.stderr
    line = done.stderr
    assert line.startswith("ERROR: ")
    assert message in line
    assert sorted(p.name for p in results.iterdir()) == before


def test_crystals_of_other_units_are_taken_and_no_forces_refused(
    run, results, snapshots
):
    ph3, dataset = snapshots
    ph3.save(results / "disp.yaml", settings={"force_sets": False})
    done = run(["phono3py-mlp", "extend", "disp.yaml", "disp.yaml"], results)
    assert "ERROR: disp.yaml: there are no forces in it." in done.stderr
    write_in_units(ph3, "qe", results / "qe.yaml", RIGHT)
    command = ["import", "a.extxyz", "--supercell", "qe.yaml", "-o", "a.yaml"]
    done = run(["phono3py-mlp", *command], results)
    assert done.returncode == 0, done.stderr
    written, found = read(results / "a.yaml")
    np.testing.assert_allclose(written.unitcell.cell, ph3.unitcell.cell, atol=1e-12)
    np.testing.assert_allclose(found["forces"], dataset["forces"][:6], atol=1e-8)
    # The same snapshots in Ry and bohr: known as such, and joined by number.
    done = run(["phono3py-mlp", "extend", "a.yaml", "qe.yaml"], results)
    assert "qe.yaml, snapshot 1 is the same as a.yaml, snapshot 1" in done.stderr


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda a: a.calc.results.update(forces=a.calc.results["forces"] / 25.7), "Ry"),
        (lambda a: a.calc.results.update(forces=-a.calc.results["forces"]), "sign"),
        (
            lambda a: a.calc.results.update(
                forces=np.roll(a.calc.results["forces"], 3, axis=0)
            ),
            "atoms",
        ),
        (lambda a: a.calc.results.update(energy=a.calc.results["energy"] / 27.2), ""),
    ],
    ids=["unit of forces", "sign", "order of atoms", "unit of energies"],
)
def test_wrong_units_and_order_are_refused_whatever_the_file(
    run, results, spoil, message
):
    frames = ase_io.read(results / "a.extxyz", ":")
    for atoms in frames:
        spoil(atoms)
    ase_io.write(results / "results.traj", frames)
    done = run(["phono3py-mlp", "import", "results.traj", *CELL], results)
    assert done.returncode == 1, done.stdout
    assert message in done.stderr
    assert not (results / "phono3py_params.yaml").exists()


def test_file_of_a_snapshot_that_is_refused_is_named(run, results):
    frames = ase_io.read(results / "b.extxyz", ":")
    frames[2].calc.results["forces"] *= 0
    ase_io.write(results / "b.extxyz", frames)
    done = run(["phono3py-mlp", "import", "a.extxyz", "b.extxyz", *CELL], results)
    assert done.returncode == 1
    assert "snapshot 9: all forces are zero" in done.stderr
    assert done.stderr.endswith("Snapshot 9 is b.extxyz, frame 3.\n")

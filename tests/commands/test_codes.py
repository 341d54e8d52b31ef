"""The output of programs becomes a dataset: equal to phono3py's, with energies.

Output files are those in the source package of phonopy, or have the format of
`program_output`.
"""

import lzma
import shutil
import tarfile
from pathlib import Path

import numpy as np
import phono3py
import pytest
from phono3py import Phono3py
from phonopy.interface.calculator import get_calc_dataset, read_crystal_structure
from phonopy.physical_units import get_calculator_physical_units

import program_output
from phono3py_mlp_plugin.files import read_frames
from phono3py_mlp_plugin.workflow import read_dataset
from phono3py_mlp_plugin.workflow.join import frames_of_dataset
from units import RIGHT, write_in_units

ase_units = pytest.importorskip("ase.units")

# Rydberg / bohr: phonopy's Rydberg constant is 4.5e-7 above CODATA's, which ASE has.
HOST_QE = get_calculator_physical_units("qe").force_to_eVperA


def factor(calculator):
    """Forces of phonopy over forces of ASE."""
    return HOST_QE / (ase_units.Ry / ase_units.Bohr) if calculator == "qe" else 1.0


def load(path):
    return phono3py.load(path, produce_fc=False, log_level=0)


@pytest.fixture
def qe_folder(phonopy_source, tmp_path):
    """What a user of QE has: phono3py_disp.yaml and the output of two supercells."""
    example = phonopy_source / "example" / "NaCl-QE"
    unitcell, _ = read_crystal_structure(example / "NaCl.in", "qe")
    ph3 = Phono3py(
        unitcell, supercell_matrix=[2, 2, 2], primitive_matrix="F", calculator="qe"
    )
    displacements = np.zeros((2, 64, 3))
    # 0.01 angstrom of the first atoms of both elements, in bohr.
    displacements[[0, 1], [0, 32], 0] = planned(example)
    ph3.dataset = {"displacements": displacements}
    ph3.save(tmp_path / "phono3py_disp.yaml", settings={"force_sets": False})
    for number in (1, 2):
        shutil.copy(example / f"NaCl-00{number}.out", tmp_path / f"scf-{number}.out")
    return tmp_path


def planned(example):
    from phonopy.interface.phonopy_yaml import PhonopyYaml

    content = PhonopyYaml()
    content.read(example / "phonopy_disp.yaml")
    return [first["displacement"][0] for first in content.dataset["first_atoms"]]


def test_import_and_cf3_give_qe_users_the_same_dataset(run, qe_folder):
    done = run(["phono3py-mlp", "import", "phono3py_disp.yaml", "scf-*.out"], qe_folder)
    assert done.returncode == 0, done.stderr
    imported = load(qe_folder / "phono3py_params.yaml")
    done = run(["phono3py", "--sp", "--cf3", "scf-1.out", "scf-2.out"], qe_folder)
    assert done.returncode == 0, done.stderr
    assert "Note" not in done.stderr
    collected = load(qe_folder / "phono3py_params.yaml")
    np.testing.assert_allclose(imported.unitcell.cell, collected.unitcell.cell)
    ours, theirs = imported.dataset, collected.dataset
    np.testing.assert_allclose(
        ours["displacements"], theirs["displacements"], atol=1e-12
    )
    np.testing.assert_allclose(
        ours["forces"] * factor("qe"), theirs["forces"], atol=1e-8
    )
    # As QE prints them, eight digits of Ry.
    expected = np.array([-6043.25] * 2) * ase_units.Ry
    np.testing.assert_allclose(ours["supercell_energies"], expected, rtol=1e-2)
    np.testing.assert_allclose(
        ours["supercell_energies"], theirs["supercell_energies"], atol=1e-6
    )


@pytest.mark.parametrize(
    "write",
    [program_output.cp2k, program_output.cp2k_2025],
    ids=["2023", "2025"],
)
def test_cp2k_users_get_forces_and_energies_both_ways(
    run, analytic_params, tmp_path, write
):
    ph3 = load(analytic_params)
    whole = read_dataset(ph3.dataset, ph3.supercell)
    names = []
    for number, frame in enumerate(frames_of_dataset(whole.select(range(6)), "a")):
        names.append(f"NaCl-{number:03d}.out")
        (tmp_path / names[-1]).write_text(write(frame))
    ph3.dataset = {key: values[:6] for key, values in ph3.dataset.items()}
    write_in_units(ph3, "cp2k", tmp_path / "phono3py_disp.yaml", RIGHT)
    done = run(["phono3py-mlp", "import", *names], tmp_path)
    assert done.returncode == 0, done.stderr
    imported = load(tmp_path / "phono3py_params.yaml").dataset
    done = run(["phono3py", "--sp", "--cf3", *names], tmp_path)
    assert done.returncode == 0, done.stderr
    collected = load(tmp_path / "phono3py_params.yaml").dataset
    forces = whole.forces[:6] - whole.forces[:6].mean(axis=1, keepdims=True)
    for dataset in (imported, collected):
        np.testing.assert_allclose(
            dataset["displacements"], whole.displacements[:6], atol=1e-12
        )
        # Eight digits of hartree/bohr.
        np.testing.assert_allclose(dataset["forces"], forces, atol=1e-6)
        np.testing.assert_allclose(
            dataset["supercell_energies"], whole.energies[:6], atol=1e-6
        )


def test_cf3_without_energies_says_so(run, qe_folder):
    for number in (1, 2):
        path = qe_folder / f"scf-{number}.out"
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(line for line in lines if not line.startswith("!")))
    done = run(["phono3py", "--sp", "--cf3", "scf-1.out", "scf-2.out"], qe_folder)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("Note: no energy is read from scf-1.out") == 1
    assert "supercell_energies" not in load(qe_folder / "phono3py_params.yaml").dataset


def test_compressed_vasprun_of_any_name(run, phonopy_source, tmp_path):
    example = phonopy_source / "example" / "NaCl"
    for number in (1, 2):
        content = (example / f"vasprun.xml-00{number}").read_bytes()
        (tmp_path / f"result-{number}.xz").write_bytes(lzma.compress(content, preset=0))
    shutil.copy(example / "POSCAR-unitcell", tmp_path)
    command = "import result-1.xz result-2.xz -c POSCAR-unitcell --dim 2 2 2"
    done = run(["phono3py-mlp", *command.split()], tmp_path)
    assert done.returncode == 0, done.stderr
    dataset = load(tmp_path / "phono3py_params.yaml").dataset
    host = get_calc_dataset(
        "vasp", 64, [example / "vasprun.xml-001", example / "vasprun.xml-002"], False
    )
    np.testing.assert_allclose(dataset["forces"], host["forces"], atol=1e-8)
    np.testing.assert_allclose(
        dataset["supercell_energies"], host["supercell_energies"], atol=1e-6
    )


def test_real_castep_output_is_read():
    ase_test = pytest.importorskip("ase.test")
    path = Path(ase_test.__file__).parent / "testdata" / "castep" / "md.castep"
    if not path.is_file():
        pytest.skip("this ASE is installed without its test data")
    frames = read_frames(path)
    assert len(frames) == 3
    assert frames[0].energy == pytest.approx(-1351.3, abs=0.1)
    assert np.abs(frames[0].forces).max() < 50


@pytest.mark.slow
def test_published_finite_displacements_of_qe(run, host_source, tmp_path):
    """111 outputs of pw.x in phono3py's example Si-QE."""
    example = host_source / "example" / "Si-QE"
    with tarfile.open(example / "supercell_out.tar.lzma") as packed:
        packed.extractall(tmp_path, filter="data")
    shutil.copy(example / "phono3py_disp.yaml", tmp_path)
    pattern = "supercell_out/disp-*/Si.out"
    done = run(["phono3py-mlp", "import", "phono3py_disp.yaml", pattern], tmp_path)
    assert done.returncode == 0, done.stderr
    imported = load(tmp_path / "phono3py_params.yaml")
    files = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.glob(pattern))
    done = run(["phono3py", "--sp", "--cf3", *files], tmp_path)
    assert done.returncode == 0, done.stderr
    collected = load(tmp_path / "phono3py_params.yaml")
    ours = read_dataset(imported.dataset, imported.supercell)
    theirs = read_dataset(collected.dataset, collected.supercell)
    assert len(ours) == 111
    np.testing.assert_allclose(ours.displacements, theirs.displacements, atol=1e-12)
    np.testing.assert_allclose(ours.forces * factor("qe"), theirs.forces, atol=1e-8)
    np.testing.assert_allclose(ours.energies, theirs.energies, atol=1e-6)

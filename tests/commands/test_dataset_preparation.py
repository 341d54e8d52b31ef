"""Documentation, steps 1-3: supercells, and the dataset from VASP results."""

import re
import shutil
import tarfile

import numpy as np
import phono3py
import pytest


@pytest.fixture
def crystal(tmp_path, host_source):
    for name in ("POSCAR-unitcell", "BORN"):
        shutil.copy(host_source / "example/NaCl-pypolymlp" / name, tmp_path)
    return tmp_path


N_RESULTS = 20


@pytest.fixture(scope="module")
def vasp_results(tmp_path_factory, host_source):
    """Files vasprun.xml, the displacements they were made with, and the dataset."""
    folder = tmp_path_factory.mktemp("vasp")
    with tarfile.open(host_source / "example/NaCl-rd/vasprun_xmls.tar.xz") as archive:
        for member in archive:
            # vasprun_xmls/vasprun-00001.xml and so on, in any order.
            number = re.search(r"(\d+)\.xml$", member.name)
            if number is not None and int(number[1]) <= N_RESULTS:
                archive.extract(member, folder, filter="data")
    source = host_source / "example/NaCl-rd/phono3py_params_NaCl.yaml.xz"
    whole = phono3py.load(source, produce_fc=False)
    displaced = phono3py.Phono3py(
        whole.unitcell,
        supercell_matrix=whole.supercell_matrix,
        primitive_matrix=whole.primitive_matrix,
    )
    displaced.dataset = {"displacements": whole.displacements[:N_RESULTS]}
    displaced.nac_params = whole.nac_params
    displaced.save(folder / "phono3py_disp.yaml")
    return folder, whole


@pytest.fixture
def results(vasp_results, tmp_path):
    source, whole = vasp_results
    shutil.copytree(source, tmp_path, dirs_exist_ok=True)
    return tmp_path, whole


@pytest.mark.real_process
def test_random_displacements_in_supercells(run, crystal):
    command = "phono3py --pa auto --rd 100 -c POSCAR-unitcell --dim 2 2 2"
    done = run(command.split(), crystal)
    assert done.returncode == 0, done.stderr
    assert "running as phono3py-init" in done.stdout
    assert len(list(crystal.glob("POSCAR-0*"))) == 100
    displaced = phono3py.load(crystal / "phono3py_disp.yaml", produce_fc=False)
    lengths = np.linalg.norm(displaced.displacements, axis=2)
    # The file keeps 16 decimals; 0.03 angstrom is the default of the documentation.
    np.testing.assert_allclose(lengths, 0.03, atol=1e-12)


def test_seeded_supercells_are_those_of_phono3py_init(run, crystal, tmp_path):
    options = ["--pa", "auto", "--rd", "4", "--random-seed", "7"]
    options += ["-c", "POSCAR-unitcell", "--dim", "2", "2", "2"]
    other = tmp_path / "init"
    other.mkdir()
    for name in ("POSCAR-unitcell", "BORN"):
        shutil.copy(crystal / name, other)
    assert run(["phono3py", *options], crystal).returncode == 0
    assert run(["phono3py-init", *options], other).returncode == 0
    name = "phono3py_disp.yaml"
    assert (crystal / name).read_bytes() == (other / name).read_bytes()


@pytest.mark.real_process
def test_dataset_from_vasprun_files(run, run_plain, results):
    folder, whole = results
    files = [f"vasprun_xmls/vasprun-{i:05d}.xml" for i in range(1, N_RESULTS + 1)]
    done = run(["phono3py", "--sp", "--cf3", *files], folder)
    assert done.returncode == 0, done.stderr
    ours = (folder / "phono3py_params.yaml").read_bytes()
    collected = phono3py.load(folder / "phono3py_params.yaml", produce_fc=False)
    forces = whole.forces[:N_RESULTS]
    np.testing.assert_allclose(collected.forces, forces, atol=1e-8)

    (folder / "phono3py_params.yaml").unlink()
    done = run_plain(["phono3py-init", "--sp", "--cf3", *files], folder)
    assert done.returncode == 0, done.stderr
    assert (folder / "phono3py_params.yaml").read_bytes() == ours


def test_fewer_results_than_displacements_are_told(run, results):
    folder, whole = results
    files = [f"vasprun_xmls/vasprun-{i:05d}.xml" for i in range(1, 5)]
    done = run(["phono3py", "-q", "--sp", "--cf3", *files], folder)
    assert done.returncode == 0, done.stderr
    assert "Note: forces of 4 supercells for 20 displacements" in done.stderr
    collected = phono3py.load(folder / "phono3py_params.yaml", produce_fc=False)
    np.testing.assert_allclose(collected.forces, whole.forces[:4], atol=1e-8)

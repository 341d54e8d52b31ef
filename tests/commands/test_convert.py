"""A dataset in HDF5 takes the place of its YAML file in every command."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import yaml
from phono3py import Phono3py

from phono3py_mlp_plugin.host import reading
from phono3py_mlp_plugin.host.reading import read_crystal
from small_model import SMALL

PARAMS, HDF5 = "phono3py_params.yaml", "phono3py_params.h5"
LOAD = ["phono3py-load", "--pypolymlp", "--mlp-params", SMALL]


def assert_same_crystal(one, other):
    first, second = read_crystal(one), read_crystal(other)
    for name in ("displacements", "forces", "supercell_energies"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    np.testing.assert_array_equal(first.unitcell.cell, second.unitcell.cell)
    np.testing.assert_array_equal(first.nac_params["born"], second.nac_params["born"])


def test_the_potential_of_the_yaml_file_is_used_again(run, folder):
    assert run(["phono3py-mlp", "convert", PARAMS], folder).returncode == 0
    assert_same_crystal(folder / PARAMS, folder / HDF5)
    first = run([*LOAD, PARAMS], folder)
    assert first.returncode == 0, first.stderr
    (folder / PARAMS).unlink()
    second = run([*LOAD, HDF5], folder)
    assert second.returncode == 0, second.stderr
    assert "on the same data and parameters: used again" in second.stdout
    done = run(["phono3py-mlp", "convert", HDF5], folder)
    assert done.returncode == 0 and "WARNING" not in done.stderr
    assert_same_crystal(folder / PARAMS, folder / HDF5)


@pytest.mark.slow
def test_studies_reports_and_datasets_read_it(run, folder):
    run(["phono3py-mlp", "convert", PARAMS], folder)
    (folder / PARAMS).unlink()
    mesh = ["--mesh", "3", "3", "3", "--sigma", "0.3", "--ts", "300"]
    words = ["phono3py-mlp", "converge", HDF5, *mesh, "--sizes", "8", "--members", "2"]
    done = run([*words, "--mlp-params", SMALL.split(", ntrain")[0]], folder)
    assert done.returncode == 0, done.stderr
    done = run([*LOAD, HDF5, "--br", *mesh], folder)
    assert done.returncode == 0, done.stderr
    assert run(["phono3py-mlp", "report"], folder).returncode == 0
    shutil.copy(folder / HDF5, folder / "more.h5")
    done = run(["phono3py-mlp", "extend", HDF5, "more.h5", "-o", "both.h5"], folder)
    assert done.returncode == 1 and "snapshot 1" in done.stderr


@pytest.mark.slow
def test_displacements_in_pairs_and_separate_supercells(run, two_supercells):
    run(["phono3py-mlp", "convert", "with.yaml", "with.h5"], two_supercells)
    first = read_crystal(two_supercells / "with.yaml")
    second = read_crystal(two_supercells / "with.h5")
    np.testing.assert_array_equal(first.phonon_forces, second.phonon_forces)
    first.generate_displacements()
    first.forces = np.random.default_rng(0).normal(
        size=(len(first.supercells_with_displacements), 16, 3)
    )
    first.save(two_supercells / "pairs.yaml")
    run(["phono3py-mlp", "convert", "pairs.yaml", "pairs.h5"], two_supercells)
    expected = read_crystal(two_supercells / "pairs.yaml").forces
    np.testing.assert_array_equal(
        read_crystal(two_supercells / "pairs.h5").forces, expected
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nothing.yaml"], '"nothing.yaml" is not found'),
        (["nothing"], '"nothing" is not found'),
        ([PARAMS, "data.txt"], "expected a name ending in .yaml, .h5 or .hdf5"),
        ([PARAMS, PARAMS], "is the input"),
        (["other.yaml"], "there is no 'unit_cell'"),
        (["broken.h5"], "cannot be read"),
    ],
)
def test_what_cannot_be_converted_is_one_line(run, folder, words, message):
    (folder / "other.yaml").write_text("a: 1\n")
    (folder / "broken.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(2000))
    before = sorted(folder.iterdir())
    done = run(["phono3py-mlp", "convert", *words], folder)
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("ERROR:") and message in line
    assert sorted(folder.iterdir()) == before


def test_a_large_yaml_file_suggests_it(monkeypatch, capsys, folder):
    monkeypatch.setattr(reading, "_LARGE_YAML", 1e5)
    read_crystal(folder / PARAMS, log_level=1)
    assert "phono3py-mlp convert" in capsys.readouterr().out
    content = yaml.safe_load((folder / PARAMS).read_text())
    assert content["dataset"]["forces"]


def test_a_dataset_of_first_atoms_beside_one_of_displacements(folder):
    given = read_crystal(folder / PARAMS)
    crystal = Phono3py(
        given.unitcell,
        supercell_matrix=given.supercell_matrix,
        phonon_supercell_matrix=given.supercell_matrix,
        primitive_matrix=given.primitive_matrix,
    )
    crystal.dataset = given.dataset
    crystal.phonon_dataset = {
        "natom": len(crystal.supercell),
        "first_atoms": [
            {
                "number": 0,
                "displacement": [0.03, 0.0, 0.0],
                "forces": np.full((len(crystal.supercell), 3), 0.1),
            }
        ],
    }
    content = reading.content_of_crystal(crystal)
    assert content["dataset"]["forces"] is crystal.dataset["forces"]
    (entry,) = content["phonon_displacements"]
    np.testing.assert_allclose(entry["displacement"], [0.03, 0.0, 0.0], atol=1e-15)
    np.testing.assert_allclose(entry["forces"], 0.1, atol=1e-15)

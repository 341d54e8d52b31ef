"""Datasets in HDF5 hold the numbers of YAML, to the last bit, and say if damaged."""

from __future__ import annotations

import shutil

import h5py
import numpy as np
import pytest
import yaml

from phono3py_mlp_plugin.errors import DatasetError
from phono3py_mlp_plugin.files import PlainLoader, format_yaml, write_columnar
from phono3py_mlp_plugin.files.columnar import read_columnar


def pairs(n_atoms=6, n_pairs=5):
    """A dataset of type 1, with records of different lengths."""
    random = np.random.default_rng(0)
    return [
        {
            "atom": 1,
            "displacement": [0.01, 0.0, 0.0],
            "forces": random.normal(size=(n_atoms, 3)).tolist(),
            "paired_with": [
                {
                    "atom": 2,
                    "pair_distance": 2.5,
                    "displacements": random.normal(size=(k + 1, 3)).tolist(),
                    "forces": random.normal(size=(n_atoms, 3)).tolist(),
                }
                for k in range(n_pairs)
            ],
        }
        for _ in range(2)
    ]


CONTENTS = {
    "random displacements": {
        "unit_cell": {"lattice": [[5.0, 0, 0], [0, 5.0, 0], [0, 0, 5.0]]},
        "dataset": {
            "displacements": np.random.default_rng(1).normal(size=(7, 4, 3)).tolist(),
            "forces": np.random.default_rng(2).normal(size=(7, 4, 3)).tolist(),
            "supercell_energies": [-1.5e-300, 1e300, 0.1, 1 / 3, -0.0, 2.0, 3.0],
        },
        "phonon_dataset": None,
    },
    "many energies": {
        "dataset": {"supercell_energies": np.linspace(0, 1, 40).tolist()}
    },
    "one supercell": {"dataset": {"forces": np.ones((1, 9, 3)).tolist()}},
    "pairs": {"displacement_pairs": pairs(), "note": "text: with, marks"},
    "integers": {"dataset": {"duplicates": [[k, k + 1] for k in range(20)]}},
}


def plain(value):
    """Lists instead of arrays."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(v) for v in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", CONTENTS)
def test_every_number_comes_back(tmp_path, name):
    content = CONTENTS[name]
    path = tmp_path / "data.h5"
    write_columnar(content, path)
    read = read_columnar(path)
    assert plain(read) == content
    # As the host reads it, and as text again.
    with path.open("rb") as file:
        assert plain(yaml.load(file, Loader=PlainLoader)) == content  # noqa: S506
    assert yaml.load(format_yaml(read), Loader=PlainLoader) == content  # noqa: S506


def test_forces_of_many_records_are_one_array(tmp_path):
    path = tmp_path / "data.h5"
    write_columnar(CONTENTS["pairs"], path)
    with h5py.File(path) as file:
        assert file["displacement_pairs/paired_with/forces"].shape == (10, 6, 3)
        assert len(file["content"][()]) < 3000


def flip(path):
    with h5py.File(path, "r+") as file:
        file["dataset/forces"][3, 1, 2] += 1e-12


def cut(path):
    path.write_bytes(path.read_bytes()[:3000])


def empty(path):
    with h5py.File(path, "w") as file:
        file["force_constants"] = np.zeros((2, 2, 3, 3))


def newer(path):
    with h5py.File(path, "r+") as file:
        file.attrs["format_version"] = 99


def without(path):
    with h5py.File(path, "r+") as file:
        del file["dataset/forces"]


def linked(path):
    shutil.copy(path, path.with_name("other.h5"))
    with h5py.File(path, "r+") as file:
        del file["dataset/forces"]
        file["dataset/forces"] = h5py.ExternalLink("other.h5", "dataset/forces")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (flip, "was changed after it was written"),
        (cut, "cannot be read"),
        (empty, "no dataset of 'phono3py-mlp convert'"),
        (newer, "format_version = 99; expected 1"),
        (without, "was changed after it was written"),
        (linked, "was changed after it was written"),
    ],
)
def test_damage_is_named(tmp_path, damage, message):
    path = tmp_path / "data.h5"
    write_columnar(CONTENTS["random displacements"], path)
    damage(path)
    with pytest.raises(DatasetError, match=message):
        read_columnar(path)

"""Damaged dataset files: read to finite numbers, or refused in one line."""

import warnings

import numpy as np
import pytest

from damage import damaged_copies
from phono3py_mlp_plugin.errors import MLPError
from phono3py_mlp_plugin.host.reading import read_crystal
from phono3py_mlp_plugin.reference import nacl_dataset
from phono3py_mlp_plugin.workflow import check_dataset, read_dataset


@pytest.fixture(scope="module")
def params(tmp_path_factory):
    """The text of a phono3py_params.yaml with four supercells of eight atoms."""
    from phono3py import Phono3py

    unitcell, data = nacl_dataset(4, repeats=1)
    ph3 = Phono3py(unitcell, supercell_matrix=[1, 1, 1], primitive_matrix="F")
    ph3.dataset = {
        "displacements": data.displacements,
        "forces": data.forces,
        "supercell_energies": data.energies,
    }
    path = tmp_path_factory.mktemp("whole") / "phono3py_params.yaml"
    ph3.save(path)
    return path.read_text()


@pytest.mark.parametrize("seed", range(3))
def test_damaged_dataset_is_read_as_numbers_or_refused(seed, params, tmp_path):
    path = tmp_path / "phono3py_params.yaml"
    refused = 0
    for text in damaged_copies(params, 60, seed):
        path.write_text(text)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                ph3 = read_crystal(path)
                dataset = read_dataset(ph3.dataset, ph3.supercell)
                if dataset is not None:
                    check_dataset(dataset)
        except MLPError as error:
            refused += 1
            assert "\n" not in str(error)
        else:
            if dataset is not None:
                assert np.isfinite(dataset.displacements).all()
                assert np.isfinite(dataset.forces).all()
    assert 10 < refused < 60

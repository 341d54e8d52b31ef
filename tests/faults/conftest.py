"""A folder with what a run of the small model needs, to be spoiled."""

import shutil

import numpy as np
import phono3py
import pytest

from small_model import SMALL

SUPERCELLS = 24


@pytest.fixture(scope="session")
def small_params(nacl_params, tmp_path_factory):
    """phono3py_params.yaml with the first 24 supercells of NaCl."""
    ph3 = phono3py.load(nacl_params, produce_fc=False, log_level=0)
    dataset = ph3.dataset
    ph3.dataset = {
        key: np.array(dataset[key][:SUPERCELLS])
        for key in ("displacements", "forces", "supercell_energies")
    }
    path = tmp_path_factory.mktemp("small") / "phono3py_params.yaml"
    ph3.save(path, settings={"force_sets": True, "displacements": True})
    return path


@pytest.fixture(scope="session")
def finished(small_params, tmp_path_factory, run):
    """A folder in which the small model went through to fc2 and fc3."""
    folder = tmp_path_factory.mktemp("finished")
    shutil.copy(small_params, folder)
    model = SMALL.replace("ntest=20", "ntest=4")
    done = run(
        [
            "phono3py-load",
            "phono3py_params.yaml",
            "--pypolymlp",
            "-d",
            "--mlp-params",
            model,
            "--mesh",
            "3",
        ],
        folder,
    )
    assert done.returncode == 0, done.stderr
    return folder

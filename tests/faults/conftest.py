"""A folder with what a run of the small model needs, to be spoiled."""

import shutil

import numpy as np
import phono3py
import pytest

from conftest import once
from small_model import SMALL

SUPERCELLS = 24


@pytest.fixture(scope="session")
def small_params(analytic_params, tmp_path_factory):
    """phono3py_params.yaml with the first 24 supercells of the analytic crystal."""

    def write(folder):
        ph3 = phono3py.load(analytic_params, produce_fc=False, log_level=0)
        dataset = ph3.dataset
        ph3.dataset = {
            key: np.array(dataset[key][:SUPERCELLS])
            for key in ("displacements", "forces", "supercell_energies")
        }
        path = folder / "phono3py_params.yaml"
        ph3.save(path, settings={"force_sets": True, "displacements": True})

    return once(tmp_path_factory, "small", write)[1] / "phono3py_params.yaml"


@pytest.fixture(scope="session")
def finished(small_params, tmp_path_factory, run_process):
    """A folder in which the small model went through to fc2 and fc3."""

    def go_through(folder):
        shutil.copy(small_params, folder)
        model = SMALL.replace("ntest=20", "ntest=4")
        command = ["phono3py-load", "phono3py_params.yaml", "--pypolymlp", "-d"]
        done = run_process([*command, "--mlp-params", model, "--mesh", "3"], folder)
        assert done.returncode == 0, done.stderr

    return once(tmp_path_factory, "finished", go_through)[1]

"""Folders in the state that a section of the documentation starts from."""

import shutil

import pytest

from conftest import once
from small_model import SMALL


@pytest.fixture
def folder(tmp_path, nacl_params):
    """A folder with phono3py_params.yaml: a hundred NaCl supercells with forces."""
    shutil.copy(nacl_params, tmp_path / "phono3py_params.yaml")
    return tmp_path


@pytest.fixture(scope="session")
def training_run(tmp_path_factory, nacl_params, run_process):
    """The run that trains the small potential, and its folder."""

    def train(path):
        shutil.copy(nacl_params, path / "phono3py_params.yaml")
        command = ["phono3py-load", "--pypolymlp", "phono3py_params.yaml"]
        return run_process([*command, "--mlp-params", SMALL], path)

    return once(tmp_path_factory, "training", train)


@pytest.fixture
def trained(tmp_path, training_run):
    """A folder with phono3py.yaml and polymlp.yaml, without the dataset."""
    for name in ("phono3py.yaml", "polymlp.yaml"):
        shutil.copy(training_run[1] / name, tmp_path)
    return tmp_path


@pytest.fixture
def plain_trained(trained, tmp_path_factory):
    """A folder like `trained`, for the host without the plugin."""
    path = tmp_path_factory.mktemp("plain")
    shutil.copytree(trained, path, dirs_exist_ok=True)
    return path

"""Folders in the state that a section of the documentation starts from."""

import shutil

import pytest

from analytic_crystal import analytic_crystal
from conftest import once
from small_model import SMALL


@pytest.fixture
def folder(tmp_path, analytic_params):
    """A folder with phono3py_params.yaml: a hundred supercells of 16 atoms."""
    shutil.copy(analytic_params, tmp_path / "phono3py_params.yaml")
    return tmp_path


@pytest.fixture
def nacl_folder(tmp_path, nacl_params):
    """A folder with phono3py_params.yaml: a hundred NaCl supercells of 64 atoms."""
    shutil.copy(nacl_params, tmp_path / "phono3py_params.yaml")
    return tmp_path


@pytest.fixture
def two_supercells(tmp_path):
    """NaCl, 2x2x2 for fc3, 3x3x3 (54 atoms) for fc2: with and without its forces."""
    ph3 = analytic_crystal(fc2_supercell=True)
    ph3.save(tmp_path / "with.yaml")
    ph3.phonon_dataset = None
    ph3.save(tmp_path / "without.yaml")
    return tmp_path


def train(params, path, run_process):
    """Train the small potential in a folder."""
    shutil.copy(params, path / "phono3py_params.yaml")
    command = ["phono3py-load", "--pypolymlp", "phono3py_params.yaml"]
    return run_process([*command, "--mlp-params", SMALL], path)


@pytest.fixture(scope="session")
def training_run(tmp_path_factory, analytic_params, run_process):
    """The run that trains the small potential, and its folder."""
    return once(
        tmp_path_factory,
        "training",
        lambda path: train(analytic_params, path, run_process),
    )


@pytest.fixture(scope="session")
def nacl_training_run(tmp_path_factory, nacl_params, run_process):
    """As `training_run` with first-principles data."""
    return once(
        tmp_path_factory,
        "training_nacl",
        lambda path: train(nacl_params, path, run_process),
    )


def copied(training_run, folder):
    """Copy phono3py.yaml and polymlp.yaml, without the dataset."""
    for name in ("phono3py.yaml", "polymlp.yaml"):
        shutil.copy(training_run[1] / name, folder)
    return folder


@pytest.fixture
def trained(tmp_path, training_run):
    """A folder with phono3py.yaml and polymlp.yaml, without the dataset."""
    return copied(training_run, tmp_path)


@pytest.fixture
def nacl_trained(tmp_path, nacl_training_run):
    """As `trained` with first-principles data."""
    return copied(nacl_training_run, tmp_path)


@pytest.fixture
def plain_trained(training_run, tmp_path_factory):
    """A folder like `trained`, for the host without the plugin."""
    return copied(training_run, tmp_path_factory.mktemp("plain"))


@pytest.fixture
def plain_nacl_trained(nacl_training_run, tmp_path_factory):
    """A folder like `nacl_trained`, for the host without the plugin."""
    return copied(nacl_training_run, tmp_path_factory.mktemp("plain"))

"""``--scattering``: the same kappa both ways, and the host itself where asked for."""

import shutil

import h5py
import numpy as np
import pytest

from host_features import needs_limits

COMMAND = ["phono3py-load", "phono3py_params.yaml", "--fc-calculator", "symfc"]
KAPPA = ["--br", "--mesh", "3", "3", "3", "--ts", "300"]


@pytest.fixture
def folder(analytic_params, tmp_path):
    shutil.copy(analytic_params, tmp_path / "phono3py_params.yaml")
    return tmp_path


def kappa(run, folder, *options):
    done = run([*COMMAND, *KAPPA, *options], folder)
    assert done.returncode == 0, done.stderr
    with h5py.File(folder / "kappa-m333.hdf5") as file:
        return file["kappa"][:], file["gamma"][:], done.stdout


@needs_limits
def test_kappa_is_the_same_both_ways(run, folder):
    expected, expected_gamma, _ = kappa(run, folder)
    found, gamma, output = kappa(run, folder, "--scattering", "fft", "--nu")
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    np.testing.assert_allclose(gamma, expected_gamma, rtol=1e-10, atol=1e-14)
    assert "left to phono3py" not in output
    assert not np.array_equal(gamma, expected_gamma)
    host, host_gamma, _ = kappa(run, folder, "--scattering", "host")
    np.testing.assert_array_equal(host_gamma, expected_gamma)
    np.testing.assert_array_equal(host, expected)


def test_what_is_not_covered_is_said(run, folder):
    *_, output = kappa(run, folder, "--scattering", "fft", "--sym-fc3q")
    (line,) = [x for x in output.splitlines() if "left to phono3py" in x]
    assert "--sym-fc3q" in line

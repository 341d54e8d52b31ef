"""Mean free paths of kappa files, of modes at rest and of those without scattering."""

import h5py
import numpy as np
import pytest

from phono3py_mlp_plugin.files import read_kappa


def kappa_file(folder, velocities, gamma, **arrays):
    """A kappa file of one temperature, one grid point and a band per velocity."""
    n = len(velocities)
    path = folder / "kappa-m111.hdf5"
    with h5py.File(path, "w") as file:
        file["mesh"] = np.array([1, 1, 1])
        file["temperature"] = np.array([300.0])
        file["kappa"] = np.ones((1, 6))
        file["weight"] = np.array([1])
        file["frequency"] = np.ones((1, n))
        file["mode_kappa"] = np.ones((1, 1, n, 6)) / n
        file["gamma"] = np.array(gamma, dtype="double").reshape(1, 1, n)
        speeds = np.array(velocities, dtype="double")
        file["group_velocity"] = (speeds[:, None] * [0.0, 0.6, 0.8])[None]
        for name, array in arrays.items():
            file[name] = array
    return read_kappa(path).mean_free_paths[0, 0]


def test_path_is_speed_times_lifetime(tmp_path):
    # 10 THz angstrom are 1000 m/s; the lifetime is 1 / (4 pi 0.1 THz).
    (path,) = kappa_file(tmp_path, [10.0], [0.1])
    assert path == pytest.approx(1000 / (4 * np.pi * 0.1e12) * 1e9)


@pytest.mark.parametrize("speed", [0.0, 1e-12, 1e-7])
@pytest.mark.parametrize("gamma", [0.0, 0.1])
def test_modes_at_rest_but_for_rounding_have_no_path(tmp_path, speed, gamma):
    assert kappa_file(tmp_path, [speed, 10.0], [gamma, 0.1])[0] == 0


def test_modes_that_are_not_scattered_have_no_end_but_that_of_the_crystal(tmp_path):
    assert kappa_file(tmp_path, [10.0, 1.0], [0.0, 0.1])[0] == np.inf
    # In micrometres, as phono3py writes it.
    boundary = {"boundary_mfp": np.array(2.0)}
    assert kappa_file(tmp_path, [10.0, 1.0], [0.0, 0.1], **boundary)[0] == (
        pytest.approx(2000)
    )


def test_crystal_whose_modes_are_all_at_rest_has_no_paths(tmp_path):
    assert kappa_file(tmp_path, [0.0, 0.0], [0.1, 0.0]).tolist() == [0, 0]

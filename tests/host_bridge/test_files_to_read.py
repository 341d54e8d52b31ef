"""Missing files of earlier runs are told before the work, as phono3py names them."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from analytic_crystal import analytic_crystal
from phono3py_mlp_plugin.errors import DatasetError
from phono3py_mlp_plugin.host.files_to_read import check_files_to_read

SETTINGS = {
    "read_phonon": False,
    "read_gamma": False,
    "read_collision": None,
    "read_pp": False,
    "is_bterta": True,
    "is_lbte": False,
    "is_kappa_star": True,
    "grid_points": None,
    "grid_addresses": None,
}
LBTE = {"is_bterta": False, "is_lbte": True, "read_collision": "all"}


@pytest.fixture
def crystal(tmp_path, monkeypatch):
    """NaCl with a mesh of four irreducible points: 0, 1, 4 and 5."""
    monkeypatch.chdir(tmp_path)
    ph3 = analytic_crystal()
    ph3.mesh_numbers = [3, 3, 3]
    ph3.sigmas = [None]
    return ph3


def check(ph3, **settings):
    check_files_to_read(ph3, SimpleNamespace(**(SETTINGS | settings)))


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"read_phonon": True}, ["phonon-m333"]),
        ({"read_gamma": True}, ["kappa-m333-g0", "kappa-m333"]),
        ({"read_gamma": True, "grid_points": [5]}, ["kappa-m333-g5", "kappa-m333"]),
        ({"read_pp": True}, ["pp-m333-g0"]),
        ({"read_pp": True, "grid_points": [5]}, ["pp-m333-g5"]),
        (LBTE, ["collision-m333-g0", "collision-m333"]),
        (LBTE | {"read_pp": True, "read_collision": None}, ["pp-m333-g0"]),
    ],
)
def test_missing_files_are_named(crystal, settings, names):
    with pytest.raises(DatasetError) as error:
        check(crystal, **settings)
    found = " or ".join(f'"{name}.hdf5"' for name in names)
    assert f"{found} is not found. Create it with --write-" in str(error.value)


def test_names_contain_smearing_widths(crystal):
    crystal.sigmas, crystal.sigma_cutoff = [None, 0.1], 3.0
    for point in (0, 1, 4, 5):
        Path(f"pp-m333-g{point}.hdf5").touch()
    with pytest.raises(DatasetError, match=r'"pp-m333-g0-s0.1-sd3.hdf5"'):
        check(crystal, read_pp=True)


@pytest.mark.parametrize(
    "names",
    [
        ["kappa-m333"],
        [f"kappa-m333-g{point}" for point in (0, 1, 4, 5)],
        [
            *(f"kappa-m333-g{point}" for point in (0, 1, 4)),
            *(f"kappa-m333-g5-b{band}" for band in range(1, 7)),
        ],
    ],
    ids=["whole", "points", "bands"],
)
def test_each_way_of_storing_gamma_is_accepted_and_must_be_complete(crystal, names):
    for name in names:
        Path(f"{name}.hdf5").touch()
    check(crystal, read_gamma=True)
    Path(f"{names[-1]}.hdf5").unlink()
    with pytest.raises(DatasetError, match="--read-gamma"):
        check(crystal, read_gamma=True)


@pytest.mark.parametrize(
    "settings",
    [
        # Read by other calculations only.
        {"read_collision": "all"},
        {**LBTE, "read_collision": None, "read_gamma": True},
        {"read_gamma": True, "read_pp": True, "is_bterta": False},
        # The points are found when the run has its grid.
        {"read_pp": True, "grid_addresses": [[0, 0, 0]]},
    ],
)
def test_files_that_are_not_read_are_not_required(crystal, settings):
    check(crystal, **settings)


def test_without_a_mesh_nothing_is_read(crystal):
    crystal = analytic_crystal()
    check(crystal, read_gamma=True, read_phonon=True)

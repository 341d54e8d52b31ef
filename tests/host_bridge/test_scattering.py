"""Gamma and kappa by Fourier transform are the host's, whatever else is asked for."""

import inspect
import os

import h5py
import numpy as np
import pytest

from analytic_crystal import analytic_crystal
from host_features import HAS_SWITCHES
from phono3py_mlp_plugin import enable_fast_scattering
from phono3py_mlp_plugin.host import scattering
from phono3py_mlp_plugin.host.process import end_command
from phono3py_mlp_plugin.host.scattering import choose_scattering

TEMPERATURES = [0, 100, 300, 500, 1000]


@pytest.fixture(scope="module")
def crystal():
    """NaCl of 16 atoms with Born charges."""
    ph3 = analytic_crystal()
    ph3.produce_fc3(fc_calculator="symfc", is_compact_fc=True)
    ph3.produce_fc2(fc_calculator="symfc", is_compact_fc=True)
    return ph3


def settings_of_interaction(ph3):
    return set(inspect.signature(ph3.init_phph_interaction).parameters)


def make_frequencies_differ(ph3):
    """Change all frequencies by a part in 1e9, so that no two are equal.

    phono3py 4.4 leaves out a tetrahedron if the frequency is exactly that of one of its
    corners; later versions take the limit from above, as this package does. Whether
    frequencies that symmetry makes equal are so to the last bit depends on the
    libraries.
    """
    interaction = ph3.phph_interaction
    interaction.run_phonon_solver()
    frequencies, eigenvectors, _ = interaction.get_phonons()
    changes = np.random.default_rng(0).standard_normal(frequencies.shape)
    interaction.set_phonon_data(
        frequencies * (1 + 1e-9 * changes),
        eigenvectors.copy(),
        interaction.bz_grid.addresses,
    )


def conductivity(ph3, *, mesh=(4, 4, 4), sigmas=(None,), interaction=None, **options):
    ph3.mesh_numbers = mesh
    ph3.sigmas = list(sigmas)
    ph3.init_phph_interaction(**(interaction or {}))
    if not HAS_SWITCHES:
        make_frequencies_differ(ph3)
    ph3.run_thermal_conductivity(temperatures=TEMPERATURES, **options)
    return ph3.thermal_conductivity


def both(ph3, **options):
    """Return conductivities by the host and by Fourier transform."""
    expected = conductivity(ph3, **options)
    with enable_fast_scattering(pytest.fail):
        return expected, conductivity(ph3, **options)


def assert_close(found, expected, tolerance):
    found, expected = np.array(found), np.array(expected)
    assert np.abs(expected).max() > 0
    # Where symmetry makes gamma vanish there is rounding alone.
    floor = 1e-12 * np.abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=floor)


@pytest.mark.parametrize(
    "options",
    [
        {"sigmas": (None, 0.1, 0.3)},
        {"is_isotope": True, "boundary_mfp": 1e4},
        {"is_N_U": True},
        {"is_full_pp": True},
        {"is_full_pp": True, "sigmas": (0.1,)},
        {"interaction": {"constant_averaged_interaction": 1e-9}},
        {"grid_points": [1, 3], "is_kappa_star": False},
        {
            "interaction": {
                "average_degenerate_weights": True,
                "exclude_gamma_acoustic": True,
            }
        },
        {"interaction": {"symmetrize_tetrahedra": True}},
    ],
    ids=lambda options: "-".join(options),
)
def test_relaxation_times_and_kappa_are_the_hosts(crystal, options):
    if not set(options.get("interaction", ())) <= settings_of_interaction(crystal):
        pytest.skip("This phono3py does not have the option.")
    expected, found = both(crystal, **options)
    # The same weights, and strengths that differ by rounding.
    assert_close(found.gamma, expected.gamma, 1e-10)
    assert_close(found.kappa[:, 1:], expected.kappa[:, 1:], 1e-10)


def test_normal_and_umklapp_processes_are_told_apart_as_the_host_does(crystal):
    expected, found = both(crystal, is_N_U=True)
    for expected_part, found_part in zip(
        expected.get_gamma_N_U(), found.get_gamma_N_U(), strict=True
    ):
        assert_close(found_part, expected_part, 1e-10)


def test_direct_solution_is_the_hosts(crystal):
    expected, found = both(crystal, is_LBTE=True)
    # The collision matrix is inverted: what is nearly singular amplifies rounding.
    assert_close(found.kappa[:, 1:], expected.kappa[:, 1:], 1e-8)


def test_gamma_of_one_point_written_and_read_by_the_other_way(
    crystal, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    expected = conductivity(crystal).kappa
    with enable_fast_scattering(pytest.fail):
        conductivity(crystal, write_gamma=True)
        (file, *_) = sorted(tmp_path.glob("kappa-*-g*.hdf5"))
        with h5py.File(file) as written:
            assert written["gamma"].shape == (len(TEMPERATURES), 6)
    read = conductivity(crystal, read_gamma=True).kappa
    assert_close(read[:, 1:], expected[:, 1:], 1e-10)


def test_self_energies_are_the_hosts(crystal):
    def self_energies():
        crystal.mesh_numbers = [4, 4, 4]
        crystal.sigmas = [None]
        crystal.init_phph_interaction()
        imaginary = crystal.run_imag_self_energy(
            [1], temperatures=[300], num_frequency_points=11
        )
        real = crystal.run_real_self_energy(
            [1], temperatures=[300], num_frequency_points=11, epsilons=[0.1]
        )
        return imaginary.gammas[0], real[1]

    expected = self_energies()
    with enable_fast_scattering(pytest.fail):
        found = self_energies()
    for found_part, expected_part in zip(found, expected, strict=True):
        assert_close(found_part, expected_part, 1e-10)


def test_spectral_function_is_the_hosts(crystal):
    """In Python: --spf of phono3py 4.10 ends because no grid point is passed on."""

    def spectral_function():
        crystal.mesh_numbers = [4, 4, 4]
        crystal.sigmas = [0.3]
        crystal.init_phph_interaction()
        crystal.run_spectral_function([1], temperatures=[300], num_frequency_points=11)
        result = crystal._spectral_function
        return (
            result.half_linewidths,
            result.shifts,
            result.spectral_functions,
        )

    expected = spectral_function()
    with enable_fast_scattering(pytest.fail):
        found = spectral_function()
    for found_part, expected_part in zip(found, expected, strict=True):
        assert_close(found_part, expected_part, 1e-10)


@pytest.mark.parametrize("wanted", [None, "fft"])
def test_backend_without_fourier_transform_is_told(wanted):
    lines = []
    choose_scattering(wanted, "fft", lines.append, legacy_backend=True)
    try:
        assert lines == [
            "Scattering is left to phono3py: its C extension (--legacy-backend)."
        ]
        assert scattering._active is None
    finally:
        end_command()


def test_command_gives_back_the_choice_that_python_has_made():
    with enable_fast_scattering(pytest.fail) as chosen:
        choose_scattering("host", "fft", pytest.fail)
        assert scattering._active is None
        end_command()
        assert scattering._active is chosen


POINTS = "PHONO3PY_RUST_GP_BATCH_SIZE"


def test_points_are_passed_together_until_scattering_is_the_hosts_again(monkeypatch):
    monkeypatch.delenv(POINTS, raising=False)
    with enable_fast_scattering():
        assert int(os.environ[POINTS]) >= 1
    assert POINTS not in os.environ
    monkeypatch.setenv(POINTS, "3")
    with enable_fast_scattering():
        assert os.environ[POINTS] == "3"
    assert os.environ[POINTS] == "3"

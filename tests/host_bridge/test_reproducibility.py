"""Settings with which rounding errors do not change kappa."""

import contextlib
import json
import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from phono3py.cui.settings import Phono3pySettings
from phono3py.file_IO import write_fc2_to_hdf5, write_fc3_to_hdf5

from analytic_crystal import analytic_crystal
from host_features import OPTIONS, SWITCHES, needs_switches
from phono3py_mlp_plugin import enable_fast_scattering
from phono3py_mlp_plugin.host.reproducibility import (
    make_reproducible,
    recommend_reproducible,
)
from phono3py_mlp_plugin.host.run_checks import physics_checks

ON = dict.fromkeys(SWITCHES, True)
# Force constants of different BLAS and numbers of threads differ by this, relative.
ROUNDING = 1e-12
# A hundred of these changes at once; 3e-11 is observed.
SAME = 1e-9

KAPPA = """
import contextlib, sys
import numpy as np, phono3py
from phono3py_mlp_plugin import enable_fast_scattering
way, mesh, fc2, fc3 = sys.argv[1:]
ph3 = phono3py.load("phono3py.yaml", fc2_filename=fc2, fc3_filename=fc3,
                    produce_fc=False, log_level=0)
ph3.mesh_numbers = [int(mesh)] * 3
with enable_fast_scattering() if way == "fft" else contextlib.nullcontext():
    ph3.init_phph_interaction(
        average_degenerate_weights=True, exclude_gamma_acoustic=True)
    ph3.run_thermal_conductivity(temperatures=[300])
print(repr(float(ph3.thermal_conductivity.kappa.ravel()[0])))
"""


@pytest.fixture(scope="module")
def crystal():
    """NaCl of 16 atoms with Born charges."""
    ph3 = analytic_crystal()
    ph3.produce_fc3(fc_calculator="symfc", is_compact_fc=True)
    ph3.produce_fc2(fc_calculator="symfc", is_compact_fc=True)
    return ph3


def rounded(fc, seed):
    """Force constants with other rounding errors."""
    if not seed:
        return fc
    signs = np.random.default_rng(seed).choice((-1.0, 1.0), size=fc.shape)
    return fc * (1 + ROUNDING * signs)


def changes(ph3, mesh, **interaction):
    """Relative changes of kappa by rounding errors of force constants."""
    fc2, fc3 = ph3.fc2, ph3.fc3
    kappas = []
    for seed in range(3):
        ph3.fc2, ph3.fc3 = rounded(fc2, seed), rounded(fc3, seed)
        ph3.mesh_numbers = [mesh] * 3
        ph3.init_phph_interaction(**interaction)
        ph3.run_thermal_conductivity(temperatures=[300])
        kappas.append(ph3.thermal_conductivity.kappa.ravel()[0])
    ph3.fc2, ph3.fc3 = fc2, fc3
    return np.abs(np.array(kappas[1:]) / kappas[0] - 1)


@pytest.mark.parametrize("mesh", [5, pytest.param(9, marks=pytest.mark.slow)])
@pytest.mark.parametrize("way", ["fft", "host"])
@needs_switches
def test_rounding_errors_change_kappa_only_without_the_settings(crystal, way, mesh):
    ways = {"fft": enable_fast_scattering, "host": contextlib.nullcontext}
    with ways[way]():
        assert changes(crystal, mesh, **ON).max() < SAME
        if mesh == 5:
            assert changes(crystal, mesh).max() > 1e-4


@pytest.mark.slow
@needs_switches
def test_kappa_is_the_same_on_any_number_of_threads(crystal, tmp_path):
    crystal.save(tmp_path / "phono3py.yaml", settings={"force_sets": False})
    p2s = crystal.primitive.p2s_map
    for seed in (0, 1):
        fc2, fc3 = rounded(crystal.fc2, seed), rounded(crystal.fc3, seed)
        write_fc2_to_hdf5(fc2, filename=tmp_path / f"fc2-{seed}.hdf5", p2s_map=p2s)
        write_fc3_to_hdf5(fc3, filename=tmp_path / f"fc3-{seed}.hdf5", p2s_map=p2s)
    kappas = []
    for way, threads, seed in (
        ("fft", 1, 0),
        ("fft", 2, 1),
        ("host", 1, 1),
        ("host", 2, 0),
    ):
        names = ("OMP", "OPENBLAS", "MKL", "RAYON", "NUMBA")
        limits = {f"{name}_NUM_THREADS": str(threads) for name in names}
        done = subprocess.run(
            [
                *(sys.executable, "-c", KAPPA, way, "9"),
                *(f"fc2-{seed}.hdf5", f"fc3-{seed}.hdf5"),
            ],
            cwd=tmp_path,
            env={**os.environ, **limits},
            capture_output=True,
            text=True,
            check=True,
        )
        kappas.append(float(done.stdout.splitlines()[-1]))
    np.testing.assert_allclose(kappas, kappas[0], rtol=SAME)


@needs_switches
def test_settings_are_switched_on_recorded_and_told():
    settings, confs = Phono3pySettings(), {}
    (line,) = make_reproducible(settings, confs)
    assert " ".join(OPTIONS) in line
    assert all(getattr(settings, name) is True for name in SWITCHES)
    assert confs == dict.fromkeys(SWITCHES, ".true.")


@needs_switches
def test_what_the_user_has_set_stays():
    settings, confs = Phono3pySettings(), {SWITCHES[0]: ".false."}
    (line,) = make_reproducible(settings, confs)
    assert settings.average_degenerate_weights is False
    assert settings.exclude_gamma_acoustic is True
    assert "--average-degenerate-weights" not in line
    both = dict.fromkeys(SWITCHES, ".false.")
    settings = Phono3pySettings()
    assert make_reproducible(settings, dict(both)) == []
    assert not any(getattr(settings, name) for name in SWITCHES)


@pytest.mark.parametrize(
    "settings",
    [
        # phono3py before 4.10 has neither.
        SimpleNamespace(sigma=None, is_tetrahedron_method=False),
        SimpleNamespace(
            sigma=None,
            is_tetrahedron_method=False,
            use_legacy_backend=True,
            **dict.fromkeys(SWITCHES, False),
        ),
    ],
)
def test_nothing_is_changed_where_the_settings_do_not_exist(settings):
    before, confs = vars(settings).copy(), {}
    (line,) = make_reproducible(settings, confs)
    assert " ".join(OPTIONS) in line and "4.10" in line
    assert vars(settings) == before and confs == {}
    # Gaussian smearing does not need them.
    settings.sigma = [0.1]
    assert make_reproducible(settings, confs) == []


@needs_switches
def test_settings_are_recommended_to_those_who_use_tetrahedra_without():
    settings = Phono3pySettings()
    assert recommend_reproducible(settings, {}) == []
    settings.is_bterta = True
    (line,) = recommend_reproducible(settings, {})
    assert " ".join(OPTIONS) in line
    assert recommend_reproducible(settings, dict.fromkeys(SWITCHES, ".true.")) == []
    settings.sigma = [0.1]
    assert recommend_reproducible(settings, {}) == []


@needs_switches
def test_acoustic_modes_at_gamma_are_checked_although_they_are_set_to_zero(crystal):
    fc2 = crystal.fc2
    try:
        for factor, passed in ((1.0, True), (1.001, False)):
            changed = fc2.copy()
            for i, j in enumerate(crystal.primitive.p2s_map):
                changed[i, j] *= factor
            crystal.fc2 = changed
            for options in ({}, ON):
                crystal.mesh_numbers = [3, 3, 3]
                crystal.init_phph_interaction(**options)
                crystal.run_phonon_solver()
                checks = physics_checks(crystal, None, None, allow_imaginary=True)
                (check,) = [c for c in checks if "acoustic" in c.text]
                assert check.passed is passed, json.dumps([options, check.text])
    finally:
        crystal.fc2 = fc2

"""Strengths and collisions are those of the host's sums over all atoms.

Force constants and phonons are random: the equality is one of algebra.
"""

import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
from phono3py import Phono3py
from phono3py.conductivity.scattering_solvers import RTAScatteringSolver
from phonopy.structure.atoms import PhonopyAtoms

from phono3py_mlp_plugin import enable_fast_scattering

FCC = np.ones((3, 3)) - np.eye(3)
WURTZITE = [[3.1, 0, 0], [-1.55, 1.55 * 3**0.5, 0], [0, 0, 5.0]]
CRYSTALS = {
    "rock salt": SimpleNamespace(
        symbols=["Na", "Cl"],
        cell=2.8 * FCC,
        positions=[[0, 0, 0], [0.5, 0.5, 0.5]],
        supercell=[[-2, 2, 2], [2, -2, 2], [2, 2, -2]],
        mesh=[4, 4, 4],
    ),
    "diamond": SimpleNamespace(
        symbols=["Si"] * 2,
        cell=2.7 * FCC,
        positions=[[0.125] * 3, [0.875] * 3],
        supercell=[[-1, 1, 1], [1, -1, 1], [1, 1, -1]],
        mesh=[5, 5, 5],
    ),
    "wurtzite": SimpleNamespace(
        symbols=["Al"] * 2 + ["N"] * 2,
        cell=WURTZITE,
        positions=[
            [1 / 3, 2 / 3, 0],
            [2 / 3, 1 / 3, 0.5],
            [1 / 3, 2 / 3, 0.38],
            [2 / 3, 1 / 3, 0.88],
        ],
        supercell=[2, 2, 1],
        mesh=[3, 3, 2],
    ),
    "triclinic": SimpleNamespace(
        symbols=["Ga", "As", "O"],
        cell=[[4.1, 0, 0], [0.5, 4.4, 0], [0.9, 1.1, 5.2]],
        positions=[[0.01, 0.02, 0], [0.4, 0.53, 0.2], [0.71, 0.3, 0.77]],
        supercell=[2, 1, 2],
        mesh=[3, 2, 4],
    ),
    "one atom": SimpleNamespace(
        symbols=["Cu"],
        cell=1.8 * FCC,
        positions=[[0, 0, 0]],
        supercell=[[-2, 2, 2], [2, -2, 2], [2, 2, -2]],
        mesh=[4, 4, 4],
    ),
    "slab": SimpleNamespace(
        symbols=["Mo", "S", "S"],
        cell=[[3.1, 0, 0], [-1.55, 1.55 * 3**0.5, 0], [0, 0, 20.0]],
        positions=[[1 / 3, 2 / 3, 0.5], [2 / 3, 1 / 3, 0.58], [2 / 3, 1 / 3, 0.42]],
        supercell=[3, 3, 1],
        mesh=[4, 4, 1],
    ),
}
# A few hundred numbers are added up in another order, for thousands of elements.
ROUNDING = 1e-12


def crystal(
    name, *, mesh=None, full=False, zero_blocks=False, grg=False, v2=False, **options
):
    """Return a crystal with random phonons on its mesh."""
    data, rng = CRYSTALS[name], np.random.default_rng(0)
    ph3 = Phono3py(
        PhonopyAtoms(
            symbols=data.symbols, cell=data.cell, scaled_positions=data.positions
        ),
        supercell_matrix=data.supercell,
        primitive_matrix=np.eye(3),
        make_r0_average=not v2,
        use_grg=grg,
    )
    n, n_primitive = len(ph3.supercell), len(ph3.primitive)
    rows = n if full else n_primitive
    ph3.fc3 = rng.normal(size=(rows, n, n, 3, 3, 3))
    if zero_blocks:
        ph3.fc3_nonzero_indices = (rng.random(size=(rows, n, n)) < 0.4).astype("byte")
    ph3.fc2 = np.zeros((n_primitive, n, 3, 3))
    ph3.mesh_numbers = mesh or data.mesh
    ph3.init_phph_interaction(**options)
    interaction = ph3.phph_interaction
    interaction.run_phonon_solver()
    phonons = interaction.phonons
    shape = phonons.eigenvectors.shape
    phonons.frequencies[:] = np.sort(rng.uniform(-1, 10, size=shape[:2]))
    matrices = rng.normal(size=shape) + 1j * rng.normal(size=shape)
    phonons.eigenvectors[:] = np.linalg.qr(matrices)[0]
    return ph3


def strengths(ph3, grid_point, g_zero=None):
    ph3.phph_interaction.set_grid_point(grid_point)
    ph3.phph_interaction.run(g_zero=g_zero)
    return ph3.phph_interaction.interaction_strength


def grid_points(ph3):
    """Return a point near the centre and the one with the most equivalent points."""
    counts = np.diff(ph3.phph_interaction.bz_grid.gp_map)
    surface = ph3.phph_interaction.bz_grid.gp_map[np.argmax(counts)]
    return 1, int(surface)


def assert_same_strengths(ph3):
    for grid_point in grid_points(ph3):
        expected = strengths(ph3, grid_point)
        with enable_fast_scattering(pytest.fail):
            found = strengths(ph3, grid_point)
        assert expected.max() > 0
        np.testing.assert_allclose(
            found, expected, rtol=0, atol=ROUNDING * expected.max()
        )


@pytest.mark.parametrize("name", CRYSTALS)
def test_strengths_are_those_of_sums_over_all_atoms(name):
    assert_same_strengths(crystal(name))


@pytest.mark.parametrize(
    "case",
    [
        {"full": True},
        {"zero_blocks": True},
        {"full": True, "zero_blocks": True},
        {"v2": True},
        {"grg": True, "mesh": 12.0},
    ],
    ids=lambda case: "-".join(case),
)
def test_every_form_of_force_constants_and_grid_is_covered(case):
    assert_same_strengths(crystal("wurtzite", **case))


def test_triplets_start_from_each_of_the_equivalent_points_at_the_surface():
    ph3 = crystal("rock salt", mesh=[5, 5, 5])
    found = set()
    for grid_point in ph3.phph_interaction.bz_grid.grg2bzg:
        ph3.phph_interaction.set_grid_point(int(grid_point))
        first = np.unique(ph3.phph_interaction.get_triplets_at_q()[0][:, 0])
        if len(first) > 1:
            found.add(int(grid_point))
    assert found
    for grid_point in sorted(found)[:2]:
        expected = strengths(ph3, grid_point)
        with enable_fast_scattering(pytest.fail):
            result = strengths(ph3, grid_point)
        np.testing.assert_allclose(
            result, expected, rtol=0, atol=ROUNDING * expected.max()
        )


def test_some_bands_and_only_elements_that_are_needed():
    ph3 = crystal("diamond", full=True)
    ph3.band_indices = [[1, 2], [4]]
    ph3.init_phph_interaction()
    phonons = ph3.phph_interaction
    phonons.run_phonon_solver()
    rng = np.random.default_rng(1)
    phonons.phonons.frequencies[:] = rng.uniform(
        1, 5, phonons.phonons.frequencies.shape
    )
    phonons.set_grid_point(1)
    n_triplets = len(phonons.get_triplets_at_q()[0])
    g_zero = (rng.random(size=(n_triplets, 3, 6, 6)) < 0.8).astype("byte")
    expected = strengths(ph3, 1, g_zero)
    with enable_fast_scattering(pytest.fail):
        found = strengths(ph3, 1, g_zero)
    assert (found == 0)[g_zero == 1].all()
    np.testing.assert_allclose(found, expected, rtol=0, atol=ROUNDING * expected.max())


def collisions(ph3, grid_point, sigmas, cutoff=None, **options):
    solver = RTAScatteringSolver(
        ph3.phph_interaction,
        sigmas,
        np.array([0.0, 10.0, 100.0, 300.0, 1000.0]),
        sigma_cutoff=cutoff,
        is_N_U=True,
        **options,
    )
    solver.compute(grid_point)
    return np.array([solver.gamma_N, solver.gamma_U])


@pytest.mark.parametrize("name", ["rock salt", "wurtzite", "triclinic", "one atom"])
@pytest.mark.parametrize(
    "sigmas, cutoff", [([None, 0.3], None), ([0.1, 0.4], 3.0)], ids=["both", "cutoff"]
)
def test_collisions_at_all_temperatures_and_widths(name, sigmas, cutoff):
    ph3 = crystal(name)
    for grid_point in grid_points(ph3):
        expected = collisions(ph3, grid_point, sigmas, cutoff)
        with enable_fast_scattering(pytest.fail):
            found = collisions(ph3, grid_point, sigmas, cutoff)
        assert expected.max() > 0
        np.testing.assert_allclose(
            found, expected, rtol=0, atol=ROUNDING * expected.max()
        )


@pytest.mark.parametrize(
    "options", [{"symmetrize_tetrahedra": True}, {"average_degenerate_weights": True}]
)
def test_weights_averaged_over_symmetry_or_degenerate_bands(options):
    ph3 = crystal("rock salt", **options)
    phonons = ph3.phph_interaction.phonons
    phonons.frequencies[:, 1] = phonons.frequencies[:, 0]
    phonons.degenerate_ids[:] = [0, 0, 2, 3, 4, 5]
    expected = collisions(ph3, 1, [None])
    with enable_fast_scattering(pytest.fail):
        found = collisions(ph3, 1, [None])
    np.testing.assert_allclose(found, expected, rtol=0, atol=ROUNDING * expected.max())


def gamma_of_points(ph3, points):
    solver = RTAScatteringSolver(ph3.phph_interaction, [None], np.array([300.0]))
    return np.array([r["result"].gamma for r in solver.compute_batched(points)])


def test_many_grid_points_in_one_call(monkeypatch):
    from phono3py_mlp_plugin.host import collisions as host

    ph3 = crystal("diamond")
    points = [1, 2, 6]
    expected = gamma_of_points(ph3, points)
    found = []
    for n_threads in (1, 3):
        monkeypatch.setattr(host, "default_threads", lambda n=n_threads: n)
        with enable_fast_scattering(pytest.fail):
            found.append(gamma_of_points(ph3, points))
    # Points that need much memory are computed one by one.
    monkeypatch.setattr(host, "_MEMORY_OF_POINTS", 0)
    with enable_fast_scattering(pytest.fail):
        found.append(gamma_of_points(ph3, points))
    np.testing.assert_allclose(found[0], expected, rtol=1e-12)
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])


def test_results_do_not_depend_on_threads_or_blocks(monkeypatch):
    from phono3py_mlp_plugin.host import collisions as host
    from phono3py_mlp_plugin.scattering import interaction

    ph3 = crystal("wurtzite")
    found = []
    for n_threads in (1, 3):
        monkeypatch.setattr(host, "default_threads", lambda n=n_threads: n)
        with enable_fast_scattering(pytest.fail):
            found.append((strengths(ph3, 1), collisions(ph3, 1, [None, 0.2])))
    for one, three in zip(*found, strict=True):
        np.testing.assert_array_equal(one, three)
    monkeypatch.setattr(interaction, "_MEMORY", 1)
    monkeypatch.setattr(interaction, "_CHUNK", 1)
    with enable_fast_scattering(pytest.fail):
        blocks = strengths(ph3, 1)
    np.testing.assert_allclose(
        blocks, found[0][0], rtol=0, atol=ROUNDING * blocks.max()
    )


def test_memory_stays_below_its_forecast_which_is_announced(monkeypatch):
    from phono3py_mlp_plugin.host import collisions as host
    from phono3py_mlp_plugin.scattering import interaction

    monkeypatch.setattr(interaction, "_MEMORY", 4_000_000)
    monkeypatch.setattr(interaction, "_CHUNK", 200_000)
    monkeypatch.setattr(host, "_NOTED_MEMORY", 0)
    ph3 = crystal("wurtzite", mesh=[7, 7, 5])
    lines = []
    with enable_fast_scattering(lines.append) as scattering:
        collisions(ph3, 1, [None])
        interaction = scattering.calculation._prepared.interaction
        forecast = interaction.memory(scattering.calculation._n_threads)
        tracemalloc.start()
        try:
            collisions(ph3, 1, [None, 0.2, 0.3])
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert lines == [f"Scattering needs up to {forecast / 1e9:.1f} GB of memory."]
    # Triplets, occupations and results of all temperatures come in addition.
    assert forecast / 3 < peak < forecast + 2_000_000


def test_what_is_not_covered_is_left_to_the_host_and_said_once():
    ph3 = crystal("diamond", symmetrize_fc3q=True)
    expected = strengths(ph3, 1)
    lines = []
    with enable_fast_scattering(lines.append):
        for _ in range(2):
            np.testing.assert_array_equal(strengths(ph3, 1), expected)
    (line,) = lines
    assert "--sym-fc3q" in line


def test_the_host_is_itself_again_afterwards():
    from phono3py.phonon3 import interaction

    own = interaction.run_interaction_rust
    with enable_fast_scattering():
        assert interaction.run_interaction_rust is not own
        with enable_fast_scattering():
            pass
        assert interaction.run_interaction_rust is not own
    assert interaction.run_interaction_rust is own


def test_force_constants_that_change_are_seen():
    ph3 = crystal("one atom")
    with enable_fast_scattering(pytest.fail):
        before = strengths(ph3, 1)
        ph3.phph_interaction.fc3[:] *= 2
        np.testing.assert_allclose(strengths(ph3, 1), 4 * before, rtol=1e-14)


def test_hosts_without_averages_over_degenerate_bands(monkeypatch):
    """Before phono3py 4.10, its function has no such argument."""
    from phono3py_mlp_plugin.host import collisions as host

    ph3 = crystal("diamond")
    expected = collisions(ph3, 1, [None])
    arguments = host._arguments

    def without(*given):
        args = arguments(*given)
        del args.degenerate_ids
        return args

    monkeypatch.setattr(host, "_arguments", without)
    with enable_fast_scattering(pytest.fail):
        found = collisions(ph3, 1, [None])
    np.testing.assert_allclose(found, expected, rtol=0, atol=ROUNDING * expected.max())

"""The calibration of error bars: its potentials, its statistics, a tiny crystal."""

import json

import numpy as np
import pytest
from phonopy.structure.atoms import PhonopyAtoms
from scipy.integrate import quad
from scipy.stats import t as student

from small_model import MODEL

crystals = pytest.importorskip("zoo.crystals", reason="not in the source package")

from zoo import report, run, statistics  # noqa: E402
from zoo.records import point_of  # noqa: E402

NAMES = [c.name for c in (*crystals.CRYSTALS, *crystals.STRONG) if c.is_analytic]

TINY = crystals.Analytic(
    name="tiny",
    structure="diamond",
    mesh=(3, 3, 3),
    potential=crystals.named("Si bonds").potential,
    cell=crystals.named("Si bonds").cell,
    supercell=((-1, 1, 1), (1, -1, 1), (1, 1, -1)),
    n_reference=12,
)


def perturbed(cell, seed=0):
    """The cell repeated, with random positions: no term vanishes by symmetry."""
    from phonopy.structure.cells import get_supercell

    cell = get_supercell(cell, np.diag([2, 1, 1]))
    rng = np.random.default_rng(seed)
    positions = cell.positions + 0.05 * rng.normal(size=cell.positions.shape)
    return PhonopyAtoms(symbols=cell.symbols, cell=cell.cell, positions=positions)


@pytest.mark.parametrize("name", NAMES)
def test_forces_and_stresses_are_gradients_of_the_energy(name):
    crystal = crystals.named(name)
    cell = perturbed(crystal.cell())
    potential = crystal.potential()
    rng = np.random.default_rng(1)
    move = rng.normal(size=(len(cell), 3))
    strain = rng.normal(size=(3, 3))
    strain += strain.T

    def energy(x, strains):
        positions = cell.positions + (0 if strains else x * move)
        deformation = np.eye(3) + (x if strains else 0) * strain
        changed = PhonopyAtoms(
            symbols=cell.symbols,
            cell=cell.cell @ deformation,
            positions=positions @ deformation,
        )
        return potential.evaluate([changed]).energies[0]

    found = potential.evaluate([cell])
    expected = -np.sum(found.forces[0] * move)
    work = np.sum(found.stresses[0] * strain) * cell.volume
    # The error of central differences is of second order in the steps. Neighbours are
    # moved ten times as far by a strain as by the other step.
    for value, strains in ((expected, False), (work, True)):
        step = 1e-5 if strains else 1e-4
        slope = (energy(step, strains) - energy(-step, strains)) / (2 * step)
        scale = np.abs(found.forces).max() + np.abs(value)
        assert slope == pytest.approx(value, abs=3e-5 * scale)


@pytest.mark.parametrize("degrees", [4, 39])
@pytest.mark.parametrize("error", [0.0, 0.3, -0.1])
def test_the_probability_score_is_the_integral_that_defines_it(degrees, error):
    def integrand(x):
        return (student.cdf(x / 0.2, degrees) - (x >= error)) ** 2

    integral = quad(integrand, -20, error)[0] + quad(integrand, error, 20)[0]
    assert statistics.crps(error, 0.2, degrees) == pytest.approx(integral, abs=1e-8)


@pytest.fixture(scope="module")
def results():
    """The results of a crystal of 8 atoms, sizes 3 and 6, two orders."""
    from phono3py_mlp_plugin.host.scattering import enable_fast_scattering

    with enable_fast_scattering():
        work = run.Calculations(TINY, 4, MODEL, sizes=(3, 6))
        entry = {
            "setting": crystals.setting_of(TINY),
            "reference": work.reference(),
            "exact": work.exact(),
            "anharmonicity": work.anharmonicity(),
            "points": [*work.order(0), *work.order(1)],
        }
    return {"tiny": json.loads(json.dumps(entry))}


@pytest.mark.slow
def test_kappa_of_the_model_is_that_of_the_potential_within_the_error_of_the_fit(
    results,
):
    entry = results["tiny"]
    # The model is small and the mesh coarse: 2 % was found.
    assert entry["reference"]["kappa"] == pytest.approx(entry["exact"], rel=0.1)
    assert [p["order"] for p in entry["points"]] == [0, 0, 1, 1]
    assert entry["points"][0]["kappa"] != entry["points"][2]["kappa"]


@pytest.mark.slow
def test_a_cubic_crystal_has_one_case_for_each_interval(results):
    cases = statistics.cases_of("tiny", results["tiny"])
    assert len(cases) == 4
    point = point_of(results["tiny"]["points"][0])
    assert cases[0].bar == pytest.approx(point.error_bar(0, 0).total, rel=1e-6)
    # The reference has an error of its own.
    assert all(case.expected > case.bar for case in cases)


@pytest.mark.slow
def test_the_tables_depend_on_the_records_only(results, tmp_path):
    report.write(results, tmp_path)
    text = (tmp_path / "calibration.md").read_text()
    assert text.count("| tiny |") == 2
    assert report.tables(json.loads(json.dumps(results))) + "\n" == text
    assert (tmp_path / "calibration.png").stat().st_size > 10_000


def test_rows_count_the_intervals_that_contain_the_reference():
    def case(error):
        return statistics.Case("tiny", 0, 5, -1, error, 0.01, 0.01, float("nan"))

    # Student's quantiles for four degrees of freedom: 1.13 at 68 %, 2.78 at 95 %.
    row = statistics.row_of([case(x) for x in (0.0, -0.01, 0.02, 0.03)])
    assert row.inside == (0.5, 0.75)
    assert row.rms_z == pytest.approx(np.sqrt(14 / 4))

"""The table of calculators: what loads, runs, equals ASE, and how noisy it is."""

from __future__ import annotations

import math

import pytest

pytest.importorskip("ase")

from measured.calculators import (
    BY_NAME,
    CASES,
    FAKED,
    difference_from_ase,
    displaced,
    loaded,
)
from measured.tables import Column, Table, small
from phono3py_mlp_plugin.files import versions_of
from phono3py_mlp_plugin.workflow import examine_potential

# Warnings of libraries are not ours.
pytestmark = pytest.mark.filterwarnings("ignore")

# Only these take no library and no time.
QUICK = ("emt", "lj", "morse")

TABLE = Table(
    "calculators",
    (
        Column("calculator"),
        Column("package", math.inf),
        Column("loads"),
        Column("runs"),
        # Rounding, other on each machine.
        Column("difference from ASE (eV/angstrom)", 100, 1e-7),
        Column("noise (eV/angstrom)", 10, 1e-12),
        Column("smoothness", 3, 1e-2),
    ),
    tuple((case.name,) for case in CASES) + tuple((f"`{name}`",) for name in FAKED),
)
FAKE = ["interface only (fake)", "no", "-", "-", "-"]


def test_table_has_a_row_for_each_calculator_by_name(request):
    if request.config.getoption("--write-tables"):
        for name in FAKED:
            TABLE.write([f"`{name}`", BY_NAME[name].package, *FAKE])
        TABLE.fill()
    TABLE.check_rows()
    found = TABLE.read()
    for name in FAKED:
        assert found[f"`{name}`",][2:] == FAKE
    for case in CASES:
        assert found[case.name,][2:4] == ["yes", "yes"]


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(
            case,
            id=case.name,
            marks=[] if case.library in QUICK else [pytest.mark.slow],
        )
        for case in CASES
    ],
)
def test_calculators_by_name_are_those_of_ase_as_documented(tmp_path, take, case):
    if not case.is_installed():
        pytest.skip(f"{BY_NAME[case.library].package} is not installed")
    path = tmp_path / "model.file"
    if case.make_model is not None:
        case.make_model(path)
    potential = loaded(
        case.library, case.options, None if case.make_model is None else path
    )
    difference = difference_from_ase(potential, case.by_hand(path), case.atoms)
    assert difference <= case.tolerance
    (cell,) = displaced(case.atoms.repeat(case.repeats), 1, 0.0)
    health = examine_potential(case.library, potential, cell)
    health.check(case.library)
    package = BY_NAME[case.library].package
    cells = (
        case.name,
        f"{package} {versions_of([package])[package]}",
        "yes",
        "yes",
        small(difference),
        small(health.effective_noise),
        f"{health.roughness:.1g}",
    )
    take(TABLE, cells)

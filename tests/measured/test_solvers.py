"""The table of solvers and crystals: deviations of force constants, and kappa."""

from __future__ import annotations

import numpy as np
import pytest

import phono3py_mlp_plugin as mlp
from measured.crystals import AMPLITUDE, CRYSTALS, Known, copy
from measured.tables import Column, Table
from phono3py_mlp_plugin import plugins

BUILTIN = plugins.discover(()).solvers
POTENTIALS = ("triclinic springs, 12 atoms", "Al (EMT), 32 atoms")
ROWS = tuple(
    (crystal, "known" if name == "exact" and crystal in POTENTIALS else name)
    for crystal in CRYSTALS
    for name in sorted(BUILTIN, key=lambda name: name != "exact")
)
TABLE = Table(
    "solvers",
    (
        Column("crystal"),
        Column("solver"),
        Column("supercells"),
        Column("cutoff of fc3 (angstrom)"),
        # Rounding differs between machines where all is determined.
        Column("deviation of fc2 (%)", 1.5, 1e-3),
        Column("deviation of fc3 (%)", 1.5, 1e-3),
        # Rounding changes weights of degenerate modes, and kappa by up to 1 %.
        Column("kappa (W/m-K)", 1.02),
    ),
    ROWS,
)


def test_table_has_a_row_for_each_solver_and_crystal(request):
    if request.config.getoption("--write-tables"):
        TABLE.fill()
    TABLE.check_rows()


@pytest.mark.slow
@pytest.mark.parametrize(("crystal", "name"), ROWS)
def test_force_constants_of_each_solver_deviate_as_documented(
    host_source, take, crystal, name
):
    if name in BUILTIN and (reason := BUILTIN[name].record.unavailable_reason()):
        pytest.skip(reason)
    pytest.importorskip("ase")
    known = CRYSTALS[crystal](host_source)
    cells = solved(known, name)
    take(TABLE, (crystal, name, *cells))


def solved(known: Known, name: str) -> list[str]:
    """Return the cells of a row after crystal and solver."""
    ph3 = copy(known.ph3)
    if name in ("exact", "known"):
        ph3.fc2, ph3.fc3 = known.truth[2], known.truth[3]
        return ["-", "-", "-", "-", kappa(ph3, known)]
    options = {"cutoff": known.cutoff} if known.cutoff else None
    if name == "traditional":
        options = None
        ph3.generate_displacements(
            distance=AMPLITUDE, cutoff_pair_distance=known.cutoff or None
        )
        if ph3.phonon_supercell_matrix is not None:
            ph3.generate_fc2_displacements(distance=AMPLITUDE)
    else:
        ph3.generate_displacements(
            distance=AMPLITUDE, number_of_snapshots=known.n_random, random_seed=1
        )
        if ph3.phonon_supercell_matrix is not None:
            ph3.generate_fc2_displacements(
                distance=AMPLITUDE, number_of_snapshots=4, random_seed=2
            )
    known.set_forces(ph3)
    mlp.solve_force_constants(ph3, name, options)
    found = {2: ph3.fc2, 3: ph3.fc3}
    deviations = [
        f"{100 * float(np.linalg.norm(found[o] - fc) / np.linalg.norm(fc)):.2g}"
        for o, fc in known.truth.items()
    ]
    kind = "systematic" if name == "traditional" else "random"
    n = sum(cell is not None for cell in ph3.supercells_with_displacements)
    reach = f"{known.cutoff:g}" if known.cutoff else reached(ph3)
    return [f"{n} {kind}", reach, *deviations, kappa(ph3, known)]


def reached(ph3) -> str:
    """Return the distance up to which fc3 is not zero, or that it has no end."""
    from phono3py_mlp_plugin.workflow import describe_truncation

    lines = describe_truncation("x", ph3.primitive, {3: ph3.fc3})
    return lines[0].split("beyond ")[1].split()[0] if lines else "none"


def kappa(ph3, known: Known) -> str:
    """Return the mean of the diagonal at 300 K in the relaxation-time approximation."""
    ph3.nac_params = known.ph3.nac_params
    ph3.mesh_numbers = known.mesh
    ph3.init_phph_interaction()
    ph3.run_thermal_conductivity(temperatures=[300])
    tensor = ph3.thermal_conductivity.kappa.reshape(-1, 6)[0]
    return f"{tensor[:3].mean():.4g}"

"""Force constants of potentials are those that the host computes in a run."""

from dataclasses import replace

import numpy as np
import pytest
from phono3py import Phono3py

from phono3py_mlp_plugin.reference import RigidIonNaCl, nacl_dataset
from phono3py_mlp_plugin.workflow import (
    DisplacementOptions,
    ForceConstantsOf,
    displace,
    evaluate,
    request_force_constants,
    solve_force_constants,
    supercells_of,
)


def crystal(size=2, size_fc2=None):
    unitcell, _ = nacl_dataset(1, repeats=1)
    return Phono3py(
        unitcell,
        supercell_matrix=[size] * 3,
        primitive_matrix="F",
        phonon_supercell_matrix=None if size_fc2 is None else [size_fc2] * 3,
    )


SYSTEMATIC = DisplacementOptions(number=None, cutoff_pair=3.5)
RANDOM = DisplacementOptions(number=20, cutoff_pair=4.0)


def by_the_host(ph3, request, names, cutoff):
    """fc2 and fc3 by the host's public methods, as its command calls them."""
    for part in supercells_of(ph3):
        part.set_evaluation(evaluate("rigid ions", RigidIonNaCl(), part.displaced()))
    fc2, fc3 = names.split("|") if "|" in names else (names, names)
    options = None if cutoff is None else f"cutoff = {cutoff}"
    compact = request.is_compact_fc
    ph3.produce_fc3(
        fc_calculator=fc3, fc_calculator_options=options, is_compact_fc=compact
    )
    if fc3 == "traditional":
        ph3.symmetrize_fc3(use_symfc_projector=request.use_symfc_projector)
    if ph3.phonon_supercell_matrix is None and fc3 == "traditional":
        ph3.symmetrize_fc2(use_symfc_projector=request.use_symfc_projector)
    if ph3.phonon_supercell_matrix is not None or fc2 != fc3:
        ph3.produce_fc2(fc_calculator=fc2, is_compact_fc=compact)
        if fc2 == "traditional":
            ph3.symmetrize_fc2()
    if request.cutoff_fc3:
        ph3.cutoff_fc3_by_zero(request.cutoff_fc3)
    return {2: ph3.fc2, 3: ph3.fc3}


@pytest.mark.parametrize(
    ("names", "displacements", "settings", "sizes"),
    [
        ("traditional", SYSTEMATIC, {}, (1, None)),
        ("traditional", SYSTEMATIC, {"is_compact_fc": False}, (1, 2)),
        # symfc has no fc3 of eight atoms.
        pytest.param(
            "traditional",
            SYSTEMATIC,
            {"use_symfc_projector": True},
            (2, None),
            marks=pytest.mark.slow,
        ),
        ("symfc", RANDOM, {}, (2, None)),
        pytest.param(
            "symfc",
            RANDOM,
            {"cutoff_fc3": 3.0, "is_compact_fc": False},
            (2, 1),
            marks=pytest.mark.slow,
        ),
        ("symfc|traditional", SYSTEMATIC, {}, (1, None)),
        ("symfc|traditional", SYSTEMATIC, {}, (1, 2)),
    ],
)
def test_force_constants_of_potentials_are_those_of_the_host(
    names, displacements, settings, sizes
):
    if sizes[1] is not None and names == "symfc":
        displacements = replace(displacements, number_fc2=4)
    ph3, other = crystal(*sizes), crystal(*sizes)
    cutoff = 4.0 if names == "symfc" else None
    texts = None if cutoff is None else f"|cutoff = {cutoff}"
    request = replace(request_force_constants(names, texts), **settings)
    displace(ph3, displacements)
    displace(other, displacements)
    (found,) = ForceConstantsOf(ph3, request, "rigid ions").solve([RigidIonNaCl()])
    expected = by_the_host(other, request, names, cutoff)
    for order in (2, 3):
        # Normal equations against symfc's own: squares of its condition number.
        scale = np.abs(expected[order]).max()
        np.testing.assert_allclose(
            found[order], expected[order], rtol=0, atol=1e-7 * scale
        )


@pytest.mark.slow
def test_potentials_of_several_displacements_do_not_mix():
    """Cells are those of the displacements that a solver was prepared for."""
    ph3 = crystal()
    request = request_force_constants("symfc", "cutoff = 4")
    small = replace(RANDOM, amplitude=0.005)
    displace(ph3, small)
    first = ForceConstantsOf(ph3, request, "rigid ions")
    displace(ph3, replace(RANDOM, amplitude=0.1, seed=3))
    ForceConstantsOf(ph3, request, "rigid ions")
    (found,) = first.solve([RigidIonNaCl()])
    other = crystal()
    displace(other, small)
    (part,) = supercells_of(other)
    part.set_evaluation(evaluate("rigid ions", RigidIonNaCl(), part.displaced()))
    expected = solve_force_constants(other, request)
    np.testing.assert_allclose(
        found[3], expected[3], rtol=0, atol=1e-7 * np.abs(expected[3]).max()
    )


@pytest.mark.slow
def test_first_principles_forces_of_dim_fc2_are_kept():
    """Of a potential ten times softer, fc2 does not change."""
    ph3 = crystal(2, 1)
    request = request_force_constants("symfc", "|cutoff = 4")
    displace(ph3, replace(RANDOM, number_fc2=4))
    _, part = supercells_of(ph3)
    part.set_evaluation(evaluate("rigid ions", RigidIonNaCl(), part.displaced()))
    kept = ForceConstantsOf(ph3, request, "rigid ions", keep_fc2=True)
    one, other = kept.solve([RigidIonNaCl(), Softer()])
    np.testing.assert_array_equal(one[2], other[2])
    np.testing.assert_allclose(other[3], 0.1 * one[3], rtol=1e-6, atol=1e-9)


class Softer(RigidIonNaCl):
    """Rigid ions with a tenth of their forces."""

    def evaluate(self, supercells):
        found = super().evaluate(supercells)
        return replace(found, forces=0.1 * found.forces)

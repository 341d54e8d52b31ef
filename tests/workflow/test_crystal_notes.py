"""What is told about a crystal before the work, and of which crystals nothing is."""

import numpy as np
import pytest
from phono3py import Phono3py
from phonopy.structure.atoms import PhonopyAtoms

from phono3py_mlp_plugin.workflow import charges_note, crystal_notes
from phono3py_mlp_plugin.workflow.crystal_notes import may_be_polar

FCC = [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]


def crystal(symbols="Al", lattice=4.0, sites=FCC, dim=2, **options):
    cell = PhonopyAtoms(
        symbols=[symbols] * len(sites) if isinstance(symbols, str) else symbols,
        cell=lattice * np.eye(3),
        scaled_positions=sites,
    )
    matrix = dim * np.eye(3, dtype=int)
    return Phono3py(cell, supercell_matrix=matrix, primitive_matrix="P", **options)


@pytest.mark.parametrize("formula", ["NaCl", "GaAs", "PbTe", "SiC", "Bi2Te3", "LiNbO3"])
def test_compounds_with_anions_may_be_polar(formula):
    formulas = pytest.importorskip("ase.formula")
    assert may_be_polar(formulas.Formula(formula).count())


@pytest.mark.parametrize(
    "formula", ["Si", "Al", "CuAu", "NiTi", "FeCo", "SiGe", "CH4", "CO2", "Ar", "N2"]
)
def test_elements_alloys_and_molecules_are_no_false_alarm(formula):
    formulas = pytest.importorskip("ase.formula")
    assert not may_be_polar(formulas.Formula(formula).count())


def test_missing_born_charges_are_told():
    salt = crystal(["Na", "Cl", "Na", "Cl"])
    note = charges_note(salt)
    assert note.startswith("there are no Born charges. If this crystal is an insulator")
    salt.nac_params = {
        "born": [np.eye(3) * x for x in (1, -1, 1, -1)],
        "dielectric": 2.3 * np.eye(3),
    }
    assert charges_note(salt) is None


def test_nothing_is_told_about_a_good_crystal():
    assert crystal_notes(crystal()) == []
    assert crystal_notes(crystal(is_symmetry=False)) == []


def moved_by(fraction):
    sites = np.array(FCC)
    sites[0, 0] += fraction
    return sites


@pytest.mark.parametrize("moved", [1e-4, 2e-3])
def test_rounded_coordinates_are_told_with_the_work_that_symmetry_saves(moved):
    sites = moved_by(moved / 4)
    (note,) = crystal_notes(crystal(sites=sites))
    assert "Fm-3m (225) at 0.01" in note
    assert "--tolerance 0.01" in note
    assert crystal_notes(crystal(sites=sites, symprec=1e-2)) == []


def test_distortion_beyond_rounding_is_no_false_alarm():
    sites = moved_by(0.01)
    assert crystal_notes(crystal(sites=sites)) == []


def test_supercell_of_hardly_more_than_neighbours_is_told():
    (note,) = crystal_notes(crystal(dim=1))
    assert note.startswith("half of the width of the supercell = 2.00 angstrom, 0.7 ti")


def test_kappa_of_a_cell_with_vacuum_is_told():
    sites = np.array(FCC) * [1, 1, 0.3]
    (note,) = crystal_notes(crystal(lattice=[4.0, 4.0, 14.0], sites=sites))
    assert "vacuum of 11.9 angstrom along c: kappa refers to the volume" in note


@pytest.mark.parametrize("symbols", ["H", ["H", "H", "He", "He"]])
def test_elements_that_phono3py_makes_up_are_told(symbols):
    (note,) = crystal_notes(crystal(symbols))
    assert "Does the unit cell name its elements?" in note

from __future__ import annotations

import numpy as np
import pytest

from phono3py_mlp_plugin.errors import SolverError
from phono3py_mlp_plugin.solvers.finite_difference import solve
from problems import force_constants_problem, load

NACL = "phono3py_params_NaCl222.yaml.xz"
SI = "phono3py_params_Si111.yaml"


@pytest.mark.parametrize("is_compact_fc", [True, False])
@pytest.mark.parametrize(
    ("name", "primitive_matrix"), [(NACL, "auto"), (SI, "auto"), (SI, "P")]
)
def test_gives_the_bits_of_the_host(host_source, name, primitive_matrix, is_compact_fc):
    host = load(host_source, name, primitive_matrix=primitive_matrix)
    found = solve(force_constants_problem(host, is_compact_fc=is_compact_fc))
    host.produce_fc3(fc_calculator="traditional", is_compact_fc=is_compact_fc)
    assert np.array_equal(found[2], host.fc2)
    assert np.array_equal(found[3], host.fc3)


@pytest.mark.parametrize("is_compact_fc", [True, False])
def test_gives_fc2_of_its_own_supercell(host_source, is_compact_fc):
    host = load(host_source, "phono3py_params_Si-111-222-fd.yaml.xz")
    found = solve(
        force_constants_problem(
            host,
            supercell=host.phonon_supercell,
            primitive=host.phonon_primitive,
            symmetry=host.phonon_supercell_symmetry,
            dataset=host.phonon_dataset,
            orders=(2,),
            is_compact_fc=is_compact_fc,
        )
    )
    host.produce_fc2(fc_calculator="traditional", is_compact_fc=is_compact_fc)
    assert list(found) == [2]
    assert np.array_equal(found[2], host.fc2)


def test_without_symmetry_as_the_host_without_symmetry(host_source):
    crystal = load(host_source, SI)
    crystal.produce_fc3(fc_calculator="traditional", is_compact_fc=False)
    # The host then wants all atoms in the primitive cell.
    host = load(host_source, SI, is_symmetry=False, primitive_matrix="P")
    host.generate_displacements(is_diagonal=False, is_plusminus=False)
    for first in host.dataset["first_atoms"]:
        set_harmonic_forces(host.dataset["natom"], crystal.fc2, first)
    # Every atom of the supercell, not only those that symmetry leaves.
    assert {a["number"] for a in host.dataset["first_atoms"]} == set(range(8))
    found = solve(force_constants_problem(host, is_compact_fc=False))
    host.produce_fc3(fc_calculator="traditional", is_compact_fc=False)
    assert np.array_equal(found[2], host.fc2)
    assert np.array_equal(found[3], host.fc3)


def set_harmonic_forces(n_atoms, fc2, first):
    displacement = np.zeros((n_atoms, 3))
    displacement[first["number"]] = first["displacement"]
    first["forces"] = -np.einsum("ijab,jb->ia", fc2, displacement)
    for second in first["second_atoms"]:
        pair = displacement.copy()
        pair[second["number"]] += second["displacement"]
        second["forces"] = -np.einsum("ijab,jb->ia", fc2, pair)


def test_random_displacements_are_refused_with_a_remedy(host_source):
    host = load(host_source, "phono3py_params-Si111-rd.yaml.xz")
    with pytest.raises(SolverError, match=r"first_atoms.*-d.*symfc"):
        solve(force_constants_problem(host))


def test_fc3_needs_pairs(host_source):
    host = load(host_source, "phono3py_params_Si-111-222-fd.yaml.xz")
    with pytest.raises(SolverError, match="second_atoms"):
        solve(force_constants_problem(host, dataset=host.phonon_dataset))


def test_missing_forces_are_counted(host_source):
    host = load(host_source, SI)
    problem = force_constants_problem(host)
    for second in problem.dataset["first_atoms"][0]["second_atoms"][:2]:
        del second["forces"]
    with pytest.raises(SolverError, match="2 of 16 displacements"):
        solve(problem)


def test_is_silent(host_source, capsys):
    solve(force_constants_problem(load(host_source, SI)))
    assert capsys.readouterr() == ("", "")

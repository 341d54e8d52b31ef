"""Runs whose force constants or potential mean nothing end with one line."""

from __future__ import annotations

import shutil

import numpy as np
import phono3py
import pytest

import phono3py_mlp_plugin as mlp
from phono3py_mlp_plugin.errors import DatasetError, PhysicsError, SolverError
from phono3py_mlp_plugin.host.solvers import is_host_only, set_host_only
from phono3py_mlp_plugin.workflow import read_dataset
from small_model import MODEL, SMALL

RUN = ["phono3py-load", "--pypolymlp", "--random-seed", "1", "--nonac"]
KAPPA = ["--mesh", "5", "5", "5", "--br", "--ts", "300"]
PARAMS = "phono3py_params.yaml"


def one_error(done):
    """Return the one line that a run ends with."""
    assert done.returncode == 1, done.stdout
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("ERROR: "), done.stderr
    return lines[0]


@pytest.mark.slow
def test_supercells_that_leave_fc3_open_are_refused_before_it_is_written(
    run, nacl_folder
):
    model = ["--mlp-params", f"{MODEL}, ntrain=16, ntest=4"]
    line = one_error(run([*RUN, "--rd", "4", *KAPPA, *model, PARAMS], nacl_folder))
    assert "4 pairs of supercells" in line
    assert "--rd N with N >= 5" in line
    assert not list(nacl_folder.glob("fc*.hdf5"))
    # As many as the remedy says do.
    done = run([*RUN, "--rd", "5", *model, PARAMS], nacl_folder)
    assert done.returncode == 0, done.stderr
    for verdict in ("lowest mode", "drift of fc2 and fc3", "test error"):
        assert verdict in done.stdout
    assert "of kappa" not in done.stdout


def previous_forces(ph3):
    return np.roll(ph3.forces, 1, axis=0)


def atoms_in_another_order(ph3):
    return ph3.forces[:, np.random.default_rng(0).permutation(64)]


def noise(ph3):
    rng = np.random.default_rng(0)
    return rng.normal(scale=ph3.forces.std(), size=ph3.forces.shape)


FORCES_OF_OTHERS = [previous_forces, atoms_in_another_order, noise]


def with_forces(path, spoil):
    """Return the crystal of a file, its forces spoilt and energies to them."""
    ph3 = phono3py.load(path, produce_fc=False, log_level=0)
    forces = spoil(ph3)
    ph3.dataset = {
        "displacements": ph3.displacements,
        "forces": forces,
        "supercell_energies": -0.5 * (ph3.displacements * forces).sum(axis=(1, 2)),
    }
    return ph3


@pytest.mark.slow
def test_potential_that_fits_nothing_stops_a_run_without_a_mesh(run, nacl_folder):
    # One supercell trains: forces and structure are right, and the fit is none.
    model = f"{MODEL}, ntrain=1, ntest=20"
    command = [*RUN, "--rd", "8", "--mlp-params", model, PARAMS]
    line = one_error(run(command, nacl_folder))
    assert "--allow-poor-fit" in line
    assert not list(nacl_folder.glob("fc*.hdf5"))
    assert not (nacl_folder / "polymlp.yaml").exists()
    # Told to go on, it is used, and used again only where told so again.
    done = run([*command, "--allow-poor-fit"], nacl_folder)
    assert done.returncode == 0, done.stderr
    assert "look  test error" in done.stdout
    assert "--allow-poor-fit" in one_error(run(command, nacl_folder))


# What is only suspicious is a warning.
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("spoil", FORCES_OF_OTHERS)
def test_potential_that_fits_nothing_is_refused_in_python(nacl_params, spoil):
    ph3 = with_forces(nacl_params, spoil)
    # What is seen in the data alone is told before.
    with pytest.raises((PhysicsError, DatasetError)):
        mlp.train(ph3, options=SMALL)
    ph3.mlp_dataset, ph3.dataset = ph3.dataset, None
    with pytest.raises((PhysicsError, DatasetError)):
        ph3.develop_mlp(params=SMALL)


def test_potential_that_fits_nothing_is_trained_in_python_where_told_so(nacl_params):
    ph3 = phono3py.load(nacl_params, produce_fc=False, log_level=0)
    model = f"{MODEL}, ntrain=1, ntest=20"
    with pytest.raises(PhysicsError, match="allow_poor_fit"):
        mlp.train(ph3, options=model)
    training = mlp.train(ph3, options=model, allow_poor_fit=True)
    assert training.provenance.rmse["test"]["force"] > 0.03


def test_force_constants_left_open_are_refused_in_python(host_source, capsys):
    """Some of the eight atoms move together in every supercell."""
    path = host_source / "test" / "phono3py_params-Si111-rd.yaml.xz"
    ph3 = phono3py.load(path, produce_fc=False, log_level=0)
    with pytest.raises(SolverError, match="do not determine"):
        mlp.solve_force_constants(ph3)
    assert ph3.fc3 is None
    # What the host does with forces of its own stays the host's.
    set_host_only(True)
    ph3.produce_fc3(fc_calculator="symfc")
    assert "WARNING: symfc: the 1000 supercells do not" in capsys.readouterr().err
    set_host_only(False)
    with pytest.raises(SolverError, match="do not determine"):
        ph3.produce_fc3(fc_calculator="symfc")


def test_run_of_the_host_alone_is_warned(run, host_source, tmp_path):
    name = "phono3py_params-Si111-rd.yaml.xz"
    shutil.copy(host_source / "test" / name, tmp_path)
    done = run(["phono3py-load", "--symfc", name], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "WARNING: symfc: the 1000 supercells do not determine" in done.stderr


@pytest.fixture
def si_with_cutoff(host_source, tmp_path, monkeypatch):
    """Si of which 60 of 111 supercells, pairs beyond a cutoff, were not calculated."""
    # phono3py reads force constants that it finds in the working directory.
    monkeypatch.chdir(tmp_path)
    folder = host_source / "test"
    ph3 = phono3py.load(
        folder / "phono3py_si_pbesol.yaml",
        forces_fc3_filename=folder / "FORCES_FC3_si_pbesol",
        produce_fc=False,
        log_level=0,
    )
    pairs = [p for a in ph3.dataset["first_atoms"] for p in a["second_atoms"]]
    assert sum(not pair["forces"].any() for pair in pairs) == 60
    # The file does not tell which they are.
    assert not any("included" in pair for pair in pairs)
    return ph3


@pytest.mark.parametrize("host_only", [True, False])
def test_pairs_beyond_a_cutoff_are_not_compared_with_force_constants_of_the_host(
    si_with_cutoff, capsys, host_only
):
    before = is_host_only()
    set_host_only(host_only)
    try:
        si_with_cutoff.produce_fc3(fc_calculator="traditional", is_compact_fc=True)
    finally:
        set_host_only(before)
    assert capsys.readouterr().err == ""


@pytest.mark.slow
def test_pairs_beyond_a_cutoff_are_not_in_the_dataset(si_with_cutoff):
    ph3 = si_with_cutoff
    dataset = read_dataset(ph3.dataset, ph3.supercell)
    assert len(dataset) == 51
    assert dataset.forces.any(axis=(1, 2)).all()
    solved = mlp.solve_force_constants(ph3, "traditional")
    ph3.produce_fc3(fc_calculator="traditional", is_compact_fc=True)
    np.testing.assert_array_equal(solved[3], ph3.fc3)
    with pytest.raises(SolverError, match="the 51 supercells do not determine"):
        mlp.solve_force_constants(ph3, "symfc")


def test_single_displacement_without_forces_is_not_taken_for_a_pair(si_with_cutoff):
    ph3 = si_with_cutoff
    (first,) = ph3.dataset["first_atoms"]
    first["forces"] = np.zeros_like(first["forces"])
    with pytest.raises(DatasetError, match="snapshot 1: all forces are zero"):
        mlp.train(ph3, options=SMALL)

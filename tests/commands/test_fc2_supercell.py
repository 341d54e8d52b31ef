"""fc2 in a supercell of its own (dim-fc2)."""

import lzma

import numpy as np
import phono3py
import pytest

from small_model import MODEL, force_constants

COMMAND = ["phono3py-load", "--pypolymlp", f"--mlp-params={MODEL}, ntrain=10, ntest=10"]


@pytest.fixture(scope="module")
def mgo(tmp_path_factory, host_source):
    """MgO, 2x2x2 for fc3 and 4x4x4 for fc2: with and without forces for fc2."""
    folder = tmp_path_factory.mktemp("mgo")
    source = host_source / "test/phono3py_params_MgO-222rd-444rd.yaml.xz"
    with lzma.open(source, "rt") as file:
        (folder / "with.yaml").write_text(file.read())
    whole = phono3py.load(folder / "with.yaml", produce_fc=False)
    without = phono3py.Phono3py(
        whole.unitcell,
        supercell_matrix=whole.supercell_matrix,
        primitive_matrix=whole.primitive_matrix,
        phonon_supercell_matrix=whole.phonon_supercell_matrix,
    )
    without.dataset = whole.dataset
    without.nac_params = whole.nac_params
    without.save(folder / "without.yaml")
    return folder


@pytest.mark.slow
def test_first_principles_forces_for_fc2_are_kept(run, mgo, tmp_path):
    done = run([*COMMAND, "-d", str(mgo / "with.yaml")], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "fc2 comes from the first-principles forces of dim-fc2" in done.stdout
    assert "Type-II" not in done.stdout
    ours = force_constants(tmp_path)
    assert ours["fc2"].shape == (2, 512, 3, 3)

    direct = phono3py.load(mgo / "with.yaml", produce_fc=False)
    direct.produce_fc2(fc_calculator="symfc")
    np.testing.assert_array_equal(ours["fc2"], direct.fc2)


@pytest.mark.slow
def test_potential_evaluates_the_supercells_of_fc2(run, mgo, tmp_path):
    done = run([*COMMAND, "-d", str(mgo / "without.yaml")], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "fc2 comes from pypolymlp: evaluate forces in 4 supercells" in done.stdout
    ours = force_constants(tmp_path)
    direct = phono3py.load(mgo / "with.yaml", produce_fc=False)
    direct.produce_fc2(fc_calculator="symfc")
    # A cutoff of 5 angstrom cannot know the long range; the stiff elements agree.
    on_site = [(0, 0), (1, 256)]
    for i, j in on_site:
        np.testing.assert_allclose(ours["fc2"][i, j], direct.fc2[i, j], atol=0.5)
    evaluated = phono3py.load(
        tmp_path / "phono3py_mlp_eval_dataset.yaml", produce_fc=False
    )
    assert evaluated.phonon_forces.shape == (4, 512, 3)


def test_options_that_first_principles_forces_make_void_are_refused(
    run, two_supercells
):
    done = run([*COMMAND, "--rd", "4", "--rd-fc2", "2", "with.yaml"], two_supercells)
    assert done.returncode == 1
    message = "--rd-fc2 = 2: the dataset has first-principles forces for fc2."
    assert f"ERROR: {message}" in done.stderr
    assert not (two_supercells / "polymlp.yaml").exists()


def test_number_and_amplitude_of_their_own(run, two_supercells):
    options = ["--rd", "10", "--rd-fc2", "2", "--amplitude-fc2", "0.02"]
    done = run([*COMMAND, *options, "without.yaml"], two_supercells)
    assert done.returncode == 0, done.stderr
    evaluated = phono3py.load(
        two_supercells / "phono3py_mlp_eval_dataset.yaml", produce_fc=False
    )
    assert len(evaluated.displacements) == 20
    assert len(evaluated.phonon_displacements) == 4
    lengths = np.linalg.norm(evaluated.phonon_displacements, axis=2)
    np.testing.assert_allclose(lengths, 0.02, atol=1e-12)
    assert force_constants(two_supercells)["fc2"].shape == (2, 54, 3, 3)

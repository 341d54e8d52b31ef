"""Documentation, steps 5-7: systematic displacements (-d) to force constants."""

import numpy as np
import pytest

from host_features import needs_pypolymlp
from small_model import assert_same_force_constants, force_constants

COMMAND = ["phono3py-load", "--pypolymlp", "-d", "phono3py.yaml"]


@pytest.mark.slow
@pytest.mark.real_process
def test_force_constants_are_those_of_the_plain_host_within_rounding(
    run, run_plain, nacl_trained, plain_nacl_trained
):
    done = run(COMMAND, nacl_trained)
    assert "Engine: native" in done.stdout
    assert run_plain(COMMAND, plain_nacl_trained).returncode == 0
    # Forces agree to 1e-12 eV/angstrom; finite differences at 0.01 angstrom divide this
    # by 0.01 for fc2 and by 1e-4 for fc3.
    ours, theirs = force_constants(nacl_trained), force_constants(plain_nacl_trained)
    np.testing.assert_allclose(ours["fc2"], theirs["fc2"], atol=1e-10)
    np.testing.assert_allclose(ours["fc3"], theirs["fc3"], atol=1e-8)


@pytest.mark.slow
def test_the_library_gives_every_bit_of_the_plain_host(
    run, run_plain, nacl_trained, plain_nacl_trained
):
    done = run([*COMMAND, "--mlp-params", "engine = pypolymlp"], nacl_trained)
    assert done.returncode == 0, done.stderr
    assert "Evaluate forces in 292 supercells by pypolymlp" in done.stdout
    plain = run_plain(COMMAND, plain_nacl_trained)
    assert plain.returncode == 0, plain.stderr
    assert_same_force_constants(nacl_trained, plain_nacl_trained)
    # phono3py.yaml holds the options of the command, which differ.
    name = "phono3py_mlp_eval_dataset.yaml"
    theirs = (plain_nacl_trained / name).read_text().replace("mlp_params:", "")
    assert set(theirs.splitlines()) <= set(
        (nacl_trained / name).read_text().splitlines()
    )


def test_second_run_uses_the_force_constants_again(run, trained):
    assert run(COMMAND, trained).returncode == 0
    names = ("fc2.hdf5", "fc3.hdf5", "phono3py_mlp_eval_dataset.yaml", "polymlp.yaml")
    before = [(trained / name).read_bytes() for name in names]
    done = run(COMMAND, trained)
    assert "were computed from the same: used again" in done.stdout
    assert "Evaluate forces" not in done.stdout
    assert [(trained / name).read_bytes() for name in names] == before
    assert not list(trained.glob("*.bak"))


def test_other_amplitude_computes_them_anew_and_keeps_the_old(run, trained):
    assert run(COMMAND, trained).returncode == 0
    old = (trained / "fc3.hdf5").read_bytes()
    done = run([*COMMAND, "--amplitude", "0.02"], trained)
    assert done.returncode == 0, done.stderr
    assert "Displacement distance: 0.02" in done.stdout
    assert (trained / "fc3.hdf5.bak").read_bytes() == old
    assert (trained / "fc3.hdf5").read_bytes() != old


@needs_pypolymlp
def test_force_constants_of_unknown_origin_are_used_and_said_so(
    run, trained, run_plain, plain_trained
):
    assert run_plain(COMMAND, plain_trained).returncode == 0
    for name in ("fc2.hdf5", "fc3.hdf5"):
        (trained / name).write_bytes((plain_trained / name).read_bytes())
    done = run(COMMAND, trained)
    assert done.returncode == 0, done.stderr
    assert "do not say what they were computed from: used as they are" in done.stdout
    assert_same_force_constants(trained, plain_trained)


def test_fc3_alone_is_computed_anew_where_only_fc2_is_to_be_read(run, trained):
    assert run(COMMAND, trained).returncode == 0
    old = (trained / "fc2.hdf5").read_bytes()
    done = run([*COMMAND, "--no-read-fc3", "--amplitude", "0.02"], trained)
    assert done.returncode == 0, done.stderr
    assert (trained / "fc3.hdf5").is_file()
    assert (trained / "fc2.hdf5.bak").read_bytes() == old


@pytest.mark.slow
@pytest.mark.real_process
def test_kappa_without_d_implies_it(run, trained):
    done = run(
        [
            "phono3py-load",
            "--pypolymlp",
            "--br",
            "--mesh",
            "5",
            "5",
            "5",
            "phono3py.yaml",
        ],
        trained,
    )
    assert done.returncode == 0, done.stderr
    assert "Systematic displacements (-d) are generated" in done.stdout
    assert (trained / "kappa-m555.hdf5").is_file()


def test_pairs_beyond_a_cutoff_are_not_evaluated(run, trained):
    done = run([*COMMAND, "--cutoff-pair", "3.0"], trained)
    assert done.returncode == 0, done.stderr
    count = int(done.stdout.split("Evaluate forces in ")[1].split()[0])
    assert 4 < count < 292
    assert (trained / "fc3.hdf5").is_file()

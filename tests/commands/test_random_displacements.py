"""Documentation, steps 5-7: random displacements (--rd) to force constants."""

import phono3py
import pytest

from small_model import assert_same_force_constants

SEEDED = ["phono3py-load", "--pypolymlp", "--random-seed", "3", "phono3py.yaml"]


@pytest.mark.slow
def test_symfc_is_chosen_at_once_and_said_so(
    run, run_plain, nacl_trained, plain_nacl_trained
):
    library = ["--mlp-params", "engine = pypolymlp"]
    done = run([*SEEDED, "--rd", "30", *library], nacl_trained)
    assert done.returncode == 0, done.stderr
    assert "Random displacements are solved by symfc" in done.stdout
    assert "Type-II" not in done.stdout
    assert "Evaluate forces in 60 supercells" in done.stdout
    assert run_plain([*SEEDED, "--rd", "30"], plain_nacl_trained).returncode == 0
    assert_same_force_constants(nacl_trained, plain_nacl_trained)
    name = "phono3py_mlp_eval_dataset.yaml"
    assert (nacl_trained / name).read_bytes() == (
        plain_nacl_trained / name
    ).read_bytes()


@pytest.mark.slow
@pytest.mark.real_process
def test_documented_command(run, nacl_trained):
    command = ["phono3py-load", "--pypolymlp", "--rd", "200", "phono3py.yaml"]
    done = run(command, nacl_trained)
    assert done.returncode == 0, done.stderr
    assert "Evaluate forces in 400 supercells" in done.stdout


@pytest.mark.slow
def test_amplitude(run, nacl_trained):
    command = "phono3py-load --pypolymlp --rd 20 --amplitude 0.005 phono3py.yaml"
    done = run(command.split(), nacl_trained)
    assert done.returncode == 0, done.stderr
    evaluated = phono3py.load(
        nacl_trained / "phono3py_mlp_eval_dataset.yaml", produce_fc=False
    )
    assert evaluated.displacements.shape == (40, 64, 3)
    lengths = (evaluated.displacements**2).sum(axis=2) ** 0.5
    assert abs(lengths - 0.005).max() < 1e-12


def test_symfc_can_be_asked_to_iterate(run, nacl_trained):
    """Host's symfc would not read it; the result is compared with the forces."""
    options = ["--fc-calculator", "symfc"]
    options += ["--fc-calculator-options", "method = iterative, cutoff = 5"]
    done = run([*SEEDED, "--rd", "10", *options], nacl_trained)
    assert done.returncode == 0, done.stderr
    assert "Force constants by iteration" in done.stdout


def test_too_few_supercells_for_the_force_constants_are_refused(run, nacl_trained):
    done = run([*SEEDED, "--rd", "1"], nacl_trained)
    assert done.returncode == 1
    assert "ERROR: symfc: 1 pairs of supercells give 189 equations for" in done.stderr
    assert "--rd N with N >= 5" in done.stderr
    assert not (nacl_trained / "fc3.hdf5").exists()


@pytest.mark.slow
def test_number_by_rd_auto_and_its_factor(run, nacl_trained):
    numbers = []
    # A factor of 1 gives four pairs, two equations fewer than fc3 needs: the fc3 that
    # symfc made of them gave eleven times its forces at other displacements.
    for factor, code in (("1", 1), ("2", 0), ("4", 0)):
        done = run([*SEEDED, "--rd", "auto", "--rd-auto-factor", factor], nacl_trained)
        assert done.returncode == code, done.stderr
        assert ("--rd N with N >= 5" in done.stderr) == bool(code)
        numbers.append(int(done.stdout.split("Evaluate forces in ")[1].split()[0]))
    assert numbers == [8, 16, 32]

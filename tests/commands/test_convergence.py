"""Documentation, convergence with the number of supercells: four runs, one folder."""

import pytest

from small_model import MODEL, kappa_300


@pytest.mark.slow
def test_four_runs_in_one_folder_yield_four_potentials_and_kappas(run, folder):
    potentials, kappas = [], []
    for n in (20, 40, 60, 80):
        done = run(
            [
                "phono3py-load",
                "--pypolymlp",
                f"--mlp-params=ntrain={n}, ntest=20, {MODEL}",
                "--br",
                "--mesh",
                "20",
                "phono3py_params.yaml",
            ],
            folder,
        )
        assert done.returncode == 0, done.stderr
        potentials.append((folder / "polymlp.yaml").read_bytes())
        kappas.append(kappa_300(folder))
        if n > 20:
            assert f"ntrain = {n - 20}, now {n}: trained anew" in done.stdout
            assert (folder / "polymlp.yaml.bak").read_bytes() == potentials[-2]
    assert len(set(potentials)) == 4
    assert len(set(kappas)) == 4
    # The four differ by what the number of supercells changes, a few per cent.
    assert max(kappas) / min(kappas) < 1.05


def test_same_run_again_trains_nothing(run, folder):
    command = ["phono3py-load", "--pypolymlp", f"--mlp-params=ntrain=20, {MODEL}"]
    command += ["--br", "--mesh", "5", "5", "5", "phono3py_params.yaml"]
    first = run(command, folder)
    assert first.returncode == 0, first.stderr
    kappa = kappa_300(folder)
    again = run(command, folder)
    assert again.returncode == 0, again.stderr
    assert "trained on the same data and parameters: used again" in again.stdout
    assert "computed from the same: used again" in again.stdout
    assert kappa_300(folder) == kappa

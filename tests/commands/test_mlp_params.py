"""Documentation, parameters of the potential: --mlp-params."""

import pytest

from small_model import MODEL, SMALL, errors_shown


def test_documented_split(run, folder):
    done = run(
        [
            "phono3py-load",
            "phono3py_params.yaml",
            "--pypolymlp",
            f"--mlp-params=ntrain=80, ntest=20, {MODEL}",
        ],
        folder,
    )
    assert done.returncode == 0, done.stderr
    shown = errors_shown(done.stdout)
    assert (shown["training"][0], shown["test"][0]) == (80, 20)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ("cutof=5", "unknown parameter 'cutof'. Did you mean 'cutoff'?"),
        ("ntrain 20", "'ntrain 20' is not of the form 'key = value'"),
        ("ntrain=90, ntest=20", "overlap"),
        ("ntrain=0", "ntrain = 0; expected 1 to 99"),
        ("ntrain=abc", "ntrain = abc; expected an integer"),
        ("max_p=2.0", "max_p = 2.0; expected an integer"),
        ("model_type=9", "model_type = 9; expected one of 1, 2, 3, 4"),
        ("gaussian_params2=0 4", "gaussian_params2 = 0 4; expected 3 values"),
        ("atom_energies=Na -1.0", "atom_energies lacks Cl"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(run, folder, params, message):
    before = sorted(p.name for p in folder.iterdir())
    done = run(
        [
            "phono3py-load",
            "phono3py_params.yaml",
            "--pypolymlp",
            "--mlp-params",
            params,
        ],
        folder,
    )
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("ERROR: ")
    assert message in line
    assert sorted(p.name for p in folder.iterdir()) == before


def test_potentials_of_all_penalties(run, folder):
    done = run(
        [
            "phono3py-load",
            "phono3py_params.yaml",
            "--pypolymlp",
            "--mlp-params",
            f"{SMALL}, optimal = .false.",
        ],
        folder,
    )
    assert done.returncode == 0, done.stderr
    versions = sorted(p.name for p in folder.glob("polymlp.yaml.v*"))
    assert versions == [f"polymlp.yaml.v0{i}" for i in range(1, 6)]
    log = (folder / "polymlp.log").read_text()
    assert all(f"mlp file:  {name}" in log for name in versions)

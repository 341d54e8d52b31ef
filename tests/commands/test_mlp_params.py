"""Documentation, parameters of the potential: --mlp-params."""

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


def test_parameters_in_a_configuration_file(run, folder):
    (folder / "run.conf").write_text(f"MLP_PARAMS = {MODEL}, +++\n ntrain=8, ntest=4\n")
    command = ["phono3py-load", "--pypolymlp", "--config", "run.conf"]
    done = run([*command, "phono3py_params.yaml"], folder)
    assert done.returncode == 0, done.stderr
    shown = errors_shown(done.stdout)
    assert (shown["training"][0], shown["test"][0]) == (8, 4)

"""Packages of others, installed by pip: the good one is used, bad ones are named."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from conftest import TIMEOUT
from fork_server import AVAILABLE, ForkServer
from small_model import force_constants

pytestmark = pytest.mark.real_process

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def install(tmp_path_factory):
    """Install one of the packages beside this file; return its environment."""

    def install_package(*names):
        target = tmp_path_factory.mktemp("site")
        for name in names:
            command = [sys.executable, "-m", "pip", "install", "--no-deps", "--quiet"]
            command += ["--no-build-isolation", "--target", str(target)]
            subprocess.run([*command, str(HERE / name)], check=True)
        path = [str(target), *filter(None, [os.environ.get("PYTHONPATH")])]
        return {**os.environ, "PYTHONPATH": os.pathsep.join(path)}

    return install_package


@pytest.fixture(scope="module")
def springs(install):
    return install("third_party")


def command(args, cwd, env):
    program = Path(sys.executable).parent / args[0]
    return subprocess.run(
        [str(program), *args[1:]], cwd=cwd, env=env, capture_output=True, text=True
    )


def test_third_party_code_is_one_page():
    source = (HERE / "third_party/phono3py_mlp_springs.py").read_text()
    assert len(source.splitlines()) <= 90


def test_listed_with_its_package_and_version(springs, tmp_path):
    done = command(["phono3py-mlp", "plugins"], tmp_path, springs)
    assert done.returncode == 0, done.stderr
    assert "springs" in done.stdout
    assert "1.2" in done.stdout
    done = command(["phono3py-mlp", "plugins", "mine"], tmp_path, springs)
    assert "skip = 0" in done.stdout


def test_calculator_and_solver_in_phono3py_load(springs, tmp_path, nacl_params):
    (tmp_path / "phono3py_params.yaml").write_bytes(Path(nacl_params).read_bytes())
    load = ["phono3py-load", "phono3py_params.yaml", "--rd", "6", "--random-seed", "1"]
    load += ["--force-calculator", "springs", "--force-calculator-options", "k = 4.5"]
    done = command(
        [*load, "--fc-calc", "mine", "--fc-calc-opt", "cutoff = 4"], tmp_path, springs
    )
    assert done.returncode == 0, done.stderr
    assert "Evaluate forces in 12 supercells by springs" in done.stdout
    mine = force_constants(tmp_path)
    for path in tmp_path.glob("fc*"):
        path.unlink()
    done = command(
        [*load, "--fc-calc", "symfc", "--fc-calc-opt", "cutoff = 4"], tmp_path, springs
    )
    assert done.returncode == 0, done.stderr
    for name, reference in force_constants(tmp_path).items():
        # Not bit for bit: symfc finds the symmetry itself here, the host gives it.
        np.testing.assert_allclose(mine[name], reference, atol=1e-8)
    # A spring between neighbours along x, at its length: fc2_xx = -k.
    assert np.isclose(mine["fc2"][0].min(), -4.5, atol=0.05)


def test_wrong_options_are_refused(springs, tmp_path, analytic_params):
    load = [
        "phono3py-load",
        str(analytic_params),
        "-d",
        "--force-calculator",
        "springs",
    ]
    done = command([*load, "--force-calculator-options", "kk = 1"], tmp_path, springs)
    assert done.returncode == 1
    assert "unknown parameter 'kk'" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_calculator_and_solver_in_a_script(springs, tmp_path, nacl_params):
    program = f"""
import phono3py, phono3py_mlp_plugin as mlp
ph3 = phono3py.load({str(nacl_params)!r}, produce_fc=False, log_level=0)
ph3.generate_displacements(distance=0.01, number_of_snapshots=6, random_seed=1)
mlp.evaluate(ph3, mlp.load_potential(calculator="springs", options=dict(k=4.5)))
fc = mlp.solve_force_constants(ph3, "mine", dict(cutoff=4.0, skip=1))
other = ph3.fc3.copy()
ph3.produce_fc3(fc_calculator="mine", fc_calculator_options="cutoff = 4, skip = 1")
print(fc[2][0].min(), abs(ph3.fc3 - other).max())
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=springs,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    smallest, difference = map(float, done.stdout.split()[-2:])
    assert np.isclose(smallest, -4.5, atol=0.05)
    assert difference < 1e-10


@pytest.mark.slow
def test_broken_package_is_named_and_stops_nothing_else(install, tmp_path):
    environment = install("broken", "misspelt")
    done = command(["phono3py-mlp", "plugins"], tmp_path, environment)
    assert done.returncode == 0, done.stderr
    text = " ".join(done.stdout.split())
    assert "broken of phono3py-mlp-broken 1.2 could not be loaded" in text
    assert "No module named 'no_such_library'" in text
    assert "misspelt of phono3py-mlp-misspelt 1.2 could not be loaded" in text
    done = command(
        ["phono3py-load", "--force-calculator", "broken", "x.yaml"],
        tmp_path,
        environment,
    )
    assert done.returncode == 1


def test_name_offered_twice_names_both_packages(install, tmp_path):
    environment = install("rival")
    done = command(["phono3py-mlp", "plugins"], tmp_path, environment)
    assert done.returncode == 1
    assert done.stderr.startswith(
        "ERROR: 'symfc' is offered by both phono3py-mlp-plugin"
    )
    assert "phono3py-mlp-rival 1.2: uninstall one." in done.stderr


@pytest.fixture(scope="module")
def unruly(install):
    """Run commands beside the unruly plugin: ``unruly(words, folder, NAME=value)``."""
    environment = install("unruly")
    server = ForkServer(environment=environment) if AVAILABLE else None

    def run(words, cwd, **more):
        if server is None:
            return command(words, cwd, {**environment, **more})
        program = Path(sys.executable).parent / words[0]
        return server.run([program, *words[1:]], cwd, TIMEOUT, more)

    yield run
    if server is not None:
        server.close()


# Its forces are zero, which is allowed here.
UNRULY = ["phono3py-load", "phono3py_params.yaml", "-d", "--allow-poor-fit"]
UNRULY += ["--force-calculator", "unruly"]
WAYS = [
    ("shape", "has shape"),
    ("nan", "holds numbers that are not finite"),
    ("raise", "'unruly' failed: 'inside'"),
    ("exit", "'unruly' failed: I have seen enough"),
    ("lines", "'unruly' failed: one line and another and a third"),
    ("leave", "'unruly' failed: it called sys.exit(0)"),
    ("end", "exit code 0 before the run was finished. A plugin or library has ended"),
    ("chdir", "'unruly' failed: it changed the working directory to /; expected"),
    ("complex", "is of type complex128; expected a numpy.ndarray of float64"),
    ("huge", "holds 1e+300 at ("),
]


@pytest.mark.parametrize("kind", ["calculator", "solver"])
@pytest.mark.parametrize(("way", "message"), WAYS)
def test_unruly_plugin_is_named_and_makes_no_file(
    unruly, tmp_path, analytic_params, kind, way, message
):
    (tmp_path / "phono3py_params.yaml").write_bytes(Path(analytic_params).read_bytes())
    if kind == "calculator":
        options = ["--force-calculator-options", f"way = {way}"]
    else:
        options = ["--fc-calculator", "unruly", "--fc-calc-opt", f"way = {way}"]
    done = unruly([*UNRULY, *options], tmp_path)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("ERROR: ")
    assert message in line
    assert "unruly" in line
    assert not list(tmp_path.glob("*.hdf5"))
    assert not list(tmp_path.glob(".phono3py-mlp*"))


def test_plugin_that_changes_the_process_leaves_the_run_as_it_was(
    unruly, tmp_path, analytic_params
):
    (tmp_path / "phono3py_params.yaml").write_bytes(Path(analytic_params).read_bytes())
    options = ["--force-calculator-options", "way = streams"]
    done = unruly([*UNRULY, *options], tmp_path)
    assert done.returncode == 0, done.stderr
    assert 'Summary of calculation was written in "phono3py.yaml"' in done.stdout
    assert (tmp_path / "fc3.hdf5").stat().st_mode & 0o400


@pytest.mark.parametrize("words", [["phono3py-mlp", "plugins"], UNRULY])
@pytest.mark.parametrize(
    ("way", "message"),
    [
        ("end", "exit code 0 before the run was finished"),
        ("leave", "it called sys.exit(0)"),
        ("hook", "it called sys.exit(0)"),
    ],
)
def test_plugin_that_ends_the_process_where_it_is_found_is_named(
    unruly, tmp_path, analytic_params, words, way, message
):
    (tmp_path / "phono3py_params.yaml").write_bytes(Path(analytic_params).read_bytes())
    done = unruly(words, tmp_path, UNRULY_IMPORT=way)
    told = " ".join((done.stdout + done.stderr).split())
    assert message in told
    assert "unruly of phono3py-mlp-unruly 1.0" in told
    # A list of plugins names the broken ones, unless it has been ended itself.
    lists = words is not UNRULY and way != "end"
    assert done.returncode == (0 if lists else 1), done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["phono3py_params.yaml"]


def test_plugin_may_talk_and_hold_what_cannot_be_copied(
    unruly, tmp_path, analytic_params
):
    (tmp_path / "phono3py_params.yaml").write_bytes(Path(analytic_params).read_bytes())
    options = ["--force-calculator-options", "way = talk"]
    done = unruly([*UNRULY, *options], tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("working") >= 200_000
    assert sorted(path.name for path in tmp_path.glob("*.hdf5")) == [
        "fc2.hdf5",
        "fc3.hdf5",
    ]

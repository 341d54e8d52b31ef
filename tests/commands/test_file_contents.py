"""Files count by what is in them, and nothing that is no file is waited for."""

import os
import shutil

import h5py
import numpy as np
import pytest

from phono3py_mlp_plugin.errors import PotentialError, SolverError
from phono3py_mlp_plugin.files import CHANGED, STAMP, read_stamp
from phono3py_mlp_plugin.workflow import (
    check_found_force_constants,
    decide_force_constants,
    force_constants_versions,
    missing_stamps,
    origin_of,
    request_calculator,
)
from small_model import MODEL, force_constants

# A crystal of soft spheres, whose strength stands in a file.
SPHERES = """
from pathlib import Path
from ase.calculators.lj import LennardJones

class Spheres(LennardJones):
    def __init__(self, model="model.txt"):
        epsilon = float(Path(model).read_text())
        super().__init__(epsilon=epsilon, sigma=2.5, rc=5.0)
"""


@pytest.fixture
def spheres(folder, monkeypatch):
    """A folder with such a calculator, and the command that uses it."""
    pytest.importorskip("ase")
    (folder / "spheres.py").write_text(SPHERES)
    (folder / "model.txt").write_text("0.1")
    paths = [str(folder), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    options = "calculator = spheres:Spheres, model = model.txt"
    return [
        *("phono3py-load", "phono3py_params.yaml", "-d", "--force-calculator", "ase"),
        *("--force-calculator-options", options),
    ]


def finished(run, command, folder):
    done = run(command, folder)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    return done.stdout


@pytest.mark.slow
def test_force_constants_follow_the_file_and_the_code_that_options_name(
    run, folder, spheres
):
    finished(run, spheres, folder)
    first = force_constants(folder)
    assert "from the same: used again" in finished(run, spheres, folder)
    (folder / "model.txt").write_text("0.2")
    assert "from something else: computed anew" in finished(run, spheres, folder)
    second = force_constants(folder)
    for name, array in first.items():
        # Forces are proportional to the strength; rounding of least squares remains.
        scale = np.abs(array).max()
        np.testing.assert_allclose(second[name], 2 * array, atol=1e-8 * scale)
    (folder / "spheres.py").write_text(SPHERES.replace("2.5", "2.4"))
    assert "from something else: computed anew" in finished(run, spheres, folder)


@pytest.mark.slow
def test_force_constants_changed_afterwards_are_computed_anew(run, folder, spheres):
    finished(run, spheres, folder)
    before = force_constants(folder)
    with h5py.File(folder / "fc3.hdf5", "r+") as file:
        file["fc3"][...] *= 2
    said = finished(run, spheres, folder)
    assert '"fc3.hdf5" was changed after it was written: computed anew.' in said
    for name, array in before.items():
        np.testing.assert_array_equal(force_constants(folder)[name], array)
    with h5py.File(folder / "fc3.hdf5.bak") as file:
        np.testing.assert_array_equal(file["fc3"][()], 2 * before["fc3"])


@pytest.fixture
def foreign(folder, spheres, run):
    """A folder with force constants that do not say where they came from."""
    finished(run, spheres, folder)
    for name in ("fc2.hdf5", "fc3.hdf5"):
        with h5py.File(folder / name, "r+") as file:
            file.attrs.clear()
    return folder


@pytest.mark.slow
def test_damaged_force_constants_of_others_are_told_in_one_line(
    run, foreign, spheres, analytic_params, monkeypatch
):
    from phono3py_mlp_plugin.host.reading import read_crystal

    monkeypatch.chdir(foreign)
    assert "do not say what they were computed from" in finished(run, spheres, foreign)
    ph3 = read_crystal(analytic_params)
    paths = [foreign / "fc2.hdf5", foreign / "fc3.hdf5"]
    check_found_force_constants(ph3, paths)
    with h5py.File(paths[0], "r+") as file:
        file["force_constants"][0, 0, 0, 0] = np.nan
    with pytest.raises(SolverError, match="force_constants = not finite"):
        check_found_force_constants(ph3, paths)
    done = run(spheres, foreign)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        'ERROR: "fc2.hdf5": force_constants = not finite; expected finite numbers. '
        "Remove it to compute it anew."
    ]


def test_stamps_that_the_host_did_not_write_are_noticed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = ("fc2.hdf5", "fc3.hdf5")
    assert missing_stamps(names, "wanted") == []
    for name in names:
        with h5py.File(name, "w") as file:
            file["fc3"] = np.zeros(3)
    with h5py.File("fc2.hdf5", "r+") as file:
        file.attrs[STAMP] = "wanted"
    (line,) = missing_stamps(names, "wanted")
    assert line.startswith('Note: "fc2.hdf5" and "fc3.hdf5" could not be marked')
    assert read_stamp(tmp_path / "fc2.hdf5") != "wanted"


def test_changed_files_are_named_in_the_decision():
    names = ("fc2.hdf5", "fc3.hdf5")
    decision = decide_force_constants(dict.fromkeys(names, CHANGED), names, "wanted")
    assert not decision.reuse
    assert decision.reason == (
        '"fc2.hdf5" and "fc3.hdf5" were changed after they were written: computed anew.'
    )


def test_origin_of_a_potential_follows_options_files_and_engine(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.txt").write_text("1")

    def origin(options, engine=""):
        return origin_of(request_calculator("ase", options), None, engine)

    one = {"calculator": "m:C", "model": "model.txt"}
    first = origin(one)
    assert first == origin(one)
    assert first != origin({**one, "more": "1"})
    assert first != origin(one, "other 1.0")
    (tmp_path / "model.txt").write_text("2")
    assert first != origin(one)


def test_versions_of_all_that_gives_force_constants_are_known():
    found = force_constants_versions(["symfc|hiphive", None])
    assert {"phono3py", "phonopy", "symfc", "phono3py-mlp-plugin"} <= set(found)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("phono3py_params.yaml", []),
        ("polymlp.yaml", []),
        ("fc3.hdf5", []),
        ("BORN", []),
        ("given.pmlp", ["--mlp-file", "given.pmlp"]),
        ("given.conf", ["--config", "given.conf"]),
    ],
)
def test_pipe_in_the_place_of_a_file_is_not_waited_for(run, trained, name, options):
    (trained / name).unlink(missing_ok=True)
    os.mkfifo(trained / name)
    done = run(["phono3py-load", "phono3py.yaml", "--pypolymlp", *options], trained)
    assert done.returncode == 1
    assert done.stderr == (
        f"ERROR: {name}: a named pipe; expected a regular file. Move it away.\n"
    )


@pytest.mark.parametrize("command", ["converge", "report", "import"])
def test_pipe_is_not_waited_for_by_our_own_commands(
    tmp_path, monkeypatch, capsys, command, analytic_params
):
    from phono3py_mlp_plugin.cli import main

    monkeypatch.chdir(tmp_path)
    shutil.copy(analytic_params, tmp_path / "phono3py_params.yaml")
    os.mkfifo(tmp_path / "fifo.yaml")
    words = {
        "converge": ["fifo.yaml", "--mesh", "3"],
        "report": ["fifo.yaml"],
        "import": ["fifo.yaml", "--supercell", "phono3py_params.yaml"],
    }[command]
    assert main([command, *words]) == 1
    assert capsys.readouterr().err.startswith("ERROR: fifo.yaml: a named pipe;")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--rd", "2", "--cutoff-pair", "2.5"], "--cutoff-pair = 2.5 angstrom"),
        (["-d", "--cutoff-fc3", "1"], "--cutoff-fc3 = 1 angstrom"),
        (
            ["--rd", "2", "--fc-calc-opt", "cutoff = 2"],
            "--fc-calculator-options: cutoff = 2 angstrom",
        ),
    ],
)
def test_solver_cutoff_shorter_than_all_bonds_is_refused(run, trained, options, says):
    done = run(["phono3py-load", "phono3py.yaml", "--pypolymlp", *options], trained)
    assert done.returncode == 1
    assert done.stderr.startswith(f"ERROR: {says}; expected more than 2.8")


@pytest.mark.parametrize(
    ("cutoff", "says"),
    [
        ("2.5", "the nearest neighbour of atom .* is 2.* angstrom away"),
        ("1.0e+6", "neighbours of each atom; expected at most 20,000"),
    ],
)
@pytest.mark.parametrize("engine", ["native", "pypolymlp"])
def test_cutoff_against_the_crystal_on_every_road(
    analytic_params, training_run, tmp_path, cutoff, says, engine
):
    import phono3py

    import phono3py_mlp_plugin

    if engine == "pypolymlp":
        pytest.importorskip("pypolymlp")
    ph3 = phono3py.load(analytic_params, produce_fc=False, log_level=0)
    options = MODEL.replace("5.0", cutoff) + f", engine={engine}"
    with pytest.raises(PotentialError, match=says):
        phono3py_mlp_plugin.train(ph3, options=options)
    text = (training_run[1] / "polymlp.yaml").read_text()
    lines = [
        f"cutoff: {cutoff}" if line.startswith("cutoff:") else line
        for line in text.splitlines()
    ]
    path = tmp_path / "polymlp.yaml"
    path.write_text("\n".join(lines) + "\n")
    potential = phono3py_mlp_plugin.load_potential(path, options=f"engine={engine}")
    with pytest.raises(PotentialError, match=says):
        phono3py_mlp_plugin.evaluate(ph3, potential)

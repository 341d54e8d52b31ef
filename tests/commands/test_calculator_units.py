"""The same crystal in other units has the same kappa, by every command."""

import json
from pathlib import Path

import phono3py
import pytest

from small_model import MODEL, kappa_300
from units import MISSING, OWN, write_in_units

TRANSPORT = ["--mesh", "5", "5", "5", "--br", "--ts", "300", "--sigma", "0.3"]
DISPLACEMENTS = ["--rd", "8", "--random-seed", "0"]

# Inputs differ by rounding (1e-15), and training sums in another order in the two
# commands: 1e-5 of kappa. The tetrahedron method would turn rounding into a percent.
TOLERANCE = 1e-3

# Of the file in angstrom and eV, by phono3py-load (W/m-K).
KAPPA = 21.413


@pytest.fixture(scope="module")
def crystal(analytic_params):
    return phono3py.load(analytic_params, produce_fc=False, log_level=0)


def by_load(run, folder):
    options = ["--mlp-params", f"{MODEL}, ntrain=20, ntest=20"]
    command = ["phono3py-load", "phono3py_params.yaml", "--pypolymlp", *options]
    done = run([*command, *DISPLACEMENTS, *TRANSPORT], folder)
    assert done.returncode == 0, done.stderr
    return kappa_300(folder)


def by_converge(run, folder):
    options = ["--mlp-params", f"{MODEL}, ntest=20", "--sizes", "20", "--members", "2"]
    command = ["phono3py-mlp", "converge", "phono3py_params.yaml", *options]
    done = run([*command, *DISPLACEMENTS, *TRANSPORT], folder)
    assert done.returncode == 0, done.stderr
    text = (folder / "phono3py_mlp_convergence.json").read_text()
    (point,) = json.loads(text)["points"]
    return point["kappa"][0][0]


@pytest.mark.slow
def test_converge_finds_kappa_of_a_file_in_rydberg(run, tmp_path, crystal):
    write_in_units(crystal, "qe", tmp_path / "phono3py_params.yaml", OWN)
    assert by_converge(run, tmp_path) == pytest.approx(KAPPA, rel=TOLERANCE)


@pytest.mark.slow
def test_all_commands_read_a_file_in_hartree_without_a_factor(run, tmp_path, crystal):
    """As ``--sp --cf3`` writes it with a file BORN: no unit_conversion_factor."""
    write_in_units(crystal, "cp2k", tmp_path / "phono3py_params.yaml", MISSING)
    assert by_load(run, tmp_path) == pytest.approx(KAPPA, rel=TOLERANCE)
    done = run(["phono3py-mlp", "report"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert by_converge(run, tmp_path) == pytest.approx(KAPPA, rel=TOLERANCE)


@pytest.mark.parametrize("command", ["phono3py-load", "converge", "report", "extend"])
def test_file_that_runs_code_is_refused_by(command, run, tmp_path, analytic_params):
    path = tmp_path / "phono3py_params.yaml"
    text = analytic_params.read_text()
    path.write_text(text + "more: !!python/object/apply:os.system ['touch ran']\n")
    words = {
        "phono3py-load": ["phono3py-load", "--pypolymlp", path.name],
        "converge": ["phono3py-mlp", "converge", path.name, "--mesh", "3", "3", "3"],
        "report": ["phono3py-mlp", "report"],
        "extend": ["phono3py-mlp", "extend", path.name, path.name],
    }[command]
    done = run(words, tmp_path)
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith(f"ERROR: {path.name}, line ")
    assert not Path(tmp_path / "ran").exists()


@pytest.mark.parametrize("matrix", ["300 300 2", "0 1 1", "-2 2 2"])
def test_absurd_supercell_is_one_line_before_any_work(
    matrix, run, tmp_path, analytic_params
):
    path = tmp_path / "phono3py_params.yaml"
    text = analytic_params.read_text()
    start = text.index("supercell_matrix:")
    end = text.index("\n\n", start)
    rows = "\n".join(
        f"- [{', '.join(x if i == j else '0' for j in range(3))}]"
        for i, x in enumerate(matrix.split())
    )
    path.write_text(text[:start] + "supercell_matrix:\n" + rows + text[end:])
    done = run(["phono3py-load", "--pypolymlp", path.name], tmp_path)
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith(f"ERROR: {path.name}: supercell_matrix = ")

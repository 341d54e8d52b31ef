"""A new user types what README shows, in its order, and it works.

Shortened: the crystal has 16 atoms in its supercell, an analytic potential takes
the place of a first-principles program, and `SHORTER` makes model and mesh small.
"""

import re

import pytest

from documentation.blocks import ROOT, blocks, commands
from phono3py_mlp_plugin.contracts import Dataset
from phono3py_mlp_plugin.files import Frame
from phono3py_mlp_plugin.reference import RigidIonNaCl
from program_output import cp2k

README = ROOT / "README.md"
SHORTER = {
    "--mesh 50": "--mesh 5 5 5",
    "--mesh 11 11 11": "--mesh 5 5 5",
    "--pypolymlp": "--pypolymlp --mlp-params 'preset = compact'",
    # Its weights are not installed here. EMT knows copper.
    "--force-calculator sevennet": "--force-calculator emt",
    "ntrain = 16, ntest = 4": "preset = compact, ntrain = 16, ntest = 4",
    "mesh_numbers = 50": "mesh_numbers = 5",
}
# Nothing of these is run: they install, or are run by other tests (`make` by CI and
# tests/commands/test_demo_folder.py).
NOT_RUN = ("git clone", "pip install", "make ")

NACL = """NaCl
{edge}
0 0.5 0.5
0.5 0 0.5
0.5 0.5 0
Na Cl
1 1
Direct
0 0 0
0.5 0.5 0.5
"""
COPPER = """Cu
3.6
1 0 0
0 1 0
0 0 1
Cu
4
Direct
0 0 0
0 0.5 0.5
0.5 0 0.5
0.5 0.5 0
"""


def shorter(text):
    for written, used in SHORTER.items():
        text = text.replace(written, used)
    return text


def section(title):
    """Return the blocks of a section of README."""
    start = README.read_text().index(f"## {title}\n")
    first = README.read_text().count("\n", 0, start) + 1
    after = README.read_text().find("\n## ", start + 1)
    last = README.read_text().count("\n", 0, after) + 1
    return [block for block in blocks(README) if first <= block.line <= last]


def without_numbers(line):
    return re.sub(r"\s*[\d.,]+", " 0", line)


def compute_forces(folder):
    """Do what the first-principles program of a user does."""
    import phono3py

    ph3 = phono3py.load(
        folder / "phono3py_disp.yaml", produce_fc=False, log_level=0, is_nac=False
    )
    displacements = ph3.displacements
    undone = Dataset(ph3.supercell, displacements, 0 * displacements)
    evaluation = RigidIonNaCl().evaluate(undone.supercells())
    for i, cell in enumerate(undone.supercells()):
        frame = Frame(
            where="",
            lattice=cell.cell,
            symbols=cell.symbols,
            positions=cell.positions,
            forces=evaluation.forces[i],
            energy=float(evaluation.energies[i]),
        )
        (folder / f"scf-{i + 1:03}.out").write_text(cp2k(frame))


@pytest.fixture(scope="module")
def finished(run, tmp_path_factory):
    """The folder of a user after the commands for a crystal, and their outputs."""
    from phono3py_mlp_plugin.reference import equilibrium_lattice_constant

    folder = tmp_path_factory.mktemp("readme")
    edge = equilibrium_lattice_constant(RigidIonNaCl())
    (folder / "POSCAR").write_text(NACL.format(edge=edge))
    outputs = []
    for block in section("Three for your crystal"):
        if block.language != "bash" or "kappa -c" in block.text:
            continue
        for words in commands(shorter(block.text)):
            done = run(words, folder)
            assert done.returncode == 0, f"{words}: {done.stderr}{done.stdout}"
            outputs.append(done.stdout)
            if "--rd" in words:
                compute_forces(folder)
    return folder, "".join(outputs)


@pytest.mark.slow
def test_commands_for_a_crystal_work_in_an_empty_folder(finished):
    folder, output = finished
    assert re.search(r"kappa_xx\(300 K\) = [\d.]+ \+- [\d.]+ W/m-K", output)
    assert (folder / "phono3py_mlp_report.html").is_file()


@pytest.mark.slow
def test_output_that_is_shown_is_in_the_form_of_the_output(finished):
    output = [without_numbers(line) for line in finished[1].splitlines()]
    for block in section("Three for your crystal"):
        if block.language == "text":
            for line in block.text.splitlines():
                # On a coarse mesh, more is said about the mesh in its line.
                start = without_numbers(line)
                assert line == "..." or any(x.startswith(start) for x in output)


@pytest.mark.slow
def test_python_works_on_the_dataset_of_the_commands(finished, monkeypatch, capsys):
    folder, _ = finished
    monkeypatch.chdir(folder)
    (block,) = [b for b in section("In Python") if b.language == "python"]
    exec(compile(shorter(block.text), str(block), "exec"), {})
    assert "[" in capsys.readouterr().out


@pytest.mark.slow
def test_command_from_a_unit_cell_works_in_an_empty_folder(run, tmp_path):
    pytest.importorskip("ase")
    (tmp_path / "POSCAR").write_text(COPPER)
    (block,) = [b for b in blocks(README, "bash") if "kappa -c" in b.text]
    for words in commands(shorter(block.text)):
        done = run(words, tmp_path)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "phono3py_mlp_report.html").is_file()


def test_every_line_of_shell_is_run_by_a_test_or_named_as_not_run():
    known = [line for b in section("Three for your crystal") for line in lines(b)]
    for block in blocks(README, "bash"):
        for line in lines(block):
            run_here = line in known or line.startswith("phono3py-mlp doctor")
            assert run_here or line.startswith(NOT_RUN), line


def lines(block):
    joined = block.text.replace("\\\n", " ")
    return [line for line in joined.splitlines() if block.language == "bash"]


def test_the_address_of_the_clone_is_no_address():
    # Pasted as it is, the command fails at once and names the placeholder.
    (line,) = re.findall(r"^git clone (\S+)", README.read_text(), re.MULTILINE)
    assert line == "ADDRESS"


def test_it_can_be_read_in_two_minutes():
    # 250 words a minute, without tables and code, which are looked up.
    text = re.sub(r"```.*?```", "", README.read_text(), flags=re.DOTALL)
    prose = [line for line in text.splitlines() if not line.startswith("|")]
    words = re.findall(r"\w+", re.sub(r"\]\([^)]*\)", "]", "\n".join(prose)))
    assert len(words) < 500

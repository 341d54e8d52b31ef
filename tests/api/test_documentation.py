"""Every block of the page on Python runs, in its order, in one folder."""

import re
from pathlib import Path

import pytest

import phono3py_mlp_plugin as mlp
from api.crystal import sodium_chloride

PAGE = Path(__file__).parents[2] / "docs" / "python.md"
BLOCKS = re.findall(
    r"^```python\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("python")
    ph3 = sodium_chloride()
    mlp.save_dataset(ph3, folder / "phono3py_params.yaml")
    for name, cutoff in (("a", 5.0), ("b", 4.5), ("c", 4.0)):
        options = f"cutoff = {cutoff}, gtinv_maxl = 2 2, gaussian_params2 = 0 4 4"
        options += ", ntrain = 20, ntest = 20"
        mlp.train(ph3, options=options).save(folder / f"{name}.yaml")
    # phono3py writes no other file without displacements.
    ph3.dataset = None
    ph3.save(folder / "phono3py_disp.yaml")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_every_block_runs(number, folder, monkeypatch, capsys):
    # Coarser meshes alone: seconds instead of minutes.
    block = re.sub(r"\[(9|11), (9|11), (9|11)\]", "[3, 3, 3]", BLOCKS[number])
    if "ase" in block:
        pytest.importorskip("ase")
    monkeypatch.chdir(folder)
    exec(compile(block, f"block {number + 1} of {PAGE.name}", "exec"), {})
    # Functions do not print; the blocks themselves may.
    assert bool(capsys.readouterr().out) <= ("print(" in block)

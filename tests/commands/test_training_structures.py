"""Structures of other sizes and shapes, from any program, train a potential, too."""

from __future__ import annotations

import json

import numpy as np
import pytest
import yaml
from phonopy.structure.atoms import PhonopyAtoms
from phonopy.structure.cells import get_supercell

import phono3py_mlp_plugin as mlp
from analytic_crystal import AMPLITUDE, analytic_crystal
from file_schemas import check_files
from phono3py_mlp_plugin.reference import RigidIonNaCl
from phono3py_mlp_plugin.workflow.structures import errors_on_structures
from small_model import MODEL

ase = pytest.importorskip("ase")

PARAMS = "phono3py_params.yaml"
LOAD = ["phono3py-load", "--pypolymlp", PARAMS]
LOAD += ["--mlp-params", f"{MODEL}, ntrain = 12, ntest = 10"]


def structures(repeats, n, strain=0.0, seed=0):
    """Displaced and strained cells of NaCl with energies, forces and stresses."""
    rng = np.random.default_rng(seed)
    potential = RigidIonNaCl()
    ideal = get_supercell(analytic_crystal().unitcell, np.eye(3, dtype=int) * repeats)
    found = []
    for _ in range(n):
        tensor = strain * rng.normal(size=(3, 3))
        cell = PhonopyAtoms(
            symbols=ideal.symbols,
            cell=ideal.cell @ (np.eye(3) + (tensor + tensor.T) / 2),
            scaled_positions=ideal.scaled_positions,
        )
        displacements = rng.normal(size=(len(cell), 3))
        displacements *= AMPLITUDE / np.linalg.norm(displacements, axis=1)[:, None]
        cell.positions = cell.positions + displacements
        result = potential.evaluate([cell])
        found.append(
            mlp.LabelledStructure(
                cell, result.forces[0], result.energies[0], result.stresses[0]
            )
        )
    return found


def write(path, found, forces="forces", energy="energy", **other):
    """Write structures as other programs do, and return the path."""
    from ase import Atoms
    from ase.calculators.singlepoint import SinglePointCalculator
    from ase.io import write

    images = []
    for one in found:
        atoms = Atoms(
            one.cell.symbols, one.cell.positions, cell=one.cell.cell, pbc=True
        )
        if forces == "forces":
            results = {"forces": one.forces, "energy": one.energy, "stress": one.stress}
            atoms.calc = SinglePointCalculator(atoms, **results)
        else:
            atoms.arrays[forces] = one.forces
            atoms.info[energy] = one.energy
            atoms.info.update({k: v(one) for k, v in other.items()})
        images.append(atoms)
    write(path, images)
    return path


def errors(folder):
    return yaml.safe_load((folder / "polymlp.yaml").read_text())["phono3py_mlp"]["rmse"]


def test_strained_and_larger_cells_are_learned(run, folder):
    """Without them the potential is wrong by 100 meV/angstrom in a larger cell."""
    found = structures(2, 6, 0.01) + structures(3, 3, seed=1)
    write(folder / "others.xyz", found)
    done = run([*LOAD, "--training-structures", "others.xyz"], folder)
    assert done.returncode == 0, done.stderr
    assert "6 of 16 atoms, 3 of 54 atoms; 9 with energies, 9 with stress" in done.stdout
    unseen = structures(2, 2, 0.01, seed=2) + structures(3, 2, seed=3)
    ph3 = analytic_crystal()
    options = dict(part.split("=") for part in MODEL.split(", "))
    alone = mlp.train(ph3, options={**options, "ntrain": 12, "ntest": 10})
    of_alone = errors_on_structures("pypolymlp", alone.potential, unseen)
    potential = mlp.load_potential(folder / "polymlp.yaml")
    of_all = errors_on_structures("pypolymlp", potential, unseen)
    for name, limit in (("energy", 0.1), ("force", 0.2), ("stress", 0.01)):
        assert of_all[name] < limit * of_alone[name], name
    recorded = errors(folder)
    assert recorded["structures"]["force"] == pytest.approx(
        errors_on_structures("pypolymlp", potential, found)["force"], rel=1e-6
    )


@pytest.mark.slow
def test_the_names_of_other_programs_are_read(run, folder, tmp_path):
    """A virial is minus the stress times the volume; a prefix is common to all."""
    found = structures(2, 3, 0.01)
    standard = write(folder / "standard.xyz", found)
    named = write(
        folder / "named.xyz",
        found,
        "REF_forces",
        "REF_energy",
        REF_virial=lambda one: (-one.stress * one.cell.volume).reshape(-1),
    )
    texts = []
    for path, keys in (
        (standard, []),
        (named, ["--energy-key", "REF_energy", "--forces-key", "REF_forces"]),
    ):
        (folder / "polymlp.yaml").unlink(missing_ok=True)
        done = run([*LOAD, "--training-structures", path.name, *keys], folder)
        assert done.returncode == 0, done.stderr
        assert "3 with energies, 3 with stresses" in done.stdout
        texts.append(errors(folder)["structures"])
    assert texts[0]["stress"] == pytest.approx(texts[1]["stress"], rel=1e-4)
    done = run([*LOAD, "--training-structures", "named.xyz"], folder)
    assert done.returncode == 1
    assert "--forces-key REF_forces" in done.stderr


@pytest.mark.slow
def test_the_potential_depends_on_them(run, folder):
    """The same structures: it is used again. Others, or none: it is trained again."""
    write(folder / "one.xyz", structures(2, 2, 0.01))
    write(folder / "two.xyz", structures(2, 2, 0.01, seed=5))
    said = [
        run([*LOAD, *others], folder).stdout
        for others in (
            ["--training-structures", "one.xyz"],
            ["--training-structures", "one.xyz"],
            ["--training-structures", "one.xyz", "two.xyz"],
            [],
        )
    ]
    assert ["used again" in text for text in said] == [False, True, False, False]
    assert ["on other data" in text for text in said] == [False, False, True, True]


@pytest.mark.slow
def test_error_bars_and_studies_know_them(run, folder):
    write(folder / "others.xyz", structures(2, 4, 0.01))
    others = ["--training-structures", "others.xyz"]
    mesh = ["--mesh", "3", "3", "3", "--sigma", "0.3", "--ts", "300", "--br"]
    done = run([*LOAD, *mesh, *others, "--uncertainty", "4"], folder)
    assert done.returncode == 0, done.stderr
    (bar,) = [line for line in done.stdout.splitlines() if "kappa_xx(300 K)" in line]
    words = ["phono3py-mlp", "converge", PARAMS, *mesh[:-1], *others]
    words += ["--sizes", "12", "--members", "4"]
    done = run([*words, "--mlp-params", f"{MODEL}, ntest = 10"], folder)
    assert done.returncode == 0, done.stderr
    content = json.loads((folder / "phono3py_mlp_convergence.json").read_text())
    check_files(folder, "convergence", "provenance", "uncertainty")
    (point,) = content["points"]
    value = float(bar.split()[bar.split().index("=") + 1])
    assert point["kappa"][0][0] == pytest.approx(value, abs=2e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--training-structures", "missing.xyz"], "missing.xyz"),
        (["--training-structures", "other.xyz"], "it has K; expected elements of"),
        (["--training-structures", "twice.xyz"], "is the same as"),
        (["--training-structures", "slab.xyz"], "not periodic along c, with a gap of"),
        (["--training-structures", "good.xyz", "--mlp-file", "x.yaml"], "x.yaml"),
        (["--energy-key", "energy"], "--energy-key: is for --training-structures"),
        (
            ["--training-structures", "good.xyz", "--force-calculator", "lj"],
            "'lj' is not trained on them",
        ),
    ],
)
def test_what_cannot_be_used_is_one_line(run, folder, options, message):
    found = structures(2, 1, 0.01)
    write(folder / "good.xyz", found)
    write(folder / "twice.xyz", [*found, *found])
    text = (folder / "good.xyz").read_text().replace("Na ", "K  ")
    (folder / "other.xyz").write_text(text)
    text = (folder / "good.xyz").read_text().replace("T T T", "T T F")
    (folder / "slab.xyz").write_text(text)
    command = [*LOAD, *options]
    if "lj" in options:
        command = ["phono3py-load", PARAMS, *options]
    done = run(command, folder)
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("ERROR:") and message in line
    assert not (folder / "polymlp.yaml").exists()


@pytest.mark.parametrize("decimals", [9, 5])
def test_a_supercell_of_the_dataset_is_known_however_it_is_written(decimals):
    """Programs wrap, sort and round positions; the test set would be trained on."""
    ph3 = analytic_crystal()
    displaced = ph3.supercell.positions + ph3.dataset["displacements"][95]
    wrapped = displaced @ np.linalg.inv(ph3.supercell.cell) % 1.0
    positions = np.round(wrapped @ ph3.supercell.cell, decimals)[::-1]
    same = mlp.LabelledStructure(
        PhonopyAtoms(
            symbols=ph3.supercell.symbols[::-1],
            cell=ph3.supercell.cell,
            positions=positions,
        ),
        ph3.forces[95][::-1],
    )
    with pytest.raises(mlp.DatasetError, match="is the same as snapshot 96"):
        mlp.train(ph3, options=f"{MODEL}, ntrain = 12, ntest = 10", structures=[same])

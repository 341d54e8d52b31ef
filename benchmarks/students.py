"""Compare kappa of students (`phono3py-mlp kappa --teach N`) with their teachers.

    python benchmarks/students.py [--crystals NAME,..] [--sizes N,..]

The commands are those of a user, with their defaults. Teachers are the analytic
potentials of `zoo`, from the same unit cell, supercell and mesh. Finished runs are
stored in ``benchmarks/results/students.json`` and not computed again. The table of
``docs/figures/students.md`` is written from them.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from phonopy.interface.calculator import write_crystal_structure
from phonopy.structure.atoms import PhonopyAtoms
from zoo.crystals import ROOT, Analytic, named

RESULTS = ROOT / "benchmarks" / "results" / "students.json"
TABLE = ROOT / "docs" / "figures" / "students.md"
SIZES = (10, 20, 40)
BENCHMARKS = Path(__file__).resolve().parent

# Kappa does not depend on rounding errors, as in runs with error bars, and less on the
# amplitude than with the default of 0.01 angstrom.
OF_TEACHERS = ["--average-degenerate-weights", "--exclude-gamma-acoustic"]
OF_TEACHERS += ["--amplitude", "0.003"]


@dataclass(frozen=True)
class Case:
    """A crystal with its teacher.

    Attributes
    ----------
    name, kind : str
    calculator : tuple of str
        Options that name the teacher.
    cell : callable
        Returns the unit cell.
    dim : tuple of int
        Nine numbers.
    mesh : tuple of int
    """

    name: str
    kind: str
    calculator: tuple[str, ...]
    cell: Callable[[], PhonopyAtoms]
    dim: tuple[int, ...]
    mesh: tuple[int, ...]

    def command(self, *options: str) -> list[str]:
        """Return the command with options."""
        return [
            *("phono3py-mlp", "kappa", "-c", "POSCAR", "--pa", "P", "--relax"),
            *("--dim", *map(str, self.dim), "--mesh", *map(str, self.mesh)),
            *("--ts", "300", *self.calculator, *options),
        ]


def of_zoo(name: str, kind: str) -> Case:
    """Return a crystal of the calibration."""
    crystal = named(name)
    assert isinstance(crystal, Analytic)
    item = f"calculator = zoo.ase_calculator:OfCrystal, crystal = {name}"
    calculator = ("--force-calculator", "ase", "--force-calculator-options", item)
    dim = tuple(int(x) for x in np.ravel(crystal.supercell))
    return Case(name, kind, calculator, lambda: crystal.relaxed, dim, crystal.mesh)


def _slab_cell() -> PhonopyAtoms:
    from ase.build import fcc111

    atoms = fcc111("Cu", (1, 1, 3), vacuum=6.0)
    return PhonopyAtoms(
        symbols=list(atoms.symbols), cell=atoms.cell[:], positions=atoms.positions
    )


def slab() -> Case:
    """Return three layers of copper in vacuum."""
    emt = ("--force-calculator", "emt")
    dim = (4, 0, 0, 0, 4, 0, 0, 0, 1)
    return Case("Cu slab EMT", "slab in vacuum", emt, _slab_cell, dim, (7, 7, 1))


def cases() -> list[Case]:
    """Return all crystals, the fast ones first."""
    return [
        of_zoo("Cu EMT", "metal, one atom"),
        slab(),
        of_zoo("Ar pairs", "rare gas, one atom"),
        of_zoo("Si bonds", "covalent"),
        of_zoo("layers", "layers, rhombohedral"),
        of_zoo("Si triclinic", "triclinic, six atoms"),
        of_zoo("NaCl ions", "ions"),
    ]


def run(case: Case, options: Sequence[str]) -> dict[str, Any]:
    """Run a command in a folder of its own and return what its files contain."""
    path = os.pathsep.join([str(BENCHMARKS), os.environ.get("PYTHONPATH", "")])
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryDirectory() as folder:
        write_crystal_structure(Path(folder) / "POSCAR", case.cell())
        done = subprocess.run(
            [Path(sys.executable).parent / "phono3py-mlp", *case.command(*options)[1:]],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            return {"error": done.stderr.strip().splitlines()[-1]}
        found = _read(Path(folder))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {**found, "cpu_s": round(seconds, 1)}


def _read(folder: Path) -> dict[str, Any]:
    """Return kappa (W/m-K) in the directions without vacuum, and relative bars."""
    (file,) = folder.glob("kappa-m*.hdf5")
    with h5py.File(file) as content:
        kappa = np.array(content["kappa"])[0, :3]
    with_heat = kappa > 1e-3 * kappa.max()
    found: dict[str, Any] = {"kappa": kappa[with_heat].tolist()}
    bars = folder / "phono3py_mlp_uncertainty.json"
    if bars.is_file():
        for item in json.loads(bars.read_text())["budget"]["contributions"]:
            found[item["name"]] = np.array(item["relative"])[0, with_heat].tolist()
    return found


def table(results: dict[str, Any]) -> str:
    """Return the table of students in Markdown."""
    lines = [
        "| crystal | kind | teacher (W/m-K) | student of 10 | 20 | 40 |",
        "|---|---|---|---|---|---|",
    ]
    for case in cases():
        entry = results.get(case.name, {})
        if "teacher" not in entry:
            continue
        teacher = float(np.mean(entry["teacher"]["kappa"]))
        students = [_student(entry.get(str(n)), teacher) for n in SIZES]
        row = [case.name, case.kind, f"{teacher:.3f}", *students]
        lines.append(f"| {' | '.join(row)} |")
    return "\n".join(lines) + "\n"


def _student(found: dict[str, Any] | None, teacher: float) -> str:
    """Return the deviation from the teacher and the error bar, in percent."""
    if found is None:
        return "-"
    if "error" in found:
        return "refused"
    change = 100 * (float(np.mean(found["kappa"])) / teacher - 1)
    return f"{change:+.2f} ± {100 * bar_of(found):.2f} %"


def bar_of(found: dict[str, Any]) -> float:
    """Return the relative error bar without the mesh, which teacher and student share.

    The range of fc3 belongs to the supercell, which they share too.
    """
    shares = [found.get(name, [0.0]) for name in ("supercells", "penalty", "model")]
    return float(np.sqrt(sum(np.mean(share) ** 2 for share in shares)))


def main() -> None:
    """Run what is missing, then write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--crystals", metavar="NAME,..")
    parser.add_argument("--sizes", metavar="N,..", default=",".join(map(str, SIZES)))
    args = parser.parse_args()
    wanted = args.crystals.split(",") if args.crystals else None
    results = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    for case in cases():
        if wanted is not None and case.name not in wanted:
            continue
        entry = results.setdefault(case.name, {"command": case.command()})
        for key in ("teacher", *args.sizes.split(",")):
            if key in entry:
                continue
            options = OF_TEACHERS if key == "teacher" else ["--teach", key]
            entry[key] = run(case, options)
            print(case.name, key, entry[key], flush=True)
            RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    TABLE.write_text(table(results))
    print(table(results))


if __name__ == "__main__":
    main()

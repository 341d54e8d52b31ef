"""Compare exact force constants with those of systematic displacements (-d).

    python benchmarks/derivatives.py [--members N] [NAME ...]

For each crystal, a potential is trained once, unless its folder is given by NAME=FOLDER
(with phono3py.yaml and polymlp.yaml). Printed are the time and peak memory of fc2 and
fc3 by derivatives, of N potentials at once, and by displacements and finite
differences, and the largest difference relative to the largest element. Each
measurement has a process of its own, after one that compiles the kernels.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from engine import machine
from history import Entry, add

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Case:
    """A crystal of the host's data, and how its potential is trained."""

    file: str
    options: str


CASES = {
    "NaCl": Case("example/NaCl-rd/phono3py_params_NaCl.yaml.xz", "ntrain=40, ntest=20"),
}


def trained(case: Case, folder: Path) -> None:
    """Write phono3py.yaml and polymlp.yaml into a folder."""
    sys.path.insert(0, str(ROOT / "example" / "NaCl-pypolymlp"))
    import phono3py
    from fetch_data import host_source

    import phono3py_mlp_plugin as mlp

    ph3 = phono3py.load(Path(host_source()) / case.file, produce_fc=False, log_level=0)
    mlp.train(ph3, options=case.options).save(folder / "polymlp.yaml")
    ph3.dataset = None
    ph3.mlp_dataset = None
    ph3.save(folder / "phono3py.yaml")


def measure(folder: Path, what: str, members: int) -> None:
    """Compute force constants and print time and memory as JSON."""
    import resource

    import numpy as np
    import phono3py

    import phono3py_mlp_plugin as mlp
    from phono3py_mlp_plugin import workflow
    from phono3py_mlp_plugin.polynomial import PolynomialPotential

    potential = mlp.load_potential(folder / "polymlp.yaml")
    assert isinstance(potential, PolynomialPotential)
    ph3 = phono3py.load(folder / "phono3py.yaml", produce_fc=False, log_level=0)
    start, start_cpu = time.perf_counter(), time.process_time()
    if what == "exact":
        request = workflow.request_force_constants("exact")
        potentials = [
            PolynomialPotential(
                potential.feature_list, potential.coefficients * (1 + 1e-3 * k)
            )
            for k in range(members)
        ]
        of_all = workflow.ForceConstantsOf(ph3, request, "pypolymlp")
        found, *_ = (fc[3] for fc in of_all.solve(potentials))
    else:
        ph3.generate_displacements(distance=0.01, is_plusminus=True)
        mlp.evaluate(ph3, potential)
        ph3.produce_fc3(is_compact_fc=True)
        ph3.symmetrize_fc3()
        found = ph3.fc3
    seconds = time.perf_counter() - start
    cpu = time.process_time() - start_cpu
    np.save(folder / f"fc3-{what}.npy", found)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    n = 0 if ph3.dataset is None else len(ph3.supercells_with_displacements)
    found_all = {"seconds": seconds, "cpu": cpu, "memory": memory, "supercells": n}
    print(json.dumps(found_all))


def child(folder: Path, what: str, members: int = 1) -> dict[str, float]:
    """Return a measurement made in a process of its own."""
    words = [sys.executable, __file__, "--measure", what, "--members", str(members)]
    done = subprocess.run([*words, str(folder)], capture_output=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def compare(name: str, folder: Path, members: int) -> None:
    """Print all measurements of one crystal."""
    import numpy as np

    child(folder, "exact")
    many = child(folder, "exact", members)
    one = child(folder, "exact")
    finite = child(folder, "displacements")
    exact, other = (
        np.load(folder / f"fc3-{what}.npy") for what in ("exact", "displacements")
    )
    difference = np.abs(exact - other).max() / np.abs(exact).max()
    threads = os.environ.get("OMP_NUM_THREADS", str(os.cpu_count()))
    print(f"{name}, {exact.shape[1]} atoms, {threads} threads")
    print(f"  exact             {one['seconds']:8.2f} s {one['memory']:6.2f} GB")
    print(
        f"  exact, {members} at once {many['seconds']:7.2f} s {many['memory']:6.2f} GB"
        f"  ({many['seconds'] / one['seconds']:.1f} times one, "
        f"{many['cpu'] / one['cpu']:.1f} in CPU time)"
    )
    print(
        f"  -d, {finite['supercells']:5} cells   {finite['seconds']:8.2f} s "
        f"{finite['memory']:6.2f} GB; fc3 differs by {difference:.1e}"
    )
    ratio = finite["seconds"] / one["seconds"]
    against = "displacements and finite differences"
    add(Entry.of(f"exact force constants, {name}", against, ratio, machine()))


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(CASES), metavar="NAME")
    parser.add_argument("--members", type=int, default=16)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        measure(Path(arguments.names[0]), arguments.measure, arguments.members)
        return
    for text in arguments.names:
        name, _, given = text.partition("=")
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            if given:
                for file in ("phono3py.yaml", "polymlp.yaml"):
                    (folder / file).write_bytes((Path(given) / file).read_bytes())
            else:
                trained(CASES[name], folder)
            compare(name, folder, arguments.members)


if __name__ == "__main__":
    main()

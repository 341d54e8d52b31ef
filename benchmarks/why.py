"""Compare kappa and computing time of NaCl with this package and without it.

    python benchmarks/why.py [--draw]

Data: NaCl, the hundred 64-atom supercells of phono3py's example NaCl-rd, default
model, tested on the last 20, kappa at 300 K on 11x11x11. `phono3py-mlp converge` gives
kappa with its error bars for each number of supercells, and plain phono3py with
pypolymlp one value for each. For the largest number, the three commands of the whole
calculation are timed with and without this package. All run on one thread, and times
are processor times, so that other programs on the machine change them little.

Results are written to ``benchmarks/results/why.json`` after each command, and what is
there is not measured again. The figure is ``docs/figures/why.svg`` and ``.png``; with
``--draw``, it is made of the results that are there.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import h5py
from engine import ROOT, machine, nacl_params

RESULTS = ROOT / "benchmarks" / "results" / "why.json"
PARAMS = "phono3py_params.yaml"
SIZES = (5, 10, 20, 40, 80)
TEST = 20
MESH = ["--mesh", "11", "11", "11"]
# As a study does by itself: otherwise rounding errors change kappa.
KAPPA = [*MESH, "--br", "--ts", "300"]
KAPPA += ["--average-degenerate-weights", "--exclude-gamma-acoustic"]
MEMBERS = 8


def seconds_of(words: list[str], folder: Path, *, switch: str) -> float:
    """Run a command on one thread and return its processor time.

    Parameters
    ----------
    words : list of str
    folder : Path
    switch : str
        "on", or "off" for phono3py without this package.
    """
    threads = {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    script = Path(sys.executable).parent / words[0]
    with (folder / "log").open("a") as log:
        process = subprocess.Popen(
            [str(script), *words[1:]],
            cwd=folder,
            stdout=log,
            stderr=log,
            env={**os.environ, **threads, "PHONO3PY_MLP_PLUGIN": switch},
        )
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(words)}\n{(folder / 'log').read_text()}")
    return usage.ru_utime + usage.ru_stime


def whole_calculation(n: int, folder: Path, *, switch: str) -> dict[str, Any]:
    """Return kappa (W/m-K) and the seconds of each step for n training supercells."""
    load = ["phono3py-load", PARAMS]
    split = ["--mlp-params", f"ntrain = {n}, ntest = {TEST}"]
    steps = {
        "training": [*load, "--pypolymlp", *split],
        "force constants": [*load, "--pypolymlp", *split, "-d"],
        "kappa": [*load, *KAPPA],
    }
    seconds = {
        name: seconds_of(words, folder, switch=switch) for name, words in steps.items()
    }
    with h5py.File(folder / "kappa-m111111.hdf5") as file:
        kappa = float(file["kappa"][0, 0])
    return {"kappa": kappa, "seconds": seconds}


def study(folder: Path) -> dict[str, Any]:
    """Return kappa (W/m-K) with its error bars, by number of training supercells."""
    from phono3py_mlp_plugin.convergence import Point

    words = ["phono3py-mlp", "converge", PARAMS, *MESH]
    words += ["--uncertainty-mesh", "9", "9", "9", "--members", str(MEMBERS)]
    words += ["--sizes", *map(str, SIZES), "--mlp-params", f"ntest = {TEST}"]
    # Every size is wanted, and no error budget.
    words += ["--tolerance", "1e-6"]
    seconds = seconds_of(words, folder, switch="on")
    content = json.loads((folder / "phono3py_mlp_convergence.json").read_text())
    points = [Point.from_record(record) for record in content["points"]]
    return {
        "seconds": seconds,
        "sizes": [point.size for point in points],
        "kappa": [point.kappa[0][0] for point in points],
        "error_bars": [
            point.error_bar(0, 0).half_width(point.kappa[0][0]) for point in points
        ],
    }


def measure() -> dict[str, Any]:
    """Return all results, of which those that are missing are measured."""
    results: dict[str, Any] = {}
    if RESULTS.is_file():
        results = json.loads(RESULTS.read_text())
    tasks: dict[str, Any] = {"study": study}
    largest = SIZES[-1]
    tasks[f"on, {largest}"] = lambda f: whole_calculation(largest, f, switch="on")
    for n in reversed(SIZES):
        tasks[f"off, {n}"] = lambda f, n=n: whole_calculation(n, f, switch="off")
    for name, task in tasks.items():
        if name in results:
            continue
        with tempfile.TemporaryDirectory() as place:
            shutil.copy(nacl_params(), Path(place) / PARAMS)
            results[name] = task(Path(place))
        print(f"{name}: {results[name]}", flush=True)
        results["machine"] = machine()
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    return results


def main() -> None:
    """Measure what is missing, and draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draw", action="store_true", help="measure nothing")
    args = parser.parse_args()
    measure() if not args.draw else json.loads(RESULTS.read_text())


if __name__ == "__main__":
    main()

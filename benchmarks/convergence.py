"""Compare a convergence study with plain runs of phono3py, one for each size.

    python benchmarks/convergence.py [--native FOLDER]

Data: NaCl, the hundred 64-atom supercells of phono3py's example NaCl-rd, default model,
5, 10, 20, 40 and 80 training supercells tested on the last 20, kappa at 300 K on
11x11x11. The study of this package also gives error bars: 8 members and two other
penalties for each size, on 9x9x9. It runs before, between and after the runs of
phono3py, and its median time is used. Results are written to
``benchmarks/results/convergence.json``; ``why.py`` draws them.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import h5py
from engine import NATIVE, PLAIN, ROOT, machine, nacl_params
from history import Entry, add

from phono3py_mlp_plugin.convergence import Point

RESULTS = ROOT / "benchmarks" / "results" / "convergence.json"
PARAMS = "phono3py_params.yaml"
SIZES = (5, 10, 20, 40, 80)
TEST = 20
MESH = ["--mesh", "11", "11", "11"]


def run(words: list[Any], folder: Path, native: Path) -> dict[str, Any]:
    """Run a command in a new folder; return seconds, peak memory and the folder."""
    place = Path(tempfile.mkdtemp(dir=folder))
    shutil.copy(nacl_params(), place / PARAMS)
    python_path = os.pathsep.join([str(native), os.environ.get("PYTHONPATH", "")])
    begin = time.perf_counter()
    with (place / "log").open("w") as log:
        process = subprocess.Popen(
            words,
            cwd=place,
            stdout=log,
            stderr=log,
            env={**os.environ, "PYTHONPATH": python_path},
        )
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit((place / "log").read_text())
    return {
        "seconds": time.perf_counter() - begin,
        "peak_gb": usage.ru_maxrss * 1024 / 1e9,
        "folder": place,
    }


def ours(folder: Path, native: Path) -> dict[str, Any]:
    """Run the complete study with this package."""
    command = Path(sys.executable).parent / "phono3py-mlp"
    words = [command, "converge", PARAMS, *MESH, "--uncertainty-mesh", "9", "9", "9"]
    words += ["--sizes", *map(str, SIZES), "--members", "8", "--tolerance", "1e-6"]
    words += ["--mlp-params", f"ntest = {TEST}", "-q"]
    result = run(words, folder, native)
    content = json.loads(
        (result["folder"] / "phono3py_mlp_convergence.json").read_text()
    )
    points = [Point.from_record(record) for record in content["points"]]
    result["kappa"] = [point.kappa[0][0] for point in points]
    result["scatter"] = [point.error_bar(0, 0).total for point in points]
    return result


def host(n: int, folder: Path, native: Path) -> dict[str, Any]:
    """Run phono3py without this package, as its documentation describes."""
    words = [sys.executable, PLAIN, "phono3py-load", PARAMS, "--pypolymlp", "-d"]
    words += ["--mlp-params", f"ntrain = {n}, ntest = {TEST}", *MESH, "--br"]
    # As the study does by itself: otherwise rounding errors change kappa.
    words += ["--average-degenerate-weights", "--exclude-gamma-acoustic"]
    result = run([*words, "--ts", "300"], folder, native)
    with h5py.File(result["folder"] / "kappa-m111111.hdf5") as file:
        result["kappa"] = float(file["kappa"][0, 0])
    return result


def main() -> None:
    """Run all measurements and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--native", type=Path, default=NATIVE)
    args = parser.parse_args()
    if not (args.native / "pypolymlp").is_dir():
        raise SystemExit(f"ERROR: no pypolymlp in {args.native}. Run 'make bench'.")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        studies = [ours(folder, args.native)]
        print("ours", studies[0], flush=True)
        plain = []
        for n in SIZES:
            plain.append(host(n, folder, args.native))
            print("host", n, plain[-1], flush=True)
            if n in SIZES[1::2]:
                studies.append(ours(folder, args.native))
                print("ours", studies[-1], flush=True)
    seconds = statistics.median(study["seconds"] for study in studies)
    theirs = sum(one["seconds"] for one in plain)
    result = {
        "machine": machine(),
        "sizes": SIZES,
        "ours_s": seconds,
        "ours_runs_s": [study["seconds"] for study in studies],
        "host_s": theirs,
        "host_runs_s": [one["seconds"] for one in plain],
        "ratio": theirs / seconds,
        "ours_peak_gb": max(study["peak_gb"] for study in studies),
        "host_peak_gb": max(one["peak_gb"] for one in plain),
        "ours_kappa": studies[-1]["kappa"],
        "ours_scatter": studies[-1]["scatter"],
        "host_kappa": [one["kappa"] for one in plain],
    }
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    ratio = theirs / seconds
    add(Entry.of("study of convergence", "phono3py", ratio, machine()))
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()

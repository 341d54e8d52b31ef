"""Test runs that are killed or interrupted at random times, and damaged files.

    python benchmarks/faults.py [kill] [signals] [fuzz] [--number N]

Results are written to benchmarks/results/faults.json. Results of parts that are not
run are kept.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import yaml

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "faults.json"
SCRIPTS = Path(sys.executable).parent
PARAMS = "phono3py_params.yaml"
MADE = ("polymlp.yaml", "phono3py_mlp_eval_dataset.yaml", "fc2.hdf5", "fc3.hdf5")

# Training, evaluation and force constants of 8-atom cells take three seconds.
SMALL = ["--mlp-params", "cutoff=5, gtinv_maxl=4 4, ntest=10", "-d"]

sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "example" / "NaCl-pypolymlp")]


def command(*options: str) -> list[str | Path]:
    """Return the command line of a run of phono3py-load."""
    return [SCRIPTS / "phono3py-load", PARAMS, "--pypolymlp", *options]


def small_params(folder: Path) -> None:
    """Write a dataset of 40 supercells of the analytic reference potential."""
    from phono3py import Phono3py

    from phono3py_mlp_plugin.reference import nacl_dataset

    unitcell, data = nacl_dataset(40, repeats=1)
    ph3 = Phono3py(unitcell, supercell_matrix=[1, 1, 1], primitive_matrix="F")
    ph3.dataset = {
        "displacements": data.displacements,
        "forces": data.forces,
        "supercell_energies": data.energies,
    }
    ph3.save(folder / PARAMS)


def start(words: list[Any], folder: Path, log: Path) -> subprocess.Popen[str]:
    """Start a run in a new process group."""
    with log.open("w") as file:
        return subprocess.Popen(
            words,
            cwd=folder,
            stdout=file,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )


def child_of(process: int) -> int | None:
    """Return the process ID of the only child, or None if there is none."""
    path = Path(f"/proc/{process}/task/{process}/children")
    children = path.read_text().split() if path.exists() else []
    return int(children[0]) if children else None


def kill(process: subprocess.Popen[str], how: str) -> None:
    """Kill the process that was started, its working child process, or both."""
    if how == "group":
        os.killpg(process.pid, signal.SIGKILL)
    elif how == "child":
        os.kill(child_of(process.pid) or process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()
    # The working process ends shortly after the process that monitors it.
    time.sleep(0.05)


def content(path: Path) -> Any:
    """Return the complete content of a file; raise an error if it is truncated."""
    if path.suffix == ".hdf5":
        with h5py.File(path) as file:
            arrays = {key: file[key][()] for key in file}
            return {**arrays, **dict(file.attrs)}
    text = path.read_text()
    if not isinstance(yaml.load(text, Loader=yaml.CSafeLoader), dict):
        raise ValueError(f"{path.name} is truncated")
    return text


def equal(one: Any, other: Any) -> bool:
    """Return whether two file contents are equal bit for bit."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(
            np.array_equal(one[key], other[key]) for key in one
        )
    return bool(one == other)


def killed_runs(number: int, work: Path) -> dict[str, Any]:
    """Kill runs at random times, check the folder, run again and compare."""
    reference = work / "reference"
    reference.mkdir()
    small_params(reference)
    begin = time.perf_counter()
    subprocess.run(command(*SMALL), cwd=reference, check=True, capture_output=True)
    duration = time.perf_counter() - begin
    expected = {name: content(reference / name) for name in MADE}
    source = random.Random(1)
    tally = {"killed": 0, "files_whole": 0, "rerun_identical": 0, "files_seen": 0}
    ways = dict.fromkeys(("parent", "child", "group"), 0)
    faults = []
    while tally["killed"] < number:
        folder = work / "run"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        shutil.copy(reference / PARAMS, folder)
        how = source.choice(list(ways))
        instant = source.uniform(0.0, duration)
        process = start(command(*SMALL), folder, work / "log")
        time.sleep(instant)
        if process.poll() is not None:
            continue
        kill(process, how)
        tally["killed"] += 1
        ways[how] += 1
        try:
            paths = [p for p in folder.iterdir() if p.suffix in (".yaml", ".hdf5")]
            for path in paths:
                content(path)
            tally["files_whole"] += 1
            tally["files_seen"] += len(paths) - 1
            subprocess.run(command(*SMALL), cwd=folder, check=True, capture_output=True)
            names = {path.name for path in folder.iterdir()}
            # If only one of fc2 and fc3 exists, it is recomputed; the old file is kept.
            kept = {f"{name}.bak" for name in MADE}
            left = names - {*MADE, *kept, PARAMS, "phono3py.yaml"}
            if left:
                raise ValueError(f"left behind: {left}")
            for name in MADE:
                if not equal(content(folder / name), expected[name]):
                    raise ValueError(f"{name} differs")
            tally["rerun_identical"] += 1
        except (OSError, ValueError, subprocess.CalledProcessError) as error:
            faults.append(f"{how} at {instant:.2f} s: {error}")
        if tally["killed"] % 20 == 0:
            print(tally, faults[-1:], flush=True)
    return {**tally, "ways": ways, "duration_s": round(duration, 2), "faults": faults}


# Stages of a run of the default model on 100 supercells, with the line that is printed
# when the stage begins, and the times after this line (s) at which signals are sent.
STAGES = {
    "reading": ("Python version", (0.0, 0.2, 0.5, 1.0)),
    "training": ("Training on 90 supercells", (0.5, 3.0, 6.0, 9.0, 12.0, 15.0)),
    "evaluation": ("Evaluate forces in", (0.0, 0.3, 0.8)),
    "force constants": ("Force constants", (0.0, 0.1, 0.2, 0.3)),
    "conductivity": ("Lattice thermal conductivity", (0.5, 2.0, 5.0)),
}


def interrupted_runs(work: Path) -> dict[str, Any]:
    """Send SIGINT and SIGTERM in each stage; measure the time until the run ends."""
    from fetch_data import host_source

    folder = work / "signals"
    folder.mkdir()
    published = host_source() / "example/NaCl-rd/phono3py_params_NaCl.yaml.xz"
    convert = [sys.executable, ROOT / "tests/host/nacl_params.py"]
    subprocess.run([*convert, published, folder / PARAMS], check=True)
    trained = ["-d", "--mesh", "15", "15", "15", "--br"]
    small = ["--mlp-params", "cutoff=5, gtinv_maxl=2 2, gaussian_params2=0 4 4"]
    latencies: dict[str, list[float]] = {}
    faults = []
    for stage, (line, instants) in STAGES.items():
        # Stages after the training are tested with a short training.
        options = trained if stage in ("reading", "training") else [*trained, *small]
        for instant in instants:
            for number in (signal.SIGINT, signal.SIGTERM):
                for path in folder.iterdir():
                    if path.name != PARAMS:
                        path.unlink()
                process = start(command(*options), folder, work / "log")
                while line not in (work / "log").read_text():
                    if process.poll() is not None:
                        raise RuntimeError(f"the line {line!r} was not printed")
                    time.sleep(0.01)
                time.sleep(instant)
                begin = time.perf_counter()
                process.send_signal(number)
                code = process.wait()
                latencies.setdefault(stage, []).append(time.perf_counter() - begin)
                unfinished = [p for p in folder.iterdir() if p.name.startswith(".")]
                if code != 128 + number or unfinished:
                    faults.append(f"{stage} at {instant} s: {code}, {unfinished}")
        print(stage, [round(x, 2) for x in latencies[stage]], flush=True)
    return {
        "maximum_s": round(max(max(v) for v in latencies.values()), 2),
        "by_stage_s": {
            k: {"median": round(float(np.median(v)), 2), "maximum": round(max(v), 2)}
            for k, v in latencies.items()
        },
        "number": sum(map(len, latencies.values())),
        "faults": faults,
    }


def fuzz(number: int, work: Path) -> dict[str, Any]:
    """Check that damaged files are refused or read as finite numbers."""
    from damage import damaged_copies
    from phono3py_mlp_plugin.errors import MLPError
    from phono3py_mlp_plugin.host.reading import read_crystal
    from phono3py_mlp_plugin.polynomial.file.read import parse_potential
    from phono3py_mlp_plugin.workflow import check_dataset, read_dataset

    folder = work / "fuzz"
    folder.mkdir()
    small_params(folder)
    subprocess.run(command(*SMALL), cwd=folder, check=True, capture_output=True)
    damaged = folder / "damaged.yaml"

    def read_potential(text: str) -> bool:
        return bool(np.isfinite(parse_potential(text, "here").coefficients).all())

    def read_params(text: str) -> bool:
        damaged.write_text(text)
        ph3 = read_crystal(damaged)
        dataset = read_dataset(ph3.dataset, ph3.supercell)
        if dataset is None:
            return True
        check_dataset(dataset)
        return bool(
            np.isfinite(dataset.forces).all()
            and np.isfinite(dataset.displacements).all()
        )

    kinds: dict[str, tuple[Path, Callable[[str], bool]]] = {
        "potential": (folder / "polymlp.yaml", read_potential),
        "dataset": (folder / PARAMS, read_params),
    }
    results: dict[str, Any] = {}
    for kind, (path, read) in kinds.items():
        tally: dict[str, Any] = {"loaded": 0, "refused": 0, "other": []}
        slowest = 0.0
        for text in damaged_copies(path.read_text(), number, seed=7):
            begin = time.perf_counter()
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    finite = read(text)
                tally["loaded"] += finite
                if not finite:
                    tally["other"].append("loaded, not finite")
            except MLPError:
                tally["refused"] += 1
            except Exception as error:
                tally["other"].append(repr(error)[:200])
            slowest = max(slowest, time.perf_counter() - begin)
        tally["slowest_s"] = round(slowest, 3)
        results[kind] = tally
        print(kind, tally, flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return {**results, "peak_memory_GB": round(peak, 2)}


def main() -> None:
    """Run the given parts, or all parts, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parts = ("kill", "signals", "fuzz")
    parser.add_argument("parts", nargs="*", metavar="|".join(parts))
    parser.add_argument("--number", type=int, help="number of kills or damaged files")
    args = parser.parse_args()
    wanted = args.parts or parts
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        if "kill" in wanted:
            results["kill"] = killed_runs(args.number or 200, work)
        if "signals" in wanted:
            results["signals"] = interrupted_runs(work)
        if "fuzz" in wanted:
            results["fuzz"] = fuzz(args.number or 10_000, work)
    results["date"] = datetime.date.today().isoformat()
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()

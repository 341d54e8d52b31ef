"""Compare the polynomial engine with pypolymlp, compiled for this machine.

    python benchmarks/engine.py [--only NAME ...] [--native FOLDER] [--results FILE]

Data: NaCl, 64-atom supercells of phono3py's example NaCl-rd, default model (8,283
features). The two programs alternate in one run with the same number of threads, and
ratios are those of medians. Complete trainings run in separate processes, whose peak
memory is given; the engine is run before and after each run of pypolymlp. Results are
written to ``benchmarks/results/engine.json`` one section after the other, so that a
section can be measured again. Use another file for the results of another machine.
Ratios are also added to the history of benchmarks (history.py).
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from history import Entry, add

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "engine.json"
NATIVE = ROOT / ".venv" / "native"
EXAMPLE = ROOT / "example" / "NaCl-pypolymlp"
PLAIN = ROOT / "tests" / "host" / "plain.py"

Seconds = float


def timed(call: Callable[[], Any]) -> Seconds:
    """Return the wall time of a call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def alternate(
    calls: dict[str, Callable[[], Any]], rounds: int
) -> dict[str, list[Seconds]]:
    """Return the times of alternating calls; the first round is not included."""
    for call in calls.values():
        call()
    times: dict[str, list[Seconds]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            times[name].append(timed(call))
    return times


def comparison(times: dict[str, list[Seconds]]) -> dict[str, float]:
    """Return the medians and the median of the ratios."""
    ratios = [b / a for a, b in zip(times["ours"], times["pypolymlp"], strict=True)]
    return {
        "ours_s": statistics.median(times["ours"]),
        "pypolymlp_s": statistics.median(times["pypolymlp"]),
        "ratio": statistics.median(ratios),
    }


def nacl_params() -> Path:
    """Return the path of phono3py_params.yaml of the example, created once."""
    sys.path.insert(0, str(EXAMPLE))
    from fetch_data import host_source

    published = host_source() / "example" / "NaCl-rd" / "phono3py_params_NaCl.yaml.xz"
    path = Path(tempfile.gettempdir()) / "phono3py-mlp-benchmark" / "params.yaml"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        script = ROOT / "tests" / "host" / "nacl_params.py"
        subprocess.run([sys.executable, script, published, path], check=True)
    return path


def nacl_dataset() -> Any:
    """Return the dataset of one hundred supercells."""
    import phono3py

    from phono3py_mlp_plugin.workflow import read_dataset

    ph3 = phono3py.load(nacl_params(), produce_fc=False, log_level=0)
    return read_dataset(ph3.dataset, ph3.supercell)


def options(engine: str, **changes: Any) -> Any:
    """Return the options of the default model."""
    from phono3py_mlp_plugin.calculators.pypolymlp import PypolymlpOptions

    return PypolymlpOptions(engine=engine, **changes)


def problem(n: int) -> tuple[Any, Any, Any, Any]:
    """Return feature list and structures, and those of pypolymlp."""
    from pypolymlp.core.params import PolymlpParams
    from pypolymlp.core.params_utils import set_all_params
    from pypolymlp.utils.phonopy_utils import phonopy_cell_to_structure

    from phono3py_mlp_plugin.calculators.pypolymlp.native import model_parameters
    from phono3py_mlp_plugin.polynomial.model.feature_list import list_features
    from phono3py_mlp_plugin.polynomial.structures.structure import structures_of

    data = nacl_dataset().select(range(n))
    parameters = model_parameters(data, options("native"))
    library = set_all_params(
        elements=parameters.elements,
        cutoff=parameters.cutoff,
        model_type=parameters.model_type,
        max_p=parameters.max_p,
        gaussian_params2=(0.0, 7.0, 10),
        gtinv_order=3,
        gtinv_maxl=parameters.gtinv_maxl,
        atomic_energy=(0.0, 0.0),
    )
    library.include_force = True
    both = PolymlpParams(library)
    both.include_force = True
    cells = data.supercells()
    return (
        list_features(parameters),
        structures_of(cells, parameters.elements),
        both,
        [phonopy_cell_to_structure(cell) for cell in cells],
    )


# Workers: each runs in a separate process and returns its measurements.


def design_matrix() -> dict[str, float]:
    """Measure the features of 8 supercells, computed into an existing matrix."""
    from pypolymlp.mlp_dev.core.features import compute_features

    from phono3py_mlp_plugin.polynomial.design_matrix import Features

    feature_list, ours, parameters, theirs = problem(8)
    features = Features(feature_list)
    matrix = np.zeros((feature_list.n_features, 8 * 193))

    def fill() -> None:
        matrix[:] = 0.0
        features.fill(matrix, 0, ours, [False] * len(ours))

    return comparison(
        alternate(
            {
                "ours": fill,
                "pypolymlp": lambda: compute_features(parameters, structures=theirs),
            },
            5,
        )
    )


def evaluation() -> dict[str, float]:
    """Measure energies and forces of 40 supercells."""
    from pypolymlp.calculator.properties import Properties

    from phono3py_mlp_plugin.polynomial.evaluator import Evaluator

    feature_list, ours, parameters, theirs = problem(40)
    coefficients = np.random.default_rng(1).normal(size=feature_list.n_features)
    evaluator = Evaluator(feature_list, coefficients)
    library = Properties(params=parameters, coeffs=coefficients)
    return comparison(
        alternate(
            {
                "ours": lambda: evaluator.evaluate(ours),
                "pypolymlp": lambda: library.eval_multiple(theirs),
            },
            11,
        )
    )


def construction() -> dict[str, float]:
    """Measure the construction of the evaluator from parameters and coefficients."""
    from pypolymlp.calculator.properties import Properties

    from phono3py_mlp_plugin.polynomial.evaluator import Evaluator
    from phono3py_mlp_plugin.polynomial.model.feature_list import list_features

    feature_list, _, parameters, _ = problem(1)
    coefficients = np.random.default_rng(1).normal(size=feature_list.n_features)
    return comparison(
        alternate(
            {
                "ours": lambda: Evaluator(
                    list_features(feature_list.parameters), coefficients
                ),
                "pypolymlp": lambda: Properties(params=parameters, coeffs=coefficients),
            },
            5,
        )
    )


def train(engine: str, n_training: int, n_test: int) -> dict[str, float]:
    """Measure a training on the first supercells, tested on the last."""
    from phono3py_mlp_plugin.calculators.pypolymlp import train as train_model
    from phono3py_mlp_plugin.contracts import no_progress

    data = nacl_dataset()
    training = data.select(range(n_training))
    test = data.select(range(len(data) - n_test, len(data)))
    seconds = timed(lambda: train_model(training, test, options(engine), no_progress))
    return {"seconds": seconds, "peak_gb": peak()}


def learning_curve() -> dict[str, float]:
    """Measure fits of 20, 40, 60 and 80 supercells in one pass, with 20 for testing."""
    from phono3py_mlp_plugin.calculators.pypolymlp.native import (
        model_parameters,
        ridge_options,
    )
    from phono3py_mlp_plugin.polynomial.design_matrix import Features
    from phono3py_mlp_plugin.polynomial.model.feature_list import list_features
    from phono3py_mlp_plugin.polynomial.regression.path import ridge_paths
    from phono3py_mlp_plugin.polynomial.training import regression_problem

    data = nacl_dataset()
    training, test = data.select(range(80)), data.select(range(80, 100))

    def run() -> None:
        fitting = ridge_options(options("native"))
        parameters = model_parameters(training, options("native"))
        features = Features(list_features(parameters))
        paths = ridge_paths(
            regression_problem(features, training, fitting),
            regression_problem(features, test, fitting),
            (10.0 ** np.linspace(-3, 1, 5)).tolist(),
            sizes=(20, 40, 60, 80),
        )
        assert all(np.isfinite(path.coefficients[path.best]).all() for path in paths)

    return {"seconds": timed(run), "peak_gb": peak()}


def cold_start() -> dict[str, float]:
    """Measure first training and evaluation with an empty and a filled kernel cache."""
    program = (
        "import time; import numpy, phono3py, numba, scipy.linalg;"
        "from phono3py_mlp_plugin.api.installation import compile_kernels;"
        "print(compile_kernels())"
    )
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "NUMBA_CACHE_DIR": cache}
        cold, warm = (
            float(
                subprocess.run(
                    [sys.executable, "-c", program],
                    env=environment,
                    capture_output=True,
                    text=True,
                    check=True,
                ).stdout
            )
            for _ in range(2)
        )
    return {"empty_cache_s": cold, "next_process_s": warm}


def large_model(symbols: tuple[str, ...], n: int, side: int) -> dict[str, float]:
    """Measure a training for several elements on supercells of a pair potential."""
    from phonopy.structure.atoms import PhonopyAtoms

    from phono3py_mlp_plugin.calculators.pypolymlp import train as train_model
    from phono3py_mlp_plugin.contracts import Dataset, no_progress

    points = np.indices((side,) * 3).reshape(3, -1).T
    lattice = np.eye(3) * 2.8 * side
    names = [symbols[k] for k in np.sort(points.sum(axis=1) % len(symbols))]
    cell = PhonopyAtoms(symbols=names, cell=lattice, positions=points * 2.8)
    random = np.random.default_rng(1)
    displacements = random.normal(scale=0.03, size=(n + 2, len(cell), 3))
    types = np.array([symbols.index(s) for s in names])
    energies, forces = zip(
        *(lennard_jones(lattice, cell.positions + d, types) for d in displacements),
        strict=True,
    )
    data = Dataset(cell, displacements, np.array(forces), np.array(energies))
    results: list[Any] = []
    seconds = timed(
        lambda: results.append(
            train_model(
                data.select(range(n)),
                data.select(range(n, n + 2)),
                options("native"),
                no_progress,
            )
        )
    )
    test = data.select(range(n, n + 2))
    (trained,) = results
    predicted = trained.potential.evaluate(test.supercells()).forces
    return {
        "seconds": seconds,
        "peak_gb": peak(),
        "n_features": trained.n_features,
        "n_atoms": len(cell),
        "relative_force_error": float(
            np.linalg.norm(predicted - test.forces) / np.linalg.norm(test.forces)
        ),
    }


def lennard_jones(lattice: Any, positions: Any, types: Any) -> tuple[float, Any]:
    """Return energy and forces of a smooth pair potential that depends on types."""
    from phono3py_mlp_plugin.polynomial.structures.neighbours import find_neighbours

    cutoff = 7.0
    neighbours = find_neighbours(lattice, positions, cutoff)
    i = np.repeat(np.arange(len(positions)), np.diff(neighbours.start))
    j = neighbours.partners
    depth = 0.05 * (1 + 0.3 * np.cos(types[i] + types[j] + types[i] * types[j]))
    r = np.linalg.norm(neighbours.vectors, axis=1)
    x = (2.5 / r) ** 6
    # Energy and force are shifted so that they vanish at the cutoff.
    edge = (2.5 / cutoff) ** 6
    slope = (-12 * edge**2 + 6 * edge) / cutoff
    energy = depth * (x**2 - x - (edge**2 - edge) - slope * (r - cutoff))
    derivatives = depth * ((-12 * x**2 + 6 * x) / r - slope)
    forces = np.zeros_like(positions)
    np.add.at(forces, i, (derivatives / r)[:, None] * neighbours.vectors)
    return float(energy.sum()) / 2 - 4.0 * len(positions), forces


def scaling() -> dict[str, Any]:
    """Measure how times scale with the numbers of atoms and of supercells."""
    from phono3py_mlp_plugin.polynomial.design_matrix import Features
    from phono3py_mlp_plugin.polynomial.evaluator import Evaluator
    from phono3py_mlp_plugin.polynomial.model.feature_list import list_features
    from phono3py_mlp_plugin.polynomial.structures.structure import Structure

    feature_list, structures, _, _ = problem(100)
    features = Features(feature_list)
    coefficients = np.random.default_rng(1).normal(size=feature_list.n_features)
    evaluator = Evaluator(list_features(feature_list.parameters), coefficients)
    rows: dict[str, list[dict[str, float]]] = {"atoms": [], "supercells": []}
    base = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    random = np.random.default_rng(2)
    calls: dict[str, Callable[[], Any]] = {}
    atoms = []
    for side in (2, 3, 4, 5):
        corners = np.indices((side,) * 3).reshape(3, -1).T
        first = (base[:, None] + corners).reshape(-1, 3) * 5.65
        positions = np.concatenate([first, first + np.array([2.825, 0, 0])])
        types = np.repeat([0, 1], len(first))
        lattice = np.eye(3) * 5.65 * side
        some = [
            Structure(
                lattice,
                positions + random.normal(scale=0.03, size=positions.shape),
                types,
            )
            for _ in range(2)
        ]
        atoms.append(len(positions))
        matrix = np.zeros((feature_list.n_features, 2 * (1 + 3 * len(positions))))

        def fill(matrix: Any = matrix, some: Any = some) -> None:
            matrix[:] = 0.0
            features.fill(matrix, 0, some, [False] * len(some))

        calls[f"design_matrix {side}"] = fill
        calls[f"evaluation {side}"] = lambda some=some: evaluator.evaluate(some)
    # All sizes alternate, so that fluctuations of the machine affect them equally.
    times = alternate(calls, 9)
    medians = [statistics.median(t) / 2 for t in times.values()]
    for n, matrix_time, evaluation_time in zip(
        atoms, medians[::2], medians[1::2], strict=True
    ):
        rows["atoms"].append(
            {"n": n, "design_matrix": matrix_time, "evaluation": evaluation_time}
        )
    for n in (10, 50, 100, 200):
        many = (structures * 2)[:n]
        matrix = np.zeros((feature_list.n_features, 10 * 193))

        def stream(many: Any = many, matrix: Any = matrix) -> None:
            for begin in range(0, len(many), 10):
                matrix[:] = 0.0
                part = many[begin : begin + 10]
                features.fill(matrix, 0, part, [False] * len(part))

        rows["supercells"].append(
            {
                "n": n,
                "design_matrix": timed(stream),
                "evaluation": timed(lambda many=many: evaluator.evaluate(many)),
            }
        )
    result: dict[str, Any] = dict(rows)
    for kind, begin in (("atoms", 1), ("supercells", 0)):
        for name in ("design_matrix", "evaluation"):
            n, t = ([row[key] for row in rows[kind][begin:]] for key in ("n", name))
            slope = np.polyfit(np.log(n), np.log(t), 1)[0]
            result[f"exponent_{kind}_{name}"] = float(slope)
    return result


def peak() -> float:
    """Return the peak memory of this process in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def command(native: Path) -> dict[str, float]:
    """Compare ``phono3py-load --pypolymlp -d`` with and without this package."""
    times: dict[str, list[Seconds]] = {"ours": [], "pypolymlp": []}
    with tempfile.TemporaryDirectory() as folder:
        make = Path(folder) / "potential"
        make.mkdir()
        shutil.copy(nacl_params(), make / "phono3py_params.yaml")
        scripts = Path(sys.executable).parent
        run = ["phono3py-load", "--pypolymlp"]
        default = ["--mlp-params", "ntrain = 10, ntest = 5"]
        subprocess.run(
            [scripts / run[0], run[1], "phono3py_params.yaml", *default],
            cwd=make,
            check=True,
            capture_output=True,
        )
        environment = {**os.environ, "PYTHONPATH": str(native)}
        for _ in range(3):
            for name, start in (
                ("ours", [scripts / run[0], run[1]]),
                ("pypolymlp", [sys.executable, PLAIN, *run]),
            ):
                place = Path(tempfile.mkdtemp(dir=folder))
                for file in ("phono3py.yaml", "polymlp.yaml"):
                    shutil.copy(make / file, place)
                words = [*start, "-d", "phono3py.yaml"]
                times[name].append(
                    timed(
                        lambda words=words, place=place: subprocess.run(
                            words,
                            cwd=place,
                            check=True,
                            capture_output=True,
                            env=environment,
                        )
                    )
                )
    return comparison(times)


WORKERS: dict[str, Callable[[], dict[str, Any]]] = {
    "design_matrix": design_matrix,
    "evaluation": evaluation,
    "construction": construction,
    "cold_start": cold_start,
    "scaling": scaling,
    "learning_curve": learning_curve,
    "ternary": lambda: large_model(("Sr", "Ti", "O"), 20, 4),
    "quaternary": lambda: large_model(("Sr", "Ba", "Ti", "O"), 20, 4),
    **{
        f"train {engine} {n} {m}": lambda engine=engine, n=n, m=m: train(engine, n, m)
        for engine in ("native", "pypolymlp")
        for n, m in ((90, 10), (20, 20), (40, 20), (60, 20), (80, 20))
    },
}


def measured(name: str, native: Path) -> dict[str, Any]:
    """Return the measurements of a worker that is run in a separate process."""
    paths = [str(native), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run(
        [sys.executable, __file__, "--worker", name],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise SystemExit(f"{name} failed:\n{done.stderr}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def in_turns(
    native: Path,
    ours: str,
    theirs: Sequence[str],
    total: Callable[[Sequence[Seconds]], Seconds],
) -> dict[str, float]:
    """Compare a worker of this package with those of pypolymlp.

    The worker is run before and after each worker of pypolymlp, and its median time is
    used. The times of the workers of pypolymlp are combined by ``total``.
    """
    our_runs = [measured(ours, native)]
    their_runs = []
    for name in theirs:
        their_runs.append(measured(name, native))
        our_runs.append(measured(ours, native))
    our_seconds = statistics.median(run["seconds"] for run in our_runs)
    their_seconds = total([run["seconds"] for run in their_runs])
    our_peak = max(run["peak_gb"] for run in our_runs)
    their_peak = max(run["peak_gb"] for run in their_runs)
    return {
        "ours_s": our_seconds,
        "pypolymlp_s": their_seconds,
        "ratio": their_seconds / our_seconds,
        "ours_peak_gb": our_peak,
        "pypolymlp_peak_gb": their_peak,
        "memory_ratio": our_peak / their_peak,
    }


def training(native: Path) -> dict[str, float]:
    """Compare complete trainings of 90 + 10 supercells: medians of four and three."""
    theirs = ["train pypolymlp 90 10"] * 3
    return in_turns(native, "train native 90 10", theirs, statistics.median)


def four_trainings(native: Path) -> dict[str, float]:
    """Compare the documented learning curve: one pass with four trainings."""
    theirs = [f"train pypolymlp {n} 20" for n in (20, 40, 60, 80)]
    return in_turns(native, "learning_curve", theirs, sum)


SECTIONS: dict[str, Callable[[Path], dict[str, Any]]] = {
    **{
        name: lambda native, name=name: measured(name, native)
        for name in (
            "design_matrix",
            "evaluation",
            "construction",
            "cold_start",
            "scaling",
            "ternary",
            "quaternary",
        )
    },
    "command": command,
    "training": training,
    "four_trainings": four_trainings,
}


def machine() -> dict[str, Any]:
    """Return date, processor and versions of the measurements."""
    processor, flags = platform.processor(), ""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                processor = line.partition(":")[2].strip()
            elif line.startswith("flags"):
                flags = line
    names = ("phono3py-mlp-plugin", "phono3py", "pypolymlp", "numba", "numpy", "scipy")
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "processor": processor,
        "vectors": next((v for v in ("avx512f", "avx2") if v in flags), "unknown"),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in names},
    }


def show(name: str, result: dict[str, Any]) -> None:
    """Print the results of one section on a line."""
    figures = ", ".join(
        f"{key} = {value:.3g}" if isinstance(value, float) else f"{key} = {value}"
        for key, value in result.items()
        if not isinstance(value, list)
    )
    print(f"{name:16} {figures}", flush=True)


def main() -> None:
    """Measure the requested sections and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument("--native", type=Path, default=NATIVE)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--worker", choices=WORKERS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        print(json.dumps(WORKERS[args.worker]()))
        return
    if not (args.native / "pypolymlp").is_dir():
        raise SystemExit(f"ERROR: no pypolymlp in {args.native}. Run 'make bench'.")
    path = args.results
    results = json.loads(path.read_text()) if path.is_file() else {}
    for name in args.only:
        results[name] = {**SECTIONS[name](args.native), "machine": machine()}
        shown = {k: v for k, v in results[name].items() if k != "machine"}
        show(name, shown)
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(results, indent=1) + "\n")
        if "ratio" in results[name]:
            ratio, where = results[name]["ratio"], results[name]["machine"]
            add(Entry.of(f"engine, {name}", "pypolymlp", ratio, where))


if __name__ == "__main__":
    main()

"""Measure how often error bars of kappa contain the right value, on many crystals.

    python benchmarks/calibration.py [--crystals NAME,..] [--orders N] [--jobs N]

For each crystal and order of its supercells, a study of 5, 10, 20 and 40 supercells is
run with the functions of `phono3py-mlp converge`. The intervals are compared with kappa
of the same model trained on many supercells and, for analytic potentials, with kappa of
the potential itself. Finished orders are stored in ``benchmarks/results`` and not
computed again. The tables and the figure of ``docs/explanation/error-bars.md`` are
written from them.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from zoo import report
from zoo.crystals import CRYSTALS, ROOT, STRONG, Analytic, Published, named, setting_of
from zoo.run import MODEL, SIZES, Calculations

from phono3py_mlp_plugin.host.scattering import enable_fast_scattering
from phono3py_mlp_plugin.uncertainty import DRAWS

RESULTS = ROOT / "benchmarks" / "results" / "calibration.json"

DOCS = ROOT / "docs" / "figures"

QUICK = ("C", "Si thermal")
"""Crystals of 8 atoms, which take seconds."""


def calibrate(
    crystals: Sequence[Analytic | Published],
    orders: int,
    members: int,
    path: Path,
    jobs: int = 1,
) -> None:
    """Compute the missing orders and references, and store each one."""
    # Fair to all crystals if it is stopped.
    tasks = [
        (crystal, order, missing)
        for order in range(-1, orders)
        for crystal in crystals
        if (missing := _missing(entry_of(read(path), crystal, members), crystal, order))
    ]

    def keep(number: int, found: tuple[dict[str, Any], float]) -> None:
        crystal, order, _ = tasks[number]
        store(path, crystal, members, found[0])
        print(f"{crystal.name}, order {order}: {found[1]:.0f} s", flush=True)

    calls = [(c.name, order, missing, members) for c, order, missing in tasks]
    if jobs == 1:
        for number, call in enumerate(calls):
            keep(number, computed(*call))
        return
    with ProcessPoolExecutor(jobs, get_context("spawn")) as executor:
        futures = {executor.submit(computed, *c): k for k, c in enumerate(calls)}
        for future in as_completed(futures):
            keep(futures[future], future.result())


def _missing(
    entry: dict[str, Any], crystal: Analytic | Published, order: int
) -> tuple[str, ...]:
    """Return what is not stored of an order, or of the references, which are -1."""
    if order >= 0:
        is_stored = any(point["order"] == order for point in entry["points"])
        return () if is_stored else ("points",)
    names = ("reference", "exact", "anharmonicity")
    wanted = names if crystal.is_analytic else ("reference", "anharmonicity")
    return tuple(name for name in wanted if name not in entry)


def computed(
    name: str, order: int, missing: Sequence[str], members: int
) -> tuple[dict[str, Any], float]:
    """Return what is missing of an order of a crystal, and the time it takes."""
    begin = time.perf_counter()
    enable_fast_scattering()
    run = Calculations(named(name), members)
    functions: dict[str, Callable[[], Any]] = {
        "points": lambda: run.order(order),
        "reference": run.reference,
        "exact": run.exact,
        "anharmonicity": run.anharmonicity,
    }
    return {key: functions[key]() for key in missing}, time.perf_counter() - begin


def entry_of(
    results: dict[str, Any], crystal: Analytic | Published, members: int
) -> dict[str, Any]:
    """Return the stored results of a crystal; none if its setting has changed."""
    setting = {
        **setting_of(crystal),
        "model": MODEL,
        "members": members,
        "sizes": list(SIZES),
        "draws": DRAWS,
    }
    entry = results.get(crystal.name)
    if entry is None or entry["setting"] != setting:
        entry = {"setting": setting, "points": []}
    entry["n_reference"] = crystal.n_reference
    return entry


def read(path: Path) -> dict[str, Any]:
    """Return the stored results by the name of the crystal."""
    return json.loads(path.read_text()) if path.exists() else {}


def store(
    path: Path, crystal: Analytic | Published, members: int, new: dict[str, Any]
) -> None:
    """Add results of a crystal to the file, which others may have changed."""
    results = read(path)
    entry = entry_of(results, crystal, members)
    entry["points"] += new.pop("points", [])
    results[crystal.name] = {**entry, **new}
    lines = [
        f'"{name}": {{\n'
        + ",\n".join(
            f' "{key}": '
            + (
                "[\n  " + ",\n  ".join(json.dumps(v) for v in value) + "\n ]"
                if key == "points"
                else json.dumps(value)
            )
            for key, value in entry.items()
        )
        + "\n}"
        for name, entry in results.items()
    ]
    temporary = path.with_suffix(f".{os.getpid()}")
    temporary.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    temporary.replace(path)


def main() -> None:
    """Run what is missing, then write tables and figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--crystals", metavar="NAME,..")
    parser.add_argument("--orders", type=int, default=8)
    parser.add_argument("--members", type=int, default=16)
    parser.add_argument("--jobs", type=int, default=1, help="number of processes")
    parser.add_argument("--quick", action="store_true", help="two crystals, two orders")
    parser.add_argument("--results", type=Path, default=RESULTS)
    args = parser.parse_args()
    names = args.crystals.split(",") if args.crystals else None
    if args.quick:
        names, args.orders = names or QUICK, min(args.orders, 2)
    crystals = [named(n) for n in names] if names else [*CRYSTALS, *STRONG]
    calibrate(crystals, args.orders, args.members, args.results, args.jobs)
    results = read(args.results)
    if args.results == RESULTS and not args.quick:
        report.write(results, DOCS)
    print(report.tables(report.finished(results)))


if __name__ == "__main__":
    main()

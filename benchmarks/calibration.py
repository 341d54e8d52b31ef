"""Measure how often error bars of kappa contain the right value, on many crystals.

    python benchmarks/calibration.py [--crystals NAME,..] [--orders N] [--quick]

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
from collections.abc import Sequence
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
) -> None:
    """Compute the missing orders and references, and store each one."""
    calculations = {c.name: Calculations(c, members) for c in crystals}
    # Fair to all crystals if it is stopped.
    for order in range(-1, orders):
        for crystal in crystals:
            entry = entry_of(read(path), crystal, members)
            run = calculations[crystal.name]
            begin = time.perf_counter()
            if order < 0:
                new = _references(crystal, run, entry)
            elif any(point["order"] == order for point in entry["points"]):
                continue
            else:
                new = {"points": run.order(order)}
            if new:
                store(path, crystal, members, new)
                seconds = time.perf_counter() - begin
                print(f"{crystal.name}, order {order}: {seconds:.0f} s", flush=True)


def _references(
    crystal: Analytic | Published, run: Calculations, entry: dict[str, Any]
) -> dict[str, Any]:
    """Return the reference values that are missing."""
    new: dict[str, Any] = {}
    if "reference" not in entry:
        new["reference"] = run.reference()
    if crystal.is_analytic and "exact" not in entry:
        new["exact"] = run.exact()
    if "anharmonicity" not in entry:
        new["anharmonicity"] = run.anharmonicity()
    return new


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
    parser.add_argument("--quick", action="store_true", help="two crystals, two orders")
    parser.add_argument("--results", type=Path, default=RESULTS)
    args = parser.parse_args()
    names = args.crystals.split(",") if args.crystals else None
    if args.quick:
        names, args.orders = names or QUICK, min(args.orders, 2)
    crystals = [named(n) for n in names] if names else [*CRYSTALS, *STRONG]
    enable_fast_scattering()
    calibrate(crystals, args.orders, args.members, args.results)
    results = read(args.results)
    if args.results == RESULTS and not args.quick:
        report.write(results, DOCS)
    print(report.tables(report.finished(results)))


if __name__ == "__main__":
    main()

"""Measure the coverage of the error bars of kappa for subsets of supercells.

    python benchmarks/calibration.py [--orders N] [--members N] [--ensemble NAME]

The crystals are NaCl and MgO. Every order of the 100 first-principles supercells gives
nested training sets of 5 to 80 supercells and a test set of 20. Each interval is
compared with kappa of all data from the same model and displacements. Gaussian smearing
is used, because kappa of the tetrahedron method changes by 0.1 % when force constants
change by 1e-12. Finished cases are stored in benchmarks/results.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import lzma
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from phono3py import Phono3py

from phono3py_mlp_plugin.contracts import Ensemble, no_progress
from phono3py_mlp_plugin.host.reading import read_crystal
from phono3py_mlp_plugin.uncertainty import (
    DRAWS,
    ErrorBar,
    relative_scatter,
    scatter_exponent,
    scatter_within,
)
from phono3py_mlp_plugin.workflow import (
    DisplacementOptions,
    ForceConstantsOf,
    displace,
    read_dataset,
    request_calculator,
    request_force_constants,
)

ROOT = Path(__file__).resolve().parents[1]
RESULTS = {
    "jackknife": ROOT / "benchmarks" / "results" / "calibration.json",
    "posterior": ROOT / "benchmarks" / "results" / "calibration_posterior.json",
}
FILES = {
    "NaCl": ("example/NaCl-rd/phono3py_params_NaCl.yaml.xz", 0.1),
    "MgO": ("test/phono3py_params_MgO-222rd-444rd.yaml.xz", 0.2),
}
MODEL = "preset = compact"
SIZES = (5, 10, 20, 40, 80)
TEST = 20
ALL = 98
LEVELS = (0.68, 0.95)


def crystal_of(source: Path, file: str) -> tuple[Phono3py, Any]:
    """Return the crystal with only the supercell of fc3, and its dataset."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "params.yaml"
        path.write_bytes(lzma.decompress((source / file).read_bytes()))
        published = read_crystal(path)
    crystal = Phono3py(
        published.unitcell,
        supercell_matrix=published.supercell_matrix,
        primitive_matrix=published.primitive_matrix,
        cutoff_frequency=0.01,
    )
    crystal.nac_params = published.nac_params
    dataset = read_dataset(published.dataset, published.supercell)
    assert dataset is not None
    return crystal, dataset


class Case:
    """Calculations of kappa_xx at 300 K from potentials of one crystal."""

    def __init__(self, source: Path, name: str, ensemble: Ensemble) -> None:
        file, sigma = FILES[name]
        self.crystal, self.dataset = crystal_of(source, file)
        self.request = request_calculator("pypolymlp", MODEL)
        self.ensemble = ensemble
        self.crystal.mesh_numbers = [9, 9, 9]
        self.crystal.sigmas = [sigma]
        displace(self.crystal, DisplacementOptions())
        self.force_constants = ForceConstantsOf(
            self.crystal, request_force_constants("symfc"), "pypolymlp"
        )

    def kappa(self, potentials: list[Any]) -> np.ndarray:
        """Return kappa_xx of each potential at 300 K."""
        values = []
        for fcs in self.force_constants.solve(potentials):
            self.crystal.fc2, self.crystal.fc3 = fcs[2], fcs[3]
            self.crystal.init_phph_interaction()
            self.crystal.run_thermal_conductivity(temperatures=[300])
            values.append(self.crystal.thermal_conductivity.kappa.ravel()[0])
        return np.array(values)

    def fits(self, training: Any, test: Any, sizes: tuple[int, ...]) -> Any:
        """Yield the fits of nested training sets."""
        train = self.request.calculator.learning_curve
        assert train is not None
        return train(
            self.dataset.select(training),
            self.dataset.select(test),
            sizes,
            self.request.options,
            self.ensemble,
            no_progress,
        )

    def reference(self) -> float:
        """Return kappa of all supercells except the two used to choose the penalty."""
        rows = np.arange(len(self.dataset))
        (fit,) = self.fits(rows[:ALL], rows[ALL:], (ALL,))
        return float(self.kappa([fit.trained.potential])[0])

    def order(self, seed: int) -> list[dict[str, float]]:
        """Return kappa and its scatter for nested training sets of a random order."""
        rows = np.random.default_rng(1000 + seed).permutation(len(self.dataset))
        cases = []
        for fit in self.fits(rows[: max(SIZES)], rows[-TEST:], SIZES):
            potentials = [fit.trained.potential, *fit.members, *fit.alternatives]
            kappa = self.kappa(potentials)
            own, drawn = kappa[0], kappa[1:]
            n_members = len(fit.members)
            cases.append(
                {
                    "order": seed,
                    "size": fit.size,
                    "kappa": float(own),
                    "sampling": relative_scatter(drawn[:n_members], own),
                    "penalty": scatter_within(drawn[n_members:], own),
                    "left_out": fit.left_out,
                    "alpha": float(fit.trained.alpha or 0.0),
                }
            )
        return cases


def with_falls(cases: list[dict[str, float]], method: str) -> list[dict[str, float]]:
    """Return cases with the exponent of the decrease of scatter up to their size."""
    completed = []
    for case in cases:
        smaller = sorted(
            (c["size"], c["sampling"])
            for c in cases
            if c["order"] == case["order"] and c["size"] <= case["size"]
        )
        fall = 0.5
        if method == "jackknife":
            fall = scatter_exponent(*zip(*smaller, strict=True))
        completed.append({**case, "fall": fall})
    return completed


def coverage(cases: list[dict[str, float]], reference: float) -> dict[str, Any]:
    """Return the fraction of intervals that contain the reference, and rms z.

    The training sets are subsets of that of the reference. If kappa of n supercells
    scatters as n^-a around the true value, it scatters around kappa of all N supercells
    by sqrt(1 - (n / N)^2a) times as much. Intervals are compared both as they are and
    narrowed by this factor. The exponent a of the scatter of the jackknife is
    determined from the sizes up to n, as in a study.
    """
    results: dict[str, Any] = {}
    for name, with_penalty, with_fall in (
        ("supercells, fall not corrected", 0.0, False),
        ("supercells", 0.0, True),
        ("supercells and penalty", 1.0, True),
    ):
        for narrowed in (False, True):
            z, inside = [], dict.fromkeys(LEVELS, 0)
            for case in cases:
                n = int(case["size"])
                fall = case["fall"] if with_fall else 0.5
                factor = np.sqrt(1 - (n / ALL) ** (2 * fall)) if narrowed else 1.0
                bar = ErrorBar(
                    factor * case["sampling"],
                    factor * with_penalty * case["penalty"],
                    n,
                    fall,
                )
                z.append(np.log(case["kappa"] / reference) / bar.total)
                for level in LEVELS:
                    low, high = bar.interval(case["kappa"], level)
                    inside[level] += low < reference < high
            row = {f"{level:.0%}": inside[level] / len(cases) for level in LEVELS}
            row["rms z"] = float(np.sqrt(np.mean(np.square(z))))
            results[name + (", narrowed" if narrowed else "")] = row
    return results


def main() -> None:
    """Run the missing cases, then write and print the coverage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=6)
    parser.add_argument("--members", type=int, default=16)
    parser.add_argument("--ensemble", choices=RESULTS, default="jackknife")
    args = parser.parse_args()
    path = RESULTS[args.ensemble]
    ensemble = Ensemble(args.members, args.ensemble)
    sys.path.insert(0, str(ROOT / "example" / "NaCl-pypolymlp"))
    from fetch_data import host_source

    results = json.loads(path.read_text()) if path.exists() else {}
    setting = {
        "model": MODEL,
        "members": args.members,
        "mesh": 9,
        "draws": DRAWS,
        **dataclasses.asdict(DisplacementOptions()),
    }
    if results.get("setting") != setting:
        results = {"setting": setting, "crystals": {}}
    cases = {}
    for seed in range(args.orders):
        for name in FILES:
            entry = results["crystals"].setdefault(name, {"cases": []})
            if seed in {case["order"] for case in entry["cases"]}:
                continue
            if name not in cases:
                cases[name] = Case(host_source(), name, ensemble)
            if "reference" not in entry:
                entry["reference"] = cases[name].reference()
            begin = time.perf_counter()
            entry["cases"] += cases[name].order(seed)
            path.write_text(json.dumps(results, indent=1) + "\n")
            print(name, seed, f"{time.perf_counter() - begin:.0f} s", flush=True)
    for entry in results["crystals"].values():
        entry["cases"] = with_falls(entry["cases"], args.ensemble)
        entry["coverage"] = coverage(entry["cases"], entry["reference"])
    # In units of the reference of each crystal, so that both can be combined.
    relative = [
        {**case, "kappa": case["kappa"] / entry["reference"]}
        for entry in results["crystals"].values()
        for case in entry["cases"]
    ]
    results["coverage"] = coverage(relative, 1.0)
    path.write_text(json.dumps(results, indent=1) + "\n")
    print(json.dumps(results["coverage"], indent=1))


if __name__ == "__main__":
    main()

"""Coverage of the error bars of kappa: NaCl and MgO, many subsets of their supercells.

    python benchmarks/calibration.py [--orders N] [--members N] [--ensemble NAME]

Every order of the 100 first-principles supercells gives nested training sets of 5 to
80 and a test set of 20. Each interval is compared with kappa of all data, by the same
model and displacements. Gaussian smearing: the tetrahedron method moves by 0.1 % when
force constants change by 1e-12. Finished cases are kept in benchmarks/results.
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
    """Return the crystal with the supercell of fc3 alone, and its dataset."""
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
    """One crystal: from potentials to kappa_xx at 300 K."""

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
        """Return kappa_xx of potentials at 300 K."""
        found = []
        for fcs in self.force_constants.solve(potentials):
            self.crystal.fc2, self.crystal.fc3 = fcs[2], fcs[3]
            self.crystal.init_phph_interaction()
            self.crystal.run_thermal_conductivity(temperatures=[300])
            found.append(self.crystal.thermal_conductivity.kappa.ravel()[0])
        return np.array(found)

    def fits(self, training: Any, test: Any, sizes: tuple[int, ...]) -> Any:
        """Yield nested fits."""
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
        """Return kappa of all supercells but the two that choose the penalty."""
        rows = np.arange(len(self.dataset))
        (fit,) = self.fits(rows[:ALL], rows[ALL:], (ALL,))
        return float(self.kappa([fit.trained.potential])[0])

    def order(self, seed: int) -> list[dict[str, float]]:
        """Return errors and error bars of nested training sets of a random order."""
        rows = np.random.default_rng(1000 + seed).permutation(len(self.dataset))
        found = []
        for fit in self.fits(rows[: max(SIZES)], rows[-TEST:], SIZES):
            potentials = [fit.trained.potential, *fit.members, *fit.alternatives]
            kappa = self.kappa(potentials)
            own, drawn = kappa[0], kappa[1:]
            n_members = len(fit.members)
            found.append(
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
        return found


def with_falls(cases: list[dict[str, float]], method: str) -> list[dict[str, float]]:
    """Return cases with the fall of their scatter up to their size."""
    found = []
    for case in cases:
        smaller = sorted(
            (c["size"], c["sampling"])
            for c in cases
            if c["order"] == case["order"] and c["size"] <= case["size"]
        )
        fall = 0.5
        if method == "jackknife":
            fall = scatter_exponent(*zip(*smaller, strict=True))
        found.append({**case, "fall": fall})
    return found


def coverage(cases: list[dict[str, float]], reference: float) -> dict[str, Any]:
    """Return the part of intervals that hold the reference, and rms z, by method.

    The training sets are parts of the reference's: where kappa of n supercells scatters
    as n^-a about the truth, it does so about kappa of all N by sqrt(1 - (n / N)^2a) of
    that. So intervals are compared as they are, and narrowed by that factor. The fall a
    of the jackknife's scatter is taken from the sizes up to n, as in a study.
    """
    found: dict[str, Any] = {}
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
            found[name + (", narrowed" if narrowed else "")] = row
    return found


def main() -> None:
    """Run what is missing, write and print coverage."""
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
    # In units of each crystal's reference, so that both can be counted together.
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

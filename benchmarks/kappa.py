"""Compare kappa of NaCl and MgO from the engine of this package and from pypolymlp.

    python benchmarks/kappa.py

Both train the same model on the same first-principles supercells, and force constants
are computed from the same displacements. Gaussian smearing is used, because kappa of
the tetrahedron method changes by 0.1 % when force constants change by 1e-12.
"""

from __future__ import annotations

import json
import lzma
import sys
import tempfile
from pathlib import Path

import phono3py

import phono3py_mlp_plugin as mlp

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "kappa.json"
MODEL = "cutoff = 6, gtinv_maxl = 4 4, ntrain = 30, ntest = 10"
FILES = {
    "NaCl": "example/NaCl-rd/phono3py_params_NaCl.yaml.xz",
    "MgO": "test/phono3py_params_MgO-222rd-444rd.yaml.xz",
}


def kappa(path: Path, engine: str) -> float:
    """Return kappa_xx at 300 K in W/m-K."""
    ph3 = phono3py.load(path, produce_fc=False, log_level=0)
    training = mlp.train(ph3, options=f"{MODEL}, engine = {engine}")
    crystal = phono3py.Phono3py(
        ph3.unitcell,
        supercell_matrix=ph3.supercell_matrix,
        primitive_matrix=ph3.primitive_matrix,
    )
    crystal.nac_params = ph3.nac_params
    crystal.generate_displacements(
        distance=0.01, number_of_snapshots=20, is_plusminus=True, random_seed=1
    )
    mlp.evaluate(crystal, training.potential)
    mlp.solve_force_constants(crystal, "symfc")
    crystal.mesh_numbers = [9, 9, 9]
    crystal.sigmas = [0.1]
    crystal.init_phph_interaction()
    crystal.run_thermal_conductivity(temperatures=[300])
    return float(crystal.thermal_conductivity.kappa.ravel()[0])


def main() -> None:
    """Print and write the results of both engines."""
    sys.path.insert(0, str(ROOT / "example" / "NaCl-pypolymlp"))
    from fetch_data import host_source

    results = {}
    for name, file in FILES.items():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "phono3py_params.yaml"
            path.write_bytes(lzma.decompress((host_source() / file).read_bytes()))
            ours, theirs = (kappa(path, engine) for engine in ("native", "pypolymlp"))
        difference = ours / theirs - 1
        results[name] = {"native": ours, "pypolymlp": theirs, "difference": difference}
        print(f"{name}: {ours:.5f} and {theirs:.5f} W/m-K, {100 * difference:+.4f} %")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""Record what pypolymlp gives for the largest model of the tests.

    cd tests && python -m polynomial.record

writes ``polynomial/recorded.json``: energies (eV) of the structures, forces
(eV/angstrom; structure, component, atom in pypolymlp's order) and virials (eV; xx, yy,
zz, xy, yz, zx) for the coefficients that `coefficients_of` gives.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from phono3py_mlp_plugin.calculators.pypolymlp.native import invariants_table
from phono3py_mlp_plugin.polynomial.design_matrix import Features
from phono3py_mlp_plugin.polynomial.model.feature_list import list_features
from polynomial.library import library_parameters, library_structures
from polynomial.models import RECORDED, coefficients_of

RECORD = Path(__file__).parent / "recorded.json"


def main() -> None:
    """Ask pypolymlp and write the file."""
    from pypolymlp.calculator.properties import Properties
    from pypolymlp.core.params import PolymlpParams

    feature_list = list_features(RECORDED.parameters(), invariants_table)
    matrix = Features(feature_list).design_matrix(RECORDED.structures())
    library = Properties(
        params=PolymlpParams(library_parameters(RECORDED)),
        coeffs=coefficients_of(feature_list, matrix),
    )
    structures = [structure for structure, _ in library_structures(RECORDED)]
    found = [np.array(part).tolist() for part in library.eval_multiple(structures)]
    content = {"model": str(RECORDED), "n_features": feature_list.n_features}
    names = ("energies", "forces", "virials")
    content |= dict(zip(names, found, strict=True))
    RECORD.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()

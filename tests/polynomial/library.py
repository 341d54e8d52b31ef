"""Models and structures of the tests in pypolymlp's terms."""

from __future__ import annotations

import numpy as np


def library_parameters(case):
    from pypolymlp.core.params_utils import set_all_params

    parameters = set_all_params(
        elements=case.elements,
        cutoff=case.cutoff,
        model_type=case.model_type,
        max_p=case.max_p,
        feature_type=case.feature_type,
        gaussian_params2=(0.0, 4.0, case.n_gaussians),
        gtinv_order=case.order,
        gtinv_maxl=case.maxl,
        gtinv_version=case.version,
        atomic_energy=(0.0,) * case.n_types,
    )
    # The one is computed with, the other one is written to files.
    for model in (parameters.model, parameters.params_elements.model):
        for pair, active in case.active().items():
            model.pair_params_conditional[pair] = list(active)
    parameters.include_force = True
    return parameters


def library_structures(case):
    from phonopy.structure.atoms import PhonopyAtoms
    from pypolymlp.utils.phonopy_utils import phonopy_cell_to_structure

    found = []
    for structure in case.structures():
        # pypolymlp wants the atoms of an element together.
        order = np.argsort(structure.types, kind="stable")
        cell = PhonopyAtoms(
            cell=structure.lattice,
            positions=structure.positions[order],
            symbols=[case.elements[t] for t in structure.types[order]],
        )
        found.append((phonopy_cell_to_structure(cell), order))
    return found

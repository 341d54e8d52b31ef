"""fc3 of the clusters that fit a supercell."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from phono3py_mlp_plugin.solvers.hiphive.structures import ase_atoms

if TYPE_CHECKING:
    from phono3py_mlp_plugin.contracts import FloatArray, ForceConstantsProblem


class Triplets:
    """fc3 as a linear function of parameters.

    Parameters
    ----------
    problem : ForceConstantsProblem
    clusters : hiphive.ClusterSpace
        Of orders 2 and 3; the parameters of order 2 are not used.
    """

    def __init__(self, problem: ForceConstantsProblem, clusters: Any) -> None:
        from hiphive.force_constant_model import ForceConstantModel

        self._problem = problem
        self._model = ForceConstantModel(ase_atoms(problem.supercell), clusters)
        self._parameters = clusters.get_parameter_indices(3)

    def fit_matrix(self) -> FloatArray:
        """Return forces for each parameter, shape ``(3 N n, P)``."""
        displacements = self._problem.displacements
        rows = []
        with self._problem.progress("Fit matrix of fc3", len(displacements)) as advance:
            for u in displacements:
                rows.append(self._model.get_fit_matrix(u)[:, self._parameters])
                advance(1)
        return np.vstack(rows)

    def force_constants(self, parameters: FloatArray) -> FloatArray:
        """Return fc3 in eV/angstrom^3 in the shape that the problem requires."""
        every = np.zeros_like(self._model.parameters)
        every[self._parameters] = parameters
        self._model.parameters = every
        clusters = self._model.get_force_constants().get_fc_dict(3)
        problem = self._problem
        n_atoms = len(problem.supercell)
        rows = (
            problem.primitive.p2s_map if problem.is_compact_fc else np.arange(n_atoms)
        )
        row_of_atom = {int(atom): row for row, atom in enumerate(rows)}
        array = np.zeros(problem.shape(3))
        for cluster, values in clusters.items():
            for permutation in itertools.permutations(range(3)):
                first, second, third = (cluster[i] for i in permutation)
                if first in row_of_atom:
                    block = values.transpose(permutation)
                    array[row_of_atom[first], second, third] = block
        return array

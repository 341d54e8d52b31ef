"""Studies of the crystals, and their references."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from phono3py import Phono3py
from phono3py.phonon3.interaction import Interaction

from phono3py_mlp_plugin.contracts import (
    Dataset,
    Ensemble,
    FloatArray,
    ForceConstants,
    no_progress,
)
from phono3py_mlp_plugin.convergence import Study, Variant, converge
from phono3py_mlp_plugin.workflow import (
    DisplacementOptions,
    Mesh,
    request_calculator,
    request_force_constants,
    response_of,
)
from zoo.crystals import TEST, Analytic, Published
from zoo.records import record_of

MODEL = "preset = compact"
SIZES = (5, 10, 20, 40)
TEMPERATURE = 300.0  # K

# No study ends early.
_NEVER = 1e-9


class MeshTransport:
    """Kappa on a mesh, with settings by which it does not depend on rounding errors."""

    def __init__(self, crystal: Phono3py, mesh: Sequence[int]) -> None:
        self._crystal = crystal
        crystal.mesh_numbers = mesh
        _keep_geometry()
        self.temperatures: FloatArray = np.array([TEMPERATURE])
        self.mesh = tuple(map(float, mesh))
        self.settings: Mapping[str, Any] = {"mesh": list(mesh)}

    def kappa(
        self, force_constants: ForceConstants, mesh: Sequence[float] | None = None
    ) -> FloatArray:
        """Return kappa in W/m-K, xx yy zz yz xz xy, shape ``(1, 6)``."""
        assert mesh is None
        crystal = self._crystal
        crystal.fc2, crystal.fc3 = force_constants[2], force_constants[3]
        crystal.init_phph_interaction(
            average_degenerate_weights=True, exclude_gamma_acoustic=True
        )
        crystal.run_thermal_conductivity(temperatures=self.temperatures)
        return np.array(crystal.thermal_conductivity.kappa).reshape(1, 6)

    def mesh_density(self, mesh: Mesh) -> float:
        """Return the number of points along an axis, the mean of all axes."""
        return float(np.prod(mesh) ** (1 / 3))


def _keep_geometry() -> None:
    """Compute once for each crystal which triplets of atoms phono3py averages over.

    phono3py does it for each kappa, which takes as long as scattering on a small mesh.
    """
    compute = Interaction._get_all_shortest
    known: dict[int, tuple[Any, FloatArray]] = {}

    def get(interaction: Interaction) -> None:
        primitive = interaction.primitive
        if id(primitive) in known:
            interaction.all_shortest[:] = known[id(primitive)][1]
            return
        compute(interaction)
        # With the primitive cell, so that its identity is not used again.
        known[id(primitive)] = primitive, interaction.all_shortest.copy()

    if compute.__module__ != __name__:
        Interaction._get_all_shortest = get


class Calculations:
    """All calculations of one crystal.

    Parameters
    ----------
    crystal : Analytic or Published
    members : int
        Number of potentials of an ensemble.
    model : str
        Parameters of the potential.
    sizes : sequence of int
    """

    def __init__(
        self,
        crystal: Analytic | Published,
        members: int,
        model: str = MODEL,
        sizes: Sequence[int] = SIZES,
    ) -> None:
        self._crystal = crystal
        self._members = members
        self._model = model
        self._sizes = tuple(sizes)

    def order(self, order: int) -> list[dict[str, Any]]:
        """Return the points of one order, with the response of their largest set."""
        dataset = self._crystal.training(order, max(self._sizes))
        points = self._points(dataset, self._sizes, TEST)
        return [{**point, "order": order} for point in points]

    def reference(self) -> dict[str, Any]:
        """Return the point of many supercells of the same model."""
        dataset = self._crystal.reference()
        size = self._crystal.n_reference
        (point,) = self._points(dataset, (size,), len(dataset) - size)
        forces = dataset.forces
        return {**point, "rms_force": float(np.sqrt(np.mean(forces**2)))}

    def exact(self) -> list[float]:
        """Return kappa of the analytic potential itself."""
        assert isinstance(self._crystal, Analytic)
        ph3 = self._crystal.phono3py()
        fc2, fc3 = self._crystal.exact_force_constants()
        lowest = _lowest_frequency(ph3, fc2)
        if lowest < -1e-2:
            raise SystemExit(f"{self._crystal.name}: unstable, {lowest:.3f} THz.")
        transport = MeshTransport(ph3, self._crystal.mesh)
        return [float(k) for k in transport.kappa({2: fc2, 3: fc3})[0, :3]]

    def anharmonicity(self) -> float | None:
        """Return the anharmonic part of the forces of the reference."""
        response = response_of(self._crystal.reference())
        return None if response is None else response.anharmonicity()

    def _points(
        self, dataset: Dataset, sizes: tuple[int, ...], ntest: int
    ) -> list[dict[str, Any]]:
        crystal = self._crystal.phono3py()
        variant = Variant(
            "",
            request_calculator("pypolymlp", self._model),
            DisplacementOptions(),
            request_force_constants("exact"),
        )
        study = Study(
            variants=(variant,),
            sizes=sizes,
            ntest=ntest,
            ensemble=Ensemble(self._members),
            tolerance=_NEVER,
            allow_poor_fit=True,
            allow_imaginary=True,
            with_budget=False,
        )
        points = converge(
            crystal,
            dataset,
            study,
            MeshTransport(crystal, self._crystal.mesh),
            {},
            lambda _point: None,
            no_progress,
        )
        return [record_of(point) for point in points]


def _lowest_frequency(crystal: Phono3py, fc2: FloatArray) -> float:
    """Return the lowest frequency (THz) on a mesh commensurate with the supercell."""
    crystal.fc2 = fc2
    crystal.mesh_numbers = [4, 4, 4]
    crystal.init_phph_interaction()
    crystal.run_phonon_solver()
    frequencies, _, _ = crystal.get_phonon_data()
    return float(frequencies.min())

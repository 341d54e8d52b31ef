"""Kappa of any force constants with the settings of a run.

phono3py sets up the interaction and computes kappa once. These calls are recorded and
repeated with other force constants, so that every option of phono3py is respected.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from phono3py_mlp_plugin.contracts import FloatArray, ForceConstants
from phono3py_mlp_plugin.errors import ParameterError, one_line
from phono3py_mlp_plugin.workflow import Mesh, check_anharmonicity

if TYPE_CHECKING:
    from phono3py import Phono3py

# Settings of phono3py that affect output only, not kappa.
_OUTPUT_SETTINGS = ("hdf5_compression", "output_yaml_filename", "mlp_params")


class RunTransport:
    """Kappa as phono3py computes it in this run; see `workflow.Transport`.

    Parameters
    ----------
    ph3 : Phono3py
        Its force constants and mesh are replaced for each kappa and restored.
    set_up : callable
        Sets up the interaction of a Phono3py object without output.
    compute : callable
        Method ``run_thermal_conductivity`` of phono3py.
    arguments : mapping
        Arguments of that method in this run.
    settings : Phono3pySettings
    """

    def __init__(
        self,
        ph3: Phono3py,
        set_up: Callable[[Phono3py], None],
        compute: Callable[..., None],
        arguments: Mapping[str, Any],
        settings: Any,
    ) -> None:
        self._ph3 = ph3
        self._set_up = set_up
        self._compute = compute
        self._settings = settings
        self.mesh = _mesh_of(ph3, settings)
        quiet = {k: False for k in arguments if k.startswith("write_")}
        self._arguments = {**arguments, **quiet, "log_level": 0}
        self.temperatures: FloatArray = np.array(
            arguments["temperatures"], dtype="double"
        )
        self.settings: Mapping[str, Any] = {
            name: value
            for name, value in vars(settings).items()
            if name not in _OUTPUT_SETTINGS and not name.startswith("write_")
        }

    def kappa(
        self, force_constants: ForceConstants, mesh: Sequence[float] | None = None
    ) -> FloatArray:
        """Return kappa of the first smearing width; see `workflow.Transport`."""
        check_anharmonicity(force_constants[2], force_constants[3])
        ph3 = self._ph3
        before = ph3.fc2, ph3.fc3
        ph3.fc2, ph3.fc3 = force_constants[2], force_constants[3]
        try:
            with self._meshed(mesh):
                self._set_up(ph3)
                self._compute(**self._arguments)
            return kappa_of(ph3)
        finally:
            ph3.fc2, ph3.fc3 = before

    def mesh_density(self, mesh: Mesh) -> float:
        """Return the number of points along an axis; see `workflow.Transport`."""
        with self._meshed(mesh):
            grid = self._ph3.grid
            assert grid is not None
            numbers = np.array(grid.D_diag)
            # Numbers along the axes of a generalized regular grid are not alike.
            n_axes = 3 if grid.grid_matrix is not None else max(1, (numbers > 1).sum())
            return float(np.prod(numbers) ** (1 / n_axes))

    @contextmanager
    def _meshed(self, mesh: Sequence[float] | None) -> Iterator[None]:
        """Set another mesh within a context."""
        if mesh is None:
            yield
            return
        ph3 = self._ph3
        try:
            ph3.mesh_numbers = mesh[0] if len(mesh) == 1 else [int(n) for n in mesh]
        except RuntimeError as error:
            # A grid that does not have the symmetry of the crystal.
            ph3.mesh_numbers = self._settings.mesh_numbers
            numbers = " ".join(f"{n:g}" for n in mesh)
            raise ParameterError(f"mesh = {numbers}: {one_line(error)}") from error
        try:
            yield
        finally:
            # As the user gave it: numbers do not define a generalized regular grid.
            ph3.mesh_numbers = self._settings.mesh_numbers


def replace_kappa_calculation(
    ph3: Phono3py,
    compute_kappa: Callable[[Callable[..., None], Mapping[str, Any]], None],
) -> None:
    """Call a function instead of the calculation of kappa.

    Parameters
    ----------
    ph3 : Phono3py
    compute_kappa : callable
        Called with the original method ``run_thermal_conductivity`` and its arguments.
    """
    host = ph3.run_thermal_conductivity

    @functools.wraps(host)
    def run(**arguments: Any) -> None:
        compute_kappa(host, arguments)

    ph3.run_thermal_conductivity = run


def kappa_of(ph3: Phono3py) -> FloatArray:
    """Return kappa of the first smearing width, shape ``(n_temperatures, 6)``."""
    kappa = np.array(ph3.thermal_conductivity.kappa, dtype="double")
    return np.asarray(kappa.reshape(-1, *kappa.shape[-2:])[0])


def _mesh_of(ph3: Phono3py, settings: Any) -> Mesh | None:
    """Return the mesh of a run, as numbers if its grid is regular."""
    given = np.atleast_1d(settings.mesh_numbers)
    if given.shape == (1,):
        grid = ph3.grid
        if grid is not None and grid.grid_matrix is None:
            given = np.array(grid.D_diag)
    return tuple(map(float, given)) if given.ndim == 1 and len(given) < 9 else None

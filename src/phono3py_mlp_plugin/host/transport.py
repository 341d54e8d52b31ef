"""Kappa of any force constants with the settings of a run.

phono3py sets up the interaction and computes kappa once. These calls are recorded and
repeated with other force constants, so that every option of phono3py is respected.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from phono3py_mlp_plugin.contracts import FloatArray, ForceConstants
from phono3py_mlp_plugin.errors import ParameterError, one_line
from phono3py_mlp_plugin.host.scattering import (
    enable_fast_scattering,
    is_fast_scattering_enabled,
    scattering_in_this_process,
)
from phono3py_mlp_plugin.workflow import (
    Mesh,
    check_anharmonicity,
    check_memory_of_mesh,
)

if TYPE_CHECKING:
    from phono3py import Phono3py

# What a worker does not need or gets anew.
_DATA = (
    "_dataset",
    "_phonon_dataset",
    "_supercells_with_displacements",
    "_phonon_supercells_with_displacements",
    "_thermal_conductivity",
    "_fc2",
    "_fc3",
    "_mlp",
    "_mlp_dataset",
    "_phonon_mlp",
    "_phonon_mlp_dataset",
    "_interaction",
)

# Settings of phono3py that affect output only, not kappa.
_OUTPUT_SETTINGS = ("hdf5_compression", "output_yaml_filename", "mlp_params")


class RunTransport:
    """Kappa as phono3py computes it in this run; see `workflow.Transport`.

    Parameters
    ----------
    ph3 : Phono3py
        Its force constants and mesh are replaced for each kappa and restored.
    set_up : callable
        Sets up the interaction of a Phono3py object; see `InteractionSetUp`.
    compute : callable
        Method ``run_thermal_conductivity`` of phono3py.
    arguments : mapping
        Arguments of that method in this run.
    settings : object
        The settings of phono3py for this run, or a record with ``mesh_numbers``.
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
        self._is_fast = False
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

    def __getstate__(self) -> dict[str, Any]:
        """Return the state that workers need, without force constants and results."""
        state = vars(self).copy()
        del state["_compute"]
        return {
            **state,
            "_ph3": _without_data(self._ph3),
            "_is_fast": is_fast_scattering_enabled(),
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the state in a worker."""
        vars(self).update(state)
        self._compute = self._ph3.run_thermal_conductivity

    @property
    def calls(
        self,
    ) -> tuple[Callable[[Phono3py], None], Callable[..., None], dict[str, Any]]:
        """How the interaction is set up, and how kappa is computed, with arguments."""
        return self._set_up, self._compute, self._arguments

    def kappa(
        self, force_constants: ForceConstants, mesh: Sequence[float] | None = None
    ) -> FloatArray:
        """Return kappa of the first smearing width; see `workflow.Transport`."""
        check_anharmonicity(force_constants[2], force_constants[3])
        ph3 = self._ph3
        before = ph3.fc2, ph3.fc3
        ph3.fc2, ph3.fc3 = force_constants[2], force_constants[3]
        try:
            with self._scattering(), meshed(self._ph3, mesh, self._settings):
                self._set_up(ph3)
                self._compute(**self._arguments)
            return kappa_of(ph3)
        finally:
            ph3.fc2, ph3.fc3 = before

    def mesh_density(self, mesh: Mesh) -> float:
        """Return the number of points along an axis; see `workflow.Transport`."""
        with meshed(self._ph3, mesh, self._settings):
            grid = self._ph3.grid
            assert grid is not None
            numbers = np.array(grid.D_diag)
            # Numbers along the axes of a generalized regular grid are not alike.
            n_axes = 3 if grid.grid_matrix is not None else max(1, (numbers > 1).sum())
            return float(np.prod(numbers) ** (1 / n_axes))

    @contextmanager
    def _scattering(self) -> Iterator[None]:
        """Compute scattering in a worker as in the process that sent the work."""
        if not self._is_fast or is_fast_scattering_enabled():
            # Kappa as a whole is what is given to workers.
            with scattering_in_this_process():
                yield
            return
        with enable_fast_scattering(lambda _line: None):
            yield


class InteractionSetUp:
    """How the interaction of a run is set up, without output.

    Parameters
    ----------
    function : callable
        ``_init_phph_interaction`` of the script of phono3py.
    settings : Phono3pySettings
    updated_settings : dict
    """

    def __init__(
        self,
        function: Callable[..., None],
        settings: Any,
        updated_settings: dict[str, Any],
    ) -> None:
        self._function = function
        self._arguments = settings, updated_settings

    def __call__(self, ph3: Phono3py) -> None:
        """Set up the interaction of a Phono3py object."""
        self._function(ph3, *self._arguments, 0)

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without the function, which has been replaced here."""
        return {"_arguments": self._arguments}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take the function of phono3py, which no run has replaced in a worker."""
        from phono3py.cui import phono3py_script

        vars(self).update(state)
        self._function = phono3py_script._init_phph_interaction


@contextmanager
def meshed(
    ph3: Phono3py, mesh: Sequence[float] | None, settings: Any
) -> Iterator[None]:
    """Set another mesh within a context; afterwards that of the settings.

    Raises
    ------
    ParameterError
        If the grid does not have the symmetry of the crystal.
    ResourceError
        If there are more points than fit into the memory.
    """
    if mesh is None:
        yield
        return
    check_memory_of_mesh(mesh, ph3.phonon_primitive.cell)
    try:
        ph3.mesh_numbers = mesh[0] if len(mesh) == 1 else [int(n) for n in mesh]
    except RuntimeError as error:
        ph3.mesh_numbers = settings.mesh_numbers
        numbers = " ".join(f"{n:g}" for n in mesh)
        raise ParameterError(f"mesh = {numbers}: {one_line(error)}") from error
    try:
        yield
    finally:
        # As the user gave it: numbers do not define a generalized regular grid.
        ph3.mesh_numbers = settings.mesh_numbers


def _without_data(ph3: Phono3py) -> Phono3py:
    """Return a Phono3py object with the same cells, symmetry, grid and parameters."""
    bare = copy.copy(ph3)
    for name in _DATA:
        if name in vars(bare):
            setattr(bare, name, None)
    vars(bare).pop("run_thermal_conductivity", None)
    return bare


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

"""How functions for scripts compute kappa: as a run, on a copy of the crystal."""

from __future__ import annotations

import contextlib
import copy
import inspect
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from phono3py_mlp_plugin import workflow
from phono3py_mlp_plugin.errors import (
    MLPError,
    ParameterError,
    did_you_mean,
    one_line,
)
from phono3py_mlp_plugin.parallel import Distribution
from phono3py_mlp_plugin.ranges import NOT_NEGATIVE, POSITIVE, check_range
from phono3py_mlp_plugin.wording import shown

if TYPE_CHECKING:
    from phono3py import Phono3py

    from phono3py_mlp_plugin.host.transport import RunTransport

Mesh = int | float | Sequence[float]

# Arguments of run_thermal_conductivity that are given in another way, or would read or
# write files of an unknown run.
_OTHERWISE = ("self", "is_LBTE", "temperatures", "grid_points", "log_level")
_FILES = ("write_", "read_", "input_", "output_", "compression")

# Settings of phono3py 4.10 without which rounding errors change kappa.
_REPRODUCIBLE = ("exclude_gamma_acoustic", "average_degenerate_weights")


@dataclass(frozen=True, eq=False)
class TransportSettings:
    """Settings of a calculation of kappa.

    Attributes
    ----------
    mesh_numbers : float or tuple of float
        Three numbers of mesh points, or one length in angstrom.
    temperatures : tuple of float
        In K.
    method : str
        "rta", the relaxation-time approximation, or "lbte", the direct solution.
    further : mapping
        Other arguments of ``Phono3py.run_thermal_conductivity``.
    """

    mesh_numbers: float | tuple[float, ...]
    temperatures: tuple[float, ...]
    method: Literal["rta", "lbte"] = "rta"
    further: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        mesh: Mesh,
        temperatures: float | Sequence[float],
        method: str = "rta",
        further: Mapping[str, Any] | None = None,
    ) -> TransportSettings:
        """Return checked settings.

        Raises
        ------
        ParameterError
            If one of them is out of range or unknown.
        """
        from phono3py_mlp_plugin.host.preflight import check_transport_type

        kelvin = _numbers("temperatures", temperatures)
        if not kelvin:
            raise ParameterError("temperatures = []; expected one or more. Give 300.")
        for temperature in kelvin:
            check_range("temperatures", temperature, NOT_NEGATIVE)
        if method not in ("rta", "lbte"):
            raise ParameterError(
                f"method = {method!r}; expected 'rta' or 'lbte'. Choose one."
            )
        given = dict(further or {})
        _check_further(given)
        check_range("settings: boundary_mfp", given.get("boundary_mfp"), POSITIVE)
        check_transport_type(
            given.get("transport_type"),
            is_lbte=method == "lbte",
            where="settings: transport_type",
        )
        return cls(_mesh_numbers(mesh), kelvin, method, given)  # type: ignore[arg-type]

    def crystal(self, ph3: Phono3py) -> Phono3py:
        """Return a copy of a crystal with this mesh; the crystal is not changed."""
        bare = copy.copy(ph3)
        bare.mlp = None
        self.check(ph3)
        numbers = np.atleast_1d(self.mesh_numbers).tolist()
        workflow.check_memory_of_mesh(numbers, ph3.phonon_primitive.cell)
        try:
            bare.mesh_numbers = self.mesh_numbers
        except RuntimeError as error:
            raise ParameterError(
                f"mesh = {self.mesh_numbers}: {one_line(error).rstrip('.')}. Give "
                "numbers with the symmetry of the crystal."
            ) from error
        return bare

    def transport(self, crystal: Phono3py) -> RunTransport:
        """Return the calculation of kappa of a crystal, which changes it."""
        from phono3py_mlp_plugin.host.transport import RunTransport

        arguments = {
            **self.further,
            "is_LBTE": self.method == "lbte",
            "temperatures": self.temperatures,
        }

        def compute(**given: Any) -> None:
            try:
                crystal.run_thermal_conductivity(**given)
            except MLPError:
                raise
            except (NotImplementedError, TypeError, ValueError) as error:
                if not self.further:
                    raise
                raise ParameterError(
                    f"settings = {dict(self.further)}: {one_line(error).rstrip('.')}. "
                    "Give what run_thermal_conductivity takes."
                ) from error

        return RunTransport(crystal, set_up_interaction, compute, arguments, self)

    def check(self, crystal: Phono3py) -> None:
        """Check the arguments of phono3py against a crystal.

        Raises
        ------
        ParameterError
            If one of them has another type or size.
        """
        variances = self.further.get("mass_variances")
        n = len(crystal.primitive)
        if variances is not None:
            found = _numbers("settings: mass_variances", variances)
            if len(found) != n:
                raise ParameterError(
                    f"settings: mass_variances: {len(found)} given; expected {n}, one "
                    "for each atom of the primitive cell."
                )
            for variance in found:
                check_range("settings: mass_variances", variance, NOT_NEGATIVE)


def set_up_interaction(crystal: Phono3py) -> None:
    """Set up the interaction and compute the phonons on the mesh."""
    known = inspect.signature(crystal.init_phph_interaction).parameters
    switches: dict[str, Any] = {name: True for name in _REPRODUCIBLE if name in known}
    crystal.init_phph_interaction(**switches)
    crystal.run_phonon_solver()


@contextlib.contextmanager
def scattering_by(choice: str, distribution: Distribution) -> Iterator[None]:
    """Compute scattering as requested within this context.

    Raises
    ------
    ParameterError
        If there is no such method.
    """
    from phono3py_mlp_plugin.host.scattering import (
        enable_fast_scattering,
        unavailable_reason,
    )

    if choice not in ("fft", "host"):
        raise ParameterError(
            f"scattering = {choice!r}; expected 'fft' or 'host'. Choose one."
        )
    reason = unavailable_reason()
    if choice == "host" or reason is not None:
        if choice == "fft":
            warnings.warn(f"Scattering is left to phono3py: {reason}", stacklevel=4)
        yield
        return
    with enable_fast_scattering(_warn, distribution=distribution):
        yield


def _warn(line: str) -> None:
    warnings.warn(line, stacklevel=2)


def _check_further(given: Mapping[str, Any]) -> None:
    from phono3py import Phono3py

    parameters = inspect.signature(Phono3py.run_thermal_conductivity).parameters
    known = [
        name
        for name in parameters
        if name not in _OTHERWISE and not name.startswith(_FILES)
    ]
    for name, value in given.items():
        if name not in known:
            raise ParameterError(
                f"settings: {name!r} is not one; expected arguments of "
                "run_thermal_conductivity without files, mesh and temperatures."
                f"{did_you_mean(name, known)} Leave it out."
            )
        is_switch = isinstance(parameters[name].default, bool)
        if is_switch and not isinstance(value, bool | np.bool_):
            raise ParameterError(
                f"settings: {name} = {value!r}; expected True or False. Give one of "
                "them."
            )


def _mesh_numbers(mesh: Mesh) -> float | tuple[float, ...]:
    """Return three mesh numbers, or one length."""
    from phono3py_mlp_plugin.host.settings import mesh_of

    numbers = mesh_of(_numbers("mesh", mesh), "mesh")
    if len(numbers) == 1:
        return numbers[0]
    if any(n % 1 for n in numbers):
        raise ParameterError(f"mesh = {mesh}; expected integers. Give [11, 11, 11].")
    return tuple(int(n) for n in numbers)


def _numbers(name: str, given: float | Sequence[float]) -> tuple[float, ...]:
    """Return a number or a sequence of numbers as a tuple.

    Raises
    ------
    ParameterError
        If it is something else.
    """
    try:
        array = np.atleast_1d(np.asarray(given))
    except ValueError:
        # Rows of different lengths.
        array = np.zeros((0, 0))
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iuf"):
        raise ParameterError(
            f"{name} = {shown(given)}; expected a number, or a sequence of numbers."
        )
    return tuple(array.astype(float).tolist())

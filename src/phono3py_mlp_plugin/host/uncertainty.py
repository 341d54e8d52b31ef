"""``--uncertainty``: the error bar of the kappa of a run.

Potentials drawn about that of the run go through the run's own settings: the arguments
with which the host sets up the interaction and computes kappa are recorded and used
again.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from phono3py_mlp_plugin.contracts import (
    Dataset,
    Ensemble,
    FloatArray,
    ForceConstants,
    NestedFit,
)
from phono3py_mlp_plugin.errors import ParameterError
from phono3py_mlp_plugin.files import UNCERTAINTY_FILE, write_uncertainty
from phono3py_mlp_plugin.host.output import progress, show
from phono3py_mlp_plugin.uncertainty import error_bar, norm_scatter
from phono3py_mlp_plugin.workflow import (
    DisplacementOptions,
    ForceConstantsOf,
    Request,
    TransportOptions,
    certainty,
    least_sure,
    phonons_with_errors,
    request_solver,
)

if TYPE_CHECKING:
    from phono3py import Phono3py

_DIRECTIONS = ("xx", "yy", "zz")
_ROOM_TEMPERATURE = 300.0


def check_uncertainty(members: int, request: Request, settings: Any) -> None:
    """Refuse what gives no error bar, before any work.

    Raises
    ------
    ParameterError
    """
    if members < 2:
        raise ParameterError(f"--uncertainty = {members}; expected 2 or more.")
    if not (settings.is_bterta or settings.is_lbte):
        raise ParameterError(
            "--uncertainty: is for runs that compute kappa. Give --br or --lbte."
        )
    if request.calculator.train_nested is None:
        raise ParameterError(
            f"--uncertainty: force calculator {request.calculator.name!r} gives no "
            "error bars; pypolymlp does."
        )
    for option, given in (
        ("--read-gamma", settings.read_gamma),
        ("--read-pp", settings.read_pp),
        ("--read-collision", settings.read_collision),
        ("--read-phonon", settings.read_phonon),
        ("--gp", settings.grid_points),
        ("--ga", settings.grid_addresses),
    ):
        if given is not None and given is not False:
            raise ParameterError(f"--uncertainty and {option}: leave one out.")


class ErrorBars:
    """The error bars of one run.

    Parameters
    ----------
    members : int
    mesh : sequence of float or None
        What the ensemble is run on; None: the run's own.
    request : Request
    settings
        The host's.
    """

    def __init__(
        self,
        members: int,
        mesh: Sequence[float] | None,
        request: Request,
        settings: Any,
    ) -> None:
        self._ensemble = Ensemble(members)
        self._transport = None if mesh is None else TransportOptions(mesh=tuple(mesh))
        self._request = request
        self._settings = settings
        self._set_up: Callable[[], None] | None = None
        self._kappa: Callable[[], FloatArray] | None = None
        self._fits: Iterator[NestedFit] | None = None

    def take_dataset(self, dataset: Dataset | None, log_level: int) -> None:
        """Take what the potential is trained on; nothing is computed yet.

        Raises
        ------
        ParameterError
            There is nothing, or these parameters give no error bars.
        """
        if dataset is None:
            raise ParameterError(
                "--uncertainty: there is no dataset with forces to draw from. Give "
                "phono3py_params.yaml."
            )
        split = self._request.divide(len(dataset))
        train = self._request.calculator.train_nested
        assert train is not None
        self._fits = train(
            dataset.select(split.training),
            dataset.select(split.test),
            [len(split.training)],
            self._request.options,
            self._ensemble,
            progress(log_level),
        )

    def record(self, ph3: Phono3py, set_up: Callable[[], None]) -> None:
        """Record how the interaction is set up and kappa computed."""
        self._set_up = set_up
        host = ph3.run_thermal_conductivity

        @functools.wraps(host)
        def run(*args: Any, **options: Any) -> None:
            host(*args, **options)
            # What is read is refused beforehand (check_uncertainty).
            quiet = {
                name: False if name.startswith("write_") else value
                for name, value in options.items()
            }

            def again() -> FloatArray:
                host(*args, **{**quiet, "log_level": 0})
                return _kappa(ph3)

            self._kappa = again

        ph3.run_thermal_conductivity = run

    def report(self, ph3: Phono3py, log_level: int) -> None:
        """Run the ensemble, print the error bars and write them."""
        if self._kappa is None or self._set_up is None or self._fits is None:
            return
        own = ph3.fc2, ph3.fc3, ph3.mesh_numbers
        kappa = _kappa(ph3)
        temperatures = np.array(ph3.thermal_conductivity.temperatures)
        show([" error bars of kappa ".center(76, "-")], log_level)
        (fit,) = self._fits
        potentials = [fit.trained.potential, *fit.members, *fit.alternatives]
        machine = ForceConstantsOf(
            _copy(ph3),
            DisplacementOptions(
                amplitude=self._settings.displacement_distance
                or DisplacementOptions.amplitude
            ),
            _solver(self._settings),
            self._request.calculator.name,
        )
        runs, fc2, scatter = [], [], []
        first: ForceConstants | None = None
        if self._transport is not None:
            ph3.mesh_numbers = self._transport.mesh_numbers
        with progress(log_level)("Kappa of the ensemble", len(potentials)) as advance:
            for fcs in machine.solve(potentials):
                ph3.fc2, ph3.fc3 = fcs[2], fcs[3]
                first = first or fcs
                fc2.append(fcs[2])
                # One at a time: fc3 of a large supercell takes much memory.
                scatter.append(norm_scatter(first[3], [fcs[3]]))
                self._set_up()
                runs.append(self._kappa())
                advance(1)
        ph3.fc2, ph3.fc3, ph3.mesh_numbers = own
        n_members = len(fit.members)
        reference, members = runs[0], np.array(runs[1 : 1 + n_members])
        alternatives = np.array(runs[1 + n_members :]).reshape(-1, *reference.shape)
        bars = [
            [
                error_bar(
                    reference[t, c], members[:, t, c], alternatives[:, t, c], fit.size
                )
                for c in range(3)
            ]
            if temperature > 0
            else []
            for t, temperature in enumerate(temperatures)
        ]
        drawn, others = fc2[1 : 1 + n_members], fc2[1 + n_members :]
        fc2_error = norm_scatter(fc2[0], drawn)
        fc3_error = float(np.sqrt(np.mean(np.square(scatter[1 : 1 + n_members]))))
        phonons = phonons_with_errors(ph3, fc2[0], drawn, others, fit.size)
        lines = [
            f"From {n_members} potentials drawn about that of {fit.size} supercells "
            f"(jackknife) and {len(alternatives)} with other penalties; 68 % intervals "
            "of the choice of supercells and penalty, not of the model:"
        ]
        t = int(np.abs(temperatures - _ROOM_TEMPERATURE).argmin())
        # There are none where 0 K is the only temperature.
        for direction, value, bar in zip(_DIRECTIONS, kappa[t], bars[t], strict=False):
            lines.append(
                f"  kappa_{direction}({temperatures[t]:g} K) = {value:.3f} +- "
                f"{bar.half_width(value):.3f} W/m-K"
            )
        lines.append(f"  fc2 and fc3: {certainty(fc2_error, fc3_error)} of their norm")
        if fc2_error:
            lines.append(f"  least sure of the phonons: {least_sure(phonons)}")
        write_uncertainty(
            Path(UNCERTAINTY_FILE),
            kappa,
            temperatures,
            bars,
            fc2_error,
            fc3_error,
            phonons,
        )
        lines.append(
            f'Error bars of all temperatures and phonons are in "{UNCERTAINTY_FILE}".'
        )
        show(lines, log_level)


def _kappa(ph3: Phono3py) -> FloatArray:
    """Return kappa of the first smearing width, shape ``(n_temperatures, 6)``."""
    kappa = np.array(ph3.thermal_conductivity.kappa, dtype="double")
    return np.asarray(kappa.reshape(-1, *kappa.shape[-2:])[0])


def _copy(ph3: Phono3py) -> Phono3py:
    """Return a crystal like this one whose displacements may be replaced."""
    from phono3py import Phono3py

    copy = Phono3py(
        ph3.unitcell,
        supercell_matrix=ph3.supercell_matrix,
        primitive_matrix=ph3.primitive_matrix,
        phonon_supercell_matrix=ph3.phonon_supercell_matrix,
        symprec=ph3.symmetry.tolerance,
    )
    if ph3.phonon_supercell_matrix is not None and ph3.phonon_dataset is not None:
        copy.phonon_dataset = ph3.phonon_dataset
    return copy


def _solver(settings: Any) -> Any:
    """Return symfc with the cutoff of fc3 of the run, where it has one."""
    text = settings.fc_calculator_options
    options = None
    if text and "=" in text and "|" not in text and text.strip().startswith("cutoff"):
        options = text
    return request_solver("symfc", options)

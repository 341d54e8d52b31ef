"""Choose whether scattering is computed by Fourier transform or by phono3py."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property, partial
from types import TracebackType
from typing import TYPE_CHECKING

from phono3py_mlp_plugin.errors import IncompatibleHost
from phono3py_mlp_plugin.host.bindings import (
    SCATTERING_BINDINGS,
    SYMMETRY_BINDINGS,
    check,
    replace,
    restore,
)
from phono3py_mlp_plugin.host.process import when_command_ends
from phono3py_mlp_plugin.parallel import SERIAL, Distribution
from phono3py_mlp_plugin.threads import default_threads

if TYPE_CHECKING:
    from phono3py_mlp_plugin.host.collisions import Calculation

_BINDINGS = (*SCATTERING_BINDINGS, *SYMMETRY_BINDINGS)

SCATTERING = "scattering"
"""Name of the stage, by which finished chunks are filed."""

# Environment variable of phono3py: how many mesh points are passed at once.
_POINTS_AT_ONCE = "PHONO3PY_RUST_GP_BATCH_SIZE"

# Mesh points for each thread that are passed at once. All threads are in use most of
# the time, although some points have more triplets than others.
_POINTS_PER_THREAD = 4

# More than any mesh has.
_ALL_POINTS = 2**31

_active: FastScattering | None = None


class FastScattering:
    """Scattering by Fourier transform, until it is disabled.

    Parameters
    ----------
    report : callable
        Called with a line of text if a case is not supported and left to phono3py.
    distribution : Distribution
        Where collisions of mesh points are computed in the relaxation-time
        approximation.
    """

    def __init__(
        self,
        report: Callable[[str], None],
        distribution: Distribution = SERIAL,
    ) -> None:
        self._report = report
        self.distribution = distribution
        self._undo = ExitStack()

    def __enter__(self) -> FastScattering:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.disable()

    @cached_property
    def calculation(self) -> Calculation:
        """Calculation of scattering; the kernels are loaded when it is first used."""
        from phono3py_mlp_plugin.host.collisions import Calculation

        return Calculation(self._report)

    def pass_points_together(self) -> None:
        """Let phono3py pass several mesh points at once, which are for the threads.

        A number that the user has set is used, unless points are given to workers.
        """
        before = os.environ.get(_POINTS_AT_ONCE)
        if self.distribution.is_distributed:
            self._undo.callback(_set_points_at_once, before)
            _set_points_at_once(str(_ALL_POINTS))
        elif before is None:
            number = _POINTS_PER_THREAD * default_threads()
            self._undo.callback(_set_points_at_once, None)
            _set_points_at_once(str(number))

    def undo(self) -> None:
        """Restore the environment."""
        self._undo.close()

    def disable(self) -> None:
        """Let phono3py compute scattering again."""
        if _active is self:
            _activate(None)
        self.__dict__.pop("calculation", None)


def enable_fast_scattering(
    report: Callable[[str], None] = print,
    *,
    distribution: Distribution = SERIAL,
) -> FastScattering:
    """Compute phonon-phonon scattering of all `Phono3py` objects by Fourier transform.

    Results agree with those of phono3py within rounding errors. The search for symmetry
    operations of large supercells is faster too, with the same results. Objects made
    with ``lang="C"`` are left to phono3py. The method is used until ``disable()`` of
    the returned object is called, or until the end of a ``with`` statement.

    Parameters
    ----------
    report : callable, optional
        Called with a line of text if a case is not supported and left to phono3py. By
        default the line is printed.
    distribution : Distribution, optional
        Where collisions of mesh points are computed.

    Returns
    -------
    FastScattering

    Raises
    ------
    IncompatibleHost
        If this version of phono3py does not have the functions that are replaced.

    Examples
    --------
    ::

        with phono3py_mlp_plugin.enable_fast_scattering():
            ph3.run_thermal_conductivity()
    """
    scattering = FastScattering(report, distribution)
    # If it is already enabled, only the first object disables it.
    if _active is None:
        _activate(scattering)
    return scattering


def _set_points_at_once(number: str | None) -> None:
    if number is None:
        os.environ.pop(_POINTS_AT_ONCE, None)
    else:
        os.environ[_POINTS_AT_ONCE] = number


def is_fast_scattering_enabled() -> bool:
    """Return whether scattering is computed by Fourier transform at present."""
    return _active is not None


def _activate(scattering: FastScattering | None) -> None:
    """Let an object compute scattering, or phono3py."""
    global _active
    if _active is None and scattering is not None:
        replace(_BINDINGS)
        scattering.pass_points_together()
    elif _active is not None and scattering is None:
        restore(_BINDINGS)
        _active.undo()
    _active = scattering


def choose_scattering(
    wanted: str | None,
    by_default: str,
    report: Callable[[str], None],
    *,
    legacy_backend: bool = False,
    distribution: Distribution = SERIAL,
) -> None:
    """Choose how scattering is computed until the command ends.

    Parameters
    ----------
    wanted : str or None
        ``fft`` or ``host``; None if the user does not specify it.
    by_default : str
        Used if ``wanted`` is None, if this version of phono3py supports it.
    report : callable
        Called with a line of text if scattering is left to phono3py.
    legacy_backend : bool
        Whether phono3py uses its C extension, of which no function is replaced.
    distribution : Distribution
        Where collisions of mesh points are computed.

    Raises
    ------
    IncompatibleHost
        If ``wanted`` is not possible with this version of phono3py.
    """
    when_command_ends(partial(_activate, _active))
    if (wanted or by_default) == "host":
        _activate(None)
        return
    if legacy_backend:
        _activate(None)
        report("Scattering is left to phono3py: its C extension (--legacy-backend).")
        return
    reason = unavailable_reason()
    if reason is not None and wanted is None:
        report(f"Scattering is left to phono3py: {reason}")
        return
    enable_fast_scattering(report, distribution=distribution)


def unavailable_reason() -> str | None:
    """Return why scattering cannot be computed by Fourier transform, None if it can."""
    try:
        for binding in _BINDINGS:
            check(binding)
    except IncompatibleHost as error:
        return str(error)
    return None


def distribution() -> Distribution:
    """Return where collisions of mesh points are computed."""
    return SERIAL if _active is None else _active.distribution


@contextmanager
def scattering_in_this_process() -> Iterator[None]:
    """Do not distribute scattering within this context, but what it is a part of."""
    if _active is None:
        yield
        return
    before, _active.distribution = _active.distribution, SERIAL
    try:
        yield
    finally:
        _active.distribution = before


def calculation() -> Calculation:
    """Return the calculation while scattering by Fourier transform is enabled."""
    assert _active is not None
    return _active.calculation

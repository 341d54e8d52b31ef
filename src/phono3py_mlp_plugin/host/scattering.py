"""Replace phono3py's sums over atoms in scattering by Fourier transforms.

phono3py passes flat arrays to its compiled functions. The functions of this module
replace them and fill the same arrays; everything before and after is done by phono3py.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import SimpleNamespace, TracebackType
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from phono3py_mlp_plugin.errors import IncompatibleHost
from phono3py_mlp_plugin.host.bindings import (
    SCATTERING_BINDINGS,
    check,
    original,
    replace,
    restore,
)
from phono3py_mlp_plugin.scattering import (
    Crystal,
    Interaction,
    NotCovered,
    Smearing,
    Tetrahedra,
    Triplets,
)
from phono3py_mlp_plugin.threads import default_threads

# What decides on a crystal and its mesh; fc3 and which blocks are used come apart: they
# are large, and the same objects as long as they are the same.
_CRYSTAL = ("svecs", "multiplicity", "masses", "p2s_map", "s2p_map", "all_shortest")
_GRID = ("d_diag", "q_matrix", "bz_grid_addresses", "make_r0_average")

# Names that one of the host's functions has for what the others call differently.
_ALIASES = {"multi": "multiplicity", "q_mat": "q_matrix"}

# Grids of the host whose map has the first of all equivalent points.
_DENSE_MAP = 2

_active: FastScattering | None = None


@dataclass(frozen=True, eq=False)
class _Prepared:
    """An interaction and the arrays that it was made from."""

    interaction: Interaction
    fc3: Any
    used: Any
    others: dict[str, Any]

    def is_of(self, args: SimpleNamespace) -> bool:
        """Return whether the arguments are those that this was made from."""
        return (
            self.fc3 is args.fc3
            and self.used is args.fc3_nonzero_indices
            and all(
                np.array_equal(value, getattr(args, name))
                for name, value in self.others.items()
            )
        )


class FastScattering:
    """Scattering by Fourier transform, until it is disabled.

    Parameters
    ----------
    report : callable
        Called with a line of text if a case is not supported and left to phono3py.
    """

    def __init__(self, report: Callable[[str], None]) -> None:
        self._report = report
        self._told: set[str] = set()
        self._prepared: _Prepared | None = None
        # Kept: finding the libraries of BLAS takes as long as some points of a mesh.
        self._threads = ThreadPoolExecutor(default_threads())
        self._blas = ThreadpoolController()

    def __enter__(self) -> FastScattering:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.disable()

    def disable(self) -> None:
        """Let phono3py compute scattering again."""
        global _active
        if _active is self:
            restore(SCATTERING_BINDINGS)
            _active = None
        self._prepared = None
        self._threads.shutdown()

    def fill_strengths(self, args: SimpleNamespace) -> bool:
        """Fill in interaction strengths; return whether this was possible."""
        interaction = self._interaction(args)
        if interaction is None:
            return False
        phonons = interaction.phonons(
            args.frequencies, args.eigenvectors, args.cutoff_frequency
        )
        triplets = Triplets(
            np.ascontiguousarray(args.triplets_at_q, dtype=np.int64),
            np.ones(len(args.triplets_at_q), dtype=np.int64),
            np.ascontiguousarray(args.band_indices, dtype=np.int64),
        )
        needed = np.array(args.g_zero == 0, dtype=np.int8)
        with self._blas.limit(limits=1, user_api="blas"):
            args.interaction_strength[:] = interaction.strengths(
                needed, triplets, phonons, self._threads
            )
        return True

    def fill_collisions(
        self, args: SimpleNamespace, grid_point: int, collisions: Any
    ) -> bool:
        """Fill in the collisions of a point; return whether this was possible."""
        interaction = self._interaction(args)
        if interaction is None:
            return False
        triplets = _triplets(args, grid_point)
        with self._blas.limit(limits=1, user_api="blas"):
            found = interaction.collisions(
                triplets,
                interaction.phonons(
                    args.frequencies, args.eigenvectors, args.cutoff_frequency
                ),
                [
                    Smearing(None if np.isnan(width) else float(width), float(cutoff))
                    for width, cutoff in zip(
                        args.sigmas, args.sigma_cutoffs, strict=True
                    )
                ],
                np.array(args.temperatures_thz, dtype=np.float64),
                _tetrahedra(args),
                self._threads,
                args.degenerate_ids,
            )
        if args.is_N_U:
            addresses = args.bz_grid_addresses[triplets.points].sum(axis=1)
            normal = ~addresses.any(axis=1)
            collisions[:, 0] = found[:, normal].sum(axis=1)
            collisions[:, 1] = found[:, ~normal].sum(axis=1)
        else:
            collisions[:] = found.sum(axis=1)
        return True

    def _interaction(self, args: SimpleNamespace) -> Interaction | None:
        """Return the interaction of the host's arrays, None where it is not covered."""
        if self._prepared is None or not self._prepared.is_of(args):
            self._prepared = None
            try:
                self._prepared = _prepare(args)
            except NotCovered as error:
                if str(error) not in self._told:
                    self._told.add(str(error))
                    self._report(f"Scattering is left to phono3py: {error}.")
                return None
        return self._prepared.interaction


def enable_fast_scattering(
    report: Callable[[str], None] = print,
) -> FastScattering:
    """Compute phonon-phonon scattering of all `Phono3py` objects by Fourier transform.

    Results agree with those of phono3py within rounding errors. The method is used
    until ``disable()`` of the returned object is called, or until the end of a ``with``
    statement.

    Parameters
    ----------
    report : callable, optional
        Called with a line of text if a case is not supported and left to phono3py. By
        default the line is printed.

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
    global _active
    if _active is None:
        replace(SCATTERING_BINDINGS)
        _active = FastScattering(report)
        return _active
    # Within another: that one ends it.
    return FastScattering(report)


def choose_scattering(
    wanted: str | None, by_default: str, report: Callable[[str], None]
) -> None:
    """Choose how scattering is computed in the rest of the process.

    Parameters
    ----------
    wanted : str or None
        ``fft`` or ``host``; None if the user does not specify it.
    by_default : str
        Used if ``wanted`` is None, if this version of phono3py supports it.
    report : callable
        Called with a line of text if scattering is left to phono3py.

    Raises
    ------
    IncompatibleHost
        If ``wanted`` is not possible with this version of phono3py.
    """
    if (wanted or by_default) == "host":
        if _active is not None:
            _active.disable()
        return
    reason = unavailable_reason()
    if reason is not None and wanted is None:
        report(f"Scattering is left to phono3py: {reason}")
        return
    enable_fast_scattering(report)


def unavailable_reason() -> str | None:
    """Return why scattering cannot be computed by Fourier transform, None if it can."""
    try:
        for binding in SCATTERING_BINDINGS:
            check(binding)
    except IncompatibleHost as error:
        return str(error)
    return None


def run_interaction(*values: Any, **named: Any) -> None:
    """Stand for the host's ``run_interaction_rust``."""
    host = original("phono3py.phonon3.interaction:run_interaction_rust")
    args = _arguments(host, values, named)
    if _active is None or not _active.fill_strengths(args):
        host(*values, **named)


def run_collision_at_grid_point(*values: Any, **named: Any) -> None:
    """Stand for the host's ``run_collision_at_grid_point_rust``."""
    host = original(
        "phono3py.conductivity.scattering_solvers:run_collision_at_grid_point_rust"
    )
    args = _arguments(host, values, named)
    if _active is None or not _active.fill_collisions(
        args, int(args.grid_point), args.collisions
    ):
        host(*values, **named)


def run_collision_at_grid_points(*values: Any, **named: Any) -> None:
    """Stand for the host's ``run_collision_at_grid_points_batched_rust``."""
    host = original(
        "phono3py.conductivity.scattering_solvers:"
        "run_collision_at_grid_points_batched_rust"
    )
    args = _arguments(host, values, named)
    if _active is None or not all(
        _active.fill_collisions(args, int(grid_point), collisions)
        for grid_point, collisions in zip(
            args.grid_points, args.collisions, strict=True
        )
    ):
        host(*values, **named)


def _arguments(
    host: Callable[..., None], values: tuple[Any, ...], named: dict[str, Any]
) -> SimpleNamespace:
    """Return the arguments of one of the host's functions by name."""
    bound = inspect.signature(host).bind(*values, **named)
    bound.apply_defaults()
    return SimpleNamespace(
        **{_ALIASES.get(name, name): value for name, value in bound.arguments.items()}
    )


def _prepare(args: SimpleNamespace) -> _Prepared:
    """Return the interaction of the host's arrays.

    Raises
    ------
    NotCovered
    """
    if args.symmetrize_fc3_q:
        raise NotCovered("fc3 symmetrized in reciprocal space (--sym-fc3q)")
    if getattr(args, "bz_grid_type", _DENSE_MAP) != _DENSE_MAP:
        raise NotCovered("a grid without the dense map of its points")
    crystal = Crystal.of(
        args.fc3,
        args.fc3_nonzero_indices,
        args.svecs,
        args.multiplicity,
        args.masses,
        args.p2s_map,
        args.s2p_map,
        args.all_shortest,
        bool(args.make_r0_average),
    )
    interaction = Interaction(
        crystal, args.d_diag, args.q_matrix, args.bz_grid_addresses
    )
    others = {name: np.array(getattr(args, name)) for name in (*_CRYSTAL, *_GRID)}
    return _Prepared(interaction, args.fc3, args.fc3_nonzero_indices, others)


def _triplets(args: SimpleNamespace, grid_point: int) -> Triplets:
    """Return the irreducible triplets of a point as the host chooses them."""
    import phonors

    if args.is_mesh_symmetry:
        representatives, _, _ = phonors.ir_triplets_at_q(
            int(args.bzg2grg[grid_point]),
            args.d_diag,
            args.reciprocal_rotations,
            bool(args.is_time_reversal),
            bool(args.swappable),
        )
    else:
        representatives = np.arange(np.prod(args.d_diag), dtype=np.int64)
    weights = np.bincount(representatives)
    points = phonors.bz_triplets_at_q(
        grid_point,
        args.bz_grid_addresses,
        args.bz_map,
        representatives,
        args.d_diag,
        args.bz_triplets_q_mat,
        args.reciprocal_lattice,
        int(args.bz_grid_type),
    )
    return Triplets(
        np.array(points, dtype=np.int64),
        weights[weights > 0].astype(np.int64),
        np.array(args.band_indices, dtype=np.int64),
    )


def _tetrahedra(args: SimpleNamespace) -> Tetrahedra:
    corners = np.array(args.relative_grid_address)
    points, which = np.unique(corners.reshape(-1, 3), axis=0, return_inverse=True)
    return Tetrahedra(
        points.astype(np.int64),
        which.reshape(corners.shape[:2]).astype(np.int64),
        np.ascontiguousarray(args.bz_grid_addresses, dtype=np.int64),
        np.ascontiguousarray(args.bz_map, dtype=np.int64),
        np.array(args.d_diag, dtype=np.int64),
    )

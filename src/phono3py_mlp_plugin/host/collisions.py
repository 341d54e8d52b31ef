"""Compute interaction strengths and collisions in the arrays of phono3py.

phono3py passes flat arrays to its compiled functions. The functions of this module
replace them and fill the same arrays; everything before and after is done by phono3py.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import repeat
from types import SimpleNamespace
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from phono3py_mlp_plugin.files import fingerprint
from phono3py_mlp_plugin.host.bindings import original
from phono3py_mlp_plugin.host.output import progress
from phono3py_mlp_plugin.host.scattering import SCATTERING, calculation, distribution
from phono3py_mlp_plugin.parallel import Arrays, Chunk, Stage
from phono3py_mlp_plugin.scattering import (
    Crystal,
    Interaction,
    Smearing,
    Tetrahedra,
    Triplets,
    UnsupportedCase,
)
from phono3py_mlp_plugin.threads import CurrentThread, default_threads, threads

# Arrays that determine a crystal and its mesh. fc3 and its used blocks are large; they
# are unchanged as long as they are the same objects.
_CRYSTAL = ("svecs", "multiplicity", "masses", "p2s_map", "s2p_map", "all_shortest")
_GRID = ("d_diag", "q_matrix", "bz_grid_addresses", "make_r0_average")

# One of phono3py's functions has other names for these arguments.
_ALIASES = {"multi": "multiplicity", "q_mat": "q_matrix"}

# Memory in bytes above which it is announced.
_NOTED_MEMORY = 1_000_000_000

# Memory in bytes that points which are computed at the same time may need together.
_MEMORY_OF_POINTS = 1_000_000_000

# Products of three bands at triplets that are computed together: half a second.
_PRODUCTS = 5_000_000

# Arguments that are outputs, or of single points.
_OF_POINTS = ("collisions", "grid_points", "grid_point")

# Type of the grids whose map contains the first of all equivalent points.
_DENSE_MAP = 2


@dataclass(frozen=True, eq=False)
class _Prepared:
    """An interaction and the arrays from which it was made."""

    interaction: Interaction
    fc3: Any
    used: Any
    others: dict[str, Any]

    def is_of(self, args: SimpleNamespace) -> bool:
        """Return whether it was made from these arguments."""
        return (
            self.fc3 is args.fc3
            and self.used is args.fc3_nonzero_indices
            and all(
                np.array_equal(value, getattr(args, name))
                for name, value in self.others.items()
            )
        )


class Calculation:
    """Scattering by Fourier transform of one crystal after another.

    Parameters
    ----------
    report : callable
        Called with a line of text if a case is not supported and left to phono3py.
    """

    def __init__(self, report: Callable[[str], None]) -> None:
        self._report = report
        self._reported: set[str] = set()
        self._prepared: _Prepared | None = None
        self._n_threads = default_threads()
        # Kept, because the search for these libraries takes as long as some points.
        self._blas = ThreadpoolController()

    def supports(self, args: SimpleNamespace) -> bool:
        """Return whether collisions of these arguments can be computed."""
        return self._interaction(args) is not None

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
        with threads(self._n_threads, self._blas) as executor:
            args.interaction_strength[:] = interaction.strengths(
                needed, triplets, phonons, executor
            )
        return True

    def fill_collisions(
        self,
        args: SimpleNamespace,
        grid_points: Sequence[int],
        collisions: Any,
    ) -> bool:
        """Fill in the collisions of points; return whether this was possible."""
        interaction = self._interaction(args)
        if interaction is None:
            return False
        phonons = interaction.phonons(
            args.frequencies, args.eigenvectors, args.cutoff_frequency
        )
        smearings = [
            Smearing(None if np.isnan(width) else float(width), float(cutoff))
            for width, cutoff in zip(args.sigmas, args.sigma_cutoffs, strict=True)
        ]
        temperatures = np.array(args.temperatures_thz, dtype=np.float64)
        tetrahedra = _tetrahedra(args)
        # Since phono3py 4.10.
        degenerate_ids = getattr(args, "degenerate_ids", None)

        def one_point(grid_point: int, filled: Any, executor: Executor) -> None:
            triplets = _triplets(args, grid_point)
            of_triplets = interaction.collisions(
                triplets,
                phonons,
                smearings,
                temperatures,
                tetrahedra,
                executor,
                degenerate_ids,
            )
            if args.is_N_U:
                addresses = args.bz_grid_addresses[triplets.points].sum(axis=1)
                normal = ~addresses.any(axis=1)
                filled[:, 0] = of_triplets[:, normal].sum(axis=1)
                filled[:, 1] = of_triplets[:, ~normal].sum(axis=1)
            else:
                filled[:] = of_triplets.sum(axis=1)

        with threads(self._n_threads, self._blas) as executor:
            self._each_point(
                one_point, grid_points, collisions, executor, interaction.memory(1)
            )
        return True

    def _each_point(
        self,
        one_point: Callable[[int, Any, Executor], None],
        grid_points: Sequence[int],
        collisions: Sequence[Any],
        executor: Executor,
        memory: int,
    ) -> None:
        """Compute one point in each thread, or if they need much memory, one by one."""
        if len(grid_points) > 1 and self._n_threads * memory <= _MEMORY_OF_POINTS:
            alone = repeat(CurrentThread())
            list(executor.map(one_point, grid_points, collisions, alone))
        else:
            for grid_point, filled in zip(grid_points, collisions, strict=True):
                one_point(grid_point, filled, executor)

    def _interaction(self, args: SimpleNamespace) -> Interaction | None:
        """Return the interaction of phono3py's arrays, or None if it is unsupported."""
        if self._prepared is None or not self._prepared.is_of(args):
            self._prepared = None
            try:
                self._prepared = _prepare(args)
            except UnsupportedCase as error:
                if str(error) not in self._reported:
                    self._reported.add(str(error))
                    self._report(f"Scattering is left to phono3py: {error}.")
                return None
            memory = self._prepared.interaction.memory(self._n_threads)
            if memory > _NOTED_MEMORY:
                self._report(f"Scattering needs up to {memory / 1e9:.1f} GB of memory.")
        return self._prepared.interaction


def run_interaction(*values: Any, **named: Any) -> None:
    """Replace phono3py's ``run_interaction_rust``."""
    host = original("phono3py.phonon3.interaction:run_interaction_rust")
    args = _arguments(host, values, named)
    if not calculation().fill_strengths(args):
        host(*values, **named)


def run_collision_at_grid_point(*values: Any, **named: Any) -> None:
    """Replace phono3py's ``run_collision_at_grid_point_rust``."""
    host = original(
        "phono3py.conductivity.scattering_solvers:run_collision_at_grid_point_rust"
    )
    args = _arguments(host, values, named)
    if not calculation().fill_collisions(
        args, [int(args.grid_point)], [args.collisions]
    ):
        host(*values, **named)


def run_collision_at_grid_points(*values: Any, **named: Any) -> None:
    """Replace phono3py's ``run_collision_at_grid_points_batched_rust``."""
    host = original(
        "phono3py.conductivity.scattering_solvers:"
        "run_collision_at_grid_points_batched_rust"
    )
    args = _arguments(host, values, named)
    points = [int(grid_point) for grid_point in args.grid_points]
    found = calculation()
    if distribution().is_distributed and found.supports(args):
        _fill_by_chunks(found, args, points)
    elif not found.fill_collisions(args, points, args.collisions):
        host(*values, **named)


class _SentArguments:
    """Arguments of phono3py's function that are the same for all points.

    Parameters
    ----------
    args : SimpleNamespace
    calculation : Calculation
        Used by this process; a worker makes its own.
    """

    def __init__(self, args: SimpleNamespace, calculation: Calculation) -> None:
        self.values = {k: v for k, v in vars(args).items() if k not in _OF_POINTS}
        self.shape = args.collisions.shape[1:]
        self._args = args
        self._calculation = calculation

    def __getstate__(self) -> dict[str, Any]:
        """Return the state that workers need."""
        return {"values": self.values, "shape": self.shape}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the state in a worker."""
        vars(self).update(state)
        self._args = SimpleNamespace(**self.values)
        self._calculation = Calculation(lambda _line: None)

    def collisions(self, points: Sequence[int]) -> Any:
        """Return the collisions of points."""
        found = np.zeros((len(points), *self.shape))
        self._calculation.fill_collisions(self._args, points, found)
        return found


def _points_chunk(sent: _SentArguments, points: Sequence[int]) -> Arrays:
    """Return the collisions of some points."""
    return {"collisions": sent.collisions(points)}


def _fill_by_chunks(
    calculation: Calculation, args: SimpleNamespace, points: Sequence[int]
) -> None:
    """Fill in the collisions of points, chunk by chunk, where they are computed."""
    sent = _SentArguments(args, calculation)
    stage = Stage(SCATTERING, _points_chunk, sent, fingerprint(sent.values))
    n_bands = args.frequencies.shape[1]
    # Half of all triplets at a point of low symmetry.
    products = int(np.prod(args.d_diag)) // 2 * n_bands**2 * len(args.band_indices)
    step = max(1, _PRODUCTS // max(1, products))
    chunks = [
        Chunk(f"grid points {part[0]}-{part[-1]}", part, {"points": part})
        for part in (points[i : i + step] for i in range(0, len(points), step))
    ]
    filled = 0
    with progress(1)("Scattering at grid points", len(points)) as advance:
        for result in distribution().compute(stage, chunks):
            found = result["collisions"]
            args.collisions[filled : filled + len(found)] = found
            filled += len(found)
            advance(len(found))


def _arguments(
    host: Callable[..., None], values: tuple[Any, ...], named: dict[str, Any]
) -> SimpleNamespace:
    """Return the arguments of a function of phono3py by name."""
    bound = inspect.signature(host).bind(*values, **named)
    bound.apply_defaults()
    return SimpleNamespace(
        **{_ALIASES.get(name, name): value for name, value in bound.arguments.items()}
    )


def _prepare(args: SimpleNamespace) -> _Prepared:
    """Return the interaction of phono3py's arrays.

    Raises
    ------
    UnsupportedCase
    """
    if args.symmetrize_fc3_q:
        raise UnsupportedCase("fc3 symmetrized in reciprocal space (--sym-fc3q)")
    if getattr(args, "bz_grid_type", _DENSE_MAP) != _DENSE_MAP:
        raise UnsupportedCase("a grid without the dense map of its points")
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
    """Return the irreducible triplets of a point, chosen as by phono3py."""
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

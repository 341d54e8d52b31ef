"""Solution of normal equations, by a factorisation or by conjugate gradients."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import linalg

from phono3py_mlp_plugin.contracts import FloatArray, Progress
from phono3py_mlp_plugin.errors import SolverError
from phono3py_mlp_plugin.polynomial import available_memory
from phono3py_mlp_plugin.solvers.conjugate_gradients import (
    Iteration,
    conjugate_gradients,
)
from phono3py_mlp_plugin.solvers.normal_equations import NormalEquations
from phono3py_mlp_plugin.solvers.pivots import relative_pivots
from phono3py_mlp_plugin.threads import default_threads
from phono3py_mlp_plugin.wording import duration

# Floating-point operations per second and thread in products of matrices.
_SPEED = 1.5e10

# Iterations of a forecast: for 1e5 equations of 2e4 unknowns the probe took 64 and the
# solution 129.
_TYPICAL = 200

# Bytes of blocks of rows, beside the matrix.
_BLOCKS = 1e9

# A direct solution that takes longer (seconds) is replaced by an iterative one that is
# faster.
_LONG = 600.0

# Forecasts above this time (seconds) are shown.
_SHOWN = 5.0

# Norm of the residual of the normal equations over that of their right-hand side. The
# error of the coefficients is larger by at most the ratio of the eigenvalues: for 1e4,
# which random displacements do not reach, 1e-7.
_TOLERANCE = 1e-11

# Residual of the probe that finds out whether the equations determine all unknowns. It
# has a part in every direction: one of the unknowns that is left over would leave a
# residual of 1 over the root of their number.
_PROBED = 1e-6

# Smallest eigenvalue of the scaled equations over the largest. Unknowns that are not
# determined: up to 1e-12 by rounding (see `pivots.LEAST_PIVOT`, whose square it is).
_LEAST_EIGENVALUE = 1e-10

# Most iterations.
_LIMIT = 5000


@dataclass(frozen=True)
class Method:
    """A way to solve the equations, and what it is expected to need.

    Attributes
    ----------
    name : {"direct", "iterative"}
    unknowns : int
    memory : float
        In bytes, beside the basis of symfc.
    seconds : float
    """

    name: Literal["direct", "iterative"]
    unknowns: int
    memory: float
    seconds: float

    @contextmanager
    def announced(self, progress: Progress) -> Iterator[None]:
        """Show what it needs while it runs, if it takes more than a few seconds."""
        if self.seconds < _SHOWN:
            yield
            return
        task = (
            f"symfc: {self.unknowns:,} unknowns, {self.name} solution, about "
            f"{self.memory / 1e9:.1f} GB beside the basis and {duration(self.seconds)}"
        )
        with progress(task, None):
            yield


def choose_method(
    requested: Literal["direct", "iterative"] | None,
    unknowns: int,
    displacements: FloatArray,
) -> Method:
    """Return the method that is requested, or the one that fits.

    Parameters
    ----------
    requested : {"direct", "iterative"}, optional
    unknowns : int
    displacements : ndarray
        Shape ``(n, N, 3)``.
    """
    speed = _SPEED * default_threads()
    size = displacements[0].size
    direct = Method(
        "direct",
        unknowns,
        8.0 * unknowns**2 + _BLOCKS,
        displacements.size * float(unknowns) ** 2 / speed,
    )
    iterative = Method(
        "iterative",
        unknowns,
        _BLOCKS,
        _TYPICAL * 4.0 * displacements.size * float(size) ** 2 / speed,
    )
    if requested is not None:
        return direct if requested == "direct" else iterative
    slow = direct.seconds > max(_LONG, iterative.seconds)
    return iterative if slow or direct.memory > available_memory() else direct


class Direct:
    """Solutions by the Cholesky factor of the normal equations.

    Parameters
    ----------
    equations : NormalEquations
    progress : Progress

    Attributes
    ----------
    pivots : ndarray
        See `relative_pivots`.
    """

    def __init__(self, equations: NormalEquations, progress: Progress) -> None:
        with progress("Normal equations", equations.n_steps) as advance:
            matrix = equations.matrix(advance)
        # Columns of fc3 are proportional to squares of small displacements. Without
        # scaling, they are smaller than those of fc2 by a factor of thousands.
        diagonal = np.diag(matrix).copy()
        self._scales = 1 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
        matrix *= self._scales
        matrix *= self._scales[:, None]
        self._factor, info = linalg.lapack.dpotrf(matrix, overwrite_a=True)
        self.pivots = relative_pivots(self._factor, np.ones(len(diagonal)), info)

    def solve(self, rights: FloatArray) -> Iterator[FloatArray]:
        """Yield the solution of each right-hand side, ``(k, p)``."""
        for right in rights:
            yield self._scales * linalg.cho_solve(
                (self._factor, False), self._scales * right
            )


class Iterative:
    """Solutions by conjugate gradients, without the matrix of the equations.

    Parameters
    ----------
    equations : NormalEquations
    progress : Progress

    Attributes
    ----------
    undetermined : list of int
        Orders with unknowns that the equations do not determine.

    Raises
    ------
    SolverError
        If an iteration does not converge.
    """

    def __init__(self, equations: NormalEquations, progress: Progress) -> None:
        self._equations = equations
        self._progress = progress
        sizes = equations.sizes
        rng = np.random.default_rng(0)
        orders = np.repeat([order for order, _ in sizes], [size for _, size in sizes])
        self._scales = np.ones(len(orders))
        for order, size in sizes:
            signs = np.where(orders == order, rng.choice((-1.0, 1.0), len(orders)), 0.0)
            # The mean square of a column, for the parts mix with random signs.
            square = float(signs @ equations.product(signs)) / size
            self._scales[orders == order] = 1 / np.sqrt(square) if square > 0 else 1.0
        probe = self._iterate(
            "Whether the supercells determine all force constants",
            rng.normal(size=len(orders)),
            _PROBED,
        )
        self.undetermined: list[int] = []
        if not probe.least_eigenvalue >= _LEAST_EIGENVALUE:
            # The solution is mostly what is not determined.
            norms = [float((probe.solution[orders == o] ** 2).sum()) for o, _ in sizes]
            self.undetermined = [sizes[int(np.argmax(norms))][0]]

    def solve(self, rights: FloatArray) -> Iterator[FloatArray]:
        """Yield the solution of each right-hand side, ``(k, p)``."""
        solution: FloatArray | None = None
        for number, right in enumerate(rights, start=1):
            task = "Force constants by iteration"
            if len(rights) > 1:
                task += f", {number} of {len(rights)}"
            # Potentials of an ensemble are alike.
            solution = self._iterate(
                task, self._scales * right, _TOLERANCE, solution
            ).solution
            yield self._scales * solution

    def _iterate(
        self,
        task: str,
        right: FloatArray,
        tolerance: float,
        start: FloatArray | None = None,
    ) -> Iteration:
        with self._progress(task, None) as advance:
            found = conjugate_gradients(
                lambda x: self._scales * self._equations.product(self._scales * x),
                right,
                tolerance=tolerance,
                limit=_LIMIT,
                start=start,
                least_eigenvalue=_LEAST_EIGENVALUE,
                advance=advance,
            )
        # The probe ends without convergence if unknowns are not determined.
        singular = not found.least_eigenvalue >= _LEAST_EIGENVALUE
        if not (found.residual <= tolerance or (singular and tolerance == _PROBED)):
            raise SolverError(
                f"symfc: residual after {_LIMIT} iterations = {found.residual:.1e}; "
                f"expected {tolerance:.0e}. Give --fc-calculator symfc with "
                "--fc-calculator-options 'method = direct', or a cutoff, or more "
                "supercells."
            )
        return found

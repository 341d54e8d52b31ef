"""The two hooks of phono3py-mlp-plugin.

Both hooks collect the results of all plugins, from which the user selects by name. A
module that implements them is registered in the entry-point group ``phono3py_mlp``::

    [project.entry-points.phono3py_mlp]
    lj = "phono3py_mlp_lj"
"""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from phono3py_mlp_plugin.contracts import ForceCalculator, ForceConstantsSolver

GROUP = "phono3py_mlp"

hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


@hookspec
def phono3py_mlp_force_calculators() -> Iterable[ForceCalculator]:
    """Return the force calculators of this plugin.

    Example
    -------
    ::

        from dataclasses import dataclass
        from phono3py_mlp_plugin import ForceCalculator, hookimpl

        @dataclass(frozen=True)
        class Options:
            epsilon: float = 0.0104  # eV
            sigma: float = 3.40  # angstrom

        @hookimpl
        def phono3py_mlp_force_calculators():
            yield ForceCalculator(
                name="lj",
                summary="Lennard-Jones argon",
                options=Options,
                load=lambda path, options: LennardJones(options),
            )
    """
    return ()


@hookspec
def phono3py_mlp_force_constants_solvers() -> Iterable[ForceConstantsSolver]:
    """Return the force-constants solvers of this plugin.

    Example
    -------
    ::

        from phono3py_mlp_plugin import ForceConstantsSolver, hookimpl

        @hookimpl
        def phono3py_mlp_force_constants_solvers():
            yield ForceConstantsSolver(
                name="mine", summary="my least squares", solve=solve
            )
    """
    return ()

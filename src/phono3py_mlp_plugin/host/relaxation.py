"""The host's relaxation of atomic positions, by any potential of this package."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from phono3py_mlp_plugin.host.bindings import original
from phono3py_mlp_plugin.workflow import relax_positions

if TYPE_CHECKING:
    from phonopy.structure.atoms import PhonopyAtoms


def relax_atomic_positions(
    unitcell: PhonopyAtoms, polymlp: Any, *args: Any, **options: Any
) -> PhonopyAtoms | None:
    """Stand for the host's function, which knows models of pypolymlp alone.

    What ``Phono3py.mlp.mlp`` is for other potentials is relaxed by `relax_positions`;
    options of the host's minimiser mean nothing there.
    """
    if not hasattr(polymlp, "evaluate") or hasattr(polymlp, "coeffs"):
        host = original("phonopy.interface.pypolymlp:relax_atomic_positions")
        return host(unitcell, polymlp, *args, **options)  # type: ignore[no-any-return]
    return relax_positions(type(polymlp).__name__, polymlp, unitcell)

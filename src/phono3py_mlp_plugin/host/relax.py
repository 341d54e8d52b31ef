"""Relaxation of atomic positions by a potential."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any

from phono3py_mlp_plugin.host.bindings import original
from phono3py_mlp_plugin.host.mlp import PluginMLP
from phono3py_mlp_plugin.host.output import show
from phono3py_mlp_plugin.workflow import relax_positions

if TYPE_CHECKING:
    from phono3py import Phono3py
    from phonopy.structure.atoms import PhonopyAtoms


def relax(
    script: ModuleType, ph3: Phono3py, settings: Any, mlp: PluginMLP, log_level: int
) -> Phono3py:
    """Return the crystal with atomic positions relaxed by a potential.

    Parameters
    ----------
    script : module
        ``phono3py.cui.phono3py_script``.
    ph3 : Phono3py
        Returned unchanged if symmetry fixes all positions.
    settings : Phono3pySettings
    mlp : PluginMLP
    log_level : int

    Raises
    ------
    PotentialError
        See `workflow.relax_positions`.
    """
    assert mlp.potential is not None
    show([f"Relaxing atomic positions by {mlp.calculator}..."], log_level)
    relaxed = relax_positions(
        mlp.calculator, mlp.potential, ph3.unitcell, ph3.symmetry.tolerance
    )
    if relaxed is None:
        show(["Symmetry leaves no atomic position to relax."], log_level)
        return ph3
    script.get_change_in_positions(relaxed, ph3.unitcell, verbose=log_level > 0)
    new: Phono3py
    new, _, _ = script._init_phono3py(
        settings,
        relaxed.copy(),
        supercell_matrix=ph3.supercell_matrix,
        primitive_matrix=ph3.primitive_matrix,
        phonon_supercell_matrix=ph3.phonon_supercell_matrix,
        symprec=ph3.symmetry.tolerance,
        log_level=log_level,
    )
    if ph3.mesh_numbers is not None:
        new.mesh_numbers = settings.mesh_numbers
    new.nac_params = ph3.nac_params
    mlp.supercell = new.supercell
    new.mlp = mlp
    return new


def relax_atomic_positions(
    unitcell: PhonopyAtoms, polymlp: Any, *args: Any, **options: Any
) -> PhonopyAtoms | None:
    """Replace the function of phonopy, which supports only models of pypolymlp.

    Other potentials (``Phono3py.mlp.mlp``) are relaxed by `relax_positions`, without
    the options of the minimiser of phonopy.
    """
    if not hasattr(polymlp, "evaluate") or hasattr(polymlp, "coeffs"):
        host = original("phonopy.interface.pypolymlp:relax_atomic_positions")
        return host(unitcell, polymlp, *args, **options)  # type: ignore[no-any-return]
    return relax_positions(type(polymlp).__name__, polymlp, unitcell)

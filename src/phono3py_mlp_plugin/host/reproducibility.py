"""Settings of phono3py with which rounding errors do not change kappa.

In the tetrahedron method, weights depend on the choice of eigenvectors of degenerate
modes and on the sign of the acoustic frequencies at Gamma, both of which are determined
by rounding errors. phono3py 4.10 has two settings that remove this dependence.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

_SWITCHES = {
    "average_degenerate_weights": "--average-degenerate-weights",
    "exclude_gamma_acoustic": "--exclude-gamma-acoustic",
}


def make_reproducible(settings: Any, confs: dict[str, Any]) -> list[str]:
    """Switch the settings on, except those that the user has set.

    Parameters
    ----------
    settings : Phono3pySettings
    confs : dict
        Options as recorded by phono3py; settings that are switched on are added.

    Returns
    -------
    list of str
        Lines to print.
    """
    undecided = [name for name in _SWITCHES if name not in confs]
    if not all(_is_available(settings, name) for name in undecided):
        line = (
            "Rounding errors change kappa of the tetrahedron method. phono3py 4.10 "
            f"without --legacy-backend has {_options(_SWITCHES)}, which remove this."
        )
        return [line] if _uses_tetrahedra(settings) else []
    for name in undecided:
        setattr(settings, name, True)
        confs[name] = ".true."
    line = (
        f"Switched on, so that rounding errors do not change kappa: "
        f"{_options(undecided)} (--no-... switches them off)."
    )
    return [line] if undecided else []


def recommend_reproducible(settings: Any, confs: dict[str, Any]) -> list[str]:
    """Return a line that recommends the settings, if the run has a use for them."""
    undecided = [
        name
        for name in _SWITCHES
        if name not in confs and _is_available(settings, name)
    ]
    computes_kappa = settings.is_bterta or settings.is_lbte
    if not (undecided and computes_kappa and _uses_tetrahedra(settings)):
        return []
    return [
        f"Recommended: {_options(undecided)}. Without them, rounding errors change "
        "kappa, by 0.1 % and more on coarse meshes."
    ]


def _uses_tetrahedra(settings: Any) -> bool:
    return settings.sigma is None or bool(settings.is_tetrahedron_method)


def _is_available(settings: Any, name: str) -> bool:
    # phono3py's functions in C do not average over degenerate bands.
    is_legacy = bool(getattr(settings, "use_legacy_backend", False))
    return hasattr(settings, name) and not is_legacy


def _options(names: Iterable[str]) -> str:
    return " ".join(_SWITCHES[name] for name in names)

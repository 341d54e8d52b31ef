"""The installation, the bindings to phono3py, and the plugins that can be used."""

from __future__ import annotations

import importlib
import platform
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phono3py_mlp_plugin.api.results import Result, Row, plain
from phono3py_mlp_plugin.contracts import ForceCalculator, ForceConstantsSolver
from phono3py_mlp_plugin.errors import IncompatibleHost, one_line
from phono3py_mlp_plugin.host import bindings, is_bound
from phono3py_mlp_plugin.host.bindings import BINDINGS, SCATTERING_BINDINGS, check
from phono3py_mlp_plugin.options import describe_options
from phono3py_mlp_plugin.plugins import (
    DISTRIBUTION,
    PluginEntry,
    registry,
    version_of,
)
from phono3py_mlp_plugin.switch import SWITCH, is_switched_off

_PACKAGES = (
    DISTRIBUTION,
    "phono3py",
    "phonopy",
    "symfc",
    "pypolymlp",
    "numba",
    "numpy",
)


@dataclass(frozen=True, eq=False, repr=False)
class Installation(Result):
    """Whether phono3py uses this package, and how.

    Attributes
    ----------
    problems : tuple of str
        Why phono3py does not use it; empty if it does.
    python : str
        Version of Python.
    packages : dict
        Versions by name of packages; None if one is not installed.
    bindings : dict
        What is bound in phono3py: what is wrong with each, nothing if it is bound.
    notes : tuple of str
        Linear algebra, scattering, and force calculators that can be used.
    """

    problems: tuple[str, ...]
    python: str
    packages: dict[str, str | None]
    bindings: dict[str, str]
    notes: tuple[str, ...]

    @property
    def is_active(self) -> bool:
        """Whether phono3py uses this package."""
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain types."""
        content: dict[str, Any] = plain(self)
        return {"is_active": self.is_active, **content}

    def _title(self) -> str:
        return f"Bridge: {'active' if self.is_active else 'NOT ACTIVE'}"

    def _notes(self) -> Sequence[str]:
        return [
            *(f"  {problem}" for problem in self.problems),
            f"Python {self.python}",
            *(f"{n} {v or 'is not installed'}" for n, v in self.packages.items()),
            *(
                f"  {name}: NOT BOUND" if problem else f"  {name}"
                for name, problem in self.bindings.items()
            ),
            *self.notes,
        ]


def doctor() -> Installation:
    """Return whether phono3py uses this package, and if not, why.

    Returns
    -------
    Installation
        ``is_active``, ``problems``, versions and bindings.
    """
    problems = _reasons()
    checked = dict(_checked_bindings()) if is_bound() else {}
    return Installation(
        tuple(problems),
        platform.python_version(),
        {name: version_of(name) for name in _PACKAGES},
        checked,
        (*_linear_algebra(), *_abilities()),
    )


@dataclass(frozen=True)
class PluginDescription:
    """A plugin that was found.

    Attributes
    ----------
    name : str
    summary : str
    citation : str
    package : str
        Distribution and version that provide it.
    is_built_in : bool
    unavailable_reason : str or None
        What it needs; None if it can be used.
    options : tuple of tuple of str
        Name, default and description of each option.
    """

    name: str
    summary: str
    citation: str
    package: str
    is_built_in: bool
    unavailable_reason: str | None
    options: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, eq=False, repr=False)
class Plugins(Result):
    """Force calculators and force-constants solvers.

    Attributes
    ----------
    force_calculators, force_constants_solvers : dict
        Descriptions by name.
    broken : tuple of str
        Messages about plugins that could not be loaded.
    """

    force_calculators: dict[str, PluginDescription]
    force_constants_solvers: dict[str, PluginDescription]
    broken: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return all descriptions as plain types."""
        content: dict[str, Any] = plain(self)
        return content

    def _title(self) -> str:
        return "Plugins"

    def _table(self) -> Sequence[Row]:
        kinds = {
            "force calculator": self.force_calculators,
            "force-constants solver": self.force_constants_solvers,
        }
        rows = [
            (one.name, kind, "no" if one.unavailable_reason else "yes")
            for kind, found in kinds.items()
            for one in found.values()
        ]
        return [("name", "kind", "usable"), *rows]

    def _notes(self) -> Sequence[str]:
        return self.broken


def find_plugins() -> Plugins:
    """Return the force calculators and force-constants solvers that are installed.

    Returns
    -------
    Plugins
        Descriptions by name, with what others need, and the options of each.
    """
    found = registry()
    return Plugins(
        _described(found.calculators), _described(found.solvers), tuple(found.broken)
    )


def _described(
    entries: Mapping[str, PluginEntry[Any]],
) -> dict[str, PluginDescription]:
    """Return the descriptions of plugins, by name in alphabetical order."""
    return {name: _description(name, item) for name, item in sorted(entries.items())}


def _description(name: str, item: PluginEntry[Any]) -> PluginDescription:
    record: ForceCalculator | ForceConstantsSolver = item.record
    return PluginDescription(
        name,
        record.summary,
        record.citation,
        str(item.origin),
        item.origin.distribution == DISTRIBUTION,
        record.unavailable_reason(),
        tuple(describe_options(record.options)),
    )


def compile_kernels() -> float:
    """Use all kernels on small data; return the time in seconds.

    Compiled kernels are kept on disk.
    """
    from phono3py_mlp_plugin.contracts import no_progress
    from phono3py_mlp_plugin.reference import nacl_dataset
    from phono3py_mlp_plugin.scattering import warm_up
    from phono3py_mlp_plugin.workflow import request_calculator

    start = time.perf_counter()
    request = request_calculator("pypolymlp", "cutoff = 4, gtinv_maxl = 1 1")
    _, data = nacl_dataset(4, repeats=1)
    training, test = data.select([0, 1, 2]), data.select([3])
    assert request.calculator.train is not None
    trained = request.calculator.train(training, test, request.options, no_progress)
    trained.potential.evaluate(test.supercells())
    warm_up()
    return time.perf_counter() - start


def _reasons() -> list[str]:
    """Return why phono3py does not use this package, nothing if it does."""
    if is_switched_off():
        return [f"{SWITCH}=off switches it off. Unset the variable."]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RuntimeWarning)
        try:
            importlib.import_module("phono3py")
        except ImportError as error:
            return [
                f"phono3py cannot be imported: {one_line(error)}. Install it again by "
                "'pip install --force-reinstall phono3py'."
            ]
    reasons = [str(w.message) for w in caught if DISTRIBUTION in str(w.message)]
    if is_bound():
        return reasons + [reason for _, reason in _checked_bindings() if reason]
    if version_of(DISTRIBUTION) is None:
        return [
            f"{DISTRIBUTION} is not installed, so that phono3py does not find it. Run "
            f"'pip install {DISTRIBUTION}', or 'pip install -e .' in a clone."
        ]
    return reasons or [
        "phono3py did not call the plugin while it was imported. Install "
        f"{DISTRIBUTION} again, into the environment of phono3py."
    ]


def _abilities() -> list[str]:
    """Return what can be computed here, and how."""
    try:
        return [_scattering(), _calculators()]
    except ImportError:
        # The reason is part of the verdict.
        return []


def _calculators() -> str:
    """Return the force calculators that can be used."""
    found = find_plugins().force_calculators
    usable = [name for name, one in found.items() if one.unavailable_reason is None]
    return (
        f"Force calculators: {', '.join(usable)} "
        "('phono3py-mlp plugins' tells what others need)"
    )


def _scattering() -> str:
    """Return how phonon-phonon scattering is computed in runs with a potential."""
    from phono3py_mlp_plugin.host.scattering import unavailable_reason

    reason = unavailable_reason()
    if reason is not None:
        return f"Scattering: by phono3py itself ({reason})"
    names = ", ".join(binding.name for binding in SCATTERING_BINDINGS)
    return f"Scattering: by Fourier transform in runs with a potential ({names})"


def _linear_algebra() -> list[str]:
    """Return the BLAS libraries in use, and advice if they can be faster."""
    import numpy as np  # noqa: F401
    import scipy.linalg  # noqa: F401
    from threadpoolctl import threadpool_info

    # numpy and scipy each have their own, mostly of the same kind.
    lines: dict[str, None] = {}
    for pool in threadpool_info():
        if pool["user_api"] != "blas":
            continue
        kind = pool.get("architecture", "?")
        lines[f"{pool['prefix']}: {kind}, {pool['num_threads']} threads"] = None
        if kind in ("Haswell", "Zen") and _has_wide_vectors():
            advice = (
                "  this processor has AVX-512: 'export OPENBLAS_CORETYPE=SKYLAKEX' "
                "makes matrix products faster."
            )
            lines[advice] = None
    return list(lines)


def _has_wide_vectors() -> bool:
    try:
        return "avx512f" in Path("/proc/cpuinfo").read_text(encoding="ascii")
    except OSError:
        return False


def _checked_bindings() -> Iterator[tuple[str, str]]:
    """Yield the description of each binding, and what is wrong with it if anything."""
    for binding in bindings():
        try:
            target = check(binding)
        except IncompatibleHost as error:
            yield str(binding), str(error)
            continue
        if binding not in BINDINGS:
            yield f"{binding} (bound when a command starts)", ""
        elif hasattr(target, "__wrapped__"):
            yield f"{binding} -> {binding.replacement}", ""
        else:
            yield str(binding), f"{binding} was replaced by other code."

"""``phono3py-mlp doctor``: check the installation and the bindings to phono3py."""

from __future__ import annotations

import importlib
import platform
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from phono3py_mlp_plugin.cli.parser import example
from phono3py_mlp_plugin.errors import IncompatibleHost, one_line
from phono3py_mlp_plugin.host import bindings, is_bound
from phono3py_mlp_plugin.host.bindings import BINDINGS, SCATTERING_BINDINGS, check
from phono3py_mlp_plugin.plugins import DISTRIBUTION, registry, version_of
from phono3py_mlp_plugin.switch import SWITCH, is_switched_off
from phono3py_mlp_plugin.wording import duration

_PACKAGES = (
    DISTRIBUTION,
    "phono3py",
    "phonopy",
    "symfc",
    "pypolymlp",
    "numba",
    "numpy",
)


def add_doctor(commands: Any) -> None:
    """Add ``doctor`` to the commands."""
    parser = commands.add_parser(
        "doctor",
        help="check the installation and the bindings to phono3py",
        description="Say whether phono3py uses this package, and if not, why. The exit "
        "code is then 1.",
        epilog=example("phono3py-mlp doctor"),
    )
    parser.add_argument(
        "--warm-up",
        action="store_true",
        help="compile all kernels before the first run",
    )
    parser.set_defaults(run=lambda args: doctor(args.warm_up))


def doctor(warm_up: bool = False) -> int:
    """Print whether phono3py uses this package, and how; return 1 if it does not.

    Parameters
    ----------
    warm_up : bool
        Compile all kernels, which are cached on disk.
    """
    reasons = _reasons()
    print(f"Bridge: {'active' if not reasons else 'NOT ACTIVE'}")
    for reason in reasons:
        print(f"  {reason}")
    print(f"Python {platform.python_version()}")
    for name in _PACKAGES:
        print(f"{name} {version_of(name) or 'is not installed'}")
    if is_bound():
        for line, problem in _checked_bindings():
            print(f"  {line}" if not problem else f"  {line}: NOT BOUND")
    for line in (*_linear_algebra(), *_abilities()):
        print(line)
    if warm_up and not reasons:
        print(f"Kernels: ready in {duration(_compile_kernels())}")
    return 1 if reasons else 0


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
    found = registry().calculators
    usable = [
        name for name in sorted(found) if not found[name].record.unavailable_reason()
    ]
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

    lines = []
    for pool in threadpool_info():
        if pool["user_api"] != "blas":
            continue
        kind = pool.get("architecture", "?")
        lines.append(f"{pool['prefix']}: {kind}, {pool['num_threads']} threads")
        if kind in ("Haswell", "Zen") and _has_wide_vectors():
            lines.append(
                "  this processor has AVX-512: 'export OPENBLAS_CORETYPE=SKYLAKEX' "
                "makes matrix products faster."
            )
    return lines


def _has_wide_vectors() -> bool:
    try:
        return "avx512f" in Path("/proc/cpuinfo").read_text(encoding="ascii")
    except OSError:
        return False


def _compile_kernels() -> float:
    """Use all kernels on small data; return the time in seconds."""
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

"""Compilation of kernels by numba, on the machine on which they run."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba.core.caching import FunctionCache, IndexDataCacheFile

_Function = TypeVar("_Function", bound=Callable[..., object])

_OPTIONS: dict[str, Any] = {
    "nopython": True,
    "nogil": True,
    "error_model": "numpy",
    # Nothing calls them from C: less to compile.
    "no_cfunc_wrapper": True,
}


def kernel(function: _Function) -> _Function:
    """Compile a function: it releases the interpreter lock and is cached on disk."""
    return _compiled(function, **_OPTIONS)


def inner_kernel(function: _Function) -> _Function:
    """Compile a function that is called only by kernels, not by Python."""
    return _compiled(function, **_OPTIONS, no_cpython_wrapper=True)


def inlined(function: _Function) -> _Function:
    """Compile a function into every kernel that calls it.

    LLVM alone does not inline many calls that take as long as the computation in them.
    """
    options = {**_OPTIONS, "inline": "always", "no_cpython_wrapper": True}
    return cast(_Function, numba.jit(**options)(function))


class _Cache(FunctionCache):
    """A cache whose files are named by all sources that what is compiled depends on.

    numba compares only the file of the function, and reads the types of the arguments
    before it does. It would fail if a record no longer exists, and use compiled code
    with the fields of a record in their former order.
    """

    def __init__(self, function: Callable[..., object]) -> None:
        super().__init__(function)  # type: ignore[no-untyped-call]
        key = _key(Path(function.__code__.co_filename).parent)
        self._cache_file = IndexDataCacheFile(  # type: ignore[no-untyped-call]
            cache_path=self._cache_path,
            filename_base=f"{self._impl.filename_base}-{key}",
            source_stamp=self._impl.locator.get_source_stamp(),
        )


@cache
def _key(folder: Path) -> str:
    """Return a hash of the sources in a folder of kernels, and of this module."""
    found = hashlib.sha256()
    for path in (Path(__file__), *sorted(folder.glob("*.py"))):
        found.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest()[:16]


def _compiled(function: _Function, **options: Any) -> _Function:
    compiled: Any = numba.jit(**options)(function)
    # With NUMBA_DISABLE_JIT it is the function itself.
    if compiled is not function:
        # It fails if neither the package's folder nor the user's can be written to.
        with suppress(RuntimeError):
            compiled._cache = _Cache(function)
    return cast(_Function, compiled)

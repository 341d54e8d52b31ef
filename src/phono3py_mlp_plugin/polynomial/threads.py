"""Threads for the kernels, and none of BLAS below them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from threadpoolctl import threadpool_info, threadpool_limits

Item = TypeVar("Item")
Result = TypeVar("Result")


class _SingleThreadedBlas:
    """The limit of BLAS, which is one for the whole process, counted by its users.

    The first of overlapping calls sets it and the last one takes it away: each for
    itself would find, and leave behind, the limit of the other.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._limits: Any = None
        self._before = 0

    @contextmanager
    def held(self) -> Iterator[None]:
        """Limit BLAS to one thread."""
        with self._lock:
            if self._users == 0:
                self._before = _threads_of_blas()
                self._limits = threadpool_limits(1, user_api="blas")
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if self._users == 0:
                    self._limits.restore_original_limits()

    def threads(self) -> int:
        """Return the number of threads of BLAS where nobody limits it."""
        with self._lock:
            return self._before if self._users else _threads_of_blas()


_single_threaded_blas = _SingleThreadedBlas()


def default_threads() -> int:
    """Return the number of threads that BLAS would use: what the user has set.

    Queue scripts set ``OMP_NUM_THREADS`` or the like, and BLAS follows.
    """
    return _single_threaded_blas.threads()


def _threads_of_blas() -> int:
    numbers = [pool["num_threads"] for pool in threadpool_info()]
    return max(numbers, default=0) or _cores()


def _cores() -> int:
    """Return the number of cores that this process may use, where the system says."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def threads(n_threads: int | None) -> Iterator[ThreadPoolExecutor]:
    """Give threads; BLAS has one meanwhile: threads below threads would fight."""
    number = n_threads or default_threads()
    with _single_threaded_blas.held(), ThreadPoolExecutor(number) as executor:
        yield executor


def map_threads(
    function: Callable[[Item], Result], items: Iterable[Item], n_threads: int | None
) -> list[Result]:
    """Return ``function`` of all items in order, computed in threads."""
    with threads(n_threads) as executor:
        return list(executor.map(function, items))

"""Threads for the kernels, within which BLAS uses a single thread."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

import threadpoolctl
from threadpoolctl import ThreadpoolController

Item = TypeVar("Item")
Result = TypeVar("Result")


class _SingleThreadedBlas:
    """Limit of the threads of BLAS, which is common to the whole process.

    The first of overlapping calls sets the limit and the last one removes it.
    Otherwise, a call could restore the limit set by another one. Both are done in the
    same thread, because threadpoolctl requires that.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._controller: ThreadpoolController | None = None
        self._limits: Any = None
        self._before = 0
        self._thread: ThreadPoolExecutor | None = None

    @contextmanager
    def held(
        self, blas: ThreadpoolController | None = None
    ) -> Iterator[ThreadpoolController]:
        """Limit BLAS to one thread; yield the controller of the BLAS libraries."""
        with self._lock:
            if self._users == 0:
                # Created each time, because a plugin may have loaded another library.
                self._controller = blas or ThreadpoolController()
                self._before = _threads_of(self._controller)
                self._thread = ThreadPoolExecutor(1)
                self._limits = self._thread.submit(_limit, self._controller).result()
            self._users += 1
        try:
            yield self._controller
        finally:
            with self._lock:
                self._users -= 1
                if self._users == 0 and self._thread is not None:
                    self._thread.submit(self._limits.restore_original_limits).result()
                    self._thread.shutdown()

    def threads(self) -> int:
        """Return the number of threads of BLAS without this limit."""
        with self._lock:
            if self._users:
                return self._before
        return _threads_of(ThreadpoolController())


_single_threaded_blas = _SingleThreadedBlas()


def _limit(controller: ThreadpoolController) -> Any:
    """Limit BLAS to one thread, even if another thread has set a limit."""
    # Since threadpoolctl 3.8, a limit set by another thread has priority.
    openblas: Any = getattr(threadpoolctl, "OpenBLASController", None)
    if hasattr(openblas, "clear_controlling_thread"):
        openblas.clear_controlling_thread(force=True)
    return controller.limit(limits=1, user_api="blas")


def default_threads() -> int:
    """Return the number of threads that BLAS would use, which the user may have set.

    Queue scripts set ``OMP_NUM_THREADS`` or similar variables, which BLAS obeys.
    """
    return _single_threaded_blas.threads()


def _threads_of(controller: ThreadpoolController) -> int:
    numbers = [pool["num_threads"] for pool in controller.info()]
    return max(numbers, default=0) or _cores()


def _cores() -> int:
    """Return the number of cores that this process may use, if it is known."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class CurrentThread(Executor):
    """Executor that computes in the thread of its caller."""

    def submit(
        self, function: Callable[..., Result], /, *args: Any, **kwargs: Any
    ) -> Future[Result]:
        """Compute the result and return it."""
        future: Future[Result] = Future()
        future.set_result(function(*args, **kwargs))
        return future


@contextmanager
def threads(
    n_threads: int | None, blas: ThreadpoolController | None = None
) -> Iterator[ThreadPoolExecutor]:
    """Yield a pool of threads, while BLAS is limited to one thread.

    Nested threads would compete for the cores.

    Parameters
    ----------
    n_threads : int or None
        By default as many as BLAS would use.
    blas : ThreadpoolController, optional
        Libraries of BLAS, if they are known: the search for them takes milliseconds.
    """
    number = n_threads or default_threads()
    with (
        _single_threaded_blas.held(blas) as controller,
        # BLAS with OpenMP has a limit for each thread, including this one.
        controller.limit(limits=1, user_api="blas"),
        ThreadPoolExecutor(number) as executor,
    ):
        yield executor


def map_threads(
    function: Callable[[Item], Result], items: Iterable[Item], n_threads: int | None
) -> list[Result]:
    """Return ``function`` of all items in order, computed in threads.

    A single item is computed in the current thread, because the search for the
    libraries of BLAS takes longer than a step of molecular dynamics.
    """
    items = list(items)
    if len(items) == 1:
        return [function(items[0])]
    with threads(n_threads) as executor:
        return list(executor.map(function, items))

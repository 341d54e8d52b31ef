"""Threads for the kernels, and none of BLAS below them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from threadpoolctl import threadpool_info, threadpool_limits

Item = TypeVar("Item")
Result = TypeVar("Result")


def default_threads() -> int:
    """Return the number of threads that BLAS would use: what the user has set.

    Queue scripts set ``OMP_NUM_THREADS`` or the like, and BLAS follows.
    """
    numbers = [pool["num_threads"] for pool in threadpool_info()]
    return max(numbers, default=len(os.sched_getaffinity(0)))


@contextmanager
def threads(n_threads: int | None) -> Iterator[ThreadPoolExecutor]:
    """Give threads; BLAS has one meanwhile: threads below threads would fight."""
    # Asked for first: afterwards BLAS would answer that it has one.
    number = n_threads or default_threads()
    with (
        threadpool_limits(1, user_api="blas"),
        ThreadPoolExecutor(number) as executor,
    ):
        yield executor


def map_threads(
    function: Callable[[Item], Result], items: Iterable[Item], n_threads: int | None
) -> list[Result]:
    """Return ``function`` of all items in order, computed in threads."""
    with threads(n_threads) as executor:
        return list(executor.map(function, items))

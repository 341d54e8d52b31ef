"""Threads for the kernels, and none of BLAS below them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
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


def map_threads(
    function: Callable[[Item], Result], items: Iterable[Item], n_threads: int | None
) -> list[Result]:
    """Return ``function`` of all items in order, computed in threads.

    BLAS has one thread meanwhile: threads below threads would fight for the cores.
    """
    with (
        threadpool_limits(1, user_api="blas"),
        ThreadPoolExecutor(n_threads or default_threads()) as executor,
    ):
        return list(executor.map(function, items))

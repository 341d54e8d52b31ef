"""Kernels get the threads that BLAS has been given."""

import threading

from threadpoolctl import ThreadpoolController, threadpool_info, threadpool_limits

from phono3py_mlp_plugin.threads import map_threads, threads


def blas_threads():
    return {
        pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"
    }


def test_as_many_threads_as_blas_and_none_of_blas_below():
    # Each waits for the other: one thread alone would never get there.
    together = threading.Barrier(2, timeout=30)

    def work(number):
        together.wait()
        return number, blas_threads()

    # An OpenMP library, where one is loaded, has no say.
    with threadpool_limits({"blas": 2, "openmp": 1}):
        assert map_threads(work, range(2), None) == [(0, {1}), (1, {1})]
        assert blas_threads() == {2}


def test_one_item_needs_no_thread():
    """A step of molecular dynamics is one structure, and shorter than making one."""
    here = threading.current_thread()
    with threadpool_limits({"blas": 2}):
        assert map_threads(lambda _: threading.current_thread(), [1], None) == [here]


def test_overlapping_calls_that_know_the_libraries_restore_the_limit():
    """The first call ends first: the limit stays until the last one ends."""
    with threadpool_limits({"blas": 2}):
        first, last = (threads(2, ThreadpoolController()) for _ in range(2))
        first.__enter__()
        last.__enter__()
        assert blas_threads() == {1}
        first.__exit__(None, None, None)
        assert blas_threads() == {1}
        last.__exit__(None, None, None)
        assert blas_threads() == {2}

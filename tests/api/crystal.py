"""The analytic crystal, computed once for all tests of the functions for scripts."""

import copy
import functools

from phono3py import Phono3py

from analytic_crystal import analytic_crystal


@functools.cache
def _crystal() -> Phono3py:
    return analytic_crystal()


def sodium_chloride() -> Phono3py:
    """Return a new copy."""
    return copy.deepcopy(_crystal())

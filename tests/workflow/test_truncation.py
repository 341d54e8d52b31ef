"""A solver with a cutoff leaves out pairs, and this is said."""

import numpy as np
import pytest

from phono3py_mlp_plugin.workflow import describe_truncation
from spring_crystal import spring_crystal


@pytest.mark.parametrize("compact", [True, False])
def test_reach_of_force_constants_is_compared_with_that_of_the_supercell(compact):
    crystal = spring_crystal("one atom")
    rows = crystal.primitive.p2s_map if compact else slice(None)
    fc2, fc3 = crystal.fc2[rows], crystal.fc3[rows]
    # Springs reach to the second shell of a face-centred lattice of edge 3.6 angstrom;
    # the farthest of the 27 atoms are in the third one.
    (first, second) = describe_truncation("name", crystal.primitive, {2: fc2, 3: fc3})
    assert first.startswith("name: fc2 is zero beyond 3.60 angstrom, for 8 of 27 pairs")
    assert "the supercell reaches to 4.41" in first
    assert second.startswith("name: fc3 is zero beyond 3.60 angstrom")


def test_force_constants_of_all_pairs_are_not_said_to_be_truncated():
    crystal = spring_crystal("one atom")
    full = {2: np.ones_like(crystal.fc2), 3: np.ones_like(crystal.fc3)}
    assert describe_truncation("name", crystal.primitive, full) == []

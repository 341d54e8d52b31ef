"""Costs of stages add up, on one machine and on many."""

import pytest

from phono3py_mlp_plugin.workflow import CostOfRun, Stage, cost_lines

RUN = CostOfRun(
    (
        Stage("training", 100.0, 60.0, 3e9, "80 supercells"),
        Stage("kappa", 500.0, 490.0, 1e9),
    ),
    ("the relaxation",),
)


def test_workers_share_what_can_be_shared():
    assert RUN.on_workers(1) == RUN.seconds == 600.0
    assert RUN.on_workers(10) == pytest.approx(40 + 6 + 10 + 49)
    assert RUN.on_workers(10**9) == pytest.approx(50.0)


def test_memory_is_that_of_the_largest_stage():
    assert RUN.memory == 3e9
    assert CostOfRun(()).memory == 0.0


def test_the_table_names_everything():
    lines = cost_lines(RUN, [4])
    assert lines[0].split() == ["stage", "time", "memory", "4", "workers", "what"]
    words = lines[1].split()[1:]
    assert words == ["1.7", "min", "3.0", "GB", "55", "s", "80", "supercells"]
    assert lines[-2].split()[:5] == ["total", "10", "min", "3.0", "GB"]
    assert lines[-1] == "Not included: the relaxation."

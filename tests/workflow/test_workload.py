"""Work is forecast where it takes long, and refused where the memory does not do."""

import pytest

from phono3py_mlp_plugin.errors import ResourceError
from phono3py_mlp_plugin.workflow import (
    check_memory_of_fc3,
    forecast_evaluations,
    forecast_systematic,
    workload,
)


@pytest.fixture(autouse=True)
def free_memory(monkeypatch):
    monkeypatch.setattr(workload, "available_memory", lambda: 10**10)


def test_fc3_that_does_not_fit_is_refused_before_the_work():
    check_memory_of_fc3(2, 1000)
    with pytest.raises(ResourceError, match=r"fc3: 13\.8 GB for 100 x 800 x 800 atoms"):
        check_memory_of_fc3(100, 800)


def test_many_systematic_displacements_are_forecast():
    (line,) = forecast_systematic(360_000, 100, 0.01)
    assert line.startswith(
        "Forecast: up to 360,000 supercells of 100 atoms by -d, abou"
    )
    assert "60 min" in line and "--teach" in line
    assert forecast_systematic(18_000, 100, 0.01) == []


def test_displacements_that_do_not_fit_are_refused_with_the_remedy():
    with pytest.raises(
        ResourceError, match=r"need 196 GB.*--rd auto with --cutoff-pai"
    ):
        forecast_systematic(2_880_000, 800, None)


def test_evaluations_of_more_than_a_minute_are_forecast():
    assert list(forecast_evaluations(300, 0.1)) == []
    assert list(forecast_evaluations(300, 12.0)) == [
        "Forecast: about 60 min, 12 s for each."
    ]
    assert list(forecast_evaluations(300, None)) == []

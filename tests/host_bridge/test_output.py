"""What the commands show."""

from dataclasses import replace

import pytest

from phono3py_mlp_plugin.files import Provenance
from phono3py_mlp_plugin.host import output

PROVENANCE = Provenance(
    fingerprint="f",
    calculator="c",
    parameters={},
    n_training=80,
    n_test=20,
    n_features=3,
    rmse={
        "training": {"energy": 1.5e-6, "force": 2e-5},
        "test": {"energy": None, "force": 3e-5},
    },
    alpha=0.1,
    penalties=[
        {"alpha": 0.01, "rmse_training": None, "rmse_test": None},
        {"alpha": 0.1, "rmse_training": 2e-5, "rmse_test": 3e-5},
    ],
)


def test_error_table_has_units_and_sizes():
    header, _, training, test = output.error_table(PROVENANCE)[0:4]
    assert header == "Root-mean-square errors:"
    assert training.split() == ["training", "80", "0.00150", "0.000020"]
    assert test.split() == ["test", "20", "-", "0.000030"]


def test_failed_penalty_and_the_chosen_one():
    lines = output.ridge_lines(PROVENANCE)
    assert lines[1].split()[:3] == ["alpha", "=", "1.000e-02:"]
    assert "failed" in lines[1]
    assert lines[2].endswith("<- chosen")


def test_lines_in_a_pipe_come_now_and_then(monkeypatch, capsys):
    clock = iter([0.0, 1.0, 6.0, 7.0, 12.0])
    monkeypatch.setattr(output.time, "monotonic", lambda: next(clock))
    with output.progress(1)("Evaluating forces", 40) as advance:
        for _ in range(4):
            advance(10)
    assert capsys.readouterr().out.splitlines() == [
        "  Evaluating forces: 20/40 (6 s)",
        "  Evaluating forces: 40/40 (12 s)",
    ]


@pytest.mark.parametrize("log_level", [0, 1])
def test_quiet_run_shows_nothing(capsys, log_level):
    output.show(["a line"], log_level)
    assert capsys.readouterr().out == ("a line\n" if log_level else "")


def test_terminal_gets_a_bar_and_steps_within_steps_get_their_own(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    progress = output.progress(1)
    with progress("Kappa", 2) as advance:
        for _ in range(2):
            with progress("Derivatives", 3) as advance_inner:
                advance_inner(3)
            advance(1)
    shown = capsys.readouterr().out
    assert "Kappa" in shown and "Derivatives" in shown
    # A second display, after the first one has ended.
    with progress("Kappa again", 1):
        pass
    assert "Kappa again" in capsys.readouterr().out


def test_errors_of_accurate_potentials_have_digits():
    rmse = {"training": {"energy": 1e-9, "force": 3e-8, "stress": None}}
    accurate = replace(PROVENANCE, rmse=rmse)
    row = output.error_table(accurate)[2].split()
    assert row == ["training", "80", "1.0e-06", "3.0e-08"]

"""The table of students and teachers."""

import pytest

pytest.importorskip("zoo.crystals", reason="not in the source package")
students = pytest.importorskip("students")

RUN = {"kappa": [2.0, 2.0], "supercells": [0.03, 0.03], "penalty": [0.04, 0.04]}


def test_bar_of_a_student_leaves_out_what_the_teacher_shares():
    assert students.bar_of({**RUN, "mesh": [9.0, 9.0]}) == pytest.approx(0.05)


def test_table_has_a_row_for_each_finished_crystal():
    results = {
        "Ar pairs": {
            "teacher": {"kappa": [1.9, 1.9]},
            "10": {**RUN, "model": [0.0, 0.0]},
            "20": {"error": "ERROR: x"},
        },
        "layers": {"10": RUN},
    }
    *_, row = students.table(results).splitlines()
    assert row == (
        "| Ar pairs | rare gas, one atom | 1.900 | +5.26 \u00b1 5.00 % | refused | - |"
    )


def test_commands_are_those_of_a_user():
    commands = {case.name: case.command("--teach", "10") for case in students.cases()}
    assert len(commands) >= 6
    for command in commands.values():
        assert command[:3] == ["phono3py-mlp", "kappa", "-c"]
        assert command[-2:] == ["--teach", "10"]

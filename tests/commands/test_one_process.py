"""A command leaves its process as it was, for the Python that has called it."""

import json
import subprocess
import sys

import pytest

from conftest import HOST

BASE = ["phono3py-load", "phono3py.yaml", "--br", "--ts", "300"]
MESH = ["--mesh", "2", "2", "2"]
POTENTIAL = ["--pypolymlp", "--rd", "8", "--nonac", "--random-seed", "1"]
FFT = ["--scattering", "fft"]


def left_behind(folder, *commands):
    """Return exit code and changed state after each of the commands."""
    done = subprocess.run(
        [sys.executable, HOST / "in_one_process.py", json.dumps(commands)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    ends = [line for line in done.stdout.splitlines() if line.startswith("ended: ")]
    return [json.loads(line.removeprefix("ended: ")) for line in ends]


def test_nothing_of_a_command_stays_in_its_process(trained):
    assert left_behind(
        trained,
        [*BASE, *MESH, *POTENTIAL],
        [*BASE, *POTENTIAL, "--mesh", "0", "0", "0"],
        [*BASE, *MESH],
        [*BASE, *MESH, *FFT],
        [*BASE, *MESH, *FFT, "--gp", "999"],
        ["phono3py-load", "missing.yaml", *FFT],
    ) == [[0, []], [1, []], [0, []], [0, []], [1, []], [1, []]]


@pytest.mark.slow
def test_error_of_the_host_alone_changes_nothing_for_the_next_command(trained):
    error = ["phono3py-load", "missing.yaml"]
    ends = left_behind(trained, error, error, [*BASE, *MESH, *POTENTIAL])
    assert [code for code, _ in ends] == [1, 1, 0]
    assert ends[-1] == [0, []]

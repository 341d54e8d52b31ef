"""The tutorial, as it is written, on the data that it names; it takes minutes."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from documentation.blocks import DOCS, ROOT, blocks

TUTORIAL = DOCS / "tutorial.md"
# Printed with times and memory of the machine, or of numbers that are rounding errors.
_VARIES = re.compile(r"about [\d.]+ GB and|drift of fc2 and fc3|Processor time")
_NUMBER = re.compile(r"-?\d+\.\d+(?:e[-+]\d+)?|\d+")


def sections():
    """Pair each block of shell with the blocks of text that follow it."""
    found = []
    for block in blocks(TUTORIAL):
        if block.language == "bash":
            found.append((block, []))
        elif block.language == "text":
            found[-1][1].append(block)
    return found


def lines_shown(shown):
    return [
        line
        for block in shown
        for line in block.text.splitlines()
        if line != "..." and not _VARIES.search(line)
    ]


def is_printed(line, output):
    """Return whether a line is in the output, its numbers within two percent."""
    pattern = _NUMBER.sub("N", line)
    expected = [float(x) for x in _NUMBER.findall(line)]
    return any(
        _NUMBER.sub("N", printed) == pattern
        # Errors of force are printed with two digits.
        and [float(x) for x in _NUMBER.findall(printed)]
        == pytest.approx(expected, rel=0.02, abs=2e-5)
        for printed in output
    )


@pytest.mark.slow
def test_tutorial_gives_what_it_shows(tmp_path, host_source):
    # The clone, in which the tutorial makes its folder.
    (tmp_path / "example").symlink_to(ROOT / "example")
    folder = tmp_path
    scripts = Path(sys.executable).parent
    for block, shown in sections():
        script = f'export PATH="{scripts}:$PATH"\n{block.text}\npwd\n'
        done = subprocess.run(
            ["bash", "-e", "-c", script],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=1800,
            check=False,
        )
        assert done.returncode == 0, f"{block}: {done.stderr}"
        *output, last = done.stdout.splitlines()
        folder = Path(last)
        wrong = [x for x in lines_shown(shown) if not is_printed(x, output)]
        assert not wrong, f"{block}: {wrong}"


def test_every_step_of_the_tutorial_shows_its_output():
    with_output = [block for block, shown in sections() if shown]
    # Only the preparation of the folder prints nothing.
    assert len(with_output) == len(sections()) - 1 >= 7


def test_pictures_of_the_tutorial_exist():
    for name in re.findall(r"\{image\} (\S+)", TUTORIAL.read_text()):
        assert (DOCS / name).is_file(), name

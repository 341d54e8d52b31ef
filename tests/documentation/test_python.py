"""Python of pages that need no files of the reader, run as it is written."""

import subprocess
import sys

import pytest

from documentation.blocks import DOCS, blocks

PAGES = ["explanation/engine.md", "howto/clusters.md"]


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_python_that_makes_its_own_data_runs(page, tmp_path):
    (block,) = blocks(DOCS / page, "python")
    # A file, because processes that are started import it.
    (tmp_path / "shown.py").write_text(block.text)
    done = subprocess.run(
        [sys.executable, "shown.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr

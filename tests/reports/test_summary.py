"""Files of a report: all of them or none, and none of an earlier report."""

import pytest

from phono3py_mlp_plugin.errors import ParameterError, UnusableFile
from phono3py_mlp_plugin.plotting import STYLE_FILE
from phono3py_mlp_plugin.reports import Contents, write_report

PAGE = "phono3py_mlp_report.html"
NUMBERS = "phono3py_mlp_report.json"
OLD = [f"phono3py_mlp_report_kappa{end}" for end in (".png", ".svg", ".pdf")]


@pytest.fixture
def folder(tmp_path):
    """A folder with the figures of an earlier report, and a file of the user."""
    for name in [*OLD, "phono3py_mlp_report_mine.png"]:
        (tmp_path / name).write_text("old")
    return tmp_path


def names(folder):
    return {path.name for path in folder.iterdir()}


def test_figures_of_an_earlier_report_are_removed_in_all_formats(folder):
    write_report(Contents("NaCl", 2), folder)
    assert names(folder) == {PAGE, NUMBERS, "phono3py_mlp_report_mine.png"}


def test_nothing_is_written_if_the_style_cannot_be_used(folder):
    before = names(folder) | {STYLE_FILE}
    (folder / STYLE_FILE).write_text("lines.linewidth: thick")
    with pytest.raises(ParameterError, match=r"line 1 = 'lines\.linewidth: thick'"):
        write_report(Contents("NaCl", 2), folder)
    assert names(folder) == before


@pytest.mark.parametrize("name", [PAGE, NUMBERS])
def test_nothing_is_written_if_one_file_cannot_be(folder, name):
    (folder / name).mkdir()
    before = names(folder)
    with pytest.raises(UnusableFile):
        write_report(Contents("NaCl", 2), folder)
    assert names(folder) == before

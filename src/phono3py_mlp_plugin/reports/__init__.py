"""Report of a run: figures, and the page that contains them."""

from phono3py_mlp_plugin.reports.contents import Contents
from phono3py_mlp_plugin.reports.gather import gather
from phono3py_mlp_plugin.reports.page import Link, make_index
from phono3py_mlp_plugin.reports.summary import report_files, write_report

__all__ = ["Contents", "Link", "gather", "make_index", "report_files", "write_report"]

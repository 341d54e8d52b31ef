"""Report of a run: figures, and the page that contains them."""

from phono3py_mlp_plugin.report.contents import Contents
from phono3py_mlp_plugin.report.gather import gather
from phono3py_mlp_plugin.report.page import Link, make_index
from phono3py_mlp_plugin.report.summary import write_report

__all__ = ["Contents", "Link", "gather", "make_index", "write_report"]

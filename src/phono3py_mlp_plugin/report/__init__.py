"""Report of a run: figures, and the page that contains them."""

from phono3py_mlp_plugin.report.contents import Contents
from phono3py_mlp_plugin.report.gather import gather
from phono3py_mlp_plugin.report.summary import write_report

__all__ = ["Contents", "gather", "write_report"]

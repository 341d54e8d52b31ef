"""Figures."""

from phono3py_mlp_plugin.report.convergence import draw_convergence

__all__ = ["draw_convergence"]

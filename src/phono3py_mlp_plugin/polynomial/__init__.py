"""Polynomial potentials: model, features, regression, evaluation, files.

Knows numpy, scipy and numba, but neither phono3py nor plugins.
"""

"""Compiled kernels, and the vectors that they compute with."""

"""Parameters, invariants and features of models, and tables for the kernels."""

"""The model: parameters, invariants, the list of features, and tables for kernels."""

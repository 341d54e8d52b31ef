"""Force-constants solvers of this package, one module each."""

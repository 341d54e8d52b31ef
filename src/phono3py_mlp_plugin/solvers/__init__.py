"""Force-constants solvers that come with this package, one file each."""

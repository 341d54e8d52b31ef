"""Force calculators of this package, one module each."""

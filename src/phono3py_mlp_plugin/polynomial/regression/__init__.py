"""Ridge regression of the coefficients."""

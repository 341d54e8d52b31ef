"""Files of polynomial potentials."""

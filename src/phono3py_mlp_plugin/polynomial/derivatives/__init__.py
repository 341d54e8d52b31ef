"""Second and third derivatives of the energy by positions: exact force constants.

The energy of a centre is a polynomial of sums over its neighbours, so that its
derivatives are written down: those of the sums in `expansion`, those of the polynomial
in `patterns` and `weights`, both put together by the chain rule in `centre`. A
displacement of an atom moves all its images; the centre itself moves against all of
them. Only inequivalent pairs of a centre and an atom are computed, the rest follows
from `symmetry`.
"""

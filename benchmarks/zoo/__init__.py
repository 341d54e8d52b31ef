"""Crystals on which error bars of kappa are calibrated.

`crystals` lists them, `potentials` are the analytic potentials of those whose exact
kappa is known, `published` reads the first-principles datasets, and `statistics`
compares intervals with reference values.
"""

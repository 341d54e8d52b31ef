"""Scattering by Fourier transform in the host's tests: ``pytest -p fast ...``."""

import phono3py_mlp_plugin

phono3py_mlp_plugin.enable_fast_scattering()

"""How many numbers a vector holds, and how many vectors fill the registers."""

from llvmlite import binding

LANES = 8
"""Numbers in a vector."""

# The sums of a tile fill the registers: 24 of 32 with 512 bits, 12 of 16 with 256.
_WIDE = bool(binding.get_host_cpu_features().get("avx512f"))

TILE_VECTORS = 3 if _WIDE else 1
"""Vectors in a column of a tile of `add_products`."""

TILE_COLUMNS = 8 if _WIDE else 6
"""Columns of a tile of `add_products`."""

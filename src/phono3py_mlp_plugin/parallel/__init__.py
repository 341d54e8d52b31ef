"""Work cut into chunks, which any ``concurrent.futures.Executor`` computes.

The same chunks are computed by one process, which makes results equal to the last bit.
"""

from phono3py_mlp_plugin.parallel.chunks import Arrays, Chunk, Stage
from phono3py_mlp_plugin.parallel.distribution import (
    SERIAL,
    Distribution,
    distribution_of,
)
from phono3py_mlp_plugin.parallel.executors import ExecutorSpec
from phono3py_mlp_plugin.parallel.part import Part
from phono3py_mlp_plugin.parallel.store import (
    ChunkStore,
    count_chunks,
    forget_chunks,
    read_command,
)

__all__ = [
    "SERIAL",
    "Arrays",
    "Chunk",
    "ChunkStore",
    "Distribution",
    "ExecutorSpec",
    "Part",
    "Stage",
    "count_chunks",
    "distribution_of",
    "forget_chunks",
    "read_command",
]

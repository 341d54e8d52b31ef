"""Where the chunks of a command are computed, until it ends."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from phono3py_mlp_plugin.host.process import when_command_ends
from phono3py_mlp_plugin.parallel import Distribution, ExecutorSpec, Part


def start_distribution(spec: ExecutorSpec, part: Part | None) -> Distribution:
    """Return the distribution of a command, which is ended with it.

    Finished chunks are kept in the current folder.

    Parameters
    ----------
    spec : ExecutorSpec
    part : Part or None

    Raises
    ------
    WorkerError
        If the executor cannot be reached.
    """
    workers = spec.start()
    when_command_ends(partial(workers.close, at_once=True))
    return Distribution(workers, Path().absolute(), part)

"""Where the chunks of a command are computed, until it ends."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from phono3py_mlp_plugin.host.arguments import CommandOptions
from phono3py_mlp_plugin.host.process import when_command_ends
from phono3py_mlp_plugin.host.scattering import is_fast_scattering_enabled
from phono3py_mlp_plugin.parallel import Distribution, ExecutorSpec, Part


def distribution_of_options(options: CommandOptions) -> Distribution:
    """Return the distribution that the options of a command ask for.

    Raises
    ------
    ParameterError, PluginNotFound, WorkerError
        See `ExecutorSpec.parse`, `Part.parse` and `ExecutorSpec.start`.
    """
    part = None if options.part is None else Part.parse(options.part)
    return start_distribution(ExecutorSpec.parse(options.jobs, options.executor), part)


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


def _distributes_scattering(settings: Any) -> bool:
    return bool(settings.is_bterta) and is_fast_scattering_enabled()


def undistributed_steps(settings: Any, distribution: Distribution) -> list[str]:
    """Return lines about long steps of a run that are not given to workers.

    Parameters
    ----------
    settings : Phono3pySettings
    distribution : Distribution
    """
    if not distribution.is_distributed or _distributes_scattering(settings):
        return []
    if settings.is_lbte:
        return ["Scattering of --lbte is computed by this process alone."]
    if settings.is_bterta:
        return ["Scattering of phono3py itself is computed by this process alone."]
    return []


def end_part_without_scattering(settings: Any, distribution: Distribution) -> None:
    """End a part of a run whose scattering is not computed in parts.

    Raises
    ------
    PartFinished
        If this is one.
    """
    if not _distributes_scattering(settings):
        distribution.end_part()

"""Where the chunks of a command are computed, until it ends."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

from phono3py_mlp_plugin.host.arguments import CommandOptions
from phono3py_mlp_plugin.host.process import when_command_ends
from phono3py_mlp_plugin.host.scattering import is_fast_scattering_enabled
from phono3py_mlp_plugin.parallel import Distribution, ExecutorSpec, Part

COMMANDS = ("phono3py", "phono3py-load", "phono3py-mlp")
"""Commands that `phono3py-mlp collect` runs again."""


def distribution_of_options(options: CommandOptions) -> Distribution:
    """Return the distribution that the options of a command ask for.

    Raises
    ------
    ParameterError, PluginNotFound, WorkerError
        See `ExecutorSpec.parse`, `Part.parse` and `ExecutorSpec.start`.
    """
    where = ExecutorSpec.parse(options.jobs, options.executor)
    return start_distribution(where, options.part)


def start_distribution(where: ExecutorSpec, option: str | None) -> Distribution:
    """Return the distribution of a command, which is ended with it.

    Finished chunks are kept in the current folder.

    Parameters
    ----------
    where : ExecutorSpec
    option : str or None
        Text of ``--part``.

    Raises
    ------
    ParameterError
        If the part is not possible.
    WorkerError
        If the executor cannot be reached.
    """
    part, collects = Part.option(option)
    workers = where.start()
    when_command_ends(partial(workers.close, at_once=True))
    folder = Path().absolute()
    name = Path(sys.argv[0]).name
    # Python may call commands, too.
    command = (name, *sys.argv[1:]) if part is not None and name in COMMANDS else ()
    return Distribution(workers, folder, part, collects, command)


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

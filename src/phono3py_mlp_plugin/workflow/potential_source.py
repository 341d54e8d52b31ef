"""Potentials as workers get them: themselves, or what to load them from."""

from __future__ import annotations

import contextlib
import os
import pickle
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phono3py_mlp_plugin import plugins
from phono3py_mlp_plugin.contracts import Potential
from phono3py_mlp_plugin.errors import WorkerError
from phono3py_mlp_plugin.plugins import registry
from phono3py_mlp_plugin.workflow.request import CalculatorSpec
from phono3py_mlp_plugin.workflow.reuse import engine_of, origin_of


@dataclass(frozen=True)
class PotentialSource:
    """Calculator, options and file from which a potential is loaded.

    Attributes
    ----------
    calculator : str
        Name of the force calculator.
    options : object
        Its options record.
    path : Path or None
        File of the potential.
    folder : Path
        Folder that names of files in the options refer to.
    origin : str
        Fingerprint of everything that determines the forces.
    """

    calculator: str
    options: Any
    path: Path | None
    folder: Path
    origin: str

    @classmethod
    def of(
        cls, spec: CalculatorSpec, path: Path | None, origin: str
    ) -> PotentialSource:
        """Return the source of a potential that was just loaded."""
        return cls(spec.calculator.name, spec.options, path, Path.cwd(), origin)

    def load(self) -> Potential:
        """Load the potential in a worker.

        Raises
        ------
        WorkerError
            If the worker finds another potential under this name.
        """
        calculator = registry().force_calculator(self.calculator)
        spec = CalculatorSpec(calculator, self.options)
        potential = plugins.load(calculator, self.path, self.options)
        found = origin_of(spec, self.path, engine_of(potential))
        if found != self.origin:
            raise WorkerError(
                f"worker on {socket.gethostname()}: loads another potential of "
                f"{self.calculator} than the process that sends the work. Give both "
                "the same files and packages."
            )
        use_folder = getattr(potential, "use_folder", None)
        if callable(use_folder):
            # Programs that write files would overwrite those of other workers.
            use_folder(f"worker-{socket.gethostname()}-{os.getpid()}")
        return potential


class SentPotential:
    """A potential that can be sent to workers.

    Parameters
    ----------
    name : str
        Name of the force calculator, used in messages.
    potential : Potential
    source : PotentialSource, optional
        Workers load the potential from it, unless it is one that was trained: that is
        sent, so that workers on other disks can use it too.
    """

    def __init__(
        self, name: str, potential: Potential, source: PotentialSource | None = None
    ) -> None:
        self.name = name
        self._potential: Potential | None = potential
        self._source = source
        self._is_here = True

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without the potential if workers load it."""
        state = {**vars(self), "_is_here": False}
        if self._source is None:
            return state
        if registry().force_calculator(self._source.calculator).train is not None:
            with contextlib.suppress(Exception):
                pickle.dumps(self._potential)
                return {**state, "_source": None}
        return {**state, "_potential": None}

    @contextlib.contextmanager
    def in_use(self) -> Iterator[Potential]:
        """Yield the potential, in a worker in the folder of the run if there is one."""
        source = self._source
        if self._is_here or source is None:
            assert self._potential is not None
            yield self._potential
            return
        before = Path.cwd()
        if source.folder.is_dir():
            os.chdir(source.folder)
        try:
            if self._potential is None:
                self._potential = source.load()
            yield self._potential
        finally:
            os.chdir(before)

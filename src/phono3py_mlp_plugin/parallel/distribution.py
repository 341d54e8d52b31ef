"""Computation of the chunks of a stage: here or by workers, finished ones from disk."""

from __future__ import annotations

import contextlib
from asyncio import CancelledError
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    Executor,
    Future,
    wait,
)
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from phono3py_mlp_plugin.contracts import MapChunks, map_here
from phono3py_mlp_plugin.errors import (
    ParameterError,
    PartFinished,
    WorkerError,
    one_line,
)
from phono3py_mlp_plugin.parallel.chunks import (
    SMALL,
    Arrays,
    Chunk,
    ChunkFunction,
    Done,
    Failed,
    Needed,
    Outcome,
    Refused,
    Stage,
)
from phono3py_mlp_plugin.parallel.executors import ExecutorSpec, Workers, workers_of
from phono3py_mlp_plugin.parallel.part import Part
from phono3py_mlp_plugin.parallel.store import (
    ChunkStore,
    write_command,
    write_shared,
)

# How often a chunk is given to workers that are lost, before it is blamed.
_ATTEMPTS = 3

# Chunks that may fail while the others are still computed and kept.
_FAILURES = 3

# Bytes of arguments and results that are held at a time.
_HELD = 1e9


@dataclass(frozen=True, eq=False)
class Distribution:
    """Where the chunks of a run are computed, and kept.

    Attributes
    ----------
    workers : Workers
    folder : Path or None
        Folder of a run: finished chunks are kept there, and used again.
    part : Part or None
        Only these chunks are computed.
    collects : int or None
        Number of the parts that have computed chunks before. Chunks that are missing in
        a step which they have begun are an error.
    command : tuple of str
        The command of a part, which is kept with its chunks, to be collected.
    """

    workers: Workers = field(default_factory=Workers)
    folder: Path | None = None
    part: Part | None = None
    collects: int | None = None
    command: tuple[str, ...] = ()

    @property
    def is_distributed(self) -> bool:
        """Whether not all chunks are computed by this process."""
        in_parts = self.part is not None or self.collects is not None
        return in_parts or self.workers.are_elsewhere

    def end_part(self) -> None:
        """End a part of a run before steps that are not done in parts.

        Raises
        ------
        PartFinished
            If this is one.
        """
        if self.part is not None:
            raise PartFinished(
                f"Part {self.part}: nothing is left that is done in parts. Run "
                "phono3py-mlp collect, or the same without --part, to go on."
            )

    def without_parts(self) -> Distribution:
        """Return the distribution for steps that each part does itself."""
        return replace(self, part=None)

    def mapped(self, name: str) -> MapChunks:
        """Return a function for solvers, whose chunks are not kept on disk.

        Parameters
        ----------
        name : str
            Of the stage.
        """
        if not self.workers.are_elsewhere:
            return map_here

        def map_chunks(
            function: ChunkFunction, shared: Any, items: Sequence[Any]
        ) -> Iterator[Arrays]:
            chunks = [Chunk(f"{name} {i + 1}", x, {}) for i, x in enumerate(items)]
            stage = Stage(name, function, shared)
            return self.without_parts().compute(stage, chunks)

        return map_chunks

    def compute(self, stage: Stage, chunks: Iterable[Chunk]) -> Iterator[Arrays]:
        """Yield the results of chunks in their order.

        Results do not depend on workers, on what is on disk, or on the order in which
        chunks are finished.

        Parameters
        ----------
        stage : Stage
        chunks : iterable of Chunk
            It is read as chunks are needed.

        Raises
        ------
        PartFinished
            If this process computes a part of the stage, which is done.
        WorkerError
            If workers cannot be used, or a chunk is lost with its worker three times.
        Exception
            The first error of the function of the stage. The other chunks are computed
            first if they are kept on disk.
        """
        run = _StageRun(self, stage)
        try:
            yield from run.results(chunks)
        except BaseException:
            run.write()
            raise
        run.write_if_slow()


@contextmanager
def distribution_of(
    executor: Executor | int | ExecutorSpec | None,
    folder: Path | None = None,
    part: Part | None = None,
) -> Iterator[Distribution]:
    """Yield a distribution; workers that were started for it are ended.

    Parameters
    ----------
    executor : Executor, int, ExecutorSpec or None
        An executor, a number of processes, the options of a command, or None for this
        process.
    folder, part
        See `Distribution`.

    Raises
    ------
    ParameterError
        If ``executor`` is none of these.
    WorkerError
        If the executor cannot be reached.
    """
    if isinstance(executor, ExecutorSpec):
        workers = executor.start()
    else:
        workers = workers_of(executor)
    try:
        yield Distribution(workers, folder, part)
    except BaseException:
        workers.close(at_once=True)
        raise
    workers.close()


@dataclass
class _Sent:
    """A chunk that is to be computed.

    Attributes
    ----------
    number : int
        Its place among the chunks of the stage.
    attempts : int
        How often it was lost with its worker.
    """

    number: int
    chunk: Chunk
    key: str | None
    attempts: int = 0


class _StageRun:
    """State of `Distribution.compute`."""

    def __init__(self, distribution: Distribution, stage: Stage) -> None:
        self._workers = distribution.workers
        self._part = distribution.part
        self._collects = distribution.collects
        self._folder, self._command = distribution.folder, distribution.command
        self._stage = stage
        keeps = distribution.folder is not None and stage.content is not None
        self._store = (
            ChunkStore(distribution.folder, stage.name)
            if keeps and distribution.folder is not None
            else None
        )
        if self._part is not None and self._store is None:
            raise ParameterError(
                f"--part = {self._part}: {stage.name} has no fingerprint by which "
                "chunks are known. Use --jobs or --executor."
            )
        self._has_begun = False
        self._written: Path | None = None
        self._shared_file: Path | None = None
        self._demands = self._collects is not None and bool(self._store)
        self._missing_parts: set[int] = set()
        self._pending: dict[Future[Outcome], _Sent] = {}
        self._again: deque[_Sent] = deque()
        self._results: dict[int, Arrays] = {}
        self._failures: dict[int, Exception] = {}
        self._held = 0
        self._n_found = self._n_computed = self._n_missing = 0

    def results(self, chunks: Iterable[Chunk]) -> Iterator[Arrays]:
        """Yield results in order; see `Distribution.compute`."""
        numbered = enumerate(chunks)
        following, is_exhausted = 0, False
        while True:
            while not is_exhausted and self._has_room(following):
                item = next(numbered, None)
                is_exhausted = item is None
                if item is not None:
                    self._begin(*item)
            if self._is_incomplete:
                self._results.clear()
            while following in self._results:
                arrays = self._results.pop(following)
                self._held -= _size(arrays)
                yield arrays
                following += 1
            if self._pending or self._again:
                self._advance()
            elif is_exhausted:
                break
        if self._failures:
            raise self._failures[min(self._failures)]
        if self._missing_parts:
            raise WorkerError(self._incomplete())
        if self._is_incomplete:
            raise PartFinished(self._summary())

    def write_if_slow(self) -> None:
        """Write what took long to disk, although the stage is complete."""
        if self._store is not None and self._store.is_slow:
            self._store.write()
        self._remove_shared()

    def write(self) -> None:
        """Write what is finished to disk, and give up what is not begun."""
        if self._store is not None:
            self._store.write()
        if self._command and self._n_computed and self._folder is not None:
            write_command(self._folder, self._command)
        for future in self._pending:
            future.cancel()
        self._remove_shared()

    def _write_shared(self) -> Path | None:
        """Write what all chunks share to a file, if it is too large to be sent."""
        if self._folder is None or not self._workers.are_elsewhere:
            return None
        key, data = self._stage.pickled
        return None if len(data) <= SMALL else write_shared(self._folder, key, data)

    def _remove_shared(self) -> None:
        if self._written is not None:
            self._written.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                self._written.parent.rmdir()

    @property
    def _is_incomplete(self) -> bool:
        """Whether there will be no results of the whole stage."""
        in_part = self._part is not None and self._n_missing + self._n_computed > 0
        return in_part or bool(self._failures) or bool(self._missing_parts)

    def _has_room(self, following: int) -> bool:
        """Return whether another chunk can be begun."""
        if self._again or len(self._pending) >= self._workers.n_waiting:
            return False
        if self._held < _HELD or self._is_incomplete:
            return True
        return not self._pending and following not in self._results

    def _begin(self, number: int, chunk: Chunk) -> None:
        key = self._stage.key(chunk) if self._store is not None else None
        found = None if self._store is None or key is None else self._store.get(key)
        if found is not None:
            self._n_found += 1
            self._keep(number, found)
        elif self._demands:
            self._n_missing += 1
            self._missing_parts.add(number % (self._collects or 1) + 1)
        elif self._part is not None and not self._part.has(number):
            self._n_missing += 1
        else:
            self._submit(_Sent(number, chunk, key))

    def _keep(self, number: int, arrays: Arrays) -> None:
        self._results[number] = arrays
        self._held += _size(arrays)

    def _submit(self, sent: _Sent) -> None:
        if not self._has_begun:
            self._has_begun = True
            self._shared_file = self._written = self._write_shared()
        try:
            future = self._workers.submit(self._stage, sent.chunk, self._shared_file)
        except BrokenExecutor as error:
            # A worker was lost before, while there was nothing to compute.
            future = Future()
            future.set_exception(error)
        self._pending[future] = sent
        self._held += sent.chunk.size

    def _advance(self) -> None:
        """Give lost chunks away again, and wait for any chunk."""
        while self._again:
            # What was lost twice goes alone, so that it is known what loses workers.
            alone = self._again[0].attempts >= _ATTEMPTS - 1
            if self._pending and (alone or self._is_alone()):
                break
            self._submit(self._again.popleft())
        finished, _ = wait(self._pending, return_when=FIRST_COMPLETED)
        for future in finished:
            sent = self._pending.pop(future, None)
            if sent is not None:
                self._held -= sent.chunk.size
                self._finish(future, sent)

    def _is_alone(self) -> bool:
        return any(s.attempts >= _ATTEMPTS - 1 for s in self._pending.values())

    def _finish(self, future: Future[Outcome], sent: _Sent) -> None:
        try:
            outcome = future.result()
        except (Exception, CancelledError) as error:
            self._lost(sent, error)
            return
        if isinstance(outcome, Done):
            self._n_computed += 1
            self._keep(sent.number, outcome.arrays)
            if self._store is not None and sent.key is not None:
                self._store.add(sent.key, outcome.arrays)
        elif isinstance(outcome, Needed):
            # There is no common disk.
            self._shared_file = None
            self._again.append(sent)
        elif isinstance(outcome, Refused):
            raise WorkerError(f"{outcome.reason}, then run the same again.")
        elif isinstance(outcome, Failed):
            self._failures[sent.number] = outcome.error
            if self._store is None or len(self._failures) > _FAILURES:
                raise self._failures[min(self._failures)]

    def _lost(self, sent: _Sent, error: BaseException) -> None:
        """Plan a chunk again whose worker was lost, with all of a broken executor."""
        if isinstance(error, ImportError):
            raise WorkerError(
                f"a worker cannot import this package ({one_line(error)}); expected "
                "the environment of this process. Install it there."
            ) from error
        lost = [sent]
        if isinstance(error, BrokenExecutor):
            if not self._workers.can_restart:
                raise WorkerError(
                    "executor: it has lost a worker and takes no more work. Start a "
                    "new one, then run the same again, or give a number of processes."
                ) from error
            lost += self._pending.values()
            self._held -= sum(item.chunk.size for item in self._pending.values())
            self._pending.clear()
            self._workers.restart()
        for item in lost:
            item.attempts += 1
        # dask has given it to several workers itself.
        is_last = type(error).__name__ == "KilledWorker" or sent.attempts >= _ATTEMPTS
        if is_last and len(lost) == 1:
            raise WorkerError(
                f"{sent.chunk.label}: the worker was lost {_ATTEMPTS} times during "
                f"this ({one_line(error)}). Was its memory exhausted? "
                f"{self._workers.hint}Look at these, then run the same again with "
                "fewer workers; what is finished is kept."
            ) from error
        self._again.extend(sorted(lost, key=lambda item: item.number))

    def _incomplete(self) -> str:
        parts = sorted(self._missing_parts)
        shown = " ".join(f"{part}/{self._collects}" for part in parts[:10])
        more = " ..." if len(parts) > 10 else ""
        n = self._n_found + self._n_missing
        return (
            f"collect: {self._n_missing} of {n} chunks of {self._stage.name} are "
            f"missing; expected all. Run --part {shown}{more} again, or the same "
            "without --part, which computes them."
        )

    def _summary(self) -> str:
        n = self._n_found + self._n_computed + self._n_missing
        there = self._n_found + self._n_computed
        rest = (
            "all are there. The same again goes on with the next step, phono3py-mlp "
            "collect finishes the run"
            if not self._n_missing
            else f"{self._n_missing} are missing, which belong to other parts"
        )
        return (
            f"Part {self._part} of {self._stage.name}: {self._n_computed} chunks "
            f"computed, {there} of {n} are there; {rest}."
        )


def _size(arrays: Arrays) -> int:
    return sum(array.nbytes for array in arrays.values())


SERIAL = Distribution()
"""Everything in this process, nothing kept."""

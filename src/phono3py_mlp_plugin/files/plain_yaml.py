"""Safe loading of YAML: plain values only, with size limits."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import IO, Any

import yaml

from phono3py_mlp_plugin.files.columnar import is_columnar, read_columnar

# libyaml is forty times faster; not every build of PyYAML has it.
_SAFE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# Forces are compressed to a fourth and lists of equal displacements to a thirtieth, so
# that larger ratios are not data. Texts up to the small size are always accepted.
_LARGEST_GROWTH = 100
_SMALL = 16 * 2**20

# Maximum number of additional values that aliases (*name) may expand to.
_LARGEST_EXPANSION = 100_000


_read: ContextVar[dict[tuple[int, ...], Any] | None] = ContextVar("_read", default=None)


@contextlib.contextmanager
def each_file_once() -> Iterator[None]:
    """Cache the content of files, because phono3py reads a file repeatedly.

    phono3py first parses a file to determine its type. This takes minutes for forces of
    a thousand supercells. Within another such context, that one is used.
    """
    if _read.get() is not None:
        yield
        return
    token = _read.set({})
    try:
        yield
    finally:
        _read.reset(token)


class PlainLoader(_SAFE):  # type: ignore[misc]
    """Loader for ``yaml.load``: numbers, text, lists and mappings, nothing else.

    Files of `write_columnar` are read in place of YAML, wherever YAML is read.

    Tags that create Python objects or call functions raise an error, and so does
    content that expands too much, such as nested aliases or a compressed file of one
    repeated word. Errors are ``yaml.MarkedYAMLError`` with the line.
    """

    def __init__(self, stream: Any) -> None:
        self._limited = _LimitedStream(stream) if hasattr(stream, "read") else None
        self._columnar = _columnar_path(stream)
        text = stream if self._limited is None else self._limited
        super().__init__("" if self._columnar is not None else text)

    def get_single_data(self) -> Any:
        """Return the value of the single document of the stream."""
        known = _read.get()
        identity = None if self._limited is None else self._limited.identity
        if known is None or identity is None:
            return self._single_data()
        if identity not in known:
            known[identity] = self._single_data()
        return known[identity]

    def _single_data(self) -> Any:
        """Read the document, which may be in HDF5."""
        if self._columnar is not None:
            return read_columnar(self._columnar)
        return super().get_single_data()

    def construct_document(self, node: yaml.Node) -> Any:
        """Return the value of a document after checking its aliases."""
        if self._limited is None or self._limited.has_aliases:
            _check_aliases(node)
        return super().construct_document(node)


def _construct(kind: str, what: str) -> Any:
    plain = getattr(_SAFE, f"construct_yaml_{kind}")

    def construct(loader: PlainLoader, node: yaml.Node) -> Any:
        try:
            return plain(loader, node)
        except (ValueError, OverflowError) as error:
            text = str(node.value)
            shown = text if len(text) <= 40 else f"{text[:20]}... ({len(text)} digits)"
            raise yaml.constructor.ConstructorError(
                None, None, f"{shown} is no {what}", node.start_mark
            ) from error

    return construct


for _kind, _what in (
    ("int", "integer that can be meant"),
    ("float", "number"),
    ("timestamp", "date"),
):
    PlainLoader.add_constructor(f"tag:yaml.org,2002:{_kind}", _construct(_kind, _what))


class _LimitedStream:
    """A stream that limits its text to a multiple of the size of the file."""

    def __init__(self, stream: IO[Any]) -> None:
        self._stream = stream
        self.name = getattr(stream, "name", "<file>")
        status = _status(stream)
        size = 0 if status is None else status.st_size
        self.identity = (
            None
            if status is None
            else (status.st_dev, status.st_ino, size, status.st_mtime_ns)
        )
        self._left = max(_SMALL, _LARGEST_GROWTH * size)
        self._anchor = self._alias = False

    @property
    def has_aliases(self) -> bool:
        """Whether the text may contain aliases."""
        return self._anchor and self._alias

    def read(self, size: int = -1) -> Any:
        """Read from the stream.

        Raises
        ------
        yaml.MarkedYAMLError
            If the text is too long for a file of this size.
        """
        text = self._stream.read(size)
        self._left -= len(text)
        if self._left < 0:
            raise yaml.MarkedYAMLError(
                problem=f"it unpacks to more than {_LARGEST_GROWTH} times its size"
            )
        ampersand, star = ("&", "*") if isinstance(text, str) else (b"&", b"*")
        self._anchor = self._anchor or ampersand in text
        self._alias = self._alias or star in text
        return text


def _columnar_path(stream: Any) -> Path | None:
    """Return the path of the file of a stream if it is HDF5."""
    name = getattr(stream, "name", None)
    if not isinstance(name, str | os.PathLike):
        return None
    path = Path(name)
    return path if path.is_file() and is_columnar(path) else None


def _status(stream: IO[Any]) -> os.stat_result | None:
    """Return the status of the file of a stream, if there is one."""
    try:
        return os.fstat(stream.fileno())
    except (AttributeError, OSError, ValueError):
        return None


def _check_aliases(root: yaml.Node) -> None:
    """Raise an error if aliases expand a document too much."""
    sizes: dict[int, int] = {}
    open_nodes: set[int] = set()
    stack = [(root, False)]
    while stack:
        node, closing = stack.pop()
        key = id(node)
        children = _children(node)
        if closing:
            open_nodes.discard(key)
            sizes[key] = 1 + sum(sizes[id(child)] for child in children)
            continue
        if key in sizes:
            continue
        if key in open_nodes:
            raise _too_much(node, "an alias stands inside of what it stands for")
        open_nodes.add(key)
        stack.append((node, True))
        stack += [(child, False) for child in children if id(child) not in sizes]
    if sizes[id(root)] > len(sizes) + _LARGEST_EXPANSION:
        raise _too_much(root, f"aliases stand for {sizes[id(root)]:.3g} values")


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _too_much(node: yaml.Node, problem: str) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)

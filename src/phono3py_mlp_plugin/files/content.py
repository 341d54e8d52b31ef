"""What options mean beyond their text: the files, folders and code that they name."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import os
import re
import stat
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from phono3py_mlp_plugin.files.regular import check_regular, open_regular

_BLOCK = 1 << 20

# Of a folder that is read whole, as directories of models are.
_MOST_FILES = 2000

# What separates names of files in a text of several words.
_WORDS = re.compile(r"[\s,;|='\"]+")

_NUMBER = re.compile(r"[-+.\deE]+")

# ``module:Class``, as the calculator of ASE is named.
_CODE = re.compile(r"([A-Za-z_][\w.]*):([A-Za-z_]\w*)")


def content_of(value: Any) -> Any:
    """Return a value with the content of what it names beside its texts.

    A text, or a word of it, may name a file, a folder, or code as ``module:Class``. Two
    values are the same only where these are the same, too.

    Parameters
    ----------
    value : object
        Options: texts, and numbers, lists and mappings, which are looked through.

    Raises
    ------
    UnusableFile
        It names a pipe or a device.
    OSError
        A file cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "model.pt"
    >>> _ = path.write_text("1")
    >>> before = content_of({"model": str(path), "cutoff": 5.0})
    >>> _ = path.write_text("2")
    >>> before == content_of({"model": str(path), "cutoff": 5.0})
    False
    """
    if isinstance(value, os.PathLike):
        return content_of(os.fspath(value))
    if isinstance(value, str):
        named = {word: _content(word) for word in {value, *_WORDS.split(value)} if word}
        found = {word: content for word, content in named.items() if content}
        return {"text": value, "content": found} if found else value
    if isinstance(value, Mapping):
        return {key: content_of(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [content_of(item) for item in value]
    return value


def check_named(value: Any) -> None:
    """Refuse options that name a pipe or a device, before anybody waits for it.

    Parameters
    ----------
    value : object
        As of `content_of`.

    Raises
    ------
    UnusableFile
    """
    if isinstance(value, str | os.PathLike):
        text = os.fspath(value)
        for word in {text, *_WORDS.split(str(text))}:
            path = Path(str(word)).expanduser()
            try:
                is_folder = path.is_dir()
                exists = path.exists()
            except (OSError, ValueError):
                continue
            if exists and not is_folder:
                check_regular(path)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        check_named(dataclasses.asdict(value))
    elif isinstance(value, Mapping):
        check_named(list(value.values()))
    elif isinstance(value, list | tuple):
        for item in value:
            check_named(item)


def versions_of(names: Iterable[str]) -> dict[str, str]:
    """Return the versions of those distributions that are installed."""
    versions = {}
    for name in names:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def _content(word: str) -> Any:
    """Return what tells the content of what a word names, None where it names none."""
    code = _CODE.fullmatch(word)
    if code is not None:
        return _code(code.group(1))
    if _NUMBER.fullmatch(word):
        return None
    path = Path(word).expanduser()
    try:
        mode = path.lstat().st_mode
    except (OSError, ValueError):
        return None  # No name of a file, as most texts.
    if stat.S_ISDIR(mode) or path.is_dir():
        return _folder(path)
    # A link that leads nowhere names a file, too, and is refused.
    return _digest(path)


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with open_regular(path) as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _folder(path: Path) -> Any:
    """Return the hashes of the files of a folder, by name.

    None for a folder that the run works in or below: it holds what the run writes.
    """
    here = Path.cwd().resolve()
    folder = path.resolve()
    if folder == here or folder in here.parents:
        return None
    files = [
        Path(place, name)
        for place, _, names in os.walk(folder)
        for name in names
        if Path(place, name).is_file()
    ]
    digest = _digest if len(files) <= _MOST_FILES else _size
    return {str(file.relative_to(folder)): digest(file) for file in files}


def _size(path: Path) -> str:
    """Return size and time of a file of too many."""
    status = path.stat()
    return f"{status.st_size} {status.st_mtime_ns}"


def _code(module: str) -> Any:
    """Return version and source of a module; None where it is not loaded."""
    loaded = sys.modules.get(module)
    if loaded is None:
        return None
    package = module.partition(".")[0]
    version = versions_of([package])
    if version:
        return version
    # Not of an installed distribution: code of the user.
    source = getattr(sys.modules.get(package, loaded), "__file__", None)
    if source is None:
        return None
    path = Path(source)
    if path.name != "__init__.py":
        return _digest(path)
    files = sorted(path.parent.rglob("*.py"))[:_MOST_FILES]
    return {str(file.relative_to(path.parent)): _digest(file) for file in files}

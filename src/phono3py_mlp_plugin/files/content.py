"""Content of the files, folders and code that options refer to."""

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

# Maximum number of files in a folder that are read completely.
_MOST_FILES = 2000

# Separators of file names in a text.
_WORDS = re.compile(r"[\s,;|='\"]+")

_NUMBER = re.compile(r"[-+.\deE]+")

# ``module:name``, the notation for calculators of ASE.
_CODE = re.compile(r"([A-Za-z_][\w.]*):([A-Za-z_][\w.]*)")


def content_of(value: Any) -> Any:
    """Return a value, with hashes of the files that its texts refer to.

    A text, or a word in it, may name a file, a folder, or code as ``module:Class``. Two
    values are equal only if the content of these is equal, too.

    Parameters
    ----------
    value : object
        Options: texts, numbers, and nested lists and mappings of these.

    Raises
    ------
    UnusableFile
        If a pipe or a device is named.
    OSError
        If a file cannot be read.

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
        by_word = {
            word: _content_of_word(word)
            for word in {value, *_WORDS.split(value)}
            if word
        }
        contents = {word: content for word, content in by_word.items() if content}
        return {"text": value, "content": contents} if contents else value
    if isinstance(value, Mapping):
        return {key: content_of(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [content_of(item) for item in value]
    return value


def check_named(value: Any) -> None:
    """Check that options do not name a pipe or a device.

    Opening one of these could block the run.

    Parameters
    ----------
    value : object
        See `content_of`.

    Raises
    ------
    UnusableFile
        If a pipe or a device is named.
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
    """Return the versions of the installed distributions among ``names``."""
    versions = {}
    for name in names:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def _content_of_word(word: str) -> Any:
    """Return a hash of what a word refers to, None if it refers to nothing."""
    code = _CODE.fullmatch(word)
    if code is not None:
        return _code(code.group(1))
    if _NUMBER.fullmatch(word):
        return None
    path = Path(word).expanduser()
    try:
        mode = path.lstat().st_mode
    except (OSError, ValueError):
        return None  # Most texts are not file names.
    if stat.S_ISDIR(mode) or path.is_dir():
        return _folder(path)
    # A dangling link is treated as a file, and raises an error.
    return _digest(path)


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with open_regular(path) as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _folder(path: Path) -> Any:
    """Return the hashes of the files of a folder, by name.

    Return None for the current folder and its parents, because the run writes there.
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
    """Return size and modification time of a file, instead of a hash."""
    status = path.stat()
    return f"{status.st_size} {status.st_mtime_ns}"


def _code(module: str) -> Any:
    """Return the version or hashes of a module, None if it is not loaded."""
    loaded = sys.modules.get(module)
    if loaded is None:
        return None
    package = module.partition(".")[0]
    version = versions_of([package])
    if version:
        return version
    # Code of the user, not of an installed distribution.
    source = getattr(sys.modules.get(package, loaded), "__file__", None)
    if source is None:
        return None
    path = Path(source)
    if path.name != "__init__.py":
        return _digest(path)
    files = sorted(path.parent.rglob("*.py"))[:_MOST_FILES]
    return {str(file.relative_to(path.parent)): _digest(file) for file in files}

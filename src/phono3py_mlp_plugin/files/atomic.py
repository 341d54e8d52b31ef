"""Atomic writing: a file is either complete or does not exist."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from phono3py_mlp_plugin.errors import UnusableFile, in_file
from phono3py_mlp_plugin.files.regular import check_regular

# Folders of unfinished files contain the number of the writing process.
_PREFIX = ".phono3py-mlp-"
_UNFINISHED = re.compile(re.escape(_PREFIX) + r"(\d+)-")


@contextlib.contextmanager
def replacing(path: Path, *, keep_mode: bool = True) -> Iterator[Path]:
    """Yield a temporary path that replaces ``path`` if no error occurs.

    The file is synchronised to disk before it is renamed, so that a crash leaves
    either the old file or the new one. A symbolic link is kept and its target is
    replaced. The permissions of the old file are kept.

    Parameters
    ----------
    path : Path
    keep_mode : bool
        If False, the new file keeps its own permissions.

    Raises
    ------
    UnusableFile
        If the name belongs to a folder, a pipe or a device.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with replacing(folder / "a.txt") as temporary:
    ...     _ = temporary.write_text("whole")
    >>> (folder / "a.txt").read_text()
    'whole'
    """
    folder = unfinished_folder(path)
    try:
        temporary = folder / path.name
        yield temporary
        # Other files of the writer, such as the other penalties of pypolymlp.
        for companion in folder.iterdir():
            if companion != temporary:
                put_in_place(companion, path.parent / companion.name)
        put_in_place(temporary, path, keep_mode=keep_mode)
    except OSError as error:
        if error.filename is not None and Path(error.filename).parent != folder:
            raise
        raise in_file(error, path) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_whole(contents: Mapping[Path, bytes]) -> None:
    """Write files that belong together: all of them, or none if one cannot be written.

    Raises
    ------
    UnusableFile
        If a name belongs to a folder, a pipe or a device.
    """
    with contextlib.ExitStack() as stack:
        for path, content in contents.items():
            stack.enter_context(replacing(path)).write_bytes(content)


def unfinished_folder(path: Path) -> Path:
    """Create a folder for an unfinished file.

    `remove_unfinished` removes it if the process that writes does not.

    Parameters
    ----------
    path : Path
        Final path of the file. The folder is created on the same disk.

    Raises
    ------
    UnusableFile
        If the name belongs to a folder, a pipe or a device, or its folder is missing.
    """
    target = _target(path)
    if not target.parent.exists():
        raise UnusableFile(
            f"{path}: there is no folder {target.parent}; expected a file in an "
            "existing one. Make the folder."
        )
    if target.exists():
        check_regular(target)
    if target.parent != path.parent:
        # Only the folder of a run is cleaned otherwise.
        remove_unfinished(target.parent)
    try:
        folder = tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=target.parent)
    except OSError as error:
        raise in_file(error, path) from error
    return Path(folder)


def put_in_place(temporary: Path, path: Path, *, keep_mode: bool = True) -> None:
    """Synchronise a finished file to disk and rename it to ``path``.

    A symbolic link is kept and its target is replaced. The permissions are those of
    the replaced file, unless ``keep_mode`` is False.
    """
    target = _target(path)
    _synchronise(temporary)
    if keep_mode:
        with contextlib.suppress(FileNotFoundError):
            mode = stat.S_IMODE(target.stat().st_mode)
            # Not every file system has permissions.
            with contextlib.suppress(PermissionError):
                temporary.chmod(mode & 0o777)
    _rename(temporary, target)
    # The new name is on the disk only after the folder is synchronised.
    with contextlib.suppress(OSError):
        _synchronise(target.parent)


def _target(path: Path) -> Path:
    """Return the path itself, or the target of a symbolic link."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def _rename(temporary: Path, target: Path) -> None:
    try:
        temporary.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        # The target of the link is on another disk.
        with replacing(target, keep_mode=False) as near:
            shutil.copy2(temporary, near)


def _synchronise(path: Path) -> None:
    # Windows synchronises only what may be written.
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_unfinished(folder: Path, process: int | None = None) -> None:
    """Remove unfinished files of other processes.

    Parameters
    ----------
    folder : Path
    process : int, optional
        Number of a process that has ended. By default, the files of all processes that
        are not running on this machine are removed.
    """
    for path in folder.glob(f"{_PREFIX}*-*"):
        match = _UNFINISHED.match(path.name)
        if match is None:
            continue
        owner = int(match.group(1))
        if owner == process or (process is None and not is_running(owner)):
            shutil.rmtree(path, ignore_errors=True)


def is_running(process: int) -> bool:
    """Return whether a process with this number runs on this machine."""
    if os.name == "nt":
        # On Windows signal 0 means Ctrl-C.
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return not _is_zombie(process)


def _is_zombie(process: int) -> bool:
    """Return whether a process has ended but was not waited for."""
    try:
        status = Path(f"/proc/{process}/stat").read_text(encoding="utf-8")
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] == "Z"


def back_up(path: Path) -> Path:
    """Copy a file to ``name.bak``, replacing an earlier copy, and return that path.

    The original file remains until it is replaced, so that a crash loses neither.
    """
    backup = path.with_name(path.name + ".bak")
    target = _target(path)
    # With a hard link both names share their permissions; do not change them.
    with replacing(backup, keep_mode=False) as temporary:
        try:
            temporary.hardlink_to(target)
        except OSError:
            # Not every file system has links.
            shutil.copy2(target, temporary)
    return backup

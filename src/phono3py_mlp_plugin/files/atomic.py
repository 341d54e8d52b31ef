"""Files that are either whole or not there."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from phono3py_mlp_plugin.errors import in_file
from phono3py_mlp_plugin.files.regular import check_regular

# Folders of unfinished files are named after the process that writes.
_PREFIX = ".phono3py-mlp-"
_UNFINISHED = re.compile(re.escape(_PREFIX) + r"(\d+)-")


@contextlib.contextmanager
def replacing(path: Path, *, keep_mode: bool = True) -> Iterator[Path]:
    """Give a temporary path that takes the place of ``path`` when all went well.

    The file is synchronised to disk before it is renamed, so that a crash leaves
    either the old file or the new one. As with text editors, a link stays and what it
    leads to is replaced; permissions of the old file are kept.

    Parameters
    ----------
    path : Path
    keep_mode : bool
        False: the new file keeps permissions of its own.

    Raises
    ------
    UnusableFile
        A folder, a pipe or a device has that name.

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
        # What a writer made beside it (pypolymlp's other penalties) comes along.
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


def unfinished_folder(path: Path) -> Path:
    """Make a folder for an unfinished file; `sweep` removes it where nobody else does.

    Parameters
    ----------
    path : Path
        What the file will be. The folder is made on the disk that holds it.

    Raises
    ------
    UnusableFile
        A folder, a pipe or a device has that name.
    """
    target = _target(path)
    if target.exists():
        check_regular(target)
    if target.parent != path.parent:
        # Nobody else sweeps there.
        sweep(target.parent)
    return Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=target.parent))


def put_in_place(temporary: Path, path: Path, *, keep_mode: bool = True) -> None:
    """Rename a finished file over another one, when it is on the disk.

    A link stays: what it leads to is replaced. The permissions are those of the file
    that is replaced, unless ``keep_mode`` is False.
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
    # The new name is on the disk only when the folder is.
    with contextlib.suppress(OSError):
        _synchronise(target.parent)


def _target(path: Path) -> Path:
    """Return the file that a path means: where a link leads."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def _rename(temporary: Path, target: Path) -> None:
    try:
        temporary.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        # A companion of a file whose link leads to another disk.
        with replacing(target, keep_mode=False) as near:
            shutil.copy2(temporary, near)


def _synchronise(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sweep(folder: Path, process: int | None = None) -> None:
    """Remove what processes left unfinished.

    Parameters
    ----------
    folder : Path
    process : int, optional
        The one that is gone; by default every process that does not live on this
        machine.
    """
    for path in folder.glob(f"{_PREFIX}*-*"):
        found = _UNFINISHED.match(path.name)
        if found is None:
            continue
        owner = int(found.group(1))
        if owner == process or (process is None and not lives(owner)):
            shutil.rmtree(path, ignore_errors=True)


def lives(process: int) -> bool:
    """Return whether a process of this number lives on this machine."""
    if os.name == "nt":
        # There signal 0 is Ctrl-C.
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return not _is_zombie(process)


def _is_zombie(process: int) -> bool:
    """Return whether it has ended and nobody has asked for its exit code yet."""
    try:
        status = Path(f"/proc/{process}/stat").read_text(encoding="utf-8")
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] == "Z"


def back_up(path: Path) -> Path:
    """Keep a file as ``name.bak``, replacing an earlier one, and return that path.

    The file stays where it is until a new one takes its place, so that a crash between
    the two loses neither.
    """
    backup = path.with_name(path.name + ".bak")
    target = _target(path)
    # The two may be one file then: permissions of the older copy are not for it.
    with replacing(backup, keep_mode=False) as temporary:
        try:
            temporary.hardlink_to(target)
        except OSError:
            # Not every file system has links.
            shutil.copy2(target, temporary)
    return backup
